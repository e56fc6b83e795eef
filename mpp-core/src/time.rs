//! Points in time that keep their wire text, and the clock engines read them from.

use std::{cmp::Ordering, fmt, str::FromStr, sync::Arc, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest text of a timestamp: 39 digits of a fraction behind the seconds.
const MAX_CHARS: usize = 64;

const SECONDS_PER_DAY: i64 = 86_400;
const NANOS_PER_MILLI: u32 = 1_000_000;

/// `0000-01-01T00:00:00Z` and `9999-12-31T23:59:59.999Z` in Unix milliseconds: what four digits of a year can say.
const FIRST_MILLI: i64 = -62_167_219_200_000;
const LAST_MILLI: i64 = 253_402_300_799_999;

/// An RFC 3339 timestamp: the text as it stands on the wire, and the instant it names.
///
/// Two timestamps are equal when their texts are: challenge ids authenticate the text, so `Z` and `+00:00` differ.
/// Order in time is asked with [`cmp_instant`](Self::cmp_instant), [`is_before`](Self::is_before) and
/// [`expired_at`](Self::expired_at). Clones are cheap.
#[derive(Clone)]
pub struct Timestamp {
    text: Text,
    /// Unix seconds, rounded down.
    seconds: i64,
    nanos: u32,
}

/// The wire text, in place where it is as short as those we write: engines read the clock several times a request.
#[derive(Clone)]
enum Text {
    Short { bytes: [u8; SHORT], length: u8 },
    Long(Arc<str>),
}

/// Characters of `YYYY-MM-DDTHH:MM:SS.mmmZ`.
const SHORT: usize = 24;

impl Text {
    fn of(text: &str) -> Self {
        let mut bytes = [0; SHORT];
        match (bytes.get_mut(..text.len()), u8::try_from(text.len())) {
            (Some(start), Ok(length)) => {
                start.copy_from_slice(text.as_bytes());
                Self::Short { bytes, length }
            }
            _ => Self::Long(text.into()),
        }
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Short { bytes, length } => {
                let text = bytes.get(..usize::from(*length)).unwrap_or(bytes);
                std::str::from_utf8(text).expect("it was made of a str")
            }
            Self::Long(text) => text,
        }
    }
}

