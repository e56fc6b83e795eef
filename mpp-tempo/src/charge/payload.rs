//! What a payer sends as proof: a signed transaction, the hash of a sent one, or a signature that proves an account.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The payload of a credential. A signed transaction is money until it is mined or late: none of it is in `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Payload {
    /// Pull: a signed transaction for the server to send.
    Transaction {
        /// The whole of it, `0x76…`; `0x78…` where the server is to pay the fee.
        signature: String,
    },
    /// Push: the payer has sent the transaction.
    Hash {
        /// `0x` and 64 hex digits.
        hash: String,
    },
    /// Of an account, where the amount is zero.
    Proof {
        /// Over typed data that names the challenge.
        signature: String,
    },
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transaction { .. } => "Transaction(..)",
            Self::Hash { .. } => "Hash(..)",
            Self::Proof { .. } => "Proof(..)",
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn payloads_are_told_apart_by_type_and_unknown_members_ignored() {
        let signature = || "0x76".to_owned();
        let cases = [
            (
                json!({"type": "transaction", "signature": "0x76", "x": 1}),
                Payload::Transaction { signature: signature() },
            ),
            (json!({"type": "hash", "hash": "0x76"}), Payload::Hash { hash: signature() }),
            (
                json!({"type": "proof", "signature": "0x76"}),
                Payload::Proof { signature: signature() },
            ),
        ];
        for (wire, expected) in cases {
            assert_eq!(serde_json::from_value::<Payload>(wire).unwrap(), expected);
        }
        for bad in [
            json!({}),
            json!({"type": "transaction"}),
            json!({"type": "Hash", "hash": "0x"}),
            json!({"type": "hash", "hash": 1}),
        ] {
            assert!(serde_json::from_value::<Payload>(bad).is_err());
        }
    }

    #[test]
    fn debug_shows_no_payload() {
        let shown = format!("{:?}", Payload::Transaction { signature: "0x76c0ffee".into() });
        assert_eq!(shown, "Transaction(..)");
    }
}
