//! The Tempo chain: which ones there are, their transactions, signatures, tokens and nodes.

pub mod attribution;
pub mod dex;
pub mod did;
pub mod escrow;
pub mod keychain;
pub(crate) mod look;
pub mod reserve;
pub mod rpc;
pub mod signature;
pub mod signer;
pub mod tip20;
pub mod transaction;
pub(crate) mod words;

use std::borrow::Cow;

use alloy::primitives::{Address, Bytes, address};

/// Decimal places of every TIP-20 stablecoin: one base unit is a millionth of a dollar.
pub const DECIMALS: u8 = 6;

/// The twelve bytes every TIP-20 token address begins with.
pub const TIP20_PREFIX: [u8; 12] = [0x20, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// pathUSD, on every chain.
pub const PATH_USD: Address = address!("20c0000000000000000000000000000000000000");

/// AlphaUSD, on test chains.
pub const ALPHA_USD: Address = address!("20c0000000000000000000000000000000000001");

/// BetaUSD, on test chains.
pub const BETA_USD: Address = address!("20c0000000000000000000000000000000000002");

/// ThetaUSD, on test chains.
pub const THETA_USD: Address = address!("20c0000000000000000000000000000000000003");

/// USDC.e, on mainnet.
pub const USDC_E: Address = address!("20C000000000000000000000b9537d11c60E8b50");

/// A Tempo chain: a plain record whose every field may be overridden.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The EIP-155 chain id that transactions are signed for.
    pub id: u64,
    /// The public HTTP endpoint of its nodes, where there is one.
    pub rpc_url: Option<Cow<'static, str>>,
    /// The token prices are in, and fees are paid in, when nobody says otherwise.
    pub currency: Address,
    /// Where stablecoins are exchanged for each other.
    pub exchange: Address,
    /// Where accounts keep the keys that may sign for them.
    pub keychain: Address,
}

impl Chain {
    /// Where real money is.
    pub const MAINNET: Self = Self::public(4217, "https://rpc.tempo.xyz", USDC_E);

    /// The public test chain.
    pub const MODERATO: Self = Self::public(42431, "https://rpc.moderato.tempo.xyz", PATH_USD);

    /// The chain of Tempo's own developers.
    pub const DEVNET: Self = Self::public(31318, "https://rpc.devnet.tempoxyz.dev", PATH_USD);

    /// A chain on this machine; it listens where its owner says.
    pub const LOCALNET: Self = Self {
        id: 1337,
        rpc_url: None,
        currency: PATH_USD,
        exchange: dex::STABLECOIN_DEX,
        keychain: keychain::ACCOUNT_KEYCHAIN,
    };

    /// Looks a chain up by id; one that is not known has pathUSD and no endpoint.
    pub fn by_id(id: u64) -> Self {
        [Self::MAINNET, Self::MODERATO, Self::DEVNET]
            .into_iter()
            .find(|known| known.id == id)
            .unwrap_or(Self { id, ..Self::LOCALNET })
    }

    const fn public(id: u64, rpc_url: &'static str, currency: Address) -> Self {
        Self { id, rpc_url: Some(Cow::Borrowed(rpc_url)), currency, ..Self::LOCALNET }
    }
}

/// Whether an address can be a TIP-20 token at all; says nothing about whether one was issued there.
pub fn is_tip20(token: Address) -> bool {
    token.as_slice().starts_with(&TIP20_PREFIX)
}

/// Whether a token is one whose unit is the dollar, so that a price in `usd` can be asked for in it.
///
/// The contracts say so themselves; this list is what is believed without asking one.
pub fn is_dollar(token: Address) -> bool {
    [PATH_USD, ALPHA_USD, BETA_USD, THETA_USD, USDC_E].contains(&token)
}

/// Parses an account or a contract: `0x` and forty hex digits, all lower case or with a valid EIP-55 checksum.
///
/// # Errors
/// [`AddressError`].
pub fn parse_address(text: &str) -> Result<Address, AddressError> {
    let digits = text.strip_prefix("0x").ok_or(AddressError::Malformed)?;
    let parsed = if digits.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Address::parse_checksummed(text, None).ok()
    } else {
        digits.parse().ok()
    };
    parsed.filter(|_| digits.len() == 40).ok_or(AddressError::Malformed)
}

/// Parses `0x` and hex digits, two to a byte, in any case.
pub(crate) fn parse_hex(text: &str) -> Option<Bytes> {
    let digits = text.strip_prefix("0x")?;
    // The parser takes a second prefix for the first.
    let twice = digits.starts_with("0x") || digits.starts_with("0X");
    if twice { None } else { digits.parse().ok() }
}

/// Parses a token: an address where a TIP-20 token can be.
///
/// # Errors
/// [`AddressError`].
pub fn parse_token(text: &str) -> Result<Address, AddressError> {
    let token = parse_address(text)?;
    if is_tip20(token) { Ok(token) } else { Err(AddressError::NotToken) }
}

/// Why a text names no account, contract or token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// No address.
    #[error("the address is malformed or its checksum is wrong: `0x` and forty hex digits")]
    Malformed,
    /// An address where no token can be.
    #[error("no TIP-20 token can be at this address: those begin with 0x20c000000000000000000000")]
    NotToken,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_found_by_id_and_an_unknown_one_pays_in_path_usd() {
        assert_eq!(Chain::by_id(4217), Chain::MAINNET);
        assert_eq!(Chain::by_id(42431).currency, PATH_USD);
        assert_eq!(Chain::by_id(1337), Chain::LOCALNET);
        let unknown = Chain::by_id(31337);
        assert_eq!((unknown.id, unknown.rpc_url, unknown.currency), (31337, None, PATH_USD));
    }

    #[test]
    fn hex_has_one_prefix_and_two_digits_to_a_byte() {
        let cases: [(&str, Option<&[u8]>); 9] = [
            ("0x", Some(&[])),
            ("0xaB01", Some(&[0xab, 1])),
            ("ab01", None),
            ("0Xab01", None),
            ("0x0xab", None),
            ("0x0Xab", None),
            ("0xab0", None),
            ("0xab 0", None),
            ("0x+b0g", None),
        ];
        for (text, bytes) in cases {
            assert_eq!(parse_hex(text), bytes.map(Bytes::copy_from_slice), "{text}");
        }
    }

    #[test]
    fn tokens_are_told_by_their_prefix() {
        for token in [PATH_USD, ALPHA_USD, USDC_E] {
            assert!(is_tip20(token));
        }
        assert!(!is_tip20(address!("20fc000000000000000000000000000000000000")));
        assert!(
            is_dollar(USDC_E) && !is_dollar(address!("20c0000000000000000000000000000000000009"))
        );
    }
}
