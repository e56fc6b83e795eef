//! The Tempo transaction, type 0x76: its fields, what is signed, and who signed it.
//!
//! A sponsored payment travels in three forms: the sender signs without a fee token, the pieces go to the server
//! in a 0x78 envelope (or as 0x76 with a placeholder), and the sponsor adds a fee token and its own signature.

use std::{fmt, num::NonZeroU64};

use alloy::primitives::{Address, B256, Bytes, Keccak256, U256, keccak256};

use super::signature::{Ecdsa, Key, Signature, SignatureError};

mod decode;
mod encode;

pub use decode::DecodeError;

/// The nonce key of expiring nonces (TIP-1009): the transaction is its own nonce until `valid_before`.
pub const EXPIRING: U256 = U256::MAX;

/// More bytes than this are no payment, and are not read.
pub const MAX_BYTES: usize = 64 * 1024;

/// Calls that nodes take in one transaction.
pub const MAX_CALLS: usize = 32;

/// Attodollars, in which gas is priced, in one base unit of a dollar token.
pub const ATTO_PER_UNIT: u128 = 1_000_000_000_000;

/// One call of a transaction. Contract creation is no payment and has no form here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    /// The contract called.
    pub to: Address,
    /// Native value; the chain has none to send, so anything but zero is suspicious.
    pub value: U256,
    /// Selector and arguments.
    pub data: Bytes,
}

/// Storage a transaction announces that it will touch (EIP-2930).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Access {
    /// The contract.
    pub address: Address,
    /// Its slots.
    pub slots: Vec<B256>,
}

/// Who pays the fee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FeePayer {
    /// The sender, in a token the sender commits to or leaves to the chain.
    Sender,
    /// Somebody who has not signed yet. The sender has signed away the choice of the fee token.
    Awaited,
    /// A sponsor, by this signature over [`Transaction::fee_payer_hash`].
    Sponsor(Ecdsa),
}

/// A transaction before the sender's signature. Amounts of fees are in attodollars.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Transaction {
    /// The chain it is valid on.
    pub chain_id: u64,
    /// The tip per unit of gas.
    pub max_priority_fee_per_gas: u128,
    /// The most that is paid per unit of gas, tip included.
    pub max_fee_per_gas: u128,
    /// Units of gas it may use.
    pub gas_limit: u64,
    /// What it does, in order, all or nothing.
    pub calls: Vec<Call>,
    /// Announced storage.
    pub access_list: Vec<Access>,
    /// Which sequence of nonces it belongs to; [`EXPIRING`] for payments.
    pub nonce_key: U256,
    /// Its place in that sequence; zero with [`EXPIRING`].
    pub nonce: u64,
    /// Unix seconds from which it is no longer valid.
    pub valid_before: Option<NonZeroU64>,
    /// Unix seconds after which it is valid. A random past second makes equal payments differ.
    pub valid_after: Option<NonZeroU64>,
    /// The token fees are paid in; never set while a sponsor is awaited.
    pub fee_token: Option<Address>,
    /// Who pays the fee.
    pub fee_payer: FeePayer,
    /// Account delegations, each one raw RLP list in the spelling of nodes: carried, and judged by nobody here.
    pub authorizations: Vec<Bytes>,
    /// A new access key's authorisation, raw RLP in the spelling of nodes: read by
    /// [`SignedAuthorization`](super::keychain::SignedAuthorization).
    pub key_authorization: Option<Bytes>,
}

impl Transaction {
    /// A transaction that does nothing yet and is valid for ever: a base to fill in with `..`.
    pub fn on(chain_id: u64) -> Self {
        Self {
            chain_id,
            max_priority_fee_per_gas: 0,
            max_fee_per_gas: 0,
            gas_limit: 0,
            calls: Vec::new(),
            access_list: Vec::new(),
            nonce_key: EXPIRING,
            nonce: 0,
            valid_before: None,
            valid_after: None,
            fee_token: None,
            fee_payer: FeePayer::Sender,
            authorizations: Vec::new(),
            key_authorization: None,
        }
    }

    /// The bytes whose hash the sender signs. With a sponsor they hold neither its signature nor the fee token.
    pub fn signing_bytes(&self) -> Vec<u8> {
        encode::sender_payload(self)
    }

    /// What the sender signs. Unlike [`Signed::hash`] it does not depend on the sponsor or on signature bytes.
    pub fn signing_hash(&self) -> B256 {
        self.signing().hash()
    }

    /// What the sender signs, hashed as far as all goes that begins with it.
    pub(crate) fn signing(&self) -> Signing {
        let mut hashed = Keccak256::new();
        hashed.update(self.signing_bytes());
        Signing(hashed)
    }

    /// What a sponsor signs: the whole transaction with the fee token, for this sender.
    pub fn fee_payer_hash(&self, sender: Address) -> B256 {
        keccak256(encode::fee_payer_payload(self, sender))
    }

    /// The identity the chain itself remembers an expiring transaction by: one payment, however it is signed.
    pub fn expiring_nonce_hash(&self, sender: Address) -> B256 {
        self.signing().identity(sender)
    }

    /// The most its fee can be, in base units of a dollar token, rounded up.
    pub fn max_fee(&self) -> u128 {
        u128::from(self.gas_limit).saturating_mul(self.max_fee_per_gas).div_ceil(ATTO_PER_UNIT)
    }

