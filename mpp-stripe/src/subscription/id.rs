//! Ids of Stripe's objects: they go into paths, so nothing in them may mean anything there.

/// As long as leaves room for one in a path.
const LONGEST: usize = 184;

/// Whether a text is an id of a kind: `pm_`, and letters, digits or `_` behind it.
pub(crate) fn is_id(kind: &str, text: &str) -> bool {
    let plain = |rest: &str| rest.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
    text.len() <= LONGEST
        && text.strip_prefix(kind).is_some_and(|rest| !rest.is_empty() && plain(rest))
}
