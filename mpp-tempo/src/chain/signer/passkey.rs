//! Passkeys: an authenticator is asked to sign a hash as a WebAuthn challenge.

use std::{fmt, future::Future, pin::Pin};

use alloy::primitives::{Address, B256, Bytes};

use super::{Signer, SignerError, Signing, made_by};
use crate::chain::keychain::KeyKind;
use crate::chain::signature::{
    P256Key, P256Public, WebAuthn,
    webauthn::{challenge, relying_party, signed},
};

/// An assertion to come.
pub type Asserting<'a> = Pin<Box<dyn Future<Output = Result<Assertion, SignerError>> + Send + 'a>>;

/// What holds a passkey: a browser, a phone, a security key, or a test's stand-in.
pub trait Authenticator: fmt::Debug + Send + Sync + 'static {
    /// The passkey's public key, as it was told when the passkey was made.
    fn key(&self) -> P256Public;

    /// Asks for an assertion of this challenge (`navigator.credentials.get`); a person may have to agree.
    fn assert(&self, challenge: B256) -> Asserting<'_>;
}

/// What an authenticator answers (`AuthenticatorAssertionResponse`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertion {
    /// `authenticatorData`: 37 bytes, since nodes take no extensions.
    pub authenticator_data: Bytes,
    /// `clientDataJSON`, byte for byte.
    pub client_data: Bytes,
    /// `signature`: DER, with a low or a high s.
    pub signature: Bytes,
}

/// Signs for the account of a passkey.
#[derive(Clone, Debug)]
pub struct Passkey<A> {
    authenticator: A,
}

impl<A: Authenticator> Passkey<A> {
    /// Signs with whatever this authenticator asserts.
    pub fn new(authenticator: A) -> Self {
        Self { authenticator }
    }
}

impl<A: Authenticator> Signer for Passkey<A> {
    fn account(&self) -> Address {
        self.authenticator.key().address()
    }

    fn kind(&self) -> KeyKind {
        KeyKind::WebAuthn
    }

    fn sign(&self, hash: B256) -> Signing<'_> {
        Box::pin(async move {
            let Assertion { authenticator_data, client_data, signature } =
                self.authenticator.assert(hash).await?;
            let key = self.authenticator.key();
            let made = WebAuthn::from_der(&authenticator_data, &client_data, &signature, key)
                .map_err(|_| SignerError::Foreign)?;
            made_by(self.account(), hash, made.into())
        })
    }
}

/// An authenticator in software, which asks nobody: for tests, and for agents whose account is a passkey's.
#[derive(Debug)]
pub struct SoftwareAuthenticator {
    key: P256Key,
    relying_party: String,
}

impl SoftwareAuthenticator {
    /// Holds one passkey of a relying party: a host name, such as `wallet.example`.
    pub fn new(key: P256Key, relying_party: impl Into<String>) -> Self {
        Self { key, relying_party: relying_party.into() }
    }

    pub(super) fn answer(&self, hash: B256) -> Result<Assertion, SignerError> {
        let authenticator_data = relying_party(&self.relying_party);
        let client_data = serde_json::json!({
            "type": "webauthn.get",
            "challenge": challenge(hash),
            "origin": format!("https://{}", self.relying_party),
            "crossOrigin": false,
        });
        let client_data = client_data.to_string();
        let signed = signed(&authenticator_data, client_data.as_bytes());
        let signature = self.key.sign_der(signed).map_err(SignerError::refused)?;
        Ok(Assertion {
            authenticator_data: Bytes::copy_from_slice(&authenticator_data),
            client_data: client_data.into_bytes().into(),
            signature: signature.into(),
        })
    }
}

impl Authenticator for SoftwareAuthenticator {
    fn key(&self) -> P256Public {
        self.key.public()
    }

    fn assert(&self, challenge: B256) -> Asserting<'_> {
        let answer = self.answer(challenge);
        Box::pin(async move { answer })
    }
}
