//! Texts inside session messages: hex of a known length, and amounts of a known size.

use mpp_core::Amount;
use serde_json::Value;

/// Whether a text is `0x` and hex digits, two to a byte and at least one byte, at most so many characters in all.
pub(super) fn is_hex(text: &str, longest: usize) -> bool {
    let digits = text.strip_prefix("0x").unwrap_or_default();
    text.len() <= longest
        && !digits.is_empty()
        && digits.len().is_multiple_of(2)
        && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
}

/// A channel's name in the one spelling it is kept in: `0x` and 64 hex digits, written lower case. `None` for anything else.
pub(super) fn channel(mut text: String) -> Option<String> {
    if text.len() != 66 || !is_hex(&text, 66) {
        return None;
    }
    text.make_ascii_lowercase();
    Some(text)
}

/// An amount of a channel: digits and nothing else, 29 at most and below 2^96 where the channel counts in 96 bits, else 39 and
/// below 2^128.
pub(super) fn amount(text: &str, in_96_bits: bool) -> Option<Amount> {
    let (digits, most) = if in_96_bits { (29, super::MOST) } else { (39, Amount::new(u128::MAX)) };
    let read = if text.len() <= digits { Amount::parse(text).ok() } else { None };
    read.filter(|amount| *amount <= most)
}

/// A count, as a number or as a text of digits: peers write both.
pub(super) fn count(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) if text.bytes().all(|digit| digit.is_ascii_digit()) => {
            text.parse().ok()
        }
        _ => None,
    }
}