impl Timestamp {
    /// Parses `YYYY-MM-DDTHH:MM:SS`, an optional fraction of any length, and `Z` or `±HH:MM`.
    ///
    /// Stricter than RFC 3339, as deployed peers are: `T` and `Z` are upper case, no leap second. Digits below the
    /// nanosecond are kept in the text but not in the instant.
    ///
    /// # Errors
    /// Refuses any other shape, dates and times that do not exist, and more than 64 characters.
    pub fn parse(text: &str) -> Result<Self, TimestampError> {
        if text.len() > MAX_CHARS {
            return Err(TimestampError::TooLong);
        }
        let (date_time, rest) =
            text.as_bytes().split_at_checked(19).ok_or(TimestampError::Malformed)?;
        let &[y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T', h0, h1, b':', n0, n1, b':', s0, s1] =
            date_time
        else {
            return Err(TimestampError::Malformed);
        };
        let (year, month, day) =
            (number(&[y0, y1, y2, y3])?, number(&[m0, m1])?, number(&[d0, d1])?);
        let (hour, minute, second) = (number(&[h0, h1])?, number(&[n0, n1])?, number(&[s0, s1])?);
        let (nanos, zone) = fraction(rest)?;
        let offset = offset_seconds(zone)?;
        let date_exists = (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
        if !date_exists || hour > 23 || minute > 59 || second > 59 {
            return Err(TimestampError::OutOfRange);
        }
        let local = days_from_date(year, month, day) * SECONDS_PER_DAY
            + i64::from(hour * 3600 + minute * 60 + second);
        Ok(Self { text: Text::of(text), seconds: local - offset, nanos })
    }

    /// Creates a timestamp in UTC from Unix seconds and milliseconds; see [`from_unix_millis`](Self::from_unix_millis).
    pub fn from_unix(seconds: i64, millis: u16) -> Self {
        Self::from_unix_millis(seconds.saturating_mul(1000).saturating_add(i64::from(millis)))
    }

    /// Creates a timestamp in UTC from Unix milliseconds, with a fraction only if it is not zero.
    ///
    /// Values outside the years 0000 to 9999 become the first or the last instant of those.
    pub fn from_unix_millis(millis: i64) -> Self {
        let millis = millis.clamp(FIRST_MILLI, LAST_MILLI);
        let (seconds, milli) = (millis.div_euclid(1000), remainder(millis, 1000));
        let (days, second) =
            (seconds.div_euclid(SECONDS_PER_DAY), remainder(seconds, SECONDS_PER_DAY));
        let (year, month, day) = date_from_days(days);
        let mut text = *b"0000-00-00T00:00:00.000Z";
        for (end, value) in [
            (4, year),
            (7, month),
            (10, day),
            (13, second / 3600),
            (16, second / 60 % 60),
            (19, second % 60),
        ] {
            put(&mut text, end, value);
        }
        let length = if milli == 0 {
            text[19] = b'Z';
            20
        } else {
            put(&mut text, 23, milli);
            24
        };
        // Digits and the punctuation above are ASCII.
        let text = std::str::from_utf8(&text[..length]).expect("ASCII");
        Self { text: Text::of(text), seconds, nanos: milli * NANOS_PER_MILLI }
    }

    /// Returns the text as it stands on the wire.
    pub fn as_str(&self) -> &str {
        self.text.as_str()
    }

    /// Returns Unix seconds, rounded down.
    pub const fn unix_seconds(&self) -> i64 {
        self.seconds
    }

    /// Returns Unix milliseconds, rounded down.
    pub const fn unix_millis(&self) -> i64 {
        self.seconds * 1000 + (self.nanos / NANOS_PER_MILLI) as i64
    }

    /// Compares two timestamps by the instants they name.
    pub fn cmp_instant(&self, other: &Self) -> Ordering {
        (self.seconds, self.nanos).cmp(&(other.seconds, other.nanos))
    }

    /// Returns true when this instant lies before the other one.
    pub fn is_before(&self, other: &Self) -> bool {
        self.cmp_instant(other).is_lt()
    }

    /// Returns true when something valid until this instant is no longer valid: the very instant is still valid.
    pub fn expired_at(&self, now: &Self) -> bool {
        self.is_before(now)
    }

    /// Returns the time since an earlier instant, and zero since a later one.
    pub fn since(&self, earlier: &Self) -> Duration {
        if self.is_before(earlier) {
            return Duration::ZERO;
        }
        let seconds = self.seconds.abs_diff(earlier.seconds);
        let to_here = Duration::new(seconds, self.nanos);
        to_here.saturating_sub(Duration::from_nanos(earlier.nanos.into()))
    }

    /// Returns the instant that much later, in UTC and whole milliseconds, at most the last of the year 9999.
    pub fn plus(&self, duration: Duration) -> Self {
        self.shifted(|nanos, shift| nanos.saturating_add(shift), duration)
    }

    /// Returns the instant that much earlier, in UTC and whole milliseconds, at least the first of the year 0000.
    pub fn minus(&self, duration: Duration) -> Self {
        self.shifted(|nanos, shift| nanos.saturating_sub(shift), duration)
    }

    fn shifted(&self, shift: impl FnOnce(i128, i128) -> i128, duration: Duration) -> Self {
        let nanos = i128::from(self.seconds) * 1_000_000_000 + i128::from(self.nanos);
        let by = i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX);
        let millis = shift(nanos, by).div_euclid(NANOS_PER_MILLI.into());
        let millis = millis.clamp(FIRST_MILLI.into(), LAST_MILLI.into());
        // The clamp keeps the value within 64 bits.
        Self::from_unix_millis(i64::try_from(millis).expect("clamped"))
    }
}

impl PartialEq for Timestamp {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Timestamp {}

impl std::hash::Hash for Timestamp {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timestamp({})", self.as_str())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::text::parsed(deserializer, Self::parse)
    }
}

/// Why a text is no timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimestampError {
    /// The text is not written `YYYY-MM-DDTHH:MM:SS[.fraction](Z|±HH:MM)`.
    #[error("a timestamp is written YYYY-MM-DDTHH:MM:SS with an optional fraction and a zone")]
    Malformed,
    /// The date, the time or the offset does not exist.
    #[error("the timestamp names a date, a time or an offset that does not exist")]
    OutOfRange,
    /// The text is longer than 64 characters.
    #[error("the timestamp is too long")]
    TooLong,
}

