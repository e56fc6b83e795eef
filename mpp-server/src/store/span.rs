//! Which keys a scan goes over, for stores that are ordered by the bytes of keys.

use mpp_core::store::Key;

/// The keys under a prefix and after a key: perhaps the prefix itself, then a range.
///
/// Two parts, because keys that only begin like the prefix may lie between it and those under it: `a`, `a-b`, `a/b`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// The prefix itself, where it is a part of the scan.
    pub(super) first: Option<Key>,
    /// Where the range begins.
    pub(super) from: String,
    /// Whether the key that it begins at is left out.
    pub(super) exclusive: bool,
    /// Before what the range ends.
    pub(super) to: String,
}

impl Span {
    pub(super) fn new(prefix: &Key, after: Option<&Key>) -> Self {
        let from = format!("{prefix}/", prefix = prefix.as_str());
        // `0` is the character after `/`.
        let to = format!("{prefix}0", prefix = prefix.as_str());
        let first = after.is_none_or(|after| after < prefix).then(|| prefix.clone());
        match after {
            Some(after) if *after.as_str() >= *from => {
                // An end before the beginning is an error to some stores.
                let from = after.as_str().min(&to).to_owned();
                Self { first, from, exclusive: true, to }
            }
            _ => Self { first, from, exclusive: false, to },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_holds_what_is_under_its_prefix_and_after_its_key() {
        let keys =
            ["a", "a!", "a-b", "a/a", "a/b", "a/b/c", "a0", "a00", "b"].map(Key::from_stored);
        for prefix in &keys {
            for after in keys.iter().map(Some).chain([None]) {
                let span = Span::new(prefix, after);
                let (from, to) = (&*span.from, &*span.to);
                for key in &keys {
                    let text = key.as_str();
                    let begun = if span.exclusive { text > from } else { text >= from };
                    let held = span.first.as_ref() == Some(key) || begun && text < to;
                    let wanted = key.is_under(prefix) && after.is_none_or(|after| key > after);
                    assert_eq!(held, wanted, "{key:?} under {prefix:?} after {after:?}");
                }
            }
        }
    }
}
