//! Charges of later periods whose outcome is not known, for an operator to look at, and to give up where it never will be.

use mpp_core::{
    name::MethodId,
    problem::Rejection,
    store::{Key, StoreError},
    time::Timestamp,
};

use super::{
    Agreements, Member,
    entry::{Entry, Held, Order},
};
use crate::{event::SubscriptionChange, ledger::NotWrittenOff};

/// Entries read at a time.
const PAGE: usize = 64;

/// The charge of a subscription's period whose outcome is not known: its order may have reached the rail.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenCharge {
    /// What is subscribed to.
    pub product: String,
    /// The subscription, as its rail and its receipts name it. The subscriber's own name is not on the books.
    pub subscription: String,
    /// How it is paid.
    pub method: MethodId,
    /// Where it settles, as its verifier says.
    pub settles_at: String,
    /// When the period begins. One that began long ago is one that its rail cannot tell of.
    pub period_start: Option<Timestamp>,
    /// Somebody charges or asks right now, or did until a crash whose lease is not over: it is left alone.
    pub in_hand: bool,
}

/// What giving up came to.
enum Given {
    /// These were open, and are no more.
    Up(Vec<Held>),
    Nothing(NotWrittenOff),
    /// By an earlier call.
    Before,
}

impl Agreements {
    /// Every charge of a later period whose outcome is not known. What cannot be read is named in the log.
    pub(super) async fn open_charges(&self) -> Result<Vec<OpenCharge>, StoreError> {
        let (prefix, mut after) = (Key::from_stored("subscription"), None);
        let mut open = Vec::new();
        loop {
            let page = self.0.ledger.store.scan(&prefix, after.as_ref(), PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(open) };
            after = Some(last.clone());
            for (key, value) in page {
                match Entry::read(&key, &value.value) {
                    Ok(entry) => self.describe(&key, &entry, &mut open),
                    Err(e) => {
                        tracing::error!(key = key.as_str(), cause = %e, "a subscriber's entry cannot be read");
                    }
                }
            }
        }
    }

    fn describe(&self, key: &Key, entry: &Entry, open: &mut Vec<OpenCharge>) {
        let local = self.0.locals.of(key);
        let busy = local.ordering.try_lock().is_err();
        self.0.locals.leave(key, local);
        for held in entry.held.iter().chain(&entry.past) {
            let Some(order) = held.unknown() else { continue };
            let it = &held.agreement;
            let period = it.cadence.period(&it.began.anchor, order.period);
            open.push(OpenCharge {
                product: entry.product.clone(),
                subscription: it.began.id.clone(),
                method: it.method.clone(),
                settles_at: it.place.clone(),
                period_start: period.map(|period| period.start),
                in_hand: busy || !self.can_be_given_up(order),
            });
        }
    }

    /// Whether nobody elsewhere may be sending: nobody holds what is unknown, and a lease tells of what is on its way.
    fn can_be_given_up(&self, order: &Order) -> bool {
        order.holder == 0 || self.is_free(order.holder, order.until)
    }

    /// Gives up what is open of a subscriber, in a task of its own.
    pub(super) async fn write_off(&self, member: Member) -> Result<(), NotWrittenOff> {
        let me = self.clone();
        let given = self.alone(async move { Ok(me.give_up(&member.key).await) }).await;
        given.map_err(NotWrittenOff::from)?
    }

    async fn give_up(&self, key: &Key) -> Result<(), NotWrittenOff> {
        let local = self.0.locals.of(key);
        let given = match local.ordering.clone().try_lock_owned() {
            Ok(_turn) => self.end_orders(key).await,
            // Somebody of this process charges, asks or cancels.
            Err(_) => Err(NotWrittenOff::InHand),
        };
        self.0.locals.leave(key, local);
        // A crash here leaves word that the rail is to be told: a pass over the books tells it.
        for Held { agreement, .. } in given? {
            let (method, id) = (&agreement.method, &agreement.began.id);
            tracing::warn!(%method, subscription = id, "a charge was written off: it may have been made");
            self.tell(&agreement, SubscriptionChange::WrittenOff);
            self.tell_rail(key, id).await;
        }
        Ok(())
    }

    /// Ends every open order of an entry and the agreements they are of, in one swap. Those agreements.
    async fn end_orders(&self, key: &Key) -> Result<Vec<Held>, NotWrittenOff> {
        if self.read(key).await?.is_none() {
            return Err(NotWrittenOff::NotFound);
        }
        // A crash before the swap leaves them as open as they were. Whoever takes one in hand meanwhile wins.
        let given = self.change(key, |entry| Ok::<_, Rejection>(self.end_all(entry))).await?;
        match given {
            Given::Up(ended) => Ok(ended),
            Given::Before => Ok(Vec::new()),
            Given::Nothing(why) => Err(why),
        }
    }

    fn end_all(&self, entry: &mut Entry) -> Given {
        let open = |held: &&mut Held| held.unknown().is_some();
        let all = entry.held.iter().chain(&entry.past);
        if !all.filter_map(Held::unknown).all(|order| self.can_be_given_up(order)) {
            return Given::Nothing(NotWrittenOff::InHand);
        }
        let mut ended = Vec::new();
        for held in entry.held.iter_mut().chain(&mut entry.past).filter(open) {
            held.give_up();
            ended.push(held.clone());
        }
        match entry.held.as_ref() {
            _ if !ended.is_empty() => Given::Up(ended),
            Some(held) if held.written_off => Given::Before,
            _ => Given::Nothing(NotWrittenOff::NotOpen),
        }
    }
}
