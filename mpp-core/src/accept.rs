//! `Accept-Payment`: which methods and intents a client can pay with, and which it would rather use.

use std::{cmp::Reverse, fmt, str::FromStr};

/// Longest header value that is looked at, in bytes.
const MAX_HEADER: usize = 8 * 1024;

/// Weight 1 in thousandths.
const FULL: u16 = 1000;

/// The wishes of a client, in the order it wrote them (core draft, `Accept-Payment`).
///
/// Without ranges (the default, an absent header) everything is accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Accept {
    ranges: Vec<Range>,
}

impl Accept {
    /// Reads a header value. Names are lower case, weights have at most three decimals.
    ///
    /// Parameters other than a lower-case `q` are ignored.
    ///
    /// # Errors
    /// Refuses a value without ranges, any malformed range and more than 8 KiB. A server may then act as if the
    /// header were absent.
    pub fn parse(header: &str) -> Result<Self, AcceptError> {
        if header.len() > MAX_HEADER {
            return Err(AcceptError::TooLong);
        }
        let entries = header.split(',').map(trim).filter(|entry| !entry.is_empty());
        let ranges = entries.map(Range::parse).collect::<Result<Vec<_>, _>>()?;
        if ranges.is_empty() { Err(AcceptError::Empty) } else { Ok(Self { ranges }) }
    }

    /// Returns the ranges in their written order.
    pub fn ranges(&self) -> &[Range] {
        &self.ranges
    }

    /// Returns true when no range was given, so that nothing is preferred or excluded.
    pub fn is_everything(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Returns how much an offer is wanted, in thousandths; 0 means not at all.
    ///
    /// The most specific range decides, whatever its weight; among equally specific ones the highest weight does.
    pub fn rank(&self, method: &str, intent: &str) -> u16 {
        if self.is_everything() {
            return FULL;
        }
        let matching = self.ranges.iter().filter(|range| range.covers(method, intent));
        matching.map(|range| (range.specificity(), range.q)).max().map_or(0, |(_, q)| q)
    }

    /// Returns the indices of the wanted offers, best first; equally wanted ones keep their order.
    ///
    /// `name` tells the method and the intent of an offer. The result is empty when nothing is wanted: a server may
    /// then fall back to all its offers.
    pub fn order<T>(&self, offers: &[T], name: impl Fn(&T) -> (&str, &str)) -> Vec<usize> {
        let mut wanted: Vec<(u16, usize)> = offers
            .iter()
            .enumerate()
            .map(|(index, offer)| {
                let (method, intent) = name(offer);
                (self.rank(method, intent), index)
            })
            .filter(|&(q, _)| q > 0)
            .collect();
        wanted.sort_by_key(|&(q, _)| Reverse(q));
        wanted.into_iter().map(|(_, index)| index).collect()
    }

    /// Writes the canonical header value: weight 1 is left out, other weights have no idle zeros.
    pub fn to_header(&self) -> String {
        self.to_string()
    }
}

impl From<Vec<Range>> for Accept {
    fn from(ranges: Vec<Range>) -> Self {
        Self { ranges }
    }
}

impl FromIterator<Range> for Accept {
    fn from_iter<I: IntoIterator<Item = Range>>(ranges: I) -> Self {
        Self { ranges: ranges.into_iter().collect() }
    }
}

impl FromStr for Accept {
    type Err = AcceptError;

    fn from_str(header: &str) -> Result<Self, Self::Err> {
        Self::parse(header)
    }
}

impl fmt::Display for Accept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_everything() {
            return f.write_str("*/*");
        }
        for (index, range) in self.ranges.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{range}")?;
        }
        Ok(())
    }
}

/// One wish: a method and an intent, each possibly any, and a weight.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Range {
    method: Option<Box<str>>,
    intent: Option<Box<str>>,
    q: u16,
}

