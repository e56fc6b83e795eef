//! Payloads are told apart by their action, and hostile ones are refused.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const ID: &str = "0xabababababababababababababababababababababababababababababababab";

fn descriptor() -> Value {
    let (party, word) = (format!("0x{}", "11".repeat(20)), format!("0x{}", "22".repeat(32)));
    json!({
        "payer": party, "payee": party, "operator": party, "token": party, "salt": word,
        "authorizedSigner": party, "expiringNonceHash": word,
    })
}

fn wires() -> [Value; 4] {
    [
        json!({
            "action": "open", "type": "transaction", "channelId": ID, "transaction": "0x76c0",
            "signature": "0x1b2c", "cumulativeAmount": "5", "descriptor": descriptor(),
            "authorizedSigner": format!("0x{}", "33".repeat(20)),
        }),
        json!({
            "action": "topUp", "type": "transaction", "channelId": ID, "transaction": "0x78c0",
            "descriptor": descriptor(), "additionalDeposit": "7",
        }),
        json!({
            "action": "voucher", "channelId": ID, "descriptor": descriptor(),
            "cumulativeAmount": "79228162514264337593543950335", "signature": "0x1b2c",
        }),
        json!({ "action": "close", "channelId": ID, "cumulativeAmount": "0", "signature": "0x1b2c" }),
    ]
}

fn read(wire: &Value) -> Result<Payload, serde_json::Error> {
    serde_json::from_value(wire.clone())
}

/// A wire payload with one member changed; `Null` takes it away.
fn with(wire: &Value, name: &str, value: Value) -> Value {
    let mut wire = wire.clone();
    let members = wire.as_object_mut().unwrap();
    if value.is_null() {
        members.remove(name)
    } else {
        members.insert(name.into(), value)
    };
    wire
}

#[test]
fn every_action_is_read_and_written_whole() {
    for (wire, action) in wires().iter().zip([OPEN, TOP_UP, VOUCHER, CLOSE]) {
        let payload = read(wire).unwrap();
        assert_eq!((payload.action(), payload.channel_id()), (action, ID));
        assert_eq!(payload.descriptor().is_some(), action != CLOSE);
        assert_eq!(payload.voucher().is_some(), action != TOP_UP);
        assert_eq!(&serde_json::to_value(&payload).unwrap(), wire);
    }
}

#[test]
fn members_that_an_action_does_not_have_are_ignored() {
    for wire in wires() {
        let more = with(&wire, "authorizationSignature", json!("0x"));
        let more = with(&more, "later", json!({"a": [1]}));
        assert_eq!(read(&more).unwrap(), read(&wire).unwrap());
    }
    let [.., voucher, _] = wires();
    assert_eq!(read(&with(&voucher, "type", json!("hash"))).unwrap(), read(&voucher).unwrap());
}

#[test]
fn an_action_nobody_knows_or_a_member_that_is_missing_is_refused() {
    for wire in wires() {
        for bad in [json!("Open"), json!("settle"), json!(""), json!(1), json!(null)] {
            assert!(read(&with(&wire, "action", bad)).is_err());
        }
        let optional = ["descriptor", "authorizedSigner"];
        for name in wire.as_object().unwrap().keys().filter(|name| !optional.contains(&&***name)) {
            assert!(read(&with(&wire, name, json!(null))).is_err(), "{name}");
        }
    }
    for wire in wires().iter().take(2) {
        assert!(read(&with(wire, "type", json!("hash"))).is_err());
    }
}

#[test]
fn amounts_are_digits_and_fit_the_channel() {
    let [_, _, v2, _] = wires();
    let v1 = with(&v2, "descriptor", json!(null));
    let cases: [(&str, bool, bool); 16] = [
        ("0", true, true),
        ("007", true, true),
        ("79228162514264337593543950335", true, true),
        ("79228162514264337593543950336", false, true),
        ("000000000000000000000000000001", false, true),
        ("340282366920938463463374607431768211455", false, true),
        ("340282366920938463463374607431768211456", false, false),
        ("", false, false),
        (" ", false, false),
        ("+1", false, false),
        ("-1", false, false),
        ("0x10", false, false),
        (" 1", false, false),
        ("1 ", false, false),
        ("1e3", false, false),
        ("١", false, false),
    ];
    for (text, in_v2, in_v1) in cases {
        let put = |wire: &Value| read(&with(wire, "cumulativeAmount", json!(text))).is_ok();
        assert_eq!((put(&v2), put(&v1)), (in_v2, in_v1), "{text:?}");
    }
    assert!(read(&with(&v2, "cumulativeAmount", json!(1))).is_err());
}

