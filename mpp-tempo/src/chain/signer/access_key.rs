//! An access key: signs in an account's name, within what the account has allowed it.

use std::sync::Arc;

use alloy::primitives::{Address, B256, Bytes};

use super::{Signer, SignerError, Signing, made_by};
use crate::chain::{
    keychain::{KeyKind, SignedAuthorization},
    signature::Keychain,
};

/// Signs for an account with a key that the account has authorised: a session, an agent, a device.
///
/// The chain enforces what the key may do (`chain::keychain`). The first payment carries its authorisation with it; once
/// the chain knows the key, [`Signer::authorization`] must not be sent again, and
/// [`key_of`](crate::chain::keychain::key_of) tells.
///
/// ```
/// use std::{num::NonZeroU64, sync::Arc};
///
/// use mpp_tempo::{Chain, Key, chain::{PATH_USD, keychain::{KeyAuthorization, KeyKind, Limit}, signer::{AccessKey, Signer}}};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (account, hour_from_now) = (Key::new([1; 32])?, NonZeroU64::new(1_800_000_000).ok_or("now")?);
/// // The account allows another key ten dollars, for an hour.
/// let agents = Arc::new(Key::new([2; 32])?);
/// let limit = Limit { token: PATH_USD, amount: "10000000".parse()?, period: None };
/// let allowed = KeyAuthorization::new(Chain::MODERATO.id, KeyKind::Secp256k1, agents.address(), hour_from_now).limit(limit);
/// let signature = account.sign(allowed.signing_hash());
/// let allowed = allowed.signed(signature)?;
/// // Whoever holds that key pays in the account's name: `Payer::signing_with(Arc::new(agent), …)`.
/// let agent = AccessKey::new(account.address(), agents).with_authorization(&allowed)?;
/// assert!(agent.key() != agent.account());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct AccessKey {
    account: Address,
    key: Arc<dyn Signer>,
    authorization: Option<Bytes>,
}

impl AccessKey {
    /// Signs for `account` with a key of its own: any signer but another access key.
    pub fn new(account: Address, key: Arc<dyn Signer>) -> Self {
        Self { account, key, authorization: None }
    }

    /// Sends this authorisation along while the chain does not know the key.
    ///
    /// # Errors
    /// [`NotOurs`] unless it is of this key and of its kind, and signed by the account itself.
    pub fn with_authorization(self, signed: &SignedAuthorization) -> Result<Self, NotOurs> {
        let granted = signed.authorization();
        let ours = granted.key == self.key()
            && granted.kind == self.kind()
            && signed.signer() == Ok(self.account);
        if ours { Ok(Self { authorization: Some(signed.encode()), ..self }) } else { Err(NotOurs) }
    }
}

/// An authorisation of another key, or by another account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the authorisation is not of this key, or not by this account")]
pub struct NotOurs;

impl Signer for AccessKey {
    fn account(&self) -> Address {
        self.account
    }

    fn key(&self) -> Address {
        self.key.account()
    }

    fn kind(&self) -> KeyKind {
        self.key.kind()
    }

    fn sign(&self, hash: B256) -> Signing<'_> {
        let bound = Keychain::hash(hash, self.account);
        Box::pin(async move {
            let made = made_by(self.key(), bound, self.key.sign(bound).await?)?;
            let wrapped = Keychain::new(self.account, made).map_err(|_| SignerError::Foreign)?;
            Ok(wrapped.into())
        })
    }

    fn sign_as_key(&self, hash: B256) -> Signing<'_> {
        Box::pin(async move { made_by(self.key(), hash, self.key.sign(hash).await?) })
    }

    fn authorization(&self) -> Option<Bytes> {
        self.authorization.clone()
    }
}
