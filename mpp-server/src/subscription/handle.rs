//! What an application does with subscriptions: looks one up, cancels it, passes on what its rail says.

use std::sync::Arc;

use mpp_core::{
    name::MethodId,
    problem::{ProblemType, Reason, Rejection},
    receipt::Receipt,
    renewer::{Notice, Renewer},
    store::{Key, StoreError},
    time::Timestamp,
};

use super::{Agreements, Heard, Member, OpenCharge};
use crate::ledger::NotWrittenOff;

/// The subscriptions on a gate's books. Made by [`Gate::subscriptions`](crate::Gate::subscriptions). Cheap to clone.
#[derive(Clone, Debug)]
pub struct Subscriptions(Agreements);

/// A subscription, as an application may see it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SubscriptionState {
    /// Its name, as receipts have it.
    pub id: String,
    /// How it is paid.
    pub method: MethodId,
    /// Where it settles, as its verifier says.
    pub settles_at: String,
    /// The receipt of the last period that was paid.
    pub receipt: Receipt,
    /// The end of that period.
    pub paid_until: Option<Timestamp>,
    /// No period that begins then or later is charged.
    pub cancelled: Option<Timestamp>,
    /// Whether it serves right now.
    pub is_paid: bool,
    /// It is cancelled, and its rail did not confirm that yet: it is told again with each pass over the books.
    pub rail_untold: bool,
}

impl Subscriptions {
    pub(crate) fn of(agreements: Agreements) -> Self {
        Self(agreements)
    }

    /// What a subscriber of a product has, or had last. Charges for nothing.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn find(
        &self,
        product: &str,
        subscriber: &str,
    ) -> Result<Option<SubscriptionState>, Rejection> {
        let member = Member::of(product, subscriber)?;
        self.0.state(&member.key).await
    }

    /// Cancels what a subscriber of a product has, at the end of what was paid: until then it serves, and from now on nothing is
    /// charged. Said again it changes nothing. `None`: there is none.
    ///
    /// In a period that nobody asked in yet the rail is asked first: what it has collected by itself is served to its end.
    ///
    /// The rail is told before this returns; where it does not confirm, [`SubscriptionState::rail_untold`] says so, and it is told again. A
    /// charge it makes by itself meanwhile is [`Recorded::Stale`](mpp_core::agreement::Recorded::Stale) when it is
    /// [heard](Subscriptions::hear) of.
    ///
    /// # Errors
    /// The store does not answer: it may be cancelled or not.
    pub async fn cancel(
        &self,
        product: &str,
        subscriber: &str,
    ) -> Result<Option<SubscriptionState>, Rejection> {
        self.0.cancel(Member::of(product, subscriber)?).await
    }

    /// Lists the charges of later periods whose outcome is not known: most are being made right now, or will be known after the
    /// next pass over the books ([`Gate::recover`](crate::Gate::recover)). What is open of a first payment is in
    /// [`Gate::unfinished`](crate::Gate::unfinished).
    ///
    /// Reads all the subscribers' entries, so call it now and then.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn unfinished(&self) -> Result<Vec<OpenCharge>, StoreError> {
        self.0.open_charges().await
    }

    /// Gives up the charge of a subscriber's later period, by its operator's decision: for what a rail can never tell of again.
    /// Until then the subscriber is answered with 503, and the rail asked. From then on the subscription is over, with what was
    /// paid before; the rail is told to charge for nothing more, and the subscriber may subscribe anew.
    ///
    /// **The rail may have charged for the period, or charge yet.** Such a charge serves nobody: it is to be given back by hand, or
    /// when the rail tells of it ([`SubscriptionChange::ToGiveBack`](crate::event::SubscriptionChange::ToGiveBack)). So look
    /// there first. The order itself is forgotten with this, and there is no way back. Written off twice is written off once.
    ///
    /// # Errors
    /// [`NotWrittenOff`]: this subscriber never had one, no charge of theirs is open, somebody has it in hand, or the store does
    /// not answer.
    pub async fn write_off(&self, product: &str, subscriber: &str) -> Result<(), NotWrittenOff> {
        self.0.write_off(Member::of(product, subscriber)?).await
    }

    /// Takes what a rail said by itself, such as a webhook whose signature the method has checked. As often as it comes, and in
    /// whatever order, a period is paid for once.
    ///
    /// # Errors
    /// It is said of another place than the renewer settles at; or the store does not answer, and it is to be said again.
    pub async fn hear<R: Renewer>(
        &self,
        renewer: &Arc<R>,
        notice: Notice,
    ) -> Result<Heard, Rejection> {
        if notice.place != renewer.settles_at() {
            let detail = "This is said of another account than this one.";
            return Err(Rejection::new(ProblemType::BAD_REQUEST, Reason::NO_ACCOUNT, detail));
        }
        let by = MethodId::of::<R::Method>();
        let me = self.0.clone();
        self.0.alone(async move { me.hear(&by, notice).await }).await
    }
}

impl Agreements {
    pub(super) async fn state(&self, key: &Key) -> Result<Option<SubscriptionState>, Rejection> {
        let held = self.read(key).await?.and_then(|(_, entry)| entry.held);
        let now = self.now();
        Ok(held.map(|held| {
            let (is_paid, rail_untold) = (held.is_paid(&now), held.cancelling.is_some());
            let it = held.agreement;
            SubscriptionState {
                paid_until: it.paid_until(),
                id: it.began.id,
                method: it.method,
                settles_at: it.place,
                receipt: it.receipt,
                cancelled: it.cancelled,
                is_paid,
                rail_untold,
            }
        }))
    }
}
