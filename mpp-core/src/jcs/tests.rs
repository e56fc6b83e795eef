//! RFC 8785 appendix B numbers, UTF-16 order, and duplicates at any depth.

use serde_json::{Value, json};

use super::*;

fn canonical(v: &Value) -> String {
    String::from_utf8(to_vec(v).unwrap()).unwrap()
}

#[test]
fn numbers_are_printed_as_ecmascript_prints_them() {
    let table: [(u64, &str); 22] = [
        (0x0000000000000000, "0"),
        (0x8000000000000000, "0"),
        (0x0000000000000001, "5e-324"),
        (0x8000000000000001, "-5e-324"),
        (0x7fefffffffffffff, "1.7976931348623157e+308"),
        (0xffefffffffffffff, "-1.7976931348623157e+308"),
        (0x4340000000000000, "9007199254740992"),
        (0xc340000000000000, "-9007199254740992"),
        (0x4430000000000000, "295147905179352830000"),
        (0x44b52d02c7e14af5, "9.999999999999997e+22"),
        (0x44b52d02c7e14af6, "1e+23"),
        (0x44b52d02c7e14af7, "1.0000000000000001e+23"),
        (0x444b1ae4d6e2ef4e, "999999999999999700000"),
        (0x444b1ae4d6e2ef4f, "999999999999999900000"),
        (0x444b1ae4d6e2ef50, "1e+21"),
        (0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7"),
        (0x3eb0c6f7a0b5ed8d, "0.000001"),
        (0x41b3de4355555553, "333333333.3333332"),
        (0x41b3de4355555555, "333333333.3333333"),
        (0x41b3de4355555557, "333333333.33333343"),
        (0xbecbf647612f3696, "-0.0000033333333333333333"),
        (0x43143ff3c1cb0959, "1424953923781206.2"),
    ];
    for (bits, text) in table {
        assert_eq!(canonical(&json!(f64::from_bits(bits))), text);
    }
}

#[test]
fn members_are_ordered_by_utf16() {
    let v = json!({"\u{20ac}": 1, "\r": 2, "\u{fb33}": 3, "1": 4, "\u{1f600}": 5, "\u{80}": 6, "\u{f6}": 7});
    assert_eq!(
        canonical(&v),
        "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"\u{f6}\":7,\"\u{20ac}\":1,\"\u{1f600}\":5,\"\u{fb33}\":3}"
    );
}

#[test]
fn integers_beyond_a_double_are_printed_as_the_double_they_are_read_as() {
    assert_eq!(canonical(&json!(9_007_199_254_740_993_u64)), "9007199254740992");
}

#[test]
fn a_float_that_json_lacks_is_refused() {
    assert!(matches!(to_vec(&f64::NAN), Err(JsonError::Canonical(_))));
}

#[test]
fn a_duplicate_member_is_found_at_any_depth() {
    for bad in [r#"{"a":1,"a":1}"#, r#"[{"b":{"x":1,"y":2,"x":3}}]"#, r#"{"a":{},"\u0061":2}"#] {
        assert!(matches!(refuse_duplicates(bad.as_bytes()), Err(JsonError::Duplicate(_))), "{bad}");
    }
    for good in [
        r#"{"a":1,"b":{"a":2},"c":[{"a":3},{"a":4}],"d":null,"e":1.5,"f":-3,"g":true}"#,
        "3",
        "\"x\"",
    ] {
        assert!(refuse_duplicates(good.as_bytes()).is_ok(), "{good}");
    }
}

#[test]
fn deep_nesting_is_an_error_and_no_stack_overflow() {
    assert!(refuse_duplicates("[".repeat(100_000).as_bytes()).is_err());
}
