//! What a subscription grants, charge by charge.

use std::num::NonZeroU64;

use super::*;
use crate::intent::PeriodUnit;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn receipt(reference: &str) -> Receipt {
    let json = serde_json::json!({
        "method": "stripe", "reference": reference, "status": "success", "timestamp": "2026-01-31T12:03:10Z",
    });
    serde_json::from_value(json).unwrap()
}

fn monthly() -> Agreement {
    Agreement {
        method: MethodId {
            method: "stripe".parse().unwrap(),
            intent: "subscription".parse().unwrap(),
        },
        place: "profile_1".into(),
        began: Began { id: "c3Vi".into(), anchor: at("2026-01-31T12:03:10Z"), kept: Value::Null },
        amount: Amount::new(2999),
        currency: "usd".into(),
        cadence: Cadence { unit: PeriodUnit::Month, count: NonZeroU64::MIN },
        expires: None,
        paid: 0,
        receipt: receipt("in_0"),
        cancelled: None,
    }
}

fn due(agreement: &Agreement, now: &str) -> Option<u64> {
    match agreement.stands(&at(now)) {
        Stands::Due(period) => Some(period.index),
        _ => None,
    }
}

fn is_paid(agreement: &Agreement, now: &str) -> bool {
    matches!(agreement.stands(&at(now)), Stands::Paid(_))
}

#[test]
fn a_period_is_due_until_it_is_paid_and_what_was_missed_is_not_charged_later() {
    let mut it = monthly();
    assert!(is_paid(&it, "2026-02-28T12:03:09Z"));
    assert_eq!(due(&it, "2026-02-28T12:03:10Z"), Some(1));
    // Nobody came in February nor in March.
    assert_eq!(due(&it, "2026-05-01T00:00:00Z"), Some(3));
    assert_eq!(it.record(1, receipt("in_1"), &at("2026-05-01T00:00:00Z")), Recorded::Stale);
    assert_eq!(it.record(3, receipt("in_3"), &at("2026-05-01T00:00:00Z")), Recorded::New);
    assert!(is_paid(&it, "2026-05-01T00:00:00Z"));
    assert_eq!(it.record(2, receipt("in_2"), &at("2026-05-01T00:00:00Z")), Recorded::Stale);
}

#[test]
fn one_charge_pays_one_period_however_often_it_is_heard_of() {
    let mut it = monthly();
    let now = at("2026-03-01T00:00:00Z");
    assert_eq!(it.record(1, receipt("in_1"), &now), Recorded::New);
    assert_eq!(it.record(1, receipt("in_1"), &now), Recorded::Known);
    assert_eq!(it.record(1, receipt("in_x"), &now), Recorded::Twice);
    assert_eq!((it.paid, it.receipt.reference.as_str()), (1, "in_1"));
}

#[test]
fn what_is_cancelled_is_served_to_the_end_of_what_was_paid_and_charged_no_more() {
    let mut it = monthly();
    let end = it.cancel();
    assert_eq!(end, Some(at("2026-02-28T12:03:10Z")));
    assert_eq!(it.cancel(), end);
    assert!(is_paid(&it, "2026-02-28T12:03:09Z"));
    assert_eq!(it.stands(&at("2026-02-28T12:03:10Z")), Stands::Over);
    assert_eq!(it.record(1, receipt("in_1"), &at("2026-03-01T00:00:00Z")), Recorded::Stale);
}

#[test]
fn an_end_of_its_own_is_an_end() {
    let mut it = Agreement { expires: Some(at("2026-03-31T12:03:10Z")), ..monthly() };
    assert_eq!(due(&it, "2026-03-01T00:00:00Z"), Some(1));
    assert_eq!(it.stands(&at("2026-03-31T12:03:10Z")), Stands::Over);
    it.end(at("2026-02-10T00:00:00Z"));
    assert_eq!(it.stands(&at("2026-03-01T00:00:00Z")), Stands::Over);
}

#[test]
fn a_clock_before_the_anchor_takes_nothing_away() {
    assert!(is_paid(&monthly(), "2026-01-31T12:03:09Z"));
}

#[test]
fn it_is_stored_and_read_again() {
    let it = monthly();
    let stored = serde_json::to_string(&it).unwrap();
    assert_eq!(serde_json::from_str::<Agreement>(&stored).unwrap(), it);
}

#[test]
fn what_a_method_keeps_to_charge_by_is_not_shown() {
    let mut agreement = monthly();
    agreement.began.kept = serde_json::json!({ "key": "hunter2" });
    let settlement = crate::fate::Settlement::new("in_0").beginning(agreement.began.clone());
    let fate = crate::fate::Fate::Settled(settlement);
    for shown in [format!("{agreement:?}"), format!("{:?}", agreement.began), format!("{fate:?}")] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
