//! The accounts of the mnemonic `test … junk`, by number: rich on every development chain, and the whole world's.

use mpp_testkit::devnet::{ALPHA_USD, BETA_USD, PATH_USD, THETA_USD};

// MERGE: the keys are those of `mpp_testkit::devnet::ACCOUNTS`, once that is there.
/// The private keys, in the order of the accounts.
const KEYS: [&str; 10] = [
    "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
    "0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
    "0x47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a",
    "0x8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba",
    "0x92db14e403b83dfe3df233f83dfa3a0d7096f21ca9b0d6d6b8d88b2b4ec1564e",
    "0x4bbbf85ce3377467afe5d46f804f221813b2bb87f24d81f60f1fcdbf7cbf4356",
    "0xdbda1821b80551c9d65939329250298aa3472ba22feea921c0cf5d620ea67b97",
    "0x2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6",
];

/// Account 0, which takes a share where two are taken.
pub(crate) const SHAREHOLDER: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";

/// The key of an account, if there is one of that number.
pub(crate) fn key(number: usize) -> Option<&'static str> {
    KEYS.get(number).copied()
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

#[cfg(test)]
mod tests {
    use mpp_testkit::devnet::{FAUCET, PAYER, RECIPIENT, SPLIT, SPONSOR};

    use super::*;

    #[test]
    fn the_numbered_keys_are_those_of_the_named_accounts() {
        for (number, account) in [(1, PAYER), (2, RECIPIENT), (3, SPONSOR), (4, SPLIT), (9, FAUCET)]
        {
            assert_eq!(key(number), Some(account.key.hex()));
        }
        assert_eq!(key(10), None);
    }
}
