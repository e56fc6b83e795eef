//! Money without floats: base units as integers, display units as exact decimals.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Longest decimal text of an amount: a 256-bit integer has 78 digits.
const MAX_AMOUNT_CHARS: usize = 78;

/// Longest text of a [`Decimal`]: room for every digit of an amount behind 255 decimals.
const MAX_DECIMAL_CHARS: usize = 320;

/// An amount in base units of a currency (the smallest unit a method can move).
///
/// On the wire it is a string of decimal digits (intents draft, `amount`). Tokens may count in 256 bits;
/// an amount above 128 bits is refused with [`AmountError::TooLarge`], never truncated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(u128);

impl Amount {
    /// Zero base units: a real amount, asked for by proofs of identity.
    pub const ZERO: Self = Self(0);

    /// Creates an amount from base units.
    pub const fn new(base_units: u128) -> Self {
        Self(base_units)
    }

    /// Returns the base units.
    pub const fn get(self) -> u128 {
        self.0
    }

    /// Returns true for zero base units.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// As [`Amount::is_zero`], for attributes that want a reference.
    pub(crate) const fn is_zero_ref(&self) -> bool {
        self.0 == 0
    }

    /// Parses ASCII digits: no sign, no space, no point. Leading zeros do not change the value.
    ///
    /// # Errors
    /// Refuses empty text, any other character, more than 78 characters and values above 128 bits.
    pub fn parse(text: &str) -> Result<Self, AmountError> {
        if text.len() > MAX_AMOUNT_CHARS {
            return Err(AmountError::TooLong);
        }
        if text.is_empty() {
            return Err(AmountError::Empty);
        }
        push_digits(0, text).map(Self)
    }

