//! The stored forms: what earlier builds wrote is read, and what later builds write is left alone.

use super::*;
use crate::policy::Denied;

/// Written by the first build that had a journal. Never to be changed.
const SIGNED: &str = include_str!("forms/signed.v1.json");
const INTENT: &str = include_str!("forms/intent.v1.json");
const BOOK: &str = include_str!("forms/book.v1.json");

fn put(world: &World, key: &[&str], value: &str) -> Key {
    let key = Key::of(key).unwrap();
    let bytes = value.trim_end().as_bytes();
    now(world.memory().swap(&key, None, Some(bytes), Keep::Forever)).unwrap().unwrap().unwrap();
    key
}

#[tokio::test]
async fn a_journal_of_the_first_form_is_read_and_gone_on_with() {
    let world = World::default();
    put(&world, &["journal", "w", "0af7651916cd43dd8448eb211c80319c"], SIGNED);
    let wallet = world.wallet();
    let open = &wallet.unfinished()[0];
    assert_eq!((open.state, open.to()), (State::Signed, &to()));
    assert_eq!(open.unfinished.as_ref().unwrap().key(), Some("k"));
    assert!(world.request(&wallet).await.unwrap().receipt().is_some());
    assert_eq!(world.pays(), 0);
    let world = World::default();
    world.rail.lock().unwrap().recall = Some(false);
    put(&world, &["journal", "w", "1af7651916cd43dd8448eb211c80319c"], INTENT);
    assert_eq!(world.open()[0].state, State::Intent);
}

#[test]
fn what_is_written_now_is_the_first_form() {
    for golden in [SIGNED, INTENT] {
        let record = Record::read("k", golden.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(record.write("k").unwrap()).unwrap(), golden.trim_end());
    }
}

#[test]
fn books_of_the_first_form_are_read_and_written() {
    let world = World::default();
    let key = put(&world, &["budget", "w", "unit", "usd"], BOOK);
    let limits = world.limits(world.memory().clone());
    // Nine dollars and ninety-nine cents were spent there in this hour.
    let mut quote = quote();
    quote.exposes.amount = mpp_core::Amount::new(2);
    let denied = now(limits.reserve(&quote)).unwrap().unwrap_err();
    assert!(matches!(denied, Denied::OverHost { .. }), "{denied}");
    quote.exposes.amount = mpp_core::Amount::new(1);
    let reserved = now(limits.reserve(&quote)).unwrap().unwrap();
    let given = limits.give_back(reserved.booking().unwrap(), reserved.amount());
    now(given).unwrap().unwrap();
    let stored = now(world.memory().get(&key)).unwrap().unwrap().unwrap().value;
    assert_eq!(String::from_utf8(stored).unwrap(), BOOK.trim_end());
}

#[test]
fn a_newer_form_is_refused_by_the_name_of_its_key_and_damage_too() {
    for (value, newer) in [(SIGNED.replace("\"v\":1", "\"v\":2"), true), ("{".to_owned(), false)] {
        let world = World::default();
        let key = put(&world, &["journal", "w", "x"], &value);
        let e = world.wallet_over(world.memory().clone()).unwrap().unwrap_err();
        assert!(e.to_string().contains(key.as_str()), "{e}");
        assert_eq!(matches!(e, StoreError::Newer { found: 2, known: 1, .. }), newer);
    }
    for (value, newer) in [(BOOK.replace("\"v\":1", "\"v\":7"), true), ("[]".to_owned(), false)] {
        let world = World::default();
        let key = put(&world, &["budget", "w", "unit", "usd"], &value);
        let denied = now(world.limits(world.memory().clone()).reserve(&quote())).unwrap();
        let Denied::Unavailable(e) = denied.unwrap_err() else { panic!() };
        assert!(e.to_string().contains(key.as_str()), "{e}");
        assert_eq!(matches!(*e, StoreError::Newer { found: 7, .. }), newer);
    }
}

/// A receipt nested this deep.
fn nested(levels: usize) -> String {
    let deep = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    format!(
        r#","receipt":{{"method":"coupon","reference":"r","status":"success","timestamp":"2026-01-01T00:00:00Z","deep":{deep}}}}}"#
    )
}

#[test]
fn what_is_over_and_cannot_be_read_keeps_no_journal_shut() {
    let deep = SIGNED.trim_end().strip_suffix('}').unwrap().to_owned() + &nested(1000);
    let shapeless = SIGNED.replace("\"amount\":\"10\"", "\"amount\":[]");
    for broken in [deep, shapeless] {
        for state in ["delivered", "dead", "lost", "intent", "signed", "sent", "settled", "gone"] {
            let world = World::default();
            put(&world, &["journal", "w", "1af7651916cd43dd8448eb211c80319c"], INTENT);
            let written = format!("\"state\":\"{state}\"");
            let broken = broken.replace("\"state\":\"signed\"", &written);
            let key = put(&world, &["journal", "w", "x"], &broken);
            let opened = world.wallet_over(world.memory().clone()).unwrap();
            match (state, opened) {
                ("delivered" | "dead" | "lost", opened) => {
                    assert_eq!(opened.unwrap().unfinished().len(), 1, "{state}");
                }
                (_, Err(e)) => assert!(e.to_string().contains(key.as_str()), "{e}"),
                (_, Ok(_)) => panic!("{state} was passed over"),
            }
        }
    }
}

#[test]
fn what_a_newer_form_calls_over_is_not_known_to_be() {
    let world = World::default();
    let newer = SIGNED.replace("\"v\":1", "\"v\":2").replace("\"signed\"", "\"delivered\"");
    put(&world, &["journal", "w", "x"], &newer);
    let e = world.wallet_over(world.memory().clone()).unwrap().unwrap_err();
    assert!(matches!(e, StoreError::Newer { found: 2, known: 1, .. }), "{e}");
}

#[test]
fn the_deepest_receipt_there_is_can_be_kept_and_read_again() {
    let mut deepest = receipt();
    let deep = (1..16).fold(serde_json::json!([]), |inner, _| serde_json::json!([inner]));
    deepest.extra.insert("deep".into(), deep);
    let deepest = Receipt::from_token(&deepest.to_token().unwrap()).unwrap();
    let world = World::default();
    let mut exchange = begin(&world.wallet());
    now(exchange.hear(world.shop.asks(10))).unwrap().unwrap();
    now(exchange.hear(Answer::Served(Some(deepest.clone())))).unwrap().unwrap();
    assert_eq!(world.open()[0].receipt.as_deref(), Some(&deepest));
}

#[test]
fn purposes_are_part_of_the_form() {
    let purpose = Purpose::of(&to(), b"", None);
    assert!(SIGNED.contains(&serde_json::to_string(&purpose).unwrap()));
}
