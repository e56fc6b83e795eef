//! Who signs: the one seam between a payment and the key that makes it, wherever that key is kept.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use alloy::primitives::{Address, B256, Bytes};

use super::{
    keychain::KeyKind,
    signature::{Key, P256Key, Signature},
};

mod access_key;
mod alloy_signer;
mod passkey;

pub use self::{
    access_key::{AccessKey, NotOurs},
    alloy_signer::AlloySigner,
    passkey::{Asserting, Assertion, Authenticator, Passkey, SoftwareAuthenticator},
};

/// A signature to come.
pub type Signing<'a> = Pin<Box<dyn Future<Output = Result<Signature, SignerError>> + Send + 'a>>;

/// Signs for one account: a key in memory, a wallet, a device, a service far away.
///
/// It is handed hashes and nothing else, so that whatever can sign 32 bytes can pay. What a hash stands for was decided
/// before: a signer has no say in it.
pub trait Signer: fmt::Debug + Send + Sync + 'static {
    /// The account whose money is moved, or whose name is proven.
    fn account(&self) -> Address;

    /// The address of the key that signs. An access key's differs from its account's.
    fn key(&self) -> Address {
        self.account()
    }

    /// What the key signs with: what an authorisation of it says, and what tells whether it can pay the fees of others.
    fn kind(&self) -> KeyKind;

    /// Signs a hash.
    fn sign(&self, hash: B256) -> Signing<'_>;

    /// Signs a hash with the key and in the key's own name, [`Signer::key`], never in an account's: a voucher, of a channel whose
    /// authorised signer is the key.
    fn sign_as_key(&self, hash: B256) -> Signing<'_> {
        self.sign(hash)
    }

    /// The signed authorisation of an access key, a raw RLP list: sent along with the first payment, while the chain does
    /// not know the key. `None` where there is nothing to send.
    fn authorization(&self) -> Option<Bytes> {
        None
    }
}

impl<S: Signer + ?Sized> Signer for Arc<S> {
    fn account(&self) -> Address {
        (**self).account()
    }

    fn key(&self) -> Address {
        (**self).key()
    }

    fn kind(&self) -> KeyKind {
        (**self).kind()
    }

    fn sign(&self, hash: B256) -> Signing<'_> {
        (**self).sign(hash)
    }

    fn sign_as_key(&self, hash: B256) -> Signing<'_> {
        (**self).sign_as_key(hash)
    }

    fn authorization(&self) -> Option<Bytes> {
        (**self).authorization()
    }
}

impl Signer for Key {
    fn account(&self) -> Address {
        self.address()
    }

    fn kind(&self) -> KeyKind {
        KeyKind::Secp256k1
    }

    fn sign(&self, hash: B256) -> Signing<'_> {
        let made = Self::sign(self, hash);
        Box::pin(async move { Ok(made.into()) })
    }
}

impl Signer for P256Key {
    fn account(&self) -> Address {
        self.address()
    }

    fn kind(&self) -> KeyKind {
        KeyKind::P256
    }

    fn sign(&self, hash: B256) -> Signing<'_> {
        let made = Self::sign(self, hash);
        Box::pin(async move { Ok(made.map_err(SignerError::refused)?.into()) })
    }
}

/// Why there is no signature.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignerError {
    /// The signer refused, or could not be reached.
    #[error("the signer did not sign")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What it answered is no signature of this account.
    #[error("the signer answered with another account's signature, or with none")]
    Foreign,
}

impl SignerError {
    /// A refusal for this cause.
    pub fn refused(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Refused(cause.into())
    }
}

/// Lets a signature through that the expected key made of a hash, and no other: signers far away are not believed.
fn made_by(key: Address, hash: B256, signature: Signature) -> Result<Signature, SignerError> {
    match signature.signer(hash) {
        Ok(made) if made.access_key.is_none() && made.account == key => Ok(signature),
        _ => Err(SignerError::Foreign),
    }
}

#[cfg(test)]
mod tests;
