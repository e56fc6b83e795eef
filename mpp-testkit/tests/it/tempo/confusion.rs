//! S2: a payment buys what it was asked for, where it was asked, at the price it was asked, and nothing else.

use std::sync::Arc;

use axum::routing::any;
use http::Method;
use mpp_core::{Challenge, Credential, Encoded, Price, Realm, challenge::Draft, store::Memory};
use mpp_server::{Gate, Paid};
use mpp_tempo::charge::Mode;
use mpp_testkit::devnet::{ACCOUNTS, ALPHA_USD};
use serde_json::{Value, json};

use super::{
    shop::{Counter, SECRET, payload, with_payload},
    stage::Stage,
};

/// The credential, with something else in the challenge that it echoes.
fn echoing(credential: &Credential, change: impl FnOnce(&mut Draft)) -> Credential {
    let mut draft = credential.challenge.to_draft();
    change(&mut draft);
    let changed = Challenge::received(credential.challenge.id().clone(), draft);
    let payload = serde_json::value::to_raw_value(&payload(credential)).unwrap();
    Credential::from_parts(changed, credential.source.clone(), payload).unwrap()
}

fn asking(credential: &Credential, change: impl FnOnce(&mut Value)) -> Credential {
    echoing(credential, |draft| {
        let mut request: Value = draft.request.decode().unwrap();
        change(&mut request);
        draft.request = Encoded::of(&request).unwrap();
    })
}

#[tokio::test]
async fn s2_what_was_paid_for_here_is_not_served_there() {
    for mode in [Mode::Pull, Mode::Push] {
        let stage = Stage::new().await;
        let counter = stage.counter().sell("/a", "0.01 usd", stage.verifier());
        let counter = counter.sell("/b", "0.01 usd", stage.verifier());
        let counter = counter.sell("/dear", "1 usd", stage.verifier());
        let shop = counter.sell("/free", "0 usd", stage.verifier()).open().await;
        let before = stage.books().await;
        let paid = shop.sign(&stage.payer().mode(mode.clone()), "/a").await;
        for elsewhere in ["/b", "/dear", "/a?x=1", "/a?", "/free", "/%61", "/a/"] {
            let heard = shop.show(elsewhere, &paid).await;
            assert!(matches!(heard.code(), 402 | 404), "{elsewhere} {mode:?}: {heard:?}");
            assert!(
                heard.code() == 404 || heard.why().1 == "wrong-scope",
                "{elsewhere}: {heard:?}"
            );
        }
        for method in [Method::POST, Method::PUT, Method::DELETE] {
            shop.request(method, "/a", Some(&paid)).await.is_refused(402, "wrong-scope");
        }
        assert_eq!(shop.served(), 0);
        let moved = stage.books().await.since(before);
        assert_eq!(moved, if mode == Mode::Pull { [0; 4] } else { [-10_000, 10_000, 0, 0] });
        // And nothing of that has used it up.
        assert_eq!(shop.show("/a", &paid).await.code(), 200);
        assert_eq!(stage.books().await.since(before), [-10_000, 10_000, 0, 0]);
    }
}

#[tokio::test]
async fn s2_what_a_challenge_asked_for_cannot_be_changed_afterwards() {
    let stage = Stage::new().await;
    let price: Price = "1 usd".parse().unwrap();
    let shop = stage.counter().sell("/a", price.external_id("order-1"), stage.verifier());
    let shop = shop.open().await;
    let paid = shop.sign(&stage.payer(), "/a").await;
    let (before, mined) = (stage.books().await, stage.mined().await);
    let other = ACCOUNTS[5].address;
    type Change = Box<dyn FnOnce(&mut Value)>;
    let to = |pointer: &'static str, value: Value| -> Change {
        Box::new(move |request| *request.pointer_mut(pointer).unwrap() = value)
    };
    let changes: [(&str, Change); 9] = [
        ("amount", to("/amount", json!("1"))),
        ("no amount", to("/amount", json!("0"))),
        ("recipient", to("/recipient", json!(other))),
        ("currency", to("/currency", json!(ALPHA_USD))),
        ("external id", to("/externalId", json!("order-2"))),
        ("chain", to("/methodDetails/chainId", json!(4217))),
        ("sponsor", Box::new(|request| request["methodDetails"]["feePayer"] = json!(true))),
        (
            "memo",
            Box::new(|request| {
                request["methodDetails"]["memo"] = json!(format!("0x{}", "42".repeat(32)));
            }),
        ),
        (
            "splits",
            Box::new(move |request| {
                request["methodDetails"]["splits"] =
                    json!([{ "amount": "999999", "recipient": other }]);
            }),
        ),
    ];
    for (name, change) in changes {
        let heard = shop.show("/a", &asking(&paid, change)).await;
        assert_eq!(heard.why(), (402, "not-ours".to_owned()), "{name}: {heard:?}");
    }
    type Edit = Box<dyn FnOnce(&mut Draft)>;
    let drafts: [(&str, Edit, &str); 4] = [
        (
            "later",
            Box::new(|d| {
                d.expires = d.expires.take().map(|end| end.plus(std::time::Duration::from_secs(60)))
            }),
            "not-ours",
        ),
        ("never", Box::new(|d| d.expires = None), "not-ours"),
        ("realm", Box::new(|d| d.realm = Realm::parse("localhost").unwrap()), "wrong-realm"),
        ("scope", Box::new(|d| d.opaque = None), "not-ours"),
    ];
    for (name, change, reason) in drafts {
        let heard = shop.show("/a", &echoing(&paid, change)).await;
        assert_eq!(heard.code(), 402, "{name}: {heard:?}");
        assert!([reason, "not-ours"].contains(&&*heard.why().1), "{name}: {heard:?}");
    }
    assert_eq!((stage.books().await.since(before), stage.mined().await), ([0; 4], mined));
    assert_eq!((shop.served(), shop.show("/a", &paid).await.code()), (0, 200));
}