/// Where engines read the time from: tests hold it still, production asks the system.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Returns the current time.
    fn now(&self) -> Timestamp;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }
}

/// Reads at most four ASCII digits.
fn number(digits: &[u8]) -> Result<u32, TimestampError> {
    digits.iter().try_fold(0, |value, digit| match digit {
        b'0'..=b'9' => Ok(value * 10 + u32::from(digit - b'0')),
        _ => Err(TimestampError::Malformed),
    })
}

/// Splits what follows the seconds into nanoseconds and the zone.
fn fraction(rest: &[u8]) -> Result<(u32, &[u8]), TimestampError> {
    let Some(digits) = rest.strip_prefix(b".") else { return Ok((0, rest)) };
    let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, zone) = digits.split_at_checked(length).ok_or(TimestampError::Malformed)?;
    if digits.is_empty() {
        return Err(TimestampError::Malformed);
    }
    let nanos = digits.iter().chain(std::iter::repeat(&b'0')).take(9);
    Ok((nanos.fold(0, |value, digit| value * 10 + u32::from(digit - b'0')), zone))
}

fn offset_seconds(zone: &[u8]) -> Result<i64, TimestampError> {
    match *zone {
        [b'Z'] => Ok(0),
        [sign @ (b'+' | b'-'), h0, h1, b':', m0, m1] => {
            let (hours, minutes) = (number(&[h0, h1])?, number(&[m0, m1])?);
            if hours > 23 || minutes > 59 {
                return Err(TimestampError::OutOfRange);
            }
            let seconds = i64::from(hours * 3600 + minutes * 60);
            Ok(if sign == b'-' { -seconds } else { seconds })
        }
        _ => Err(TimestampError::Malformed),
    }
}

fn is_leap(year: u32) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

pub(crate) fn days_in(year: u32, month: u32) -> u32 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 0000-03-01 to 1970-01-01: years are counted from March, so that the leap day ends them.
const EPOCH_FROM_MARCH: i64 = 719_468;
const DAYS_PER_400_YEARS: i64 = 146_097;

/// Counts days since 1970-01-01 in the Gregorian calendar; the date must exist.
pub(crate) fn days_from_date(year: u32, month: u32, day: u32) -> i64 {
    let (year, month) =
        if month > 2 { (i64::from(year), month - 3) } else { (i64::from(year) - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let day_of_year = i64::from((153 * month + 2) / 5 + day - 1);
    year * 365 + leap_days + day_of_year - EPOCH_FROM_MARCH
}

/// Turns days since 1970-01-01 into year, month and day; the year must have four digits.
pub(crate) fn date_from_days(days: i64) -> (u32, u32, u32) {
    let days = days + EPOCH_FROM_MARCH;
    let (era, day) = (days.div_euclid(DAYS_PER_400_YEARS), remainder(days, DAYS_PER_400_YEARS));
    // Leap days before this one are taken out, so that every year has 365 days.
    let year_of_era = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
    let year = era * 400 + i64::from(year_of_era) + i64::from(month > 9);
    let month = if month > 9 { month - 9 } else { month + 3 };
    (u32::try_from(year).unwrap_or_default(), month, day_of_month)
}

/// Returns the non-negative remainder of a division by a number within 32 bits.
fn remainder(value: i64, divisor: i64) -> u32 {
    u32::try_from(value.rem_euclid(divisor)).unwrap_or_default()
}

/// Writes a number over the zeros that end before `end`.
fn put(text: &mut [u8; 24], end: usize, mut value: u32) {
    let mut at = end;
    while value > 0 && at > 0 {
        at -= 1;
        text[at] = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

#[cfg(test)]
mod tests;
