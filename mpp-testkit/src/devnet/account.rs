//! The chain's public development accounts, each rich in every token.

use std::fmt;

/// An account of the well-known mnemonic `test test … junk`. Anyone can spend from it anywhere.
#[derive(Debug, Clone, Copy)]
pub struct DevAccount {
    /// The checksummed address.
    pub address: &'static str,
    /// The private key, known to the whole world.
    pub key: DevKey,
}

/// A private key that does not print itself, so that tests show what logs of real keys would.
#[derive(Clone, Copy)]
pub struct DevKey(&'static str);

impl DevKey {
    /// The key as `0x` and 64 hex digits.
    pub const fn hex(&self) -> &'static str {
        self.0
    }
}

impl fmt::Debug for DevKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DevKey(…)")
    }
}

/// Account 1, who pays. Its fees are taken in BetaUSD.
pub const PAYER: DevAccount = DevAccount {
    address: "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
    key: DevKey("0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"),
};

/// Account 2, who is paid. Its fees are taken in ThetaUSD.
pub const RECIPIENT: DevAccount = DevAccount {
    address: "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC",
    key: DevKey("0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a"),
};

/// Account 3, who pays the fees of others. Its own are taken in PathUSD.
pub const SPONSOR: DevAccount = DevAccount {
    address: "0x90F79bf6EB2c4f870365E785982E1f101E93b906",
    key: DevKey("0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6"),
};

/// Account 4, who takes a share when a payment is split.
pub const SPLIT: DevAccount = DevAccount {
    address: "0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65",
    key: DevKey("0x47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a"),
};

/// Account 9, who funds fresh accounts.
pub const FAUCET: DevAccount = DevAccount {
    address: "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720",
    key: DevKey("0x2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6"),
};

/// All ten accounts, by index.
pub const ACCOUNTS: [DevAccount; 10] = [
    DevAccount {
        address: "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
        key: DevKey("0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"),
    },
    PAYER,
    RECIPIENT,
    SPONSOR,
    SPLIT,
    DevAccount {
        address: "0x9965507D1a55bcC2695C58ba16FB37d819B0A4dc",
        key: DevKey("0x8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba"),
    },
    DevAccount {
        address: "0x976EA74026E726554dB657fA54763abd0C3a0aa9",
        key: DevKey("0x92db14e403b83dfe3df233f83dfa3a0d7096f21ca9b0d6d6b8d88b2b4ec1564e"),
    },
    DevAccount {
        address: "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955",
        key: DevKey("0x4bbbf85ce3377467afe5d46f804f221813b2bb87f24d81f60f1fcdbf7cbf4356"),
    },
    DevAccount {
        address: "0x23618e81E3f5cdF7f54C3d65f7FBc0aBf5B21E8f",
        key: DevKey("0xdbda1821b80551c9d65939329250298aa3472ba22feea921c0cf5d620ea67b97"),
    },
    FAUCET,
];
