//! The contracts that the node lacks: the channel reserve, and the escrow of sessions v1.

use alloy::primitives::{Address, B256, U256, address, keccak256};
use serde::Deserialize;

/// Where the channel reserve of TIP-1034 is, on every chain.
pub const CHANNEL_RESERVE: Address = address!("4D50500000000000000000000000000000000000");

/// The escrow of sessions v1 on the test chain 42431, and on every other chain as well.
pub const SESSION_ESCROW: Address = address!("e1c4d3dce17bc111181ddf716f75bae49e61a336");

/// The escrow of sessions v1 on the mainnet, and on every chain but 42431.
pub const MAINNET_SESSION_ESCROW: Address = address!("33b901018174DDabE4841042ab76ba85D4e24f25");

/// The test chain, whose escrow has an address of its own.
const MODERATO: u64 = 42_431;

const RESERVE: &str = include_str!("../../contracts/ChannelReserve.json");
const ESCROW: &str = include_str!("../../contracts/SessionEscrow.json");

#[derive(Deserialize)]
struct Artefact {
    runtime: String,
}

/// The contracts of a chain: where each is, and its code in hex.
pub(super) fn of(chain_id: u64) -> Vec<(Address, String)> {
    let mut all = vec![(CHANNEL_RESERVE, RESERVE), (SESSION_ESCROW, ESCROW)];
    all.extend((chain_id != MODERATO).then_some((MAINNET_SESSION_ESCROW, ESCROW)));
    let compiled = all.into_iter().filter_map(|(at, text)| {
        let artefact: Artefact = serde_json::from_str(text).ok()?;
        Some((at, artefact.runtime))
    });
    compiled.collect()
}

/// The escrow of sessions v1 that peers look for on a chain.
pub(super) fn escrow(chain_id: u64) -> Address {
    if chain_id == MODERATO { SESSION_ESCROW } else { MAINNET_SESSION_ESCROW }
}

/// Where the entry of a key lies in a mapping.
pub(super) fn entry(key: impl Into<B256>, mapping: impl Into<B256>) -> B256 {
    let (key, mapping) = (key.into(), mapping.into());
    keccak256([key, mapping].concat())
}

/// A slot by its number.
pub(super) fn slot(number: u64) -> B256 {
    U256::from(number).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_artefact_is_of_the_source_beside_it() {
        #[derive(Deserialize)]
        struct Whole {
            source: String,
            compiler: String,
            runtime: String,
        }
        let pairs = [
            (include_str!("../../contracts/ChannelReserve.sol"), RESERVE),
            (include_str!("../../contracts/SessionEscrow.sol"), ESCROW),
        ];
        for (source, artefact) in pairs {
            let artefact: Whole = serde_json::from_str(artefact).unwrap();
            assert_eq!(
                artefact.source,
                keccak256(source).to_string(),
                "compile it: contracts/README.md"
            );
            let version = artefact.compiler.strip_prefix("solc ").unwrap().split(':').next();
            assert!(source.contains(&format!("pragma solidity {};", version.unwrap())));
            assert!(artefact.runtime.starts_with("0x60") && artefact.runtime.len() > 1000);
        }
    }

    #[test]
    fn every_chain_has_the_reserve_and_the_escrow_that_peers_look_for() {
        for (chain, count) in [(42_431, 2), (4217, 3), (1337, 3)] {
            let contracts = of(chain);
            assert_eq!(contracts.len(), count, "{chain}");
            for wanted in [CHANNEL_RESERVE, SESSION_ESCROW, escrow(chain)] {
                assert!(contracts.iter().any(|(at, _)| *at == wanted), "{chain} {wanted}");
            }
        }
    }
}