#[test]
fn a_channel_has_one_spelling_and_other_texts_are_no_channel() {
    let [_, _, voucher, _] = wires();
    for upper in [ID.to_uppercase().replace("0X", "0x"), ID.replace("abab", "aBAb")] {
        let payload = read(&with(&voucher, "channelId", json!(upper))).unwrap();
        assert_eq!(payload.channel_id(), ID);
    }
    let bad =
        [ID[2..].to_owned(), ID.replace("0x", "0X"), format!("{ID}ab"), ID.replace("ab", "ag")];
    for bad in bad.into_iter().chain(["0x".into(), format!("0x{}é", &ID[4..])]) {
        assert!(read(&with(&voucher, "channelId", json!(bad))).is_err(), "{bad}");
    }
}

#[test]
fn what_is_longer_than_it_can_be_is_refused() {
    let hex = |characters: usize| json!(format!("0x{}", "0".repeat(characters - 2)));
    let [open, _, voucher, _] = wires();
    assert!(read(&with(&voucher, "signature", hex(LONGEST_SIGNATURE))).is_ok());
    assert!(read(&with(&voucher, "signature", hex(LONGEST_SIGNATURE + 2))).is_err());
    assert!(read(&with(&open, "transaction", hex(LONGEST_TRANSACTION))).is_ok());
    assert!(read(&with(&open, "transaction", hex(LONGEST_TRANSACTION + 2))).is_err());
    for name in ["payer", "salt", "expiringNonceHash"] {
        let mut wide = descriptor();
        wide[name] = hex(68);
        assert!(read(&with(&voucher, "descriptor", wide)).is_err(), "{name}");
        let mut less = descriptor();
        less.as_object_mut().unwrap().remove(name);
        assert!(read(&with(&voucher, "descriptor", less)).is_err(), "{name}");
    }
    for bad in ["", "0x", "0x1", "0xzz", "1b2c", "0x1b 2c"] {
        assert!(read(&with(&voucher, "signature", json!(bad))).is_err(), "{bad}");
        assert!(read(&with(&open, "transaction", json!(bad))).is_err(), "{bad}");
    }
    assert!(read(&with(&open, "authorizedSigner", json!("me"))).is_err());
}

#[test]
fn debug_and_errors_show_no_money() {
    for wire in wires() {
        let shown = format!("{:?}", read(&wire).unwrap());
        let action = wire["action"].as_str().unwrap();
        assert!(shown.contains(action) && shown.contains(ID));
        for secret in ["0x76c0", "0x78c0", "1b2c", "1111"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
    let [open, ..] = wires();
    let error = read(&with(&open, "signature", json!("0xsecret"))).unwrap_err().to_string();
    assert_eq!(error, "`signature` is missing or malformed");
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_and_what_is_read_has_one_meaning(
        action in "open|topUp|voucher|close|.{0,4}",
        id in "0x[0-9a-fA-F]{64}|.{0,70}",
        amount in "[0-9]{1,40}|.{0,5}",
        hex in "0x([0-9a-fA-F]{2}){1,9}|.{0,5}",
        described: bool,
    ) {
        let wire = json!({
            "action": action, "type": "transaction", "channelId": id, "transaction": hex,
            "signature": hex, "cumulativeAmount": amount, "additionalDeposit": amount,
            "descriptor": described.then(descriptor),
        });
        if let Ok(payload) = read(&wire) {
            let written = serde_json::to_value(&payload).unwrap();
            prop_assert_eq!(read(&written).unwrap(), payload);
        }
    }
}
