//! The 402 of a route with several offers, as it stands on the wire.

use axum::{Router, routing::get};
use http::{HeaderValue, header};
use mpp_core::problem::Problem;
use mpp_server::tower::Paywall;

use super::{Fair, methods, of, pay};
use crate::shop::{get_, send, show};

fn paywall(fair: &Fair) -> Paywall {
    let selling = fair.gate.charge("2 coin").unwrap();
    selling.via(&fair.coupon).via(&fair.token).via(&fair.stamp).layer().unwrap()
}

fn app(wall: Paywall) -> Router {
    Router::new().route("/a", get(|| async { "a" }).layer(wall))
}

#[tokio::test]
async fn each_offer_is_a_field_and_the_body_speaks_of_the_first() {
    let fair = Fair::new();
    let app = app(paywall(&fair));
    for _ in 0..2 {
        let asked = send(&app, get_("/a")).await;
        let fields: Vec<_> = asked.headers.get_all(header::WWW_AUTHENTICATE).iter().collect();
        let starts = |field: &&HeaderValue| field.as_bytes().starts_with(b"Payment id=");
        assert_eq!((asked.code(), fields.iter().filter(|f| starts(f)).count()), (402, 3));
        assert_eq!(asked.headers[header::CACHE_CONTROL], "no-store");
        assert_eq!(asked.headers[header::CONTENT_TYPE], "application/problem+json");
        let problem: Problem = serde_json::from_str(&asked.body).unwrap();
        let challenges = asked.challenges();
        assert_eq!((problem.suffix(), problem.status), ("payment-required", 402));
        assert_eq!(problem.challenge_id.as_deref(), Some(challenges[0].id().as_str()));
        let mut ids: Vec<_> = challenges.iter().map(|c| c.id().as_str().to_owned()).collect();
        ids.dedup();
        assert_eq!(ids.len(), 3, "each has an id of its own");
        // What is served for payment is its payer's alone.
        let paid = show(&app, get_("/a"), &pay(&challenges[2], challenges[2].id().as_str())).await;
        assert_eq!(
            (paid.code(), &paid.headers[header::CACHE_CONTROL]),
            (200, &"private".parse().unwrap())
        );
    }
}

#[tokio::test]
async fn accept_payment_filters_and_ranks_and_what_cannot_be_read_asks_for_all() {
    let fair = Fair::new();
    let app = app(paywall(&fair));
    let all = &["coupon", "token", "stamp"][..];
    let wishes: [(&[&str], &[&str]); 14] = [
        (&[], all),
        (&["*/*"], all),
        (&["stamp/charge, token/charge;q=0.5"], &["stamp", "token"]),
        (&["token/charge;q=0.5", "stamp/charge"], &["stamp", "token"]),
        (&["*/*, coupon/*;q=0"], &["token", "stamp"]),
        (&["*/*, stamp/charge;q=0, coupon/charge;q=0"], &["token"]),
        (&["*/*;q=0.1, stamp/*"], &["stamp", "coupon", "token"]),
        (&["token/session"], all),
        (&["*/*;q=0"], all),
        (&["coupon/charge;q=0, token/charge;q=0, stamp/charge;q=0"], all),
        (&["stamp"], all),
        (&["stamp/charge;q=2"], all),
        (&["STAMP/charge"], all),
        (&["stamp/charge;q=0.5;q=0.6", "token/charge"], all),
    ];
    // The second time every request stands ready, and takes another way through the gate.
    for _ in 0..2 {
        for (fields, expected) in wishes {
            let mut request = get_("/a");
            for field in fields {
                request.headers_mut().append("accept-payment", field.parse().unwrap());
            }
            let asked = send(&app, request).await;
            assert_eq!(methods(&asked.challenges()), expected, "{fields:?}");
            let problem: Problem = serde_json::from_str(&asked.body).unwrap();
            assert_eq!(problem.challenge_id.as_deref(), Some(asked.challenge().id().as_str()));
        }
    }
}

#[tokio::test]
async fn a_refused_credential_is_answered_with_every_offer_that_is_wanted() {
    let fair = Fair::new();
    let app = app(paywall(&fair));
    let credential = pay(of(&send(&app, get_("/a")).await.challenges(), "token"), "a");
    assert_eq!(show(&app, get_("/a"), &credential).await.code(), 200);
    let mut again = get_("/a");
    again.headers_mut().insert("accept-payment", "stamp/charge, */*;q=0.2".parse().unwrap());
    let refused = show(&app, again, &credential).await;
    assert_eq!((refused.code(), &*refused.reason()), (402, "already-used"));
    assert_eq!(methods(&refused.challenges()), ["stamp", "coupon", "token"]);
    assert_eq!(refused.headers[header::CACHE_CONTROL], "no-store");
}

#[tokio::test]
async fn an_application_keeps_its_authorization_whatever_method_is_paid_by() {
    let fair = Fair::new();
    let selling = fair.gate.charge("2 coin").unwrap().via(&fair.coupon).via(&fair.token);
    let app = app(selling.in_payment_authorization().layer().unwrap());
    let bearer = || {
        let mut request = get_("/a");
        request.headers_mut().insert(header::AUTHORIZATION, "Bearer app".parse().unwrap());
        request
    };
    let challenges = send(&app, bearer()).await.challenges();
    for challenge in &challenges {
        assert!(challenge.header.as_ref().unwrap().is_payment_authorization());
        let credential = pay(challenge, "a");
        let token = credential.to_token().unwrap();
        // In `Authorization` nobody looks for it, with or without the application's own beside it.
        let mut misplaced = get_("/a");
        let both = format!("Bearer app, Payment {token}");
        misplaced.headers_mut().insert(header::AUTHORIZATION, both.parse().unwrap());
        assert_eq!(send(&app, misplaced).await.reason(), "no-credential");
        // A challenge whose header was taken off is not ours: the name is in its id.
        let mut bare = challenge.to_draft();
        bare.header = None;
        let bare = mpp_core::Challenge::received(challenge.id().clone(), bare);
        let mut moved = bearer();
        let unnamed = format!("Payment {}", pay(&bare, "a").to_token().unwrap());
        moved.headers_mut().insert("payment-authorization", unnamed.parse().unwrap());
        assert_eq!(send(&app, moved).await.reason(), "not-ours");
        let served = show(&app, bearer(), &credential).await;
        assert_eq!((served.code(), served.has_receipt()), (200, true));
    }
    assert_eq!(fair.taken(), [1, 1, 0, 0]);
}
