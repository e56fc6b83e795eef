//! What a payer sends as proof, the same on both sides: a transaction of a usual size.

use serde::{Deserialize, Serialize};

/// The proof: `type` and `signature`, as a pull payment has them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Proof {
    /// Always `transaction` here.
    #[serde(rename = "type")]
    pub kind: String,
    /// The transaction in hex.
    pub signature: String,
}

impl Proof {
    /// A proof like no other of another number.
    pub fn numbered(number: u64) -> Self {
        Self { kind: "transaction".into(), signature: format!("0x{number:064x}{:0>536}", "") }
    }

    /// Its name on the rail: the hash of it, were there a rail.
    pub fn reference(signature: &str) -> &str {
        signature.get(..66).unwrap_or(signature)
    }
}
