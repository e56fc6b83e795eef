//! What a payer signs to prove an account without paying: EIP-712, domain `MPP` version 3.

use alloy::{
    primitives::{Address, B256},
    sol_types::{SolStruct, eip712_domain},
};

/// The hash that proves an account towards one challenge of one realm, on one chain.
///
/// Versions 1 and 2 named no account, or no realm either, so that a proof could be shown by another account or elsewhere.
/// Their hashes are others, and a signature of them recovers to nobody.
pub fn proof_digest(chain_id: u64, account: Address, challenge_id: &str, realm: &str) -> B256 {
    let domain = eip712_domain! { name: "MPP", version: "3", chain_id: chain_id, };
    let challenge = challenge_id.to_owned();
    abi::Proof { account, challengeId: challenge, realm: realm.to_owned() }
        .eip712_signing_hash(&domain)
}

mod abi {
    alloy::sol! {
        struct Proof {
            address account;
            string challengeId;
            string realm;
        }
    }
}

#[cfg(test)]
mod tests;
