//! Values that cannot be shown or compared by accident.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// A secret: no `Display`, a blind `Debug`, no `==`, wiped when dropped.
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Takes a secret in.
    pub fn new(secret: T) -> Self {
        Self(secret)
    }

    /// Shows the secret to code that must use it. Never log what this returns.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize + Clone> Clone for Secret<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A computed authenticator: 32 bytes that can be written out and matched, never compared with `==`.
#[derive(Clone)]
pub struct Tag([u8; 32]);

impl Tag {
    pub(crate) fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether `claimed` is this tag, in time that does not depend on where they differ.
    pub fn matches(&self, claimed: &[u8]) -> bool {
        self.0.ct_eq(claimed).into()
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tag(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        assert_eq!(format!("{:?}", Secret::new(String::from("hunter2"))), "Secret(..)");
    }

    #[test]
    fn a_tag_matches_itself_alone() {
        let tag = Tag::new([7; 32]);
        assert!(tag.matches(&[7; 32]));
        assert!(!tag.matches(&[8; 32]) && !tag.matches(&[7; 31]) && !tag.matches(&[]));
    }
}
