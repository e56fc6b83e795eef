//! Account signatures: the kinds that TIP-1020 tells apart, and who signed.

use std::fmt;

use alloy::primitives::{Address, B256, Bytes};

mod ecdsa;
mod keychain;
mod p256;
pub mod webauthn;

pub use self::{
    ecdsa::{Ecdsa, Key},
    keychain::Keychain,
    p256::{P256, P256Key, P256Public},
    webauthn::WebAuthn,
};

/// An account signature as TIP-1020 tells them apart, by length and first byte.
///
/// Every kind has one spelling that is taken: numbers in range, s in the lower half, nothing before or after. So
/// nobody can turn a signature seen on the wire into another valid one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Signature {
    /// 65 bytes, no type byte.
    Secp256k1(Ecdsa),
    /// Type 0x01, 130 bytes in all.
    P256(P256),
    /// Type 0x02, 129 to 2049 bytes in all.
    WebAuthn(WebAuthn),
    /// Type 0x04: a key that an account has authorised.
    Keychain(Keychain),
}

impl Signature {
    /// Parses the bytes of a transaction's last field, or a voucher's or proof's signature.
    ///
    /// # Errors
    /// [`SignatureError`]; trailing bytes are a wrong length, and the suffix that wallets mark some signatures with,
    /// 32 bytes 0x77, is refused by name where it would fit.
    pub fn parse(bytes: &[u8]) -> Result<Self, SignatureError> {
        if bytes.ends_with(&MAGIC) {
            return Err(SignatureError::Magic);
        }
        match (bytes.len(), bytes.first()) {
            (65, _) => Ecdsa::parse(bytes).map(Self::Secp256k1),
            (P256::LENGTH, Some(1)) => P256::parse(bytes).map(Self::P256),
            (WebAuthn::MIN..=WebAuthn::MAX, Some(2)) => WebAuthn::parse(bytes).map(Self::WebAuthn),
            (Keychain::MIN..=Keychain::MAX, Some(3 | 4)) => {
                Keychain::parse(bytes).map(Self::Keychain)
            }
            (length, _) => Err(SignatureError::Length(length)),
        }
    }

    /// The bytes as they stand in a transaction.
    pub fn to_bytes(&self) -> Bytes {
        match self {
            Self::Secp256k1(ecdsa) => Bytes::copy_from_slice(&ecdsa.to_bytes()),
            Self::P256(p256) => p256.to_bytes(),
            Self::WebAuthn(webauthn) => webauthn.to_bytes(),
            Self::Keychain(keychain) => keychain.to_bytes(),
        }
    }

    /// Which kind this is.
    pub fn kind(&self) -> SignatureKind {
        match self {
            Self::Secp256k1(_) => SignatureKind::Secp256k1,
            Self::P256(_) => SignatureKind::P256,
            Self::WebAuthn(_) => SignatureKind::WebAuthn,
            Self::Keychain(_) => SignatureKind::Keychain,
        }
    }

    /// Checks the signature of a hash, and says in whose name it is and which key made it.
    ///
    /// For whatever is believed without the chain's judgement: a proof, a voucher. An access key is good only while the
    /// chain says that the account has it: [`speaks_for`](super::keychain::speaks_for).
    ///
    /// # Errors
    /// [`SignatureError`] if no key, or not the key it names, made it.
    pub fn signer(&self, hash: B256) -> Result<Recovered, SignatureError> {
        match self {
            Self::Secp256k1(ecdsa) => ecdsa.recover(hash).map(|key| self.own(key)),
            Self::P256(p256) => p256.recover(hash).map(|key| self.own(key)),
            Self::WebAuthn(webauthn) => webauthn.recover(hash).map(|key| self.own(key)),
            Self::Keychain(keychain) => keychain.recover(hash),
        }
    }

    fn own(&self, account: Address) -> Recovered {
        Recovered { account, access_key: None, kind: self.kind() }
    }

    /// The account in whose name a hash is signed, whichever key signed.
    ///
    /// Enough for a transaction alone: the chain asks for itself whether an access key is the account's. For anything
    /// else, [`Signature::signer`].
    ///
    /// # Errors
    /// As [`Signature::signer`].
    pub fn recover(&self, hash: B256) -> Result<Address, SignatureError> {
        self.signer(hash).map(|recovered| recovered.account)
    }
}

impl From<Ecdsa> for Signature {
    fn from(ecdsa: Ecdsa) -> Self {
        Self::Secp256k1(ecdsa)
    }
}

impl From<P256> for Signature {
    fn from(p256: P256) -> Self {
        Self::P256(p256)
    }
}

impl From<WebAuthn> for Signature {
    fn from(webauthn: WebAuthn) -> Self {
        Self::WebAuthn(webauthn)
    }
}

impl From<Keychain> for Signature {
    fn from(keychain: Keychain) -> Self {
        Self::Keychain(keychain)
    }
}

/// Who signed a hash, as far as a signature alone can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct Recovered {
    /// The account in whose name it is signed.
    pub account: Address,
    /// The key that signed, where it is not the account's own. Anybody can sign so with a key they made up: until
    /// the chain says that the key is the account's and active, **nobody has signed**.
    pub access_key: Option<Address>,
    /// How that key signed; never [`SignatureKind::Keychain`]. A P-256 key and a passkey may share an address, and an
    /// account that has authorised one has not authorised the other.
    pub kind: SignatureKind,
}

impl Recovered {
    /// The key that signed: the account's own, or its access key.
    pub fn key(&self) -> Address {
        self.access_key.unwrap_or(self.account)
    }
}

/// The kinds of [`Signature`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SignatureKind {
    /// An account's own secp256k1 key.
    Secp256k1,
    /// A P-256 key, as web browsers keep them.
    P256,
    /// A passkey.
    WebAuthn,
    /// An access key of an account.
    Keychain,
}

impl fmt::Display for SignatureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Secp256k1 => "secp256k1",
            Self::P256 => "P-256",
            Self::WebAuthn => "WebAuthn",
            Self::Keychain => "keychain",
        })
    }
}

/// Why a signature, or a key, is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// No kind of signature has this many bytes and this first one.
    #[error("no signature has this form in {0} bytes")]
    Length(usize),
    /// v is none of 0, 1, 27, 28.
    #[error("the recovery byte is {0}")]
    Parity(u8),
    /// The last byte of a P-256 signature is neither 0 nor 1.
    #[error("the prehash byte is {0}")]
    Prehash(u8),
    /// r or s is zero or not below the curve's order.
    #[error("r or s is out of range")]
    Range,
    /// s is in the upper half: a copy of somebody's signature that hashes differently.
    #[error("s is not canonical")]
    HighS,
    /// It ends in 32 bytes 0x77, a wallet's own mark.
    #[error("the signature carries a wallet's mark")]
    Magic,
    /// An authenticator's signature is no DER.
    #[error("the authenticator's signature is not DER")]
    Der,
    /// A passkey's words are not about this hash, or not such as nodes believe.
    #[error("the passkey's assertion is not about this hash, or not one that is taken")]
    Assertion,
    /// A keychain signature inside another.
    #[error("an access key of an access key")]
    Nested,
    /// No key can have made it, or not the key that it names.
    #[error("no key made this signature")]
    NoKey,
    /// A form that chains took once and take no longer: a keychain signature's first version.
    #[error("{0} signatures of this version are not supported")]
    Unsupported(SignatureKind),
    /// Not a secret key.
    #[error("not a secret key")]
    Key,
}

/// What some wallets append to a signature to tell their own apart.
const MAGIC: [u8; 32] = [0x77; 32];

#[cfg(test)]
mod tests;
