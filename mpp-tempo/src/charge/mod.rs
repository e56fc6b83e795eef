//! `tempo/charge`: one payment in a stablecoin (draft-tempo-charge), or the proof of an account where nothing is asked.

#[cfg(any(feature = "client", feature = "server"))]
mod asked;
#[cfg(feature = "server")]
mod evidence;
#[cfg(feature = "client")]
mod payer;
mod payload;
#[cfg(any(feature = "client", feature = "server"))]
mod promise;
#[cfg(any(feature = "client", feature = "server"))]
pub mod proof;
#[cfg(any(feature = "client", feature = "server"))]
mod receipt;
#[cfg(test)]
#[cfg(all(feature = "client", feature = "server"))]
pub(crate) mod scripted;
#[cfg(feature = "server")]
pub mod sponsor;
#[cfg(any(feature = "client", feature = "server"))]
mod trace;
#[cfg(feature = "server")]
pub(crate) mod verifier;

use mpp_core::{Amount, Charge, Method, method::Nested, name::MethodName};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

#[cfg(any(feature = "client", feature = "server"))]
pub use self::asked::{MAX_SPLITS, Unasked, transfers};
#[cfg(feature = "server")]
pub use self::evidence::Evidence;
#[cfg(feature = "client")]
pub use self::payer::Payer;
pub use self::payload::Payload;
#[cfg(any(feature = "client", feature = "server"))]
pub use self::promise::NoEvidence;
#[cfg(any(feature = "client", feature = "server"))]
pub use self::receipt::{Unproven, verify_receipt};
#[cfg(feature = "server")]
pub use self::verifier::{OtherChain, ShareError, Verifier, reason};

/// The method `tempo` under the intent `charge`.
#[derive(Debug)]
pub struct TempoCharge;

impl Method for TempoCharge {
    const NAME: MethodName = MethodName::from_static("tempo");
    type Intent = Charge;
    type Details = Nested<Details>;
    type Payload = Payload;
}

/// The `methodDetails` of a request. Texts are as they came; each half reads what it acts on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Details {
    /// The chain to pay on; see [`Details::chain_id`] for what its absence means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain_id: Option<u64>,
    /// Whether the server pays the fee.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fee_payer: Option<bool>,
    /// The memo the transfer must carry: `0x` and 64 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memo: Option<String>,
    /// Others who get a share of the amount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub splits: Option<Vec<Split>>,
    /// How the transaction may reach the chain; absent, in any way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supported_modes: Option<Vec<Mode>>,
    /// A deployed extension, kept and not acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine_token_enabled: Option<bool>,
    /// Members we do not know: kept.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Details {
    /// The chain to pay on: Moderato, where the request does not say (draft-tempo-charge, `chainId`).
    pub fn chain_id(&self) -> u64 {
        self.chain_id.unwrap_or(42431)
    }

    /// Whether a transaction may reach the chain in this way.
    pub fn takes(&self, mode: &Mode) -> bool {
        self.supported_modes.as_ref().is_none_or(|modes| modes.contains(mode))
    }

    /// Whether the server pays the fee.
    pub fn is_sponsored(&self) -> bool {
        self.fee_payer == Some(true)
    }
}

/// A share of the amount, for somebody else than the recipient.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Split {
    /// Base units of the request's currency.
    pub amount: Amount,
    /// Who gets it.
    pub recipient: String,
    /// The memo of its transfer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memo: Option<String>,
    /// Members we do not know: kept.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// How a payer's transaction reaches the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Mode {
    /// The payer signs, the server sends.
    Pull,
    /// The payer sends, and shows the hash.
    Push,
    /// Some other way: kept.
    #[serde(untagged)]
    Other(String),
}

#[cfg(test)]
mod tests {
    use mpp_core::Request;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_of_a_deployed_server_is_read_and_written_whole() {
        let wire = json!({
            "amount": "1000000", "currency": "0x20c0000000000000000000000000000000000000",
            "recipient": "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC",
            "methodDetails": {
                "chainId": 42431, "feePayer": true, "memo": "0x42", "machineTokenEnabled": true,
                "splits": [{"amount": "5", "recipient": "0x1", "memo": "0x2", "note": "kept"}],
                "supportedModes": ["pull", "teleport"], "unknown": {"kept": [1]},
            },
        });
        let request: Request<TempoCharge> = serde_json::from_value(wire.clone()).unwrap();
        let details = &request.details.method_details;
        assert!(
            details.is_sponsored() && details.takes(&Mode::Pull) && !details.takes(&Mode::Push)
        );
        assert_eq!(serde_json::to_value(&request).unwrap(), wire);
    }

    #[test]
    fn a_request_without_details_is_for_moderato_and_any_mode() {
        let wire = json!({"amount": "1", "currency": "0x20"});
        let request: Request<TempoCharge> = serde_json::from_value(wire).unwrap();
        let details = request.details.method_details;
        assert!(
            details.takes(&Mode::Pull) && details.takes(&Mode::Push) && !details.is_sponsored()
        );
        assert_eq!(details.chain_id(), 42431);
    }
}
