//! `did:pkh:eip155:<chain>:<address>`: how a credential names the account that pays.

use std::{fmt, str::FromStr};

use alloy::primitives::Address;

use super::parse_address;

/// An account on a chain, as a `source` names it.
///
/// A claim and no more: whoever checks a payment compares it with the signer that was recovered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Did {
    /// The chain the account lives on; at most 2^53 − 1.
    pub chain_id: u64,
    /// The account. Compare it by bytes: upper and lower case name the same one.
    pub address: Address,
}

impl FromStr for Did {
    type Err = DidError;

    /// Parses exactly what deployed servers accept: a chain without leading zeros, and an address that is
    /// all lower case or carries a valid EIP-55 checksum.
    fn from_str(text: &str) -> Result<Self, DidError> {
        let (chain, address) = text
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once(':'))
            .ok_or(DidError::Shape)?;
        Ok(Self {
            chain_id: parse_chain(chain)?,
            address: parse_address(address).map_err(|_| DidError::Address)?,
        })
    }
}

impl fmt::Display for Did {
    /// Writes the address with its checksum, as deployed clients do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}:{}", self.chain_id, self.address)
    }
}

/// Why a text is no `did:pkh` of an EVM account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DidError {
    /// Another scheme, another namespace, or parts missing.
    #[error("not a did:pkh:eip155 identifier")]
    Shape,
    /// Not a decimal number, written with leading zeros, or above 2^53 − 1.
    #[error("the chain id is not a number a DID may carry")]
    Chain,
    /// Not twenty bytes of hex, or mixed case with a wrong checksum.
    #[error("the address is malformed or its checksum is wrong")]
    Address,
}

const PREFIX: &str = "did:pkh:eip155:";

/// The largest integer every JSON reader keeps exactly.
const MAX_CHAIN: u64 = (1 << 53) - 1;

fn parse_chain(text: &str) -> Result<u64, DidError> {
    let canonical =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    let id = text.parse().ok().filter(|id| canonical && *id <= MAX_CHAIN);
    id.ok_or(DidError::Chain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ACCOUNT: &str = "0x98bc7FfC27d64101Dc7C9A2F0EE10c99D34d7E55";

    #[test]
    fn identifiers_are_accepted_and_refused_as_deployed_servers_do() {
        let ok = |chain: u64| Ok(Did { chain_id: chain, address: ACCOUNT.parse().unwrap() });
        let cases = [
            (format!("did:pkh:eip155:42431:{ACCOUNT}"), ok(42431)),
            (format!("did:pkh:eip155:42431:{}", ACCOUNT.to_lowercase()), ok(42431)),
            (format!("did:pkh:eip155:0:{ACCOUNT}"), ok(0)),
            (format!("did:pkh:eip155:9007199254740991:{ACCOUNT}"), ok(9007199254740991)),
            (format!("did:pkh:eip155:9007199254740992:{ACCOUNT}"), Err(DidError::Chain)),
            (format!("did:pkh:eip155:01:{ACCOUNT}"), Err(DidError::Chain)),
            (format!("did:pkh:eip155:+1:{ACCOUNT}"), Err(DidError::Chain)),
            (format!("did:pkh:eip155:-1:{ACCOUNT}"), Err(DidError::Chain)),
            (format!("did:pkh:eip155::{ACCOUNT}"), Err(DidError::Chain)),
            (format!("did:pkh:eip155:not-a-number:{ACCOUNT}"), Err(DidError::Chain)),
            ("did:pkh:eip155:42431:0x1234".into(), Err(DidError::Address)),
            (format!("did:pkh:eip155:42431:{ACCOUNT}:x"), Err(DidError::Address)),
            (format!("did:pkh:eip155:1:{ACCOUNT} "), Err(DidError::Address)),
            (format!("did:pkh:eip155:1:{}a", &ACCOUNT[..41]), Err(DidError::Address)),
            (format!("did:pkh:eip155:1:0x{}", ACCOUNT[2..].to_uppercase()), Err(DidError::Address)),
            (format!("did:pkh:eip155:1:{}", &ACCOUNT[2..]), Err(DidError::Address)),
            (format!("did:pkh:eip155:1:0x{ACCOUNT}"), Err(DidError::Address)),
            (format!("did:pkh:solana:42431:{ACCOUNT}"), Err(DidError::Shape)),
            (format!("DID:pkh:eip155:42431:{ACCOUNT}"), Err(DidError::Shape)),
            (format!(" did:pkh:eip155:1:{ACCOUNT}"), Err(DidError::Shape)),
            (String::new(), Err(DidError::Shape)),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<Did>(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(chain_id in 0..=MAX_CHAIN, address: [u8; 20]) {
            let did = Did { chain_id, address: address.into() };
            prop_assert_eq!(did.to_string().parse(), Ok(did));
        }

        #[test]
        fn no_text_panics(text in "(did:pkh:eip155:)?.{0,60}") {
            let _ = text.parse::<Did>();
        }
    }
}
