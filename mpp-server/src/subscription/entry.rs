//! A subscriber's entry: what was begun, what is agreed, and what the rail is yet to be asked or told.

use mpp_core::{
    agreement::{Agreement, Began, Recorded, Stands},
    credential::{Fingerprint, Source},
    name::MethodId,
    problem::Rejection,
    receipt::Receipt,
    store::{Key, StoreError},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use super::refusal::{declined, over};
use crate::{ledger, permit::Paid};

/// The newest form, and the one that is written.
pub(super) const FORM: u8 = 1;

/// Charges that are remembered: what a rail says twice, or late, is known by them.
const CHARGES: usize = 128;

/// The stored form. Secret at rest: what a method keeps to charge by lies in it.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) v: u8,
    pub(super) product: String,
    /// The challenge that is being paid to subscribe; nothing is sent for another meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) activating: Option<Activating>,
    /// What is agreed, or was last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) held: Option<Held>,
    /// What was agreed before and has something open.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) past: Vec<Held>,
    /// The latest charges, the newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) charges: Vec<Charge>,
}

/// A challenge that is being paid to subscribe.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Activating {
    pub(super) challenge: String,
    pub(super) print: Fingerprint,
    pub(super) method: MethodId,
    pub(super) account: String,
    pub(super) expires: Timestamp,
    /// The end of the lease under which it is put on the ledger's books, in Unix milliseconds.
    pub(super) until: i64,
    pub(super) holder: u64,
}

/// An agreement, and what belongs to it.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Held {
    pub(super) agreement: Agreement,
    /// The challenge that began it.
    pub(super) challenge: String,
    /// Who paid, as the rail proved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) payer: Option<Source>,
    /// The charge of a later period, written down before it is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) order: Option<Order>,
    /// The rail is yet to be told that nothing is charged from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cancelling: Option<Timestamp>,
    /// A period's charge did not succeed, and that ended it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) declined: bool,
    /// An operator gave up a period's charge whose outcome nobody knows, and that ended it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) written_off: bool,
}

/// The charge of a period, which may have reached the rail.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) period: u64,
    /// As its method wrote it.
    pub(super) evidence: Box<RawValue>,
    /// The end of the lease under which it is sent or asked after, or the time before which it is not asked after again, in
    /// Unix milliseconds.
    pub(super) until: i64,
    /// Which gate has it in hand; 0: nobody.
    pub(super) holder: u64,
}

/// A charge that was recorded.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Charge {
    /// The subscription.
    pub(super) of: String,
    pub(super) period: u64,
    pub(super) reference: String,
}

impl Entry {
    pub(super) fn of(product: &str) -> Self {
        let product = product.to_owned();
        Self {
            v: FORM,
            product,
            activating: None,
            held: None,
            past: Vec::new(),
            charges: Vec::new(),
        }
    }

    pub(super) fn read(key: &Key, bytes: &[u8]) -> Result<Self, StoreError> {
        let entry: Self =
            serde_json::from_slice(bytes).map_err(|e| StoreError::unreadable(key, e))?;
        if entry.v > FORM {
            let what = key.as_str().to_owned();
            return Err(StoreError::Newer { what, found: entry.v.into(), known: FORM.into() });
        }
        Ok(entry)
    }

    /// An agreement by its subscription, the one in force or one of before.
    pub(super) fn by_id(&mut self, id: &str) -> Option<&mut Held> {
        self.held.iter_mut().chain(&mut self.past).find(|held| held.agreement.began.id == id)
    }

    /// Puts an agreement in force. What the one before it has open stays to be ended.
    pub(super) fn begin(&mut self, held: Held) {
        self.remember(&held.agreement.began.id, 0, &held.agreement.receipt.reference);
        let before = self.held.replace(held);
        self.past.extend(before.filter(Held::is_unfinished));
    }

    /// Whether nothing of it is to be asked or told.
    pub(super) fn is_quiet(&self) -> bool {
        self.activating.is_none() && !self.held.iter().chain(&self.past).any(Held::is_unfinished)
    }

    /// Drops what was agreed before and has nothing open any more.
    pub(super) fn tidy(&mut self) {
        self.past.retain(Held::is_unfinished);
    }

