//! What a payment was checked to be: an order to the chain, the hash of one that was given, or the proof of an account.

use std::{fmt, num::NonZeroU64};

use alloy::primitives::{Address, B256, Bytes};
use mpp_core::{Timestamp, credential::Source, verifier::Spend};
use serde::{Deserialize, Serialize};

use super::{
    asked::Asked,
    promise::{NoEvidence, Promise},
};
use crate::chain::{
    did::Did,
    transaction::{FeePayer, Signed, Signing},
};

mod written;

use self::written::Written;

/// Seconds after the last moment at which a payment could be shown for which its mark is kept.
const REMEMBERED: i64 = 3600;

/// A checked payment: everything that taking it, and asking after it, needs.
///
/// A transaction is written down as its bytes, beside the transfers it was checked for: what is sent and who paid cannot come
/// apart in a store. Secret at rest: whoever has it can take the payment to the chain.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Evidence(Kind);

/// How the money gets to where it was asked for.
#[derive(Clone)]
pub(super) enum Kind {
    /// By a transaction for this server to send.
    Signed(Box<Order>),
    /// By one that the payer sent, and that was found mined.
    Sent(Sent),
    /// Not at all: nothing was asked but a name.
    Proven(Proven),
}

/// A transaction and what it was signed for.
#[derive(Clone)]
pub(super) struct Order {
    pub(super) signed: Signed,
    pub(super) asked: Asked,
    pub(super) payer: Address,
    pub(super) valid_before: NonZeroU64,
    /// It was found in a block before anybody here sent it.
    pub(super) mined: bool,
    /// The identity that the chain remembers it by, however it is signed.
    pub(super) id: B256,
}

/// A mined transaction and what it was looked through for.
#[derive(Clone)]
pub(super) struct Sent {
    pub(super) hash: B256,
    pub(super) asked: Asked,
    pub(super) payer: Address,
    /// Unix seconds at which the challenge ends that its memo names.
    pub(super) ends: i64,
}

/// An account that signed for a challenge.
#[derive(Clone)]
pub(super) struct Proven {
    pub(super) account: Did,
    pub(super) challenge: String,
}

impl Order {
    /// Takes the order of whoever signed it.
    pub(super) fn read(signed: Signed, asked: Asked) -> Result<Self, NoEvidence> {
        let signing = signed.transaction.signing();
        let payer = signed.signature.recover(signing.hash())?;
        Self::of((payer, signing), signed, asked)
    }

    /// Takes the order of a payer who is known: finding that out is most of the work of a check.
    pub(super) fn of(
        (payer, signing): (Address, Signing),
        signed: Signed,
        asked: Asked,
    ) -> Result<Self, NoEvidence> {
        let valid_before = signed.transaction.valid_before.ok_or(NoEvidence::Shape)?;
        Ok(Self { id: signing.identity(payer), signed, asked, payer, valid_before, mined: false })
    }

    pub(super) fn raw(&self) -> Bytes {
        self.signed.encode().into()
    }

    /// What the chain is asked for, where nobody has yet to sign.
    pub(super) fn promise(&self) -> Result<Promise, NoEvidence> {
        self.promise_of(&self.signed)
    }

    /// What the chain is asked for, once a sponsor has signed.
    pub(super) fn promise_of(&self, signed: &Signed) -> Result<Promise, NoEvidence> {
        Promise::by(self.payer, signed, &self.asked)
    }

    /// Whether a sponsor has yet to sign.
    pub(super) fn awaits_sponsor(&self) -> bool {
        self.signed.transaction.fee_payer == FeePayer::Awaited
    }
}

impl Evidence {
    pub(super) fn of(kind: Kind) -> Self {
        Self(kind)
    }

    pub(super) fn kind(&self) -> &Kind {
        &self.0
    }

    /// What is used up, in one spelling, and until when: past that, no check takes it any more, whoever's clock is asked.
    ///
    /// A transaction is known by its hash, whoever sends it: what was pulled for one challenge is not pushed for another. One
    /// whose hash has yet to be known is known by its identity, of which the chain mines one. A proof uses up nothing but its
    /// challenge, which the ledger sees to.
    pub(super) fn spends(&self) -> Option<Spend<'_>> {
        let mark = |proof: &B256, end: i64| {
            let until = Timestamp::from_unix(end.saturating_add(REMEMBERED), 0);
            Some(Spend::of(format!("{proof:#x}")).until(until))
        };
        match &self.0 {
            Kind::Signed(order) => {
                let end = i64::try_from(order.valid_before.get()).unwrap_or(i64::MAX / 2_000);
                let name = if order.awaits_sponsor() { order.id } else { order.signed.hash() };
                mark(&name, end)
            }
            Kind::Sent(sent) => mark(&sent.hash, sent.ends.saturating_add(REMEMBERED)),
            Kind::Proven(_) => None,
        }
    }
}

/// How a credential would name an account.
pub(super) fn source(chain_id: u64, address: Address) -> Source {
    Source::new(Did { chain_id, address }.to_string())
}

impl fmt::Debug for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Evidence");
        match &self.0 {
            Kind::Signed(order) => shown.field("id", &order.id),
            Kind::Sent(sent) => shown.field("hash", &sent.hash),
            Kind::Proven(proven) => shown.field("account", &proven.account),
        };
        shown.finish_non_exhaustive()
    }
}
