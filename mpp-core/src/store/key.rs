//! Keys of a store: injective, ordered, short.

use sha2::Digest as _;

use crate::error::Error;

/// A key: segments joined by `/`, with `/` and `%` inside one escaped, so that two lists of segments never collide (S19).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Key(String);

impl Key {
    /// Joins segments.
    ///
    /// # Errors
    /// No segment, an empty one, or more than 512 bytes in all.
    pub fn of(segments: &[&str]) -> Result<Self, Error> {
        let mut key = String::with_capacity(64);
        for (i, segment) in segments.iter().enumerate() {
            if segment.is_empty() {
                return Err(Error::Key);
            }
            if i > 0 {
                key.push('/');
            }
            for c in segment.chars() {
                match c {
                    '%' => key.push_str("%25"),
                    '/' => key.push_str("%2F"),
                    c => key.push(c),
                }
            }
        }
        if key.is_empty() || key.len() > 512 { Err(Error::Key) } else { Ok(Self(key)) }
    }

    /// Joins segments and the SHA-256 of a text, for texts that are long, or too secret to be in keys.
    ///
    /// # Errors
    /// As for [`Key::of`].
    pub fn of_hash(segments: &[&str], text: &str) -> Result<Self, Error> {
        let hash = crate::encoded::encode(&sha2::Sha256::digest(text));
        let all: Vec<&str> = segments.iter().copied().chain([hash.as_str()]).collect();
        Self::of(&all)
    }

    /// Reads back what [`Key::as_str`] gave: for stores.
    pub fn from_stored(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last segment, as it was given.
    pub fn last(&self) -> String {
        let last = self.0.rsplit_once('/').map_or(self.0.as_str(), |(_, last)| last);
        last.replace("%2F", "/").replace("%25", "%")
    }

    /// Whether this key is `prefix`, or lies under it.
    pub fn is_under(&self, prefix: &Self) -> bool {
        self.0.strip_prefix(&prefix.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_injective() {
        let pairs: [(&[&str], &[&str]); 4] = [
            (&["a:b"], &["a_b"]),
            (&["a", "b"], &["a/b"]),
            (&["a%2Fb"], &["a/b"]),
            (&["a", "b%"], &["a", "b%25"]),
        ];
        for (one, other) in pairs {
            assert_ne!(Key::of(one).unwrap(), Key::of(other).unwrap());
        }
        for bad in [&[][..], &[""], &["a", ""]] {
            assert!(Key::of(bad).is_err());
        }
        assert!(Key::of(&[&"x".repeat(513)]).is_err());
    }

    #[test]
    fn a_prefix_is_whole_segments() {
        let paid = Key::of(&["paid"]).unwrap();
        assert!(Key::of(&["paid", "x"]).unwrap().is_under(&paid));
        assert!(!Key::of(&["paid2", "x"]).unwrap().is_under(&paid));
    }
}