#[tokio::test]
async fn s2_a_payment_in_another_amount_or_to_another_account_is_not_the_one_that_was_asked() {
    let stage = Stage::new().await;
    let counter = stage.counter().sell("/a", "1 usd", stage.verifier());
    let counter = counter.sell("/cheap", "0.01 usd", stage.verifier());
    let alpha = stage.verifier().currency(ALPHA_USD).unwrap();
    let shop = counter.sell("/alpha", "1 usd", alpha).open().await;
    let (before, mined) = (stage.books().await, stage.mined().await);
    let dear = shop.sign(&stage.payer(), "/a").await;
    // What answers another challenge, as an answer to this one.
    for (from, reason) in
        [("/cheap", "wrong-amount"), ("/alpha", "wrong-token"), ("/a", "wrong-memo")]
    {
        let other = shop.sign(&stage.payer(), from).await;
        let shown = with_payload(&dear, &payload(&other));
        shop.show("/a", &shown).await.is_refused(402, reason);
    }
    assert_eq!((stage.books().await.since(before), stage.mined().await), ([0; 4], mined));
    assert_eq!(shop.show("/a", &dear).await.code(), 200);
}

#[tokio::test]
async fn s2_a_price_that_depends_on_the_request_is_the_price_of_that_request() {
    let stage = Stage::new().await;
    let till = Arc::new(stage.verifier());
    let shop = stage.counter().with(|router, gate: &Gate| {
        let wall = gate.charge_each(|head| {
            let size = head.headers.get("x-size").map_or("1", |_| "100").to_owned();
            async move { Ok(format!("{size} usd").parse::<Price>().unwrap()) }
        });
        let wall = wall.via(&till).layer().unwrap();
        router.route("/size", any(|_: Paid| async { "so much" }).layer(wall))
    });
    let shop = shop.open().await;
    let (before, mined) = (stage.books().await, stage.mined().await);
    let small = shop.sign(&stage.payer(), "/size").await;
    let big = shop.with_header("x-size", "big");
    big.show("/size", &small).await.is_refused(402, "wrong-terms");
    assert_eq!((stage.books().await.since(before), stage.mined().await), ([0; 4], mined));
    assert_eq!(shop.show("/size", &small).await.code(), 200);
    assert_eq!(stage.books().await.since(before)[1], 1_000_000);
}

#[tokio::test]
async fn s2_challenges_of_other_shops_and_of_shops_that_changed_are_not_paid_here() {
    let stage = Stage::new().await;
    let (before, mined) = (stage.books().await, stage.mined().await);
    let at = |realm: &str, secret: &str| {
        let gate = Gate::builder(Memory::volatile()).realm(realm).secret(secret);
        let gate = gate.clock(stage.clock.clone()).recover_by_hand().build().unwrap();
        Counter::at(gate)
    };
    let ours = at("127.0.0.1", SECRET).sell("/a", "0.01 usd", stage.verifier()).open().await;
    let other = ACCOUNTS[5].address;
    let elsewhere =
        mpp_tempo::charge::Verifier::new(&mpp_tempo::Chain::MODERATO, other, stage.node.clone());
    let shared = stage.verifier().share(other, "0.001").unwrap();
    let others = [
        (
            "secret",
            at("127.0.0.1", "another secret of thirty-two bytes").sell(
                "/a",
                "0.01 usd",
                stage.verifier(),
            ),
            "not-ours",
        ),
        ("realm", at("localhost", SECRET).sell("/a", "0.01 usd", stage.verifier()), "wrong-realm"),
        ("price", at("127.0.0.1", SECRET).sell("/a", "0.001 usd", stage.verifier()), "wrong-terms"),
        (
            "recipient",
            at("127.0.0.1", SECRET).sell("/a", "0.01 usd", elsewhere.unwrap()),
            "wrong-terms",
        ),
        ("shares", at("127.0.0.1", SECRET).sell("/a", "0.01 usd", shared), "wrong-terms"),
        (
            "token",
            at("127.0.0.1", SECRET).sell(
                "/a",
                "0.01 usd",
                stage.verifier().currency(ALPHA_USD).unwrap(),
            ),
            "wrong-terms",
        ),
    ];
    for (name, theirs, reason) in others {
        let theirs = theirs.open().await;
        let signed = theirs.sign(&stage.payer(), "/a").await;
        let heard = ours.show("/a", &signed).await;
        assert_eq!(heard.why(), (402, reason.to_owned()), "{name}: {heard:?}");
        assert_eq!(heard.challenges().len(), 1);
    }
    assert_eq!((stage.books().await.since(before), stage.mined().await), ([0; 4], mined));
    assert_eq!(ours.served(), 0);
}
