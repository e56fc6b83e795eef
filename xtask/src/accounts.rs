//! The accounts of the mnemonic `test … junk`, by number: rich on every development chain, and the whole world's.

use mpp_testkit::devnet::{ACCOUNTS, ALPHA_USD, BETA_USD, PATH_USD, THETA_USD};

/// Account 0, which takes a share where two are taken.
pub(crate) const SHAREHOLDER: &str = ACCOUNTS[0].address;

/// The key of an account, if there is one of that number.
pub(crate) fn key(number: usize) -> Option<&'static str> {
    ACCOUNTS.get(number).map(|account| account.key.hex())
}

/// The token that a development chain takes an account's fees in, where a transaction names none.
pub(crate) fn fee_token(number: usize) -> &'static str {
    match number {
        0 => ALPHA_USD,
        1 => BETA_USD,
        2 => THETA_USD,
        _ => PATH_USD,
    }
}
