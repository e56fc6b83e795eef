//! How an entry lies on the server.

use mpp_core::store::{Key, StoreError, Version, Versioned};

use super::super::frame;

/// Form 1: the version, highest byte first, and the value, in a frame. The script looks for the version at this place.
pub(super) fn write(key: &Key, version: Version, value: &[u8]) -> Vec<u8> {
    frame::seal(key, &[&version.0.to_be_bytes(), value])
}

pub(super) fn read(key: &Key, stored: &[u8]) -> Result<Versioned, StoreError> {
    let rest = frame::open(key, stored)?;
    let (version, value) =
        rest.split_first_chunk().ok_or_else(|| frame::damaged(key, "it is cut short"))?;
    Ok(Versioned { version: Version(u64::from_be_bytes(*version)), value: value.to_vec() })
}

/// Versions are drawn from 64 bits, so that one comes back about never, and no counter can be lost with a server.
pub(super) fn draw_version() -> Result<Version, StoreError> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)
        .map_err(|error| StoreError::unavailable(format!("no random version: {error}")))?;
    Ok(Version(u64::from_be_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Never to be changed: these bytes are on servers.
    #[test]
    fn the_first_form_still_reads() {
        let key = Key::of(&["paid", "a"]).unwrap();
        let golden = b"\x01\x39\xf8\x6a\xa3\0\0\0\0\0\0\x01\x02{}";
        assert_eq!(write(&key, Version(258), b"{}"), golden);
        let read = read(&key, golden).unwrap();
        assert_eq!((read.version, &*read.value), (Version(258), &b"{}"[..]));
    }

    #[test]
    fn what_is_cut_short_is_named_and_does_not_panic() {
        let key = Key::of(&["paid", "a"]).unwrap();
        let whole = write(&key, Version(1), b"x");
        for length in 0..whole.len() {
            assert!(read(&key, &whole[..length]).is_err());
        }
    }
}
