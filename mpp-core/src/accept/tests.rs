//! Tests of `Accept-Payment`: grammar, precedence and order.

use proptest::prelude::*;

use super::*;

const OFFERS: [(&str, &str); 3] = [("tempo", "charge"), ("stripe", "charge"), ("tempo", "session")];

fn order(header: &str) -> Vec<usize> {
    Accept::parse(header).unwrap().order(&OFFERS, |&offer| offer)
}

#[test]
fn absent_wishes_accept_everything_in_server_order() {
    let all = Accept::default();
    assert!(all.is_everything());
    assert_eq!(all.rank("tempo", "charge"), 1000);
    assert_eq!(all.order(&OFFERS, |&offer| offer), [0, 1, 2]);
    assert_eq!(all.to_header(), "*/*");
}

#[test]
fn offers_are_ordered_by_weight_then_by_the_server() {
    for (header, expected) in [
        ("*/*", vec![0, 1, 2]),
        ("stripe/charge;q=0.5, tempo/charge;q=0.5", vec![0, 1]),
        ("stripe/charge;q=0.9, tempo/*;q=0.1", vec![1, 0, 2]),
        ("tempo/charge,", vec![0]),
        ("tempo / charge", vec![0]),
        ("tempo/charge;Q=0.5", vec![0]),
        ("evm/charge", vec![]),
        ("*/*;q=0", vec![]),
    ] {
        assert_eq!(order(header), expected, "{header}");
    }
}

#[test]
fn the_most_specific_range_decides_before_any_weight() {
    for (header, expected) in [
        ("tempo/*;q=1, tempo/charge;q=0", vec![2]),
        ("tempo/charge;q=0, tempo/*;q=1", vec![2]),
        ("*/*;q=1, stripe/*;q=0", vec![0, 2]),
        ("*/*;q=0.1, tempo/session;q=0.2", vec![2, 0, 1]),
    ] {
        assert_eq!(order(header), expected, "{header}");
    }
}

#[test]
fn among_equally_specific_ranges_the_highest_weight_decides() {
    let repeated =
        Accept::parse("tempo/charge;q=0.1, tempo/charge;q=0.9, stripe/charge;q=0.5").unwrap();
    assert_eq!(repeated.rank("tempo", "charge"), 900);
    let crossed = Accept::parse("*/charge;q=0.3, tempo/*;q=0.2").unwrap();
    assert_eq!(crossed.rank("tempo", "charge"), 300);
    assert_eq!(crossed.rank("tempo", "session"), 200);
    assert_eq!(crossed.rank("stripe", "session"), 0);
}

#[test]
fn values_are_rewritten_in_canonical_form() {
    for (header, canonical) in [
        (" stripe/charge ; q = 0.25 , */session ; q=0 ", "stripe/charge;q=0.25, */session;q=0"),
        (
            "tempo/*;q=1, tempo/charge;q=0, stripe/*;q=0.5",
            "tempo/*, tempo/charge;q=0, stripe/*;q=0.5",
        ),
        ("a/b;q=0.001,\ta/c;q=0.100,,a-1/D;q=1.000;foo=bar", "a/b;q=0.001, a/c;q=0.1, a-1/D"),
        ("evm/*;q=0.", "evm/*;q=0"),
        ("evm/*;q=1.", "evm/*"),
        ("evm/*;q=0.010", "evm/*;q=0.01"),
    ] {
        assert_eq!(Accept::parse(header).unwrap().to_header(), canonical);
    }
}

#[test]
fn malformed_values_are_refused() {
    use AcceptError::{Empty, Intent, Method, Parameter, Range, TooLong, Weight};
    for (header, error) in [
        ("", Empty),
        ("  ", Empty),
        (",,", Empty),
        ("tempo", Range),
        ("tempo/charge, bad", Range),
        (r#"tempo/charge;foo="a,b""#, Range),
        ("Tempo/charge", Method),
        ("x_y/charge", Method),
        ("/charge", Method),
        ("1a/charge", Method),
        ("t\u{e9}mpo/charge", Method),
        ("tempo/", Intent),
        ("tempo/a/b", Intent),
        ("tempo/a b", Intent),
        ("tempo/charge;foo", Parameter),
        ("tempo/charge;q", Parameter),
        ("tempo/charge;q=", Parameter),
        ("tempo/charge;=1", Parameter),
        ("tempo/charge;q=1.5", Weight),
        ("tempo/charge;q=1.001", Weight),
        ("tempo/charge;q=-0.1", Weight),
        ("tempo/charge;q=+0.5", Weight),
        ("tempo/charge;q=0.1234", Weight),
        ("tempo/charge;q=.5", Weight),
        ("tempo/charge;q=1e-1", Weight),
        ("tempo/charge;q=00.5", Weight),
        ("tempo/charge;q=2", Weight),
        ("tempo/charge;q=0.5;q=0.1", Weight),
    ] {
        assert_eq!(Accept::parse(header), Err(error), "{header:?}");
    }
    assert!(Accept::parse(&"*/*,".repeat(2048)).is_ok());
    assert_eq!(Accept::parse(&"*/*, ".repeat(2048)), Err(TooLong));
}

#[test]
fn ranges_made_in_code_obey_the_same_grammar() {
    assert_eq!(Range::new(Some("tempo"), None, 250).unwrap().to_string(), "tempo/*;q=0.25");
    assert_eq!(Range::new(None, None, 1001), Err(AcceptError::Weight));
    assert_eq!(Range::new(Some("*"), None, 1), Err(AcceptError::Method));
    assert_eq!(Range::new(None, Some("*"), 1), Err(AcceptError::Intent));
}

fn range() -> impl Strategy<Value = Range> {
    (prop::option::of("[a-z][a-z0-9:-]{0,9}"), prop::option::of("[A-Za-z0-9-]{1,9}"), 0_u16..=1000)
        .prop_map(|(method, intent, q)| {
            Range::new(method.as_deref(), intent.as_deref(), q).unwrap()
        })
}

proptest! {
    #[test]
    fn wishes_survive_the_header(ranges in prop::collection::vec(range(), 1..9)) {
        let accept = Accept::from(ranges);
        prop_assert_eq!(Accept::parse(&accept.to_header()), Ok(accept));
    }

    #[test]
    fn no_text_panics(header in "(.{0,60}|[a-z*/;=q01., ]{0,60})") {
        if let Ok(accept) = Accept::parse(&header) {
            prop_assert!(accept.rank("tempo", "charge") <= 1000);
        }
    }
}
