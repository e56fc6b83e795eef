//! Any signer of alloy's: a key server, a hardware wallet, a wallet behind an API.

use std::fmt;

use alloy::primitives::{Address, B256};

use super::{Signer, SignerError, Signing, made_by};
use crate::chain::{keychain::KeyKind, signature::Ecdsa};

/// Signs through whatever implements [`alloy::signers::Signer`].
///
/// It is asked for nothing but [`sign_hash`](alloy::signers::Signer::sign_hash): whoever signs only messages or
/// Ethereum's own transactions cannot sign these. What it answers is checked before it is used.
pub struct AlloySigner<S> {
    signer: S,
    address: Address,
}

impl<S: alloy::signers::Signer + Send + Sync + 'static> AlloySigner<S> {
    /// Signs for the address the signer names.
    pub fn new(signer: S) -> Self {
        Self { address: signer.address(), signer }
    }
}

impl<S: alloy::signers::Signer + Send + Sync + 'static> Signer for AlloySigner<S> {
    fn account(&self) -> Address {
        self.address
    }

    fn kind(&self) -> KeyKind {
        KeyKind::Secp256k1
    }

    fn sign(&self, hash: B256) -> Signing<'_> {
        Box::pin(async move {
            let made = self.signer.sign_hash(&hash).await.map_err(SignerError::refused)?;
            let low = Ecdsa::try_from(made).map_err(|_| SignerError::Foreign)?;
            made_by(self.address, hash, low.into())
        })
    }
}

impl<S> fmt::Debug for AlloySigner<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlloySigner").field("address", &self.address).finish_non_exhaustive()
    }
}
