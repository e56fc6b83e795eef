//! What happened at a gate, for whoever listens; nobody who listens can hold a request up.

use std::sync::Arc;

use mpp_core::{Receipt, name::MethodId, problem::Reason};
use serde_json::{Map, Value};
use tokio::sync::broadcast;

/// How many events wait for a slow listener before it misses the oldest.
const BACKLOG: usize = 1024;

/// Something that happened at a gate. Holds no secret: no credential, no evidence, no key.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// `challenge.created`: a challenge was issued.
    ChallengeCreated {
        /// Its id.
        challenge: String,
        /// How it can be paid.
        method: MethodId,
    },
    /// `payment.success`: a payment settled.
    PaymentSuccess {
        /// Its receipt.
        receipt: Arc<Receipt>,
    },
    /// `payment.failed`: a credential was refused.
    PaymentFailed {
        /// The challenge it answered, where that much could be read.
        challenge: Option<String>,
        /// Why.
        reason: Reason,
    },
    /// The last byte of a paid success was handed over.
    Delivered {
        /// The challenge that was paid.
        challenge: String,
    },
    /// An operator gave up a payment whose outcome is not known ([`Gate::write_off`](crate::Gate::write_off)).
    WrittenOff {
        /// The challenge it answers.
        challenge: String,
    },
    /// A session account's order was settled on its rail.
    Account {
        /// How it is paid.
        method: MethodId,
        /// The account's name.
        account: String,
        /// What was done.
        what: AccountChange,
        /// What its method says of it: a transaction's hash.
        settlement: Map<String, Value>,
    },
    /// A subscription changed.
    Subscription {
        /// How it is paid.
        method: MethodId,
        /// Its name, as receipts have it.
        subscription: String,
        /// What happened.
        what: SubscriptionChange,
    },
    /// A handler ran for a payment and did not end in a delivered success; the credential can be shown again.
    NotDelivered {
        /// The challenge that was paid.
        challenge: String,
    },
}

/// What an order did to a session account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccountChange {
    /// It was opened.
    Opened,
    /// Its deposit grew.
    ToppedUp,
    /// What was earned was taken; it stays open.
    Collected,
    /// It was closed: what was served was taken, the rest went back.
    Closed,
}

/// What happened to a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubscriptionChange {
    /// Its first period was paid.
    Began,
    /// A later period was paid.
    Renewed,
    /// A period's charge did not succeed, and it is over.
    Declined,
    /// It was cancelled; what was paid is served to its end.
    Cancelled,
    /// An operator gave up a period's charge whose outcome nobody knows, and it is over
    /// ([`Subscriptions::write_off`](crate::Subscriptions::write_off)). The rail may have charged.
    WrittenOff,
    /// Its rail ended it, or it is at terms that are not asked any more.
    Ended,
    /// A charge was made that grants nothing: of a period that was paid by another, is over, or was called off. The seller
    /// is to give it back.
    ToGiveBack {
        /// The charge, as its rail names it.
        reference: String,
    },
}

impl Event {
    /// The name of this kind of event, as deployed peers have it where they have it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ChallengeCreated { .. } => "challenge.created",
            Self::PaymentSuccess { .. } => "payment.success",
            Self::PaymentFailed { .. } => "payment.failed",
            Self::Delivered { .. } => "payment.delivered",
            Self::NotDelivered { .. } => "payment.not_delivered",
            Self::WrittenOff { .. } => "payment.written_off",
            Self::Account { what: AccountChange::Opened, .. } => "session.opened",
            Self::Account { what: AccountChange::ToppedUp, .. } => "session.topped_up",
            Self::Account { what: AccountChange::Collected, .. } => "session.settled",
            Self::Account { what: AccountChange::Closed, .. } => "session.closed",
            Self::Subscription { what, .. } => what.name(),
        }
    }
}

impl SubscriptionChange {
    fn name(&self) -> &'static str {
        match self {
            Self::Began => "subscription.began",
            Self::Renewed => "subscription.renewed",
            Self::Declined => "subscription.declined",
            Self::Cancelled => "subscription.cancelled",
            Self::WrittenOff => "subscription.written_off",
            Self::Ended => "subscription.ended",
            Self::ToGiveBack { .. } => "subscription.to_give_back",
        }
    }
}

/// Where a gate tells its events. Sending never waits; a listener that lags misses the oldest.
#[derive(Clone, Debug)]
pub(crate) struct Events(broadcast::Sender<Event>);

impl Events {
    pub(crate) fn new() -> Self {
        Self(broadcast::Sender::new(BACKLOG))
    }

    pub(crate) fn listen(&self) -> broadcast::Receiver<Event> {
        self.0.subscribe()
    }

    /// Tells an event, which is only made where someone listens.
    pub(crate) fn send(&self, event: impl FnOnce() -> Event) {
        if self.0.receiver_count() > 0 {
            let _ = self.0.send(event());
        }
    }
}
