//! What is written down says which form it is in, so that older builds leave alone what newer ones wrote.

use mpp_core::store::StoreError;
use serde::{Deserialize, de::DeserializeOwned};

/// Reads a JSON value whose member `v` says its form: 1 up to `known`, all of which `T` reads.
pub(crate) fn read<T: DeserializeOwned>(
    key: &str,
    bytes: &[u8],
    known: u64,
) -> Result<T, StoreError> {
    let corrupt = |e: serde_json::Error| StoreError::corrupt(key, e);
    // Before anything else is read: a newer form may have any other shape.
    let Form { v: found } = serde_json::from_slice(bytes).map_err(corrupt)?;
    match found {
        0 => Err(StoreError::corrupt(key, NoForm)),
        _ if found > known => Err(StoreError::Newer { what: key.to_owned(), found, known }),
        _ => serde_json::from_slice(bytes).map_err(corrupt),
    }
}

#[derive(Deserialize)]
struct Form {
    v: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("there is no form 0")]
struct NoForm;
