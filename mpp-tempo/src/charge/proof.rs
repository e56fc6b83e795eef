//! Typed data that proves an account, without a transaction.

use alloy::{
    primitives::{Address, B256},
    sol_types::{Eip712Domain, SolStruct},
};

/// What is signed: EIP-712, version 3.
pub(crate) fn proof_digest(
    chain_id: u64,
    account: Address,
    challenge_id: &str,
    realm: &str,
) -> B256 {
    let domain = Eip712Domain::new(
        Some("MPP".into()),
        Some("3".into()),
        Some(alloy::primitives::U256::from(chain_id)),
        None,
        None,
    );
    let proof = abi::Proof { account, challengeId: challenge_id.into(), realm: realm.into() };
    proof.eip712_signing_hash(&domain)
}

mod abi {
    alloy::sol! {
        struct Proof { address account; string challengeId; string realm; }
    }
}