    /// Books a charge: of what is remembered first, so that what is said again is not taken for another charge.
    pub(super) fn record(
        &mut self,
        id: &str,
        period: u64,
        receipt: Receipt,
        now: &Timestamp,
    ) -> Recorded {
        if let Some(known) = self.charges.iter().find(|c| c.of == id && c.period == period) {
            let same = known.reference == receipt.reference;
            return if same { Recorded::Known } else { Recorded::Twice };
        }
        let reference = receipt.reference.clone();
        let Some(held) = self.by_id(id) else { return Recorded::Stale };
        let recorded = held.agreement.record(period, receipt, now);
        if recorded == Recorded::Stale && held.agreement.is_called_off(period) {
            // The rail did not hear it, or somebody took it back there: it is to be told once more.
            held.cancelling = held.agreement.cancelled.clone();
        }
        if recorded == Recorded::New {
            self.remember(id, period, &reference);
        }
        recorded
    }

    fn remember(&mut self, id: &str, period: u64, reference: &str) {
        if self.charges.len() >= CHARGES {
            self.charges.remove(0);
        }
        let (of, reference) = (id.to_owned(), reference.to_owned());
        self.charges.push(Charge { of, period, reference });
    }
}

impl Held {
    /// What a settled payment of the ledger's agreed; `None` where it is not settled, or begins no subscription.
    pub(super) fn of(paid: &ledger::Entry) -> Option<Self> {
        let agreed = paid.agreed.as_deref()?;
        let receipt = paid.receipt.clone()?;
        let terms = &agreed.terms;
        let began = agreed.began.as_deref().cloned().unwrap_or_else(|| {
            // Paid all the same: its first period is served. What is charged later its method must be able to say.
            tracing::error!(method = %paid.method, "a method began a subscription and did not say which");
            let (id, anchor) = (paid.challenge.clone(), receipt.timestamp.clone());
            Began { id, anchor, kept: Value::Null }
        });
        let agreement = Agreement {
            method: paid.method.clone(),
            place: paid.account.clone(),
            began,
            amount: terms.amount,
            currency: terms.currency.clone(),
            cadence: terms.cadence(),
            expires: terms.subscription_expires.clone(),
            paid: 0,
            receipt,
            cancelled: None,
        };
        let (challenge, payer) = (paid.challenge.clone(), paid.payer.clone());
        let (order, cancelling, declined, written_off) = (None, None, false, false);
        Some(Self { agreement, challenge, payer, order, cancelling, declined, written_off })
    }

    pub(super) fn is_paid(&self, now: &Timestamp) -> bool {
        matches!(self.agreement.stands(now), Stands::Paid(_))
    }

    /// Whether money may still move for it without anybody's new consent.
    pub(super) fn is_in_force(&self, now: &Timestamp) -> bool {
        self.order.is_some() || self.agreement.stands(now) != Stands::Over
    }

    /// Whether something of it is yet to be asked or told.
    fn is_unfinished(&self) -> bool {
        self.order.is_some() || self.cancelling.is_some()
    }

    /// Ends it from an instant on, and leaves word that the rail is to be told.
    pub(super) fn end(&mut self, from: &Timestamp) {
        self.agreement.end(from.clone());
        self.cancelling = self.agreement.cancelled.clone();
    }

    /// Its order, where nobody knows what became of it: a period may be paid by the rail itself, which said so meanwhile.
    pub(super) fn unknown(&self) -> Option<&Order> {
        self.order.as_ref().filter(|order| order.period > self.agreement.paid)
    }

    /// Drops the order of which nobody knows what became, and ends it there: what the rail may have charged is no period of ours.
    pub(super) fn give_up(&mut self) {
        let Some(order) = self.order.take() else { return };
        self.written_off = true;
        let it = &self.agreement;
        if let Some(period) = it.cadence.period(&it.began.anchor, order.period) {
            self.end(&period.start);
        }
    }

    /// Why nobody is served by it any more.
    pub(super) fn why_over(&self) -> Rejection {
        if self.declined { declined() } else { over() }
    }

    /// What a handler may know of it.
    pub(super) fn paid(&self) -> Paid {
        Paid {
            receipt: Some(self.agreement.receipt.clone()),
            method: self.agreement.method.clone(),
            challenge: self.challenge.clone(),
            payer: self.payer.clone(),
        }
    }
}
