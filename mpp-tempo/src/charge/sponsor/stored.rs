//! How the sponsor's books and records are written: JSON, with the number of their form.

use mpp_core::store::{Key, StoreError};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// What every form has.
#[derive(Deserialize)]
struct Form {
    v: u64,
}

/// Reads what is stored in this form. What does not read is told from what a newer version wrote.
pub(super) fn read<T: DeserializeOwned>(
    key: &Key,
    bytes: &[u8],
    known: u64,
) -> Result<T, StoreError> {
    let what = key.as_str();
    let Form { v } = serde_json::from_slice(bytes).map_err(|e| StoreError::corrupt(what, e))?;
    if v > known {
        return Err(StoreError::Newer { what: what.to_owned(), found: v, known });
    }
    if v != known {
        return Err(StoreError::corrupt(what, "no such form"));
    }
    serde_json::from_slice(bytes).map_err(|e| StoreError::corrupt(what, e))
}

/// The bytes that are stored.
pub(super) fn write<T: Serialize>(key: &Key, value: &T) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|e| StoreError::corrupt(key.as_str(), e))
}

/// Hashes, addresses and bytes as `0x` and lower-case hex.
pub(super) mod hex {
    use std::{fmt, str::FromStr};

    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(in super::super) fn serialize<T: fmt::LowerHex, S: Serializer>(
        value: &T,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{value:#x}"))
    }

    pub(in super::super) fn deserialize<'de, T: FromStr, D: Deserializer<'de>>(
        from: D,
    ) -> Result<T, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(|_| de::Error::custom("not hex of this length"))
    }
}
