//! Currencies as Stripe has them: three lower-case letters, their decimals, and the least that a card pays.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// An ISO 4217 code in lower case: `usd`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

/// A text that is no currency as Stripe writes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotACurrency {
    /// Three letters, and not all in lower case.
    #[error("currencies are written in lower case: `usd`")]
    Case,
    /// Not three letters.
    #[error("a currency is three letters: `usd`")]
    Form,
}

/// Currencies without a smaller unit.
const WHOLE: [&str; 15] = [
    "bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf",
    "xof", "xpf",
];
/// Currencies of a thousand to the unit.
const THOUSANDS: [&str; 5] = ["bhd", "jod", "kwd", "omr", "tnd"];

/// Currencies without a smaller unit of which Stripe counts hundredths all the same.
const WHOLE_IN_HUNDREDTHS: [&str; 2] = ["isk", "ugx"];
/// The most digits of an amount, where Stripe takes more than eight.
const DIGITS: [(&str, u32); 6] =
    [("cop", 10), ("huf", 10), ("idr", 12), ("inr", 9), ("jpy", 10), ("lbp", 12)];

/// The least that is charged, in base units, as deployed peers have it. Of other currencies no least is known.
const LEAST: [(&str, u128); 32] = [
    ("aed", 200),
    ("ars", 50),
    ("aud", 50),
    ("bgn", 100),
    ("brl", 50),
    ("cad", 50),
    ("chf", 50),
    ("cop", 50),
    ("czk", 1500),
    ("dkk", 250),
    ("eur", 50),
    ("gbp", 30),
    ("hkd", 400),
    ("huf", 17500),
    ("idr", 50),
    ("ils", 50),
    ("inr", 50),
    ("jpy", 50),
    ("krw", 50),
    ("mxn", 1000),
    ("myr", 200),
    ("nok", 300),
    ("nzd", 50),
    ("php", 50),
    ("pln", 200),
    ("ron", 200),
    ("rub", 50),
    ("sek", 300),
    ("sgd", 50),
    ("thb", 1000),
    ("usd", 50),
    ("zar", 50),
];

impl Currency {
    /// US dollars.
    pub const USD: Self = Self(*b"usd");

    /// Reads a code.
    ///
    /// # Errors
    /// [`NotACurrency`].
    pub fn parse(code: &str) -> Result<Self, NotACurrency> {
        let letters: [u8; 3] = code.as_bytes().try_into().map_err(|_| NotACurrency::Form)?;
        match letters {
            _ if letters.iter().all(u8::is_ascii_lowercase) => Ok(Self(letters)),
            _ if letters.iter().all(u8::is_ascii_alphabetic) => Err(NotACurrency::Case),
            _ => Err(NotACurrency::Form),
        }
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        // Lower-case letters, by construction.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// How many decimals the display unit has over the base unit Stripe counts in.
    pub fn decimals(&self) -> u8 {
        match self.as_str() {
            code if WHOLE.contains(&code) => 0,
            code if THOUSANDS.contains(&code) => 3,
            _ => 2,
        }
    }

    /// The most that is charged, in base units: as many digits as Stripe takes.
    pub fn most(&self) -> u128 {
        let more = DIGITS.iter().find(|(code, _)| *code == self.as_str());
        10_u128.pow(more.map_or(8, |(_, digits)| *digits)) - 1
    }

    /// What every amount is a multiple of, in base units: a card pays no thousandths, and no parts of what has none.
    pub fn step(&self) -> u128 {
        match self.as_str() {
            code if THOUSANDS.contains(&code) => 10,
            code if WHOLE_IN_HUNDREDTHS.contains(&code) => 100,
            _ => 1,
        }
    }

    /// The least that is charged, in base units, where it is known.
    pub fn least(&self) -> Option<u128> {
        LEAST.iter().find(|(code, _)| *code == self.as_str()).map(|(_, least)| *least)
    }
}

impl FromStr for Currency {
    type Err = NotACurrency;
    fn from_str(code: &str) -> Result<Self, NotACurrency> {
        Self::parse(code)
    }
}

impl TryFrom<String> for Currency {
    type Error = NotACurrency;
    fn try_from(code: String) -> Result<Self, NotACurrency> {
        Self::parse(&code)
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.as_str().to_owned()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_currency_is_three_small_letters() {
        assert_eq!(Currency::parse("usd"), Ok(Currency::USD));
        assert_eq!(Currency::parse("USD"), Err(NotACurrency::Case));
        for bad in ["", "us", "usdc", "us1", "us ", "üs"] {
            assert_eq!(Currency::parse(bad), Err(NotACurrency::Form), "{bad}");
        }
    }

    #[test]
    fn decimals_and_least_amounts_are_the_published_ones() {
        let of = |code: &str| Currency::parse(code).map(|c| (c.decimals(), c.least())).unwrap();
        assert_eq!(of("usd"), (2, Some(50)));
        assert_eq!(of("jpy"), (0, Some(50)));
        assert_eq!(of("kwd"), (3, None));
        assert_eq!(of("huf"), (2, Some(17500)));
    }

    #[test]
    fn what_is_charged_has_an_upper_end_and_a_step() {
        let of = |code: &str| Currency::parse(code).map(|c| (c.most(), c.step())).unwrap();
        assert_eq!(of("usd"), (99_999_999, 1));
        assert_eq!(of("idr"), (999_999_999_999, 1));
        assert_eq!(of("kwd"), (99_999_999, 10));
        assert_eq!(of("isk"), (99_999_999, 100));
    }
}
