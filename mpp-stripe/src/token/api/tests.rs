//! What Stripe is asked for a token, and how what it says of one is understood.

use serde_json::json;

use super::*;
use crate::token::scripted::{END, asking, request, vector};

fn wanted(challenge: &mpp_core::Challenge) -> Wanted {
    let demand = challenge.read::<crate::StripeCharge>().unwrap();
    let payment_method = PaymentMethod::parse("pm_card_visa").unwrap();
    Wanted::of(&demand, &Timestamp::from_unix(0, 0)).unwrap().by(Some(payment_method))
}

fn basic(wanted: &Wanted) -> Form {
    limits(wanted.payment_method.as_ref().unwrap(), wanted)
}

#[test]
fn the_kind_of_key_decides_how_a_seller_is_named() {
    let wanted = wanted(&vector());
    let common = format!(
        "payment_method=pm_card_visa&usage_limits%5Bcurrency%5D=usd&usage_limits%5Bmax_amount%5D=5000&usage_limits%5Bexpires_at%5D={END}"
    );
    assert_eq!(basic(&wanted).encoded(), common);
    assert_eq!(
        granted(basic(&wanted), &wanted).encoded(),
        format!(
            "{common}&seller_details%5Bnetwork_id%5D=profile_1MqDcVKA5fEO2tZvKQm9g8Yj&metadata%5Bplan%5D=pro"
        )
    );
    assert_eq!(
        issued(basic(&wanted), &wanted).encoded(),
        format!(
            "{common}&seller_details%5Bnetwork_business_profile%5D=profile_1MqDcVKA5fEO2tZvKQm9g8Yj&shared_metadata%5Bplan%5D=pro"
        )
    );
}

#[test]
fn one_name_stands_for_one_form_that_answers_one_challenge() {
    let first = wanted(&vector());
    let name = |wanted: &Wanted, form: Form| idempotency(GRANT, &form, wanted);
    let full = name(&first, granted(basic(&first), &first));
    assert_eq!(full, name(&first, granted(basic(&first), &first)));
    assert_eq!(full.len(), "mpp_token_".len() + 43);
    // The form without a seller is another, or Stripe would take it for a mistake.
    assert_ne!(full, name(&first, basic(&first)));
    let second = wanted(&asking(&request(), Some("2099-01-01T00:00:00Z")));
    assert_eq!(basic(&first), basic(&second));
    assert_ne!(name(&first, basic(&first)), name(&second, basic(&second)));
    let elsewhere = Wanted {
        challenge: mpp_core::Challenge::received(
            first.challenge.id().clone(),
            mpp_core::Draft {
                realm: mpp_core::Realm::parse("elsewhere").unwrap(),
                ..first.challenge.to_draft()
            },
        ),
        ..first.clone()
    };
    assert_ne!(name(&first, basic(&first)), name(&elsewhere, basic(&elsewhere)));
}

#[test]
fn only_what_stripe_does_not_know_of_seller_and_notes_is_left_out() {
    let why = |code: Option<&str>, param: Option<&str>| {
        let mut why = Refused::default();
        (why.code, why.param) = (code.map(str::to_owned), param.map(str::to_owned));
        is_unknown_parameter(&why)
    };
    let unknown = Some("parameter_unknown");
    for param in
        [None, Some("seller_details"), Some("seller_details[network_id]"), Some("metadata")]
    {
        assert!(why(unknown, param), "{param:?}");
    }
    for (code, param) in [
        (unknown, Some("usage_limits[expires_at]")),
        (None, Some("seller_details")),
        (Some("resource_missing"), Some("seller_details")),
        (None, None),
    ] {
        assert!(!why(code, param), "{code:?} {param:?}");
    }
}

#[test]
fn a_token_is_dead_only_once_nothing_confirmed_in_time_can_be_captured() {
    const DAY: i64 = 86_400;
    let token = Token::parse("spt_1").unwrap();
    let said = |captured, ended, reason| {
        json!({
            "id": "spt_1", "deactivated_at": ended, "deactivated_reason": reason,
            "usage_details": { "amount_captured": { "currency": "usd", "value": captured } },
        })
    };
    let (none, zero, day) = (json!(null), json!(0), json!(DAY));
    let cases = [
        // captured, ended, reason, asked on day, became
        (zero.clone(), none.clone(), json!(null), 400, Became::Open),
        (json!(1), none.clone(), json!(null), 0, Became::Paid),
        (json!(1), day.clone(), json!("expired"), 400, Became::Paid),
        (zero.clone(), day.clone(), json!("expired"), 1, Became::Open),
        (zero.clone(), day.clone(), json!("expired"), 32, Became::Open),
        (zero.clone(), day.clone(), json!("expired"), 33, Became::Dead),
        (zero.clone(), day.clone(), json!("revoked"), 33, Became::Dead),
        (zero.clone(), day.clone(), json!("consumed"), 400, Became::Open),
        (zero.clone(), day.clone(), json!("resolved"), 400, Became::Open),
        (zero.clone(), day.clone(), json!("not yet known"), 400, Became::Open),
        (zero.clone(), none.clone(), json!("expired"), 400, Became::Open),
        (none, day.clone(), json!("expired"), 400, Became::Open),
        (json!("0"), day.clone(), json!("expired"), 400, Became::Open),
        (json!(-1), day.clone(), json!("expired"), 400, Became::Open),
        (zero.clone(), json!(i64::MAX), json!("expired"), 400, Became::Open),
    ];
    for (captured, ended, reason, on, became) in cases {
        let body = said(captured, ended, reason);
        assert_eq!(
            judge(&body, &token, &Timestamp::from_unix(on * DAY, 0), HELD),
            became,
            "{body}"
        );
    }
    let late = Timestamp::from_unix(400 * DAY, 0);
    let other = Token::parse("spt_2").unwrap();
    assert_eq!(judge(&said(zero, day, json!("expired")), &other, &late, HELD), Became::Open);
    for odd in [json!(null), json!([]), json!("expired"), json!({ "id": "spt_1" })] {
        assert_eq!(judge(&odd, &token, &late, HELD), Became::Open, "{odd}");
    }
}
