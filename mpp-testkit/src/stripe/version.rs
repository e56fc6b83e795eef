//! `Stripe-Version`: a date, and perhaps a name.

use super::refused::Refused;

/// The first version that publishes shared payment tokens.
const SHARED_PAYMENTS: &str = "2026-04-22";

/// A version of the API as a request names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) text: String,
}

impl Version {
    /// `2026-07-29`, `2026-07-29.preview`.
    pub(super) fn read(text: &str) -> Result<Self, Refused> {
        let (date, name) =
            text.split_once('.').map_or((text, None), |(date, name)| (date, Some(name)));
        let named = name.is_none_or(|name| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        });
        if is_date(date) && named {
            return Ok(Self { text: text.to_owned() });
        }
        Err(Refused::invalid(format!("Invalid Stripe API version: {text}")))
    }

    /// Whether it knows shared payment tokens.
    pub(super) fn shares_payments(&self) -> bool {
        self.text.strip_suffix(".preview").is_some_and(|date| date >= SHARED_PAYMENTS)
    }
}

fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 10
        && bytes.iter().enumerate().all(|(place, byte)| match place {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        })
        && ("01"..="12").contains(&&text[5..7])
        && ("01"..="31").contains(&&text[8..10])
}

#[cfg(test)]
mod tests {
    use super::Version;

    #[test]
    fn only_a_preview_since_april_2026_knows_shared_payment_tokens() {
        for (text, known) in [
            ("2026-04-22.preview", true),
            ("2026-07-29.preview", true),
            ("2026-08-26.preview", true),
            ("2026-03-25.preview", false),
            ("2026-07-29", false),
            ("2026-07-29.dahlia", false),
        ] {
            assert_eq!(
                Version::read(text).ok().map(|version| version.shares_payments()),
                Some(known),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_version_is_refused() {
        for text in [
            "",
            "latest",
            "2026-13-01",
            "2026-1-1",
            "2026-04-22.",
            "2026-04-22.Preview",
            "2026-04-2é",
        ] {
            assert!(Version::read(text).is_err(), "{text}");
        }
    }
}
