//! What can be put into a token, and what cannot.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::token::scripted::{END, PROFILE, asking, vector, with};

fn wanted(challenge: &Challenge) -> Result<Wanted, Unaskable> {
    let demand = challenge.read::<StripeCharge>().unwrap();
    Wanted::of(&demand, &Timestamp::from_unix(1_800_000_000, 999))
}

#[test]
fn a_token_is_wanted_for_exactly_what_is_asked() {
    let challenge = vector();
    assert_eq!(challenge.id().as_str(), "wFSguGfZ9Fe7Tc6UyDIJ3ILOaDPmW1kNPA8jZC6s85E");
    let expected = Wanted {
        amount: Amount::new(5000),
        currency: Currency::USD,
        network_id: PROFILE.to_owned(),
        expires_at: END,
        metadata: Some(BTreeMap::from([("plan".to_owned(), "pro".to_owned())])),
        payment_method: None,
        challenge: challenge.clone(),
        external_id: Some("order-1".to_owned()),
    };
    assert_eq!(wanted(&challenge), Ok(expected));
}

#[test]
fn it_ends_with_its_challenge_or_in_an_hour() {
    let at =
        |expires| wanted(&asking(&crate::token::scripted::request(), expires)).unwrap().expires_at;
    assert_eq!(at(Some("2027-01-15T08:00:00.999Z")), 1_800_000_000);
    assert_eq!(at(Some("2027-01-15T09:00:00+01:00")), 1_800_000_000);
    assert_eq!(at(None), 1_800_003_600);
}

#[test]
fn what_no_token_can_say_is_told_apart() {
    let details = |name: &str| format!("/methodDetails/{name}");
    let (network, notes) = (details("networkId"), details("metadata"));
    let many: BTreeMap<String, &str> = (0..51).map(|n| (n.to_string(), "x")).collect();
    let cases = [
        (network.as_str(), json!(""), Unaskable::Network),
        (&network, json!("profile 1"), Unaskable::Network),
        (&network, json!("p".repeat(256)), Unaskable::Network),
        ("/recipient", json!("acct_1"), Unaskable::Recipient),
        ("/recipient", json!(""), Unaskable::Recipient),
        ("/currency", json!("USD"), Unaskable::Currency(NotACurrency::Case)),
        ("/currency", json!("usdc"), Unaskable::Currency(NotACurrency::Form)),
        ("/amount", json!("0"), Unaskable::Nothing),
        ("/amount", json!("100000000"), Unaskable::TooMuch),
        ("/amount", json!("18446744073709551616"), Unaskable::TooMuch),
        (&details("paymentMethodTypes"), json!([]), Unaskable::NoTypes),
        (&notes, json!({ "externalId": "" }), Unaskable::Reserved),
        (&notes, json!({ "a][b": "x" }), Unaskable::Metadata),
        (&notes, json!({ "": "x" }), Unaskable::Metadata),
        (&notes, json!({ "x": "y".repeat(501) }), Unaskable::Metadata),
        (&notes, json!({ "x".repeat(41): "y" }), Unaskable::Metadata),
        (&notes, json!(many), Unaskable::Metadata),
    ];
    for (pointer, value, why) in cases {
        assert_eq!(wanted(&asking(&with(pointer, value), None)), Err(why), "{pointer}");
    }
}

#[test]
fn what_deployed_sellers_ask_is_taken() {
    for (pointer, value) in [
        ("/recipient", json!(PROFILE)),
        ("/methodDetails/networkId", json!("internal")),
        ("/methodDetails/metadata", json!(null)),
        ("/methodDetails/metadata", json!({ "é": "<b>&[x]</b>" })),
        ("/externalId", json!(null)),
        ("/amount", json!("99999999")),
        ("/currency", json!("jpy")),
    ] {
        assert!(wanted(&asking(&with(pointer, value), None)).is_ok(), "{pointer}");
    }
}

proptest! {
    #[test]
    fn nothing_but_lower_case_letters_and_what_was_asked_gets_into_a_token(
        amount in any::<u128>(), currency in "[a-zA-Z ]{0,4}", network in ".{0,8}",
    ) {
        let mut request = with("/amount", json!(amount.to_string()));
        request["currency"] = json!(currency);
        request["methodDetails"]["networkId"] = json!(network);
        if let Ok(wanted) = wanted(&asking(&request, None)) {
            prop_assert_eq!(wanted.amount.get(), amount);
            prop_assert_eq!(wanted.currency.as_str(), &currency);
            prop_assert_eq!(wanted.network_id, network);
        }
    }
}