    /// Puts a signature of [`Transaction::signing_hash`] to it.
    pub fn signed(self, signature: impl Into<Signature>) -> Signed {
        Signed { transaction: self, signature: signature.into() }
    }

    /// Signs it.
    pub fn sign(self, key: &Key) -> Signed {
        let signature = key.sign(self.signing_hash());
        self.signed(signature)
    }
}

/// The bytes that a sender signs, hashed once for two purposes: to recover the sender, and then to name the transaction.
#[derive(Clone)]
pub(crate) struct Signing(Keccak256);

impl Signing {
    /// [`Transaction::signing_hash`].
    pub(crate) fn hash(&self) -> B256 {
        self.0.clone().finalize()
    }

    /// [`Transaction::expiring_nonce_hash`].
    pub(crate) fn identity(mut self, sender: Address) -> B256 {
        self.0.update(sender);
        self.0.finalize()
    }
}

/// A transaction with the sender's signature: money, until it is mined or late. Its signature is in no `Debug`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Signed {
    /// What was signed.
    pub transaction: Transaction,
    /// By whom, once recovered.
    pub signature: Signature,
}

impl Signed {
    /// Reads a transaction strictly, from its 0x76 form or from a 0x78 envelope.
    ///
    /// Canonical RLP only, nothing missing, nothing left over. An envelope's sender must be the one that signed;
    /// what comes out of it is [`FeePayer::Awaited`].
    ///
    /// # Errors
    /// [`DecodeError`], for any bytes at all and without a panic.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode::signed(bytes)
    }

    /// The 0x76 form: what nodes take, or the placeholder form while a sponsor is awaited.
    pub fn encode(&self) -> Vec<u8> {
        encode::signed(self)
    }

    /// The 0x78 envelope that hands a sponsored payment to its sponsor.
    ///
    /// # Errors
    /// [`SponsorError::NotAwaited`] unless a sponsor is awaited; or the sender cannot be recovered.
    pub fn envelope(&self) -> Result<Vec<u8>, SponsorError> {
        self.awaited()?;
        Ok(encode::envelope(self, self.sender()?))
    }

    /// The transaction's hash: of the canonical bytes, whatever form was received. The chain knows it by this hash
    /// once no sponsor is awaited.
    pub fn hash(&self) -> B256 {
        keccak256(self.encode())
    }

    /// Recovers the account that pays.
    ///
    /// # Errors
    /// [`SignatureError`], also for kinds of signature that are only recognised.
    pub fn sender(&self) -> Result<Address, SignatureError> {
        self.signature.recover(self.transaction.signing_hash())
    }

    /// Recovers the sponsor, if one has signed.
    ///
    /// # Errors
    /// [`SignatureError`] if either signature gives no account.
    pub fn sponsor(&self) -> Result<Option<Address>, SignatureError> {
        match &self.transaction.fee_payer {
            FeePayer::Sponsor(ecdsa) => {
                let hash = self.transaction.fee_payer_hash(self.sender()?);
                ecdsa.recover(hash).map(Some)
            }
            FeePayer::Sender | FeePayer::Awaited => Ok(None),
        }
    }

    /// Pays the fee: sets the fee token and signs as sponsor. What the sender committed to stays as it was.
    ///
    /// # Errors
    /// As [`Signed::envelope`].
    pub fn sponsored(self, fee_token: Address, key: &Key) -> Result<Self, SponsorError> {
        let hash = self.sponsor_hash(fee_token)?;
        self.sponsored_with(fee_token, key.sign(hash))
    }

    /// What a sponsor that keeps its key elsewhere has to sign, for [`Signed::sponsored_with`].
    ///
    /// # Errors
    /// As [`Signed::envelope`].
    pub fn sponsor_hash(&self, fee_token: Address) -> Result<B256, SponsorError> {
        self.awaited()?;
        let sender = self.sender()?;
        let tokened = Transaction { fee_token: Some(fee_token), ..self.transaction.clone() };
        Ok(tokened.fee_payer_hash(sender))
    }

    /// Adds a sponsor's signature of [`Signed::sponsor_hash`]. Read [`Signed::sponsor`] if others made it.
    ///
    /// # Errors
    /// [`SponsorError::NotAwaited`] unless a sponsor is awaited.
    pub fn sponsored_with(
        mut self,
        fee_token: Address,
        signature: Ecdsa,
    ) -> Result<Self, SponsorError> {
        self.awaited()?;
        self.transaction.fee_token = Some(fee_token);
        self.transaction.fee_payer = FeePayer::Sponsor(signature);
        Ok(self)
    }

    fn awaited(&self) -> Result<(), SponsorError> {
        match self.transaction.fee_payer {
            FeePayer::Awaited => Ok(()),
            FeePayer::Sender | FeePayer::Sponsor(_) => Err(SponsorError::NotAwaited),
        }
    }
}

impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.signature.kind();
        f.debug_struct("Signed")
            .field("by", &kind)
            .field("chain_id", &self.transaction.chain_id)
            .finish_non_exhaustive()
    }
}

/// Why a transaction cannot be handed to a sponsor, or sponsored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SponsorError {
    /// The sender pays, or a sponsor has signed already.
    #[error("the transaction awaits no sponsor")]
    NotAwaited,
    /// The sender is not known.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

const TYPE: u8 = 0x76;
const SPONSOR_TYPE: u8 = 0x78;

#[cfg(test)]
mod tests;
