//! How an entry lies in the file.

use mpp_core::store::{Key, StoreError, Version, Versioned};

use super::super::frame;

/// An entry: its version, how long it is kept, and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row<'v> {
    pub(super) version: Version,
    pub(super) keep: Option<Until>,
    pub(super) value: &'v [u8],
}

/// Until when an entry is kept, by two clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Until {
    /// By the time its writers name: milliseconds since 1970.
    pub(super) named: i64,
    /// By the time that the file has been open: milliseconds in all.
    pub(super) open: u64,
}

impl<'v> Row<'v> {
    /// Form 1: version, the two times, value; numbers with the highest byte first.
    pub(super) fn write(&self, key: &Key) -> Vec<u8> {
        let until = self.keep.unwrap_or(NEVER);
        let (version, named, open) =
            (self.version.0.to_be_bytes(), until.named.to_be_bytes(), until.open.to_be_bytes());
        frame::seal(key, &[&version, &named, &open, self.value])
    }

    pub(super) fn read(key: &Key, stored: &'v [u8]) -> Result<Self, StoreError> {
        Self::parse(key, frame::open(key, stored)?)
    }

    /// Reads without proving that the value is whole: enough to replace it.
    pub(super) fn peek(key: &Key, stored: &'v [u8]) -> Result<Self, StoreError> {
        Self::parse(key, frame::parts(key, stored)?.1)
    }

    pub(super) fn versioned(&self) -> Versioned {
        Versioned { version: self.version, value: self.value.to_vec() }
    }

    fn parse(key: &Key, rest: &'v [u8]) -> Result<Self, StoreError> {
        let fields = rest.split_first_chunk::<8>().and_then(|(version, rest)| {
            let (named, rest) = rest.split_first_chunk::<8>()?;
            let (open, value) = rest.split_first_chunk::<8>()?;
            Some((u64::from_be_bytes(*version), i64::from_be_bytes(*named), open, value))
        });
        let (version, named, open, value) =
            fields.ok_or_else(|| frame::damaged(key, "it is cut short"))?;
        let until = Until { named, open: u64::from_be_bytes(*open) };
        Ok(Self { version: Version(version), keep: (until != NEVER).then_some(until), value })
    }
}

const NEVER: Until = Until { named: i64::MAX, open: u64::MAX };

#[cfg(test)]
mod tests {
    use super::*;

    /// Never to be changed: these bytes are on disks.
    #[test]
    fn the_first_form_still_reads() {
        let key = Key::of(&["paid", "a"]).unwrap();
        let until = Until { named: 1_800_000_000_000, open: 77 };
        let rows: [(Row<'_>, &[u8]); 2] = [
            (
                Row { version: Version(258), keep: Some(until), value: b"{}" },
                b"\x01\x36\xd9\x9f\x6d\0\0\0\0\0\0\x01\x02\0\0\x01\xa3\x18\x5c\x50\0\0\0\0\0\0\0\0\x4d{}",
            ),
            (
                Row { version: Version(1), keep: None, value: b"" },
                b"\x01\x99\x74\xc6\x26\0\0\0\0\0\0\0\x01\x7f\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            ),
        ];
        for (row, golden) in rows {
            assert_eq!(row.write(&key), golden);
            assert_eq!(Row::read(&key, golden).unwrap(), row);
        }
    }

    #[test]
    fn a_row_cut_short_is_named_and_does_not_panic() {
        let key = Key::of(&["paid", "a"]).unwrap();
        let whole = Row { version: Version(1), keep: None, value: b"x" }.write(&key);
        for length in 0..whole.len() {
            assert!(Row::read(&key, &whole[..length]).is_err());
            let _ = Row::peek(&key, &whole[..length]);
        }
    }
}
