//! What a store's keys are called on the server.

use std::fmt::Write as _;

use mpp_core::store::Key;

/// The names of one store. All hold one hash tag, so that a cluster keeps them in one slot and scripts reach them all.
#[derive(Debug)]
pub(super) struct Names {
    entries: String,
    index: String,
    channel: String,
    form: String,
}

impl Names {
    /// Any text is a name; two texts never make the same names.
    pub(super) fn new(store: &str) -> Self {
        let mut tag = String::from("{mpp:");
        for c in store.chars() {
            match c {
                // Braces delimit the tag.
                '{' | '}' | '%' => {
                    // Writing to a text does not fail.
                    let _ = write!(tag, "%{:02X}", u32::from(c));
                }
                c => tag.push(c),
            }
        }
        tag.push('}');
        Self {
            entries: format!("{tag}:entry:"),
            index: format!("{tag}:keys"),
            channel: format!("{tag}:changes"),
            form: format!("{tag}:form"),
        }
    }

    pub(super) fn entry(&self, key: &Key) -> String {
        format!("{}{}", self.entries, key.as_str())
    }

    /// What the names of entries begin with.
    pub(super) fn entries(&self) -> &str {
        &self.entries
    }

    /// The sorted set of all keys: equal scores, so that it is in the order of their bytes.
    pub(super) fn index(&self) -> &str {
        &self.index
    }

    /// Where the keys of changed entries are published.
    pub(super) fn channel(&self) -> &str {
        &self.channel
    }

    /// What says which form the entries are of.
    pub(super) fn form(&self) -> &str {
        &self.form
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_injective_and_share_a_slot() {
        let tags = ["a", "a}", "a{b}", "a%7D", "", "%"].map(|store| Names::new(store).index);
        for (i, tag) in tags.iter().enumerate() {
            assert!(!tags[..i].contains(tag), "{tag}");
            assert!(tag.starts_with("{mpp:") && tag.matches(['{', '}']).count() == 2, "{tag}");
        }
    }
}
