//! One payment as a journal has it: versioned JSON.

use std::{borrow::Cow, fmt};

use mpp_core::{
    Amount, Challenge, Credential, Receipt, Timestamp,
    name::MethodId,
    payer::{Exposure, Quote, Site, Step},
    store::StoreError,
};
use serde::{Deserialize, Serialize};

use super::Purpose;
use crate::{
    form,
    policy::{Booking, Reservation},
};

/// The newest form of a record that is read, and the one that is written.
const FORM: u64 = 1;

/// How far a payment has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum State {
    /// Its payer was about to be asked. Whether it paid, [`recall`](mpp_core::payer::Payer::recall) says.
    Intent,
    /// There is a credential, written down before it could leave. It may have left.
    Signed,
    /// It has left, and no answer has settled what became of it.
    Sent,
    /// The server took it and gave its receipt; the content may have been lost on its way.
    Settled,
    /// The answer was read to its end.
    Delivered,
    /// Nothing was paid, and nothing can be: the payer or its rail says so.
    Dead,
    /// Given up: it was paid, and the server says that it was used up; it put nothing new at stake, and was refused; or its
    /// owner wrote it off. What was set aside stays spent.
    Lost,
}

impl State {
    /// Whether nothing follows.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Delivered | Self::Dead | Self::Lost)
    }
}

/// One payment. Holds a credential once it is signed: its `Debug` is blind.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub(crate) struct Record {
    pub(crate) id: String,
    pub(crate) state: State,
    pub(crate) purpose: Option<Purpose>,
    pub(crate) quote: Quote,
    pub(crate) step: Step,
    pub(crate) proof: Proof,
    /// What stays set aside for it. Written down only once it is signed: until then a crash leaves it spent, and nobody
    /// can give it back a second time.
    pub(crate) reserved: Reservation,
    /// The idempotency key that goes with it wherever it is shown.
    pub(crate) key: Option<String>,
    pub(crate) receipt: Option<Box<Receipt>>,
    pub(crate) began: Timestamp,
    pub(crate) changed: Timestamp,
}

/// What is to be answered, and then the answer.
#[derive(Clone)]
pub(crate) enum Proof {
    Asked(Challenge),
    Signed(Credential),
}

impl Record {
    pub(crate) fn read(key: &str, bytes: &[u8]) -> Result<Self, StoreError> {
        form::read(key, bytes, FORM)
    }

    /// Whether what cannot be read whole says that it is over, in a form that is known: in a newer one that word may mean
    /// another thing.
    pub(crate) fn is_over(bytes: &[u8]) -> bool {
        #[derive(Deserialize)]
        struct Ended {
            state: State,
        }
        form::read::<Ended>("", bytes, FORM).is_ok_and(|ended| ended.state.is_final())
    }

    pub(crate) fn write(&self, key: &str) -> Result<Vec<u8>, StoreError> {
        serde_json::to_vec(self).map_err(|e| StoreError::corrupt(key, e))
    }

    pub(crate) fn challenge(&self) -> &Challenge {
        match &self.proof {
            Proof::Asked(challenge) => challenge,
            Proof::Signed(credential) => &credential.challenge,
        }
    }

    /// Whether anything stays set aside for it.
    pub(crate) fn is_staked(&self) -> bool {
        !self.reserved.amount().is_zero()
    }

    pub(crate) fn credential(&self) -> Option<&Credential> {
        match &self.proof {
            Proof::Asked(_) => None,
            Proof::Signed(credential) => Some(credential),
        }
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("id", &self.id)
            .field("state", &self.state)
            .field("origin", &self.quote.to.origin)
            .finish_non_exhaustive()
    }
}

/// The stored form. Members are added, and never change their meaning but with a new form.
#[derive(Serialize, Deserialize)]
struct Written {
    v: u64,
    id: String,
    state: State,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    purpose: Option<Purpose>,
    origin: String,
    resource: String,
    pays: MethodId,
    amount: Amount,
    currency: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unit: Option<(Cow<'static, str>, u8)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recipient: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    manages: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reserved: Option<Reserved>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    challenge: Option<Challenge>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    credential: Option<Credential>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    receipt: Option<Box<Receipt>>,
    began: Timestamp,
    changed: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Reserved {
    amount: Amount,
    booked: String,
}

impl From<Record> for Written {
    fn from(record: Record) -> Self {
        let Record { id, state, purpose, quote, step, proof, .. } = record;
        let (challenge, credential) = match proof {
            Proof::Asked(challenge) => (Some(challenge), None),
            Proof::Signed(credential) => (None, Some(credential)),
        };
        let Reservation { amount, booking } = record.reserved;
        let booked = booking.filter(|_| credential.is_some());
        let booked = booked.and_then(|b| b.as_str().map(str::to_owned));
        Self {
            v: FORM,
            id,
            state,
            purpose,
            origin: quote.to.origin,
            resource: quote.to.resource,
            pays: quote.id,
            amount: quote.exposes.amount,
            currency: quote.currency,
            unit: quote.exposes.unit,
            recipient: quote.recipient,
            manages: matches!(step, Step::Manage),
            reserved: booked.map(|booked| Reserved { amount, booked }),
            challenge,
            credential,
            key: record.key,
            receipt: record.receipt,
            began: record.began,
            changed: record.changed,
        }
    }
}

impl TryFrom<Written> for Record {
    type Error = Unlikely;

    fn try_from(written: Written) -> Result<Self, Unlikely> {
        let Written { id, state, purpose, origin, resource, pays, amount, currency, .. } = written;
        let proof = match (written.credential, written.challenge) {
            (Some(credential), _) => Proof::Signed(credential),
            (None, Some(challenge)) if matches!(state, State::Intent) || state.is_final() => {
                Proof::Asked(challenge)
            }
            _ => return Err(Unlikely),
        };
        let exposes = Exposure { unit: written.unit, ..Exposure::new(amount) };
        let to = Site { origin, resource };
        let reserved = match written.reserved {
            Some(held) => Reservation::new(held.amount).booked(Booking::new(held.booked)),
            None => Reservation::new(amount),
        };
        Ok(Self {
            id,
            state,
            purpose,
            quote: Quote { id: pays, exposes, currency, recipient: written.recipient, to },
            step: if written.manages { Step::Manage } else { Step::Pay },
            proof,
            reserved,
            key: written.key,
            receipt: written.receipt,
            began: written.began,
            changed: written.changed,
        })
    }
}

#[derive(Debug, thiserror::Error)]
#[error("a payment that was signed, without what was signed")]
struct Unlikely;
