//! Receipts of an account, and receipts that only look so.

use serde_json::{Value, json, value::to_raw_value};

use super::*;
use crate::tab::{bill, tab};

fn credential(payload: &Value) -> Credential {
    Credential::from_parts(tab(10, |_| {}), None, to_raw_value(payload).unwrap()).unwrap()
}

fn receipt(members: Value) -> Receipt {
    let Value::Object(extra) = members else { panic!("{members}") };
    Receipt { extra, ..bill(0) }
}

#[test]
fn an_account_is_what_was_signed_for_whatever_the_server_calls_it() {
    let theirs = receipt(json!({ "channelId": "0xbb" }));
    let named = credential(&json!({ "action": "open", "channelId": "0xaa" }));
    let nameless = credential(&json!({ "action": "open", "total": 10 }));
    assert_eq!(drawn_upon(&named, Some(&theirs)).as_deref(), Some("0xaa"));
    assert_eq!(drawn_upon(&nameless, Some(&theirs)).as_deref(), Some("0xbb"));
    assert_eq!(drawn_upon(&nameless, Some(&bill(0))).as_deref(), Some("tab-1"));
    assert_eq!(drawn_upon(&nameless, None), None);
}

#[test]
fn a_receipt_is_of_its_own_account_and_adds_up() {
    for (members, of, bare) in [
        (json!({ "channelId": "0xAA", "acceptedCumulative": "5", "spent": "5" }), true, false),
        (json!({ "channelId": "0xaa", "acceptedCumulative": "5", "spent": "6" }), false, false),
        (json!({ "channelId": "0xbb", "acceptedCumulative": "5", "spent": "5" }), false, false),
        // Named by its reference alone, which is another's.
        (json!({ "acceptedCumulative": "5", "spent": "5" }), false, false),
        (json!({ "challengeId": "x" }), false, true),
    ] {
        let receipt = receipt(members.clone());
        assert_eq!((is_of(&receipt, "0xaa"), is_bare(&receipt)), (of, bare), "{members}");
    }
}