impl Range {
    /// Creates a range; `None` is the wildcard, `q` counts thousandths (0 excludes, 1000 is the usual weight).
    ///
    /// # Errors
    /// Refuses names outside the grammar of the header and weights above 1000.
    pub fn new(method: Option<&str>, intent: Option<&str>, q: u16) -> Result<Self, AcceptError> {
        if q > FULL {
            return Err(AcceptError::Weight);
        }
        if !method.is_none_or(is_method) {
            return Err(AcceptError::Method);
        }
        if !intent.is_none_or(is_intent) {
            return Err(AcceptError::Intent);
        }
        Ok(Self { method: method.map(Into::into), intent: intent.map(Into::into), q })
    }

    /// Returns the method, or `None` for any.
    pub fn method(&self) -> Option<&str> {
        self.method.as_deref()
    }

    /// Returns the intent, or `None` for any.
    pub fn intent(&self) -> Option<&str> {
        self.intent.as_deref()
    }

    /// Returns the weight in thousandths.
    pub fn q(&self) -> u16 {
        self.q
    }

    /// Returns true when the range speaks about that method and intent.
    pub fn covers(&self, method: &str, intent: &str) -> bool {
        self.method().is_none_or(|own| own == method)
            && self.intent().is_none_or(|own| own == intent)
    }

    /// Counts the names that are not wildcards.
    fn specificity(&self) -> u8 {
        u8::from(self.method.is_some()) + u8::from(self.intent.is_some())
    }

    fn parse(entry: &str) -> Result<Self, AcceptError> {
        let mut parts = entry.split(';');
        let (method, intent) =
            parts.next().and_then(|name| name.split_once('/')).ok_or(AcceptError::Range)?;
        let mut weight = None;
        for parameter in parts.map(trim).filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').ok_or(AcceptError::Parameter)?;
            let (name, value) = (trim(name), trim(value));
            if name.is_empty() || value.is_empty() {
                return Err(AcceptError::Parameter);
            }
            if name == "q" && weight.replace(thousandths(value)?).is_some() {
                return Err(AcceptError::Weight);
            }
        }
        Self::new(name_or_any(trim(method)), name_or_any(trim(intent)), weight.unwrap_or(FULL))
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.method().unwrap_or("*"), self.intent().unwrap_or("*"))?;
        match self.q {
            FULL => Ok(()),
            0 => f.write_str(";q=0"),
            q if q % 100 == 0 => write!(f, ";q=0.{}", q / 100),
            q if q % 10 == 0 => write!(f, ";q=0.{:02}", q / 10),
            q => write!(f, ";q=0.{q:03}"),
        }
    }
}

/// Why a text is no `Accept-Payment` value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// No range was given.
    #[error("Accept-Payment holds no range")]
    Empty,
    /// The value is longer than 8 KiB.
    #[error("Accept-Payment is too long")]
    TooLong,
    /// A range is not written `method/intent`.
    #[error("a payment range is written method/intent")]
    Range,
    /// The method of a range is neither `*` nor lower-case letters, digits, `-` and `:` after a first letter.
    #[error("the method of a payment range is malformed")]
    Method,
    /// The intent of a range is neither `*` nor letters, digits and `-`.
    #[error("the intent of a payment range is malformed")]
    Intent,
    /// A parameter is not written `name=value`.
    #[error("a parameter of a payment range is written name=value")]
    Parameter,
    /// A weight is given twice, is above 1 or has more than three decimals.
    #[error("the weight of a payment range is malformed")]
    Weight,
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

fn name_or_any(name: &str) -> Option<&str> {
    if name == "*" { None } else { Some(name) }
}

/// Deployed peers refuse `_` here although challenges may name such methods: those are reached by `*`.
fn is_method(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b':'))
}

fn is_intent(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Reads an HTTP qvalue: `0`, `1`, and at most three decimals behind a point (none is fine).
fn thousandths(value: &str) -> Result<u16, AcceptError> {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(AcceptError::Weight);
    }
    let decimals = fraction.bytes().chain(std::iter::repeat(b'0')).take(3);
    let decimals = decimals.fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    match (whole, decimals) {
        ("0", decimals) => Ok(decimals),
        ("1", 0) => Ok(FULL),
        _ => Err(AcceptError::Weight),
    }
}

#[cfg(test)]
mod tests;
