//! Every kind of signature, made with keys that are random but small.

use alloy::primitives::{Address, B256};
use anyhow::anyhow;
use mpp_tempo::chain::signature::{
    Key, Keychain, P256Key, Signature, WebAuthn, webauthn::challenge,
};
use p256::ecdsa::{SigningKey, signature::hazmat::PrehashSigner};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

/// Who signs, and how.
#[derive(Clone, Debug)]
pub(crate) enum Signer {
    /// An account's own secp256k1 key.
    Secp256k1(u8),
    /// A P-256 key, of the hash or of its SHA-256.
    P256 { key: u8, prehash: bool },
    /// A passkey that says this beside what it must.
    WebAuthn { key: u8, flags: u8, authenticator: [u8; 32], more: String },
    /// An access key of an account.
    Keychain { account: Address, key: Box<Self> },
}

impl Signer {
    /// Signs a hash.
    pub(crate) fn sign(&self, hash: B256) -> anyhow::Result<Signature> {
        Ok(match self {
            Self::Secp256k1(key) => Key::new([*key; 32])?.sign(hash).into(),
            Self::P256 { key, prehash } => {
                let key = P256Key::new([*key; 32])?;
                if *prehash { key.prehashing() } else { key }.sign(hash)?.into()
            }
            Self::WebAuthn { key, flags, authenticator, more } => {
                let said =
                    format!(r#"{{"type":"webauthn.get","challenge":"{}"{more}}}"#, challenge(hash));
                let data = [authenticator.as_slice(), &[*flags, 0, 0, 0, 9]].concat();
                passkey(*key, &data, said.as_bytes())?.into()
            }
            Self::Keychain { account, key } => {
                Keychain::new(*account, key.sign(Keychain::hash(hash, *account))?)?.into()
            }
        })
    }

    /// The account in whose name it signs.
    pub(crate) fn account(&self) -> anyhow::Result<Address> {
        Ok(match self {
            Self::Secp256k1(key) => Key::new([*key; 32])?.address(),
            Self::P256 { key, .. } | Self::WebAuthn { key, .. } => {
                P256Key::new([*key; 32])?.address()
            }
            Self::Keychain { account, .. } => *account,
        })
    }

    /// The access key, where it is one.
    pub(crate) fn access_key(&self) -> anyhow::Result<Option<Address>> {
        match self {
            Self::Keychain { key, .. } => key.account().map(Some),
            _ => Ok(None),
        }
    }
}

/// Any signer; flags and words of passkeys are such as are believed.
pub(crate) fn signer() -> impl Strategy<Value = Signer> {
    prop_oneof![
        3 => own(),
        2 => (any::<[u8; 20]>(), own()).prop_map(|(account, key)| Signer::Keychain {
            account: account.into(),
            key: Box::new(key),
        }),
    ]
}

fn own() -> impl Strategy<Value = Signer> {
    let more = prop_oneof![
        Just(String::new()),
        Just(r#","origin":"https://wallet.example","crossOrigin":false"#.to_owned()),
        "[a-z]{0,200}".prop_map(|text| format!(r#" , "extra":{{"challenge":"{text}"}}"#)),
    ];
    let flags = prop::sample::select(vec![0x01_u8, 0x04, 0x05, 0x1d]);
    prop_oneof![
        2 => (1_u8..=254).prop_map(Signer::Secp256k1),
        1 => (1_u8..=254, any::<bool>()).prop_map(|(key, prehash)| Signer::P256 { key, prehash }),
        1 => (1_u8..=254, flags, any::<[u8; 32]>(), more).prop_map(
            |(key, flags, authenticator, more)| Signer::WebAuthn { key, flags, authenticator, more }
        ),
    ]
}

/// What a passkey answers, whatever it is asked to say.
pub(crate) fn passkey(key: u8, data: &[u8], said: &[u8]) -> anyhow::Result<WebAuthn> {
    let secret = SigningKey::from_bytes(&[key; 32].into()).map_err(|error| anyhow!("{error}"))?;
    let signed =
        Sha256::new().chain_update(data).chain_update(Sha256::digest(said)).finalize().to_vec();
    let made: p256::ecdsa::Signature =
        secret.sign_prehash(&signed).map_err(|error| anyhow!("{error}"))?;
    let public = P256Key::new([key; 32])?.public();
    Ok(WebAuthn::from_der(data, said, made.to_der().as_bytes(), public)?)
}