    /// Adds two amounts; `None` above 128 bits.
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// Subtracts an amount; `None` below zero.
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(rest) => Some(Self(rest)),
            None => None,
        }
    }

    /// Multiplies by a count (of units, of events); `None` above 128 bits.
    pub const fn checked_mul(self, count: u64) -> Option<Self> {
        match self.0.checked_mul(count as u128) {
            Some(product) => Some(Self(product)),
            None => None,
        }
    }

    /// Subtracts an amount and stops at zero.
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Writes base units in display units of a currency with that many decimals: 100000 at 6 is `0.1`.
    pub const fn to_decimal(self, decimals: u8) -> Decimal {
        Decimal::normalized(self.0, decimals)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for Amount {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// An exact, non-negative number of display units such as `0.10`: what people and price lists write.
///
/// Zeros that carry no value are dropped, so `0.10` equals `0.1` and prints as `0.1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Decimal {
    digits: u128,
    scale: u8,
}

impl Decimal {
    /// Parses digits with an optional point and fraction; no sign, no exponent, no bare point.
    ///
    /// Any number of at most 38 significant digits fits.
    ///
    /// # Errors
    /// Refuses any other text, a number whose digits exceed 128 bits, and text above 320 characters.
    pub fn parse(text: &str) -> Result<Self, AmountError> {
        if text.len() > MAX_DECIMAL_CHARS {
            return Err(AmountError::TooLong);
        }
        let (whole, fraction) = match text.split_once('.') {
            Some((_, "")) => return Err(AmountError::Empty),
            Some((whole, fraction)) => (whole, fraction),
            None => (text, ""),
        };
        if whole.is_empty() {
            return Err(AmountError::Empty);
        }
        let fraction = fraction.trim_end_matches('0');
        let digits = push_digits(push_digits(0, whole)?, fraction)?;
        let scale = u8::try_from(fraction.len()).map_err(|_| AmountError::TooLong)?;
        Ok(Self::normalized(digits, scale))
    }

    /// Converts to base units of a currency with that many decimals, exactly.
    ///
    /// # Errors
    /// [`AmountError::Inexact`] when the number has more decimals than the currency (`0.0000001` at 6 is never
    /// rounded to zero), [`AmountError::TooLarge`] above 128 bits.
    pub fn to_base_units(self, decimals: u8) -> Result<Amount, AmountError> {
        let missing = decimals.checked_sub(self.scale).ok_or(AmountError::Inexact { decimals })?;
        if self.digits == 0 {
            return Ok(Amount::ZERO);
        }
        let unit = 10_u128.checked_pow(u32::from(missing)).ok_or(AmountError::TooLarge)?;
        self.digits.checked_mul(unit).map(Amount).ok_or(AmountError::TooLarge)
    }

    /// Converts to base units of a currency with that many decimals, rounded up: the least that is not less.
    ///
    /// # Errors
    /// [`AmountError::TooLarge`] above 128 bits.
    pub fn to_base_units_up(self, decimals: u8) -> Result<Amount, AmountError> {
        let Some(beyond) = self.scale.checked_sub(decimals) else {
            return self.to_base_units(decimals);
        };
        // A step beyond all digits leaves less than one base unit.
        let up = |step| self.digits.div_ceil(step);
        let rounded = 10_u128.checked_pow(u32::from(beyond)).map(up);
        Ok(Amount(rounded.unwrap_or(u128::from(self.digits != 0))))
    }

    const fn normalized(mut digits: u128, mut scale: u8) -> Self {
        if digits == 0 {
            scale = 0;
        }
        while scale > 0 && digits.is_multiple_of(10) {
            digits /= 10;
            scale -= 1;
        }
        Self { digits, scale }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scale = usize::from(self.scale);
        // One digit more than the scale guarantees a digit before the point.
        let text = format!("{:0>width$}", self.digits, width = scale + 1);
        match text.split_at_checked(text.len() - scale) {
            Some((whole, fraction)) if !fraction.is_empty() => write!(f, "{whole}.{fraction}"),
            _ => f.write_str(&text),
        }
    }
}

impl FromStr for Decimal {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// Why a text is no amount, or a number does not fit a currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AmountError {
    /// Digits are missing: the text, its whole part or its fraction is empty.
    #[error("an amount needs digits")]
    Empty,
    /// A character other than an ASCII digit was found.
    #[error("an amount is written in ASCII digits only")]
    NotADigit,
    /// The text is longer than any 256-bit number.
    #[error("the text of the amount is too long")]
    TooLong,
    /// The value does not fit 128 bits.
    #[error("the amount exceeds 128 bits")]
    TooLarge,
    /// The number has more decimals than the currency can express.
    #[error("the number is not exact at {decimals} decimals")]
    Inexact {
        /// Decimals of the currency.
        decimals: u8,
    },
}

/// Appends decimal digits to a number.
fn push_digits(start: u128, text: &str) -> Result<u128, AmountError> {
    // The whole text is judged first: "9…9x" is no number, not one that is too large.
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(AmountError::NotADigit);
    }
    text.bytes().try_fold(start, |value, byte| {
        let shifted = value.checked_mul(10).ok_or(AmountError::TooLarge)?;
        shifted.checked_add(u128::from(byte - b'0')).ok_or(AmountError::TooLarge)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX: &str = "340282366920938463463374607431768211455";

    #[test]
    fn digits_are_amounts_and_leading_zeros_do_not_count() {
        for (text, value) in [("0", 0), ("1000000", 1_000_000), ("007", 7), (MAX, u128::MAX)] {
            assert_eq!(Amount::parse(text), Ok(Amount::new(value)), "{text}");
        }
        assert_eq!(Amount::parse(&"0".repeat(78)), Ok(Amount::ZERO));
    }

    #[test]
    fn anything_but_digits_is_refused() {
        for text in ["-1", "+1", " 1", "1 ", "1.0", "1e3", "0x10", "1_000", "١", "NaN"] {
            assert_eq!(Amount::parse(text), Err(AmountError::NotADigit), "{text}");
        }
        assert_eq!(Amount::parse(""), Err(AmountError::Empty));
        assert_eq!(Amount::parse(&"0".repeat(79)), Err(AmountError::TooLong));
    }

    #[test]
    fn amounts_above_128_bits_are_refused_not_truncated() {
        assert_eq!(
            Amount::parse("340282366920938463463374607431768211456"),
            Err(AmountError::TooLarge)
        );
        assert_eq!(Amount::parse(&"9".repeat(78)), Err(AmountError::TooLarge));
    }

    #[test]
    fn json_amounts_are_strings_never_numbers() {
        assert_eq!(serde_json::to_string(&Amount::new(100)).unwrap(), r#""100""#);
        assert_eq!(serde_json::from_str::<Amount>(r#""0100""#).unwrap(), Amount::new(100));
        for json in ["100", "1.0", "null", r#""1.0""#, r#"["1"]"#, r#""""#] {
            assert!(serde_json::from_str::<Amount>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn arithmetic_reports_what_does_not_fit() {
        let (one, max) = (Amount::new(1), Amount::new(u128::MAX));
        assert_eq!(one.checked_add(one), Some(Amount::new(2)));
        assert_eq!(max.checked_add(one), None);
        assert_eq!(one.checked_sub(max), None);
        assert_eq!(one.saturating_sub(max), Amount::ZERO);
        assert_eq!(Amount::new(25).checked_mul(4), Some(Amount::new(100)));
        assert_eq!(max.checked_mul(2), None);
        assert!(Amount::default().is_zero());
    }

    #[test]
    fn display_units_convert_exactly_or_not_at_all() {
        for (text, decimals, base_units) in [
            ("0.10", 6, 100_000),
            ("1", 6, 1_000_000),
            ("0.000001", 6, 1),
            ("12.5", 1, 125),
            ("0", 255, 0),
        ] {
            assert_eq!(
                Decimal::parse(text).unwrap().to_base_units(decimals),
                Ok(Amount::new(base_units)),
                "{text}"
            );
        }
        let tiny = Decimal::parse("0.0000001").unwrap();
        assert_eq!(tiny.to_base_units(6), Err(AmountError::Inexact { decimals: 6 }));
        assert_eq!(Decimal::parse("1").unwrap().to_base_units(39), Err(AmountError::TooLarge));
        assert_eq!(Decimal::parse("1").unwrap().to_base_units(255), Err(AmountError::TooLarge));
    }

    #[test]
    fn display_units_print_without_idle_zeros() {
        for (text, printed) in
            [("0.10", "0.1"), ("007.50", "7.5"), ("3.00", "3"), ("0.0", "0"), ("100", "100")]
        {
            assert_eq!(Decimal::parse(text).unwrap().to_string(), printed);
        }
        assert_eq!(Amount::new(100_000).to_decimal(6).to_string(), "0.1");
        assert_eq!(Amount::new(1).to_decimal(18).to_string(), "0.000000000000000001");
    }

    #[test]
    fn malformed_display_units_are_refused() {
        for text in ["", ".", ".5", "1.", "-1", "1.2.3", "1,5", "1e3", " 1", "1.5 ", "0.１", "$1"]
        {
            assert!(Decimal::parse(text).is_err(), "{text:?}");
        }
        assert_eq!(Decimal::parse(&format!("0.{}1", "0".repeat(400))), Err(AmountError::TooLong));
        assert_eq!(Decimal::parse(&"9".repeat(39)), Err(AmountError::TooLarge));
        assert!(Decimal::parse(&"9".repeat(38)).is_ok());
    }

    proptest! {
        #[test]
        fn amounts_survive_text(value: u128) {
            let amount = Amount::new(value);
            prop_assert_eq!(amount.to_string().parse(), Ok(amount));
        }

        #[test]
        fn amounts_survive_display_units(value: u128, decimals: u8) {
            let shown = Amount::new(value).to_decimal(decimals);
            prop_assert_eq!(shown.to_base_units(decimals), Ok(Amount::new(value)));
            prop_assert_eq!(shown.to_string().parse(), Ok(shown));
        }

        #[test]
        fn no_text_panics(text in ".{0,400}") {
            let _ = Amount::parse(&text);
            let _ = Decimal::parse(&text);
        }
    }
}
