//! Access keys: how an account authorises one, and what the chain says about it afterwards.

use std::num::NonZeroU64;

use alloy::{
    primitives::{Address, B256, Bytes, U256, keccak256},
    rlp::Encodable,
};

use super::signature::{Signature, SignatureError, SignatureKind};

mod ask;
mod codec;
mod standing;

pub use self::{
    ask::{
        ACCOUNT_KEYCHAIN, KeyInfo, Remaining, get_key, get_remaining_limit, key_of, read_key,
        read_remaining_limit, remaining_limit,
    },
    codec::AuthorizationError,
    standing::{NotProvisioned, provision, speaks_for},
};

/// What an account allows a key to do in its name (TIP-1011): signed by the account's own key, sent once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyAuthorization {
    /// The one chain it is good on.
    pub chain_id: u64,
    /// What the key signs with.
    pub kind: KeyKind,
    /// The key's address.
    pub key: Address,
    /// Unix seconds from which the key is good for nothing; `None` is never.
    pub expiry: Option<NonZeroU64>,
    /// What it may spend of which token, fees included; `None` is everything of every token, an empty list nothing.
    pub limits: Option<Vec<Limit>>,
    /// What it may call; `None` is everything, an empty list nothing.
    pub calls: Option<Vec<Scope>>,
    /// Ties the authorisation to something off the chain (TIP-1053); nodes before T5 cannot read it.
    pub witness: Option<B256>,
    /// Whether the key may authorise others (TIP-1049); nodes before T5 cannot read it.
    pub admin: bool,
    /// The account it is for, where that is not plain from who signed; nodes before T5 cannot read it.
    pub account: Option<Address>,
}

impl KeyAuthorization {
    /// A key that may spend nothing yet, and that may call anything, until it expires.
    pub fn new(chain_id: u64, kind: KeyKind, key: Address, expiry: NonZeroU64) -> Self {
        Self {
            chain_id,
            kind,
            key,
            expiry: Some(expiry),
            limits: Some(Vec::new()),
            calls: None,
            witness: None,
            admin: false,
            account: None,
        }
    }

    /// Lets it spend so much of a token, in base units, fees included: once, or anew in every period.
    pub fn limit(mut self, limit: Limit) -> Self {
        self.limits.get_or_insert_default().push(limit);
        self
    }

    /// Lets it call this, and nothing that is not named so.
    pub fn only(mut self, scope: Scope) -> Self {
        self.calls.get_or_insert_default().push(scope);
        self
    }

    /// What the account's own key signs.
    pub fn signing_hash(&self) -> B256 {
        let mut bytes = Vec::new();
        self.encode(&mut bytes);
        keccak256(bytes)
    }

    /// Puts the account's signature of [`KeyAuthorization::signing_hash`] to it.
    ///
    /// # Errors
    /// [`SignatureError::Nested`] for an access key's signature: only an account's own key authorises.
    pub fn signed(
        self,
        signature: impl Into<Signature>,
    ) -> Result<SignedAuthorization, SignatureError> {
        let signature = signature.into();
        if signature.kind() == SignatureKind::Keychain {
            return Err(SignatureError::Nested);
        }
        Ok(SignedAuthorization { authorization: self, signature })
    }
}

/// What a key may spend of one token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limit {
    /// The token.
    pub token: Address,
    /// Base units of it.
    pub amount: U256,
    /// Seconds after which the amount can be spent anew; `None` is once for all.
    pub period: Option<NonZeroU64>,
}

/// One contract that a key may call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    /// The contract.
    pub target: Address,
    /// Which of its functions; empty means **any**.
    pub rules: Vec<Rule>,
}

/// One function that a key may call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    /// The function's selector.
    pub selector: [u8; 4],
    /// What its first argument, an address, may be; empty means **anything**.
    pub recipients: Vec<Address>,
}

/// What a key signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyKind {
    /// secp256k1, as [`Key`](super::signature::Key).
    Secp256k1,
    /// P-256, as [`P256Key`](super::signature::P256Key).
    P256,
    /// A passkey.
    WebAuthn,
}

impl KeyKind {
    /// The number the chain knows it by.
    pub fn number(self) -> u8 {
        match self {
            Self::Secp256k1 => 0,
            Self::P256 => 1,
            Self::WebAuthn => 2,
        }
    }

    /// Whether signatures of this kind are its own.
    pub fn signs(self, kind: SignatureKind) -> bool {
        match self {
            Self::Secp256k1 => kind == SignatureKind::Secp256k1,
            Self::P256 => kind == SignatureKind::P256,
            Self::WebAuthn => kind == SignatureKind::WebAuthn,
        }
    }

    /// Looks a number up.
    pub fn by_number(number: u8) -> Option<Self> {
        [Self::Secp256k1, Self::P256, Self::WebAuthn]
            .into_iter()
            .find(|kind| kind.number() == number)
    }
}

/// An authorisation with a signature. Whose it is, [`SignedAuthorization::signer`] says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SignedAuthorization {
    authorization: KeyAuthorization,
    signature: Signature,
}

impl SignedAuthorization {
    /// What is authorised.
    pub fn authorization(&self) -> &KeyAuthorization {
        &self.authorization
    }

    /// The signature.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Recovers the account that authorises. A stranger's signature recovers too: compare.
    ///
    /// # Errors
    /// [`SignatureError`] if no key made the signature.
    pub fn signer(&self) -> Result<Address, SignatureError> {
        self.signature.recover(self.authorization.signing_hash())
    }

    /// Whether it makes a key known on a chain in an account's name at this time, in Unix seconds: nodes drop without a word
    /// what brings another.
    pub fn is_good(&self, chain_id: u64, account: Address, now: u64) -> bool {
        let granted = &self.authorization;
        granted.chain_id == chain_id
            && granted.expiry.is_none_or(|end| now < end.get())
            && self.signer() == Ok(account)
    }

    /// The raw RLP list that stands in a transaction (`key_authorization`) or a subscription's credential.
    pub fn encode(&self) -> Bytes {
        codec::encode_signed(self).into()
    }

    /// Reads a raw RLP list strictly: canonical, whole, nothing after it.
    ///
    /// # Errors
    /// [`AuthorizationError`], for any bytes at all and without a panic.
    pub fn decode(bytes: &[u8]) -> Result<Self, AuthorizationError> {
        codec::decode_signed(bytes)
    }
}

#[cfg(test)]
mod tests;
