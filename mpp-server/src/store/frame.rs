//! How an entry lies in a durable store: its form, a checksum, and the rest.

use mpp_core::store::{Key, StoreError};
use sha2::{Digest, Sha256};

/// The newest form that this version writes and reads.
pub(super) const FORM: u8 = 1;

/// Where the rest begins: after one byte of form and four of checksum.
pub(super) const HEAD: usize = 5;

/// Frames what is stored under a key. The checksum covers the key too: an entry copied to another key does not read.
pub(super) fn seal(key: &Key, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut stored = Vec::with_capacity(HEAD + length);
    stored.push(FORM);
    stored.extend_from_slice(&[0; HEAD - 1]);
    parts.iter().for_each(|part| stored.extend_from_slice(part));
    let sum = checksum(key, &stored[HEAD..]);
    stored[1..HEAD].copy_from_slice(&sum);
    stored
}

/// The rest of a frame, where its form is known and its checksum fits.
pub(super) fn open<'a>(key: &Key, stored: &'a [u8]) -> Result<&'a [u8], StoreError> {
    let (sum, rest) = parts(key, stored)?;
    if sum == checksum(key, rest) { Ok(rest) } else { Err(damaged(key, "its checksum is wrong")) }
}

/// An entry that does not read.
pub(super) fn damaged(key: &Key, how: &'static str) -> StoreError {
    StoreError::corrupt(key.as_str(), how)
}

/// Passes on what reads of an entry in a scan, and says of what does not that it was left out.
pub(super) fn readable<T>(found: Result<T, StoreError>) -> Option<T> {
    found
        .inspect_err(|error| {
            let source = std::error::Error::source(error).map(ToString::to_string);
            tracing::error!(%error, source, "an entry was left out of a scan");
        })
        .ok()
}

/// The checksum and the rest of a frame of a known form, not compared.
pub(super) fn parts<'a>(key: &Key, stored: &'a [u8]) -> Result<([u8; 4], &'a [u8]), StoreError> {
    let (form, stored) = stored.split_first().ok_or_else(|| damaged(key, "it is empty"))?;
    match *form {
        FORM => {}
        found @ 1..TEXT => {
            let (found, known) = (u64::from(found), u64::from(FORM));
            return Err(StoreError::Newer { what: key.as_str().to_owned(), found, known });
        }
        _ => return Err(damaged(key, "it is of no form")),
    }
    let (sum, rest) = stored.split_first_chunk().ok_or_else(|| damaged(key, "it is cut short"))?;
    Ok((*sum, rest))
}

/// Forms are below all characters: what is text was not written by any version of this program.
const TEXT: u8 = b' ';

/// No key holds the byte that ends it here, for it is in no UTF-8 text.
fn checksum(key: &Key, rest: &[u8]) -> [u8; 4] {
    let hash = Sha256::new().chain_update(key.as_str()).chain_update([0xff]).chain_update(rest);
    let hash = hash.finalize();
    [hash[0], hash[1], hash[2], hash[3]]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key::of(&["t", name]).unwrap()
    }

    #[test]
    fn a_frame_reads_under_its_key_alone() {
        let stored = seal(&key("a"), &[b"1", b"23"]);
        assert_eq!(open(&key("a"), &stored).unwrap(), b"123");
        assert!(matches!(
            open(&key("b"), &stored),
            Err(StoreError::Corrupt { what, .. }) if what == "t/b"
        ));
    }

    #[test]
    fn every_cut_and_every_flipped_bit_is_seen() {
        let stored = seal(&key("a"), &[b"value"]);
        for length in 0..stored.len() {
            assert!(open(&key("a"), &stored[..length]).is_err(), "cut to {length}");
        }
        for bit in 0..stored.len() * 8 {
            let mut flipped = stored.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&key("a"), &flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_newer_form_is_refused_by_name() {
        let mut stored = seal(&key("a"), &[b"value"]);
        stored[0] = 2;
        let refused = open(&key("a"), &stored).unwrap_err();
        assert!(
            matches!(&refused, StoreError::Newer { what, found: 2, known: 1 } if what == "t/a"),
            "{refused}"
        );
    }

    /// Never to be changed: these bytes are on disks.
    #[test]
    fn the_first_form_still_reads() {
        let golden = *b"\x01\xf0\x5d\xfb\xaevalue";
        assert_eq!(seal(&key("a"), &[b"value"]), golden);
        assert_eq!(open(&key("a"), &golden).unwrap(), b"value");
    }
}
