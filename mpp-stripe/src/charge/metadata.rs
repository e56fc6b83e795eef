//! The seller's notes on a payment: what Stripe takes of them, and the names that are ours.

use std::collections::BTreeMap;

/// As many notes as Stripe keeps with a payment, less our own.
const MOST: usize = 50 - OURS.len();
const LONGEST_KEY: usize = 40;
const LONGEST_VALUE: usize = 500;

/// The names that we write ourselves.
const OURS: [&str; 4] = ["machine_payment", "mpp_sdk", "mpp_intent", "mpp_challenge_id"];
/// A name that deployed clients refuse in a challenge: it is the payload's.
const EXTERNAL_ID: &str = "externalId";

/// A note that Stripe would refuse, or that would hide one of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// More than 46 notes, public and private together.
    #[error("Stripe keeps 50 notes with a payment, of which four are ours")]
    TooMany,
    /// A name that is empty, over 40 characters, or has brackets or control characters.
    #[error("a note's name is 1 to 40 characters, without brackets: `{0}`")]
    Key(String),
    /// A name that is written by us, or by the payload.
    #[error("the note `{0}` is written by the protocol")]
    Reserved(String),
    /// A value over 500 characters.
    #[error("the note `{0}` is over 500 characters")]
    Value(String),
}

pub(super) type Notes = BTreeMap<String, String>;

/// Takes a note.
pub(super) fn check(key: &str, value: &str) -> Result<(), MetadataError> {
    let strange = |c: char| c.is_control() || matches!(c, '[' | ']');
    let shown = || key.chars().take(LONGEST_KEY).collect();
    if !(1..=LONGEST_KEY).contains(&key.chars().count()) || key.contains(strange) {
        return Err(MetadataError::Key(shown()));
    }
    if OURS.contains(&key) || key == EXTERNAL_ID {
        return Err(MetadataError::Reserved(shown()));
    }
    if value.chars().count() > LONGEST_VALUE {
        return Err(MetadataError::Value(shown()));
    }
    Ok(())
}

/// Takes two sets of notes for one payment. A private one replaces a public one of its name.
pub(super) fn check_together(public: &Notes, private: &Notes) -> Result<(), MetadataError> {
    let more = private.keys().filter(|key| !public.contains_key(*key)).count();
    if public.len() + more > MOST {
        return Err(MetadataError::TooMany);
    }
    private.iter().try_for_each(|(key, value)| check(key, value))
}

/// A value of our own, at the length that Stripe takes.
pub(super) fn short(value: &str) -> String {
    value.chars().take(LONGEST_VALUE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_held_to_what_stripe_takes() {
        let (long, longest) = ("k".repeat(41), "ä".repeat(40));
        assert_eq!(check("plan", "pro"), Ok(()));
        assert_eq!(check(&longest, &"ä".repeat(500)), Ok(()));
        assert_eq!(check("plan", &"x".repeat(501)), Err(MetadataError::Value("plan".into())));
        for bad in ["", "a[b]", "a\nb", &long] {
            assert!(matches!(check(bad, ""), Err(MetadataError::Key(_))), "{bad}");
        }
        for ours in OURS.iter().chain(&[EXTERNAL_ID]) {
            assert!(matches!(check(ours, ""), Err(MetadataError::Reserved(_))), "{ours}");
        }
    }

    #[test]
    fn fifty_notes_are_all_there_are() {
        let notes = |of: std::ops::Range<u32>| {
            Notes::from_iter(of.map(|n| (format!("n{n}"), String::new())))
        };
        assert_eq!(check_together(&notes(0..40), &notes(40..46)), Ok(()));
        assert_eq!(check_together(&notes(0..46), &notes(0..46)), Ok(()));
        assert_eq!(check_together(&notes(0..40), &notes(40..47)), Err(MetadataError::TooMany));
    }

    #[test]
    fn our_own_values_are_cut_to_what_stripe_takes() {
        assert_eq!(short(&"ä".repeat(501)), "ä".repeat(500));
        assert_eq!(short("charge"), "charge");
    }
}
