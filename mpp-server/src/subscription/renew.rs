//! Renewal: the charge of a period that is due, written down before it is sent, one at a time over all processes.

use std::{sync::Arc, time::Duration};

use mpp_core::{
    agreement::{Agreement, Period, Stands},
    fate::Fate,
    problem::Rejection,
    store::Key,
};
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep};

use super::{
    Agreements, Standing,
    entry::{Held, Order},
    outcome::Unpaid,
    refusal::open_order,
};
use crate::offer::Offer;

/// How often another process is looked at that has the order in hand, and how long between.
const LOOKS: u32 = 50;
const BETWEEN: Duration = Duration::from_millis(100);

/// What is to be done about a subscriber's period.
enum Next {
    /// Nothing: it is settled how it stands.
    Stands(Standing),
    /// Another process has the order in hand.
    Wait,
    /// The rail was asked about the order a moment ago.
    Later,
    /// An order that nobody has in hand: the rail is asked first.
    Resume(Box<(Agreement, Order)>),
    /// A period to be charged for.
    Charge(Box<(Agreement, Period)>),
}

impl Agreements {
    /// Brings a subscriber's period to its end: charged for, or over. Without `offers` no new order is begun.
    pub(super) async fn renew(
        &self,
        key: &Key,
        offers: Option<&Arc<[Offer]>>,
    ) -> Result<Standing, Rejection> {
        let local = self.0.locals.of(key);
        let turn = local.ordering.clone().lock_owned().await;
        let renewed = self.renew_in_turn(key, offers).await;
        drop(turn);
        self.0.locals.leave(key, local);
        renewed
    }

    async fn renew_in_turn(
        &self,
        key: &Key,
        offers: Option<&Arc<[Offer]>>,
    ) -> Result<Standing, Rejection> {
        for _ in 0..LOOKS {
            let held = self.read(key).await?.and_then(|(_, entry)| entry.held);
            let Some(held) = held else { return Ok(Standing::Free(None)) };
            match self.next(&held) {
                Next::Stands(standing) => return Ok(standing),
                Next::Wait => sleep(BETWEEN).await,
                Next::Later => return Err(open_order("the rail was asked a moment ago")),
                Next::Resume(open) => self.resume(key, &open.0, &open.1).await?,
                Next::Charge(due) => {
                    let (agreement, period) = *due;
                    let asked = |offers: &Arc<[Offer]>| {
                        offers.iter().any(|offer| is_asked(offer, &agreement))
                    };
                    match offers {
                        None => return Ok(Standing::Free(None)),
                        Some(offers) if asked(offers) => {
                            self.charge(key, &agreement, &period).await?;
                        }
                        Some(_) => self.lapse(key, &agreement, &period).await?,
                    }
                }
            }
        }
        Err(open_order("another process has this period's charge in hand"))
    }

    fn next(&self, held: &Held) -> Next {
        let now = self.now();
        if let Some(order) = held.order.as_ref().filter(|_| !held.is_paid(&now)) {
            if !self.is_free(order.holder, order.until) {
                return if order.holder == 0 { Next::Later } else { Next::Wait };
            }
            // Ours, and let go of: it is asked after when its time has come.
            return Next::Resume(Box::new((held.agreement.clone(), order.clone())));
        }
        match held.agreement.stands(&now) {
            Stands::Paid(_) => Next::Stands(Standing::Paid(Box::new(held.paid()))),
            Stands::Due(period) => Next::Charge(Box::new((held.agreement.clone(), period))),
            _ => Next::Stands(Standing::Free(Some(held.why_over()))),
        }
    }

    /// Charges for a period that nobody has ordered yet.
    async fn charge(&self, key: &Key, of: &Agreement, due: &Period) -> Result<(), Rejection> {
        let renewer = self.renewer_of(of)?;
        let evidence = renewer.renewal(of, due)?;
        let began = Instant::now();
        let (now, order) = (self.now(), self.order(due.index, evidence));
        // A crash before this leaves nothing: nobody has ordered.
        let taken = self
            .change(key, |entry| {
                let Some(held) = entry.held.as_mut().filter(|h| h.agreement.began == of.began)
                else {
                    return Ok(false);
                };
                let due_still = held.agreement.stands(&now) == Stands::Due(due.clone());
                let ours = due_still && held.order.is_none();
                if ours {
                    held.order = Some(order.clone());
                }
                Ok(ours)
            })
            .await?;
        if !taken {
            return Ok(());
        }
        // A crash from here on leaves the order on the books: the rail is asked before anything is sent again.
        let fate = self.send(of, &order.evidence, began).await;
        self.close(key, of, due.index, fate).await
    }

    /// Goes on with an order that nobody has in hand: asks the rail first, and sends only what it never saw.
    async fn resume(&self, key: &Key, of: &Agreement, found: &Order) -> Result<(), Rejection> {
        let rail = self.renewer_of(of)?.rail().clone();
        let began = Instant::now();
        let order = self.order(found.period, found.evidence.clone());
        let (found_until, found_holder) = (found.until, found.holder);
        let taken = self
            .change(key, |entry| {
                let open = entry.by_id(&of.began.id).and_then(|held| held.order.as_mut());
                let same = |it: &&mut Order| {
                    (it.period, it.until, it.holder) == (order.period, found_until, found_holder)
                };
                let Some(open) = open.filter(same) else { return Ok(false) };
                *open = order.clone();
                Ok(true)
            })
            .await?;
        if !taken {
            return Ok(());
        }
        // A crash here leaves the order as open as it was.
        let known = rail.reconcile(order.evidence.clone());
        match self.0.ledger.within_deadline(known).await {
            // Never sent, and called off since: it is not sent now, and ends where nothing was paid any more.
            Fate::Absent if of.cancelled.is_some() => {
                self.fail(key, of, order.period, Unpaid::CalledOff).await
            }
            Fate::Absent if self.is_still_due(of, order.period) => {
                let fate = self.send(of, &order.evidence, began).await;
                self.close(key, of, order.period, fate).await
            }
            // Never sent, and its period is over or was called off: nothing is owed for it.
            Fate::Absent => self.drop_order(key, &of.began.id, order.period).await,
            fate => self.close(key, of, order.period, fate).await,
        }
    }

    fn is_still_due(&self, of: &Agreement, period: u64) -> bool {
        matches!(of.stands(&self.now()), Stands::Due(due) if due.index == period)
    }

    async fn send(&self, of: &Agreement, evidence: &RawValue, began: Instant) -> Fate {
        // A store that took its time used the lease up: another may be sending by now.
        if began.elapsed() >= self.lease() - self.0.ledger.deadline {
            return Fate::unknown("the lease was used up before anything was sent");
        }
        let rail = match self.renewer_of(of) {
            Ok(renewer) => renewer.rail().clone(),
            Err(e) => return Fate::unknown(e),
        };
        self.0.ledger.within_deadline(rail.settle(evidence.to_owned())).await
    }

    /// Ends an agreement at terms that are not asked any more. What its rail has charged by itself still counts; nothing is sent.
    async fn lapse(&self, key: &Key, of: &Agreement, due: &Period) -> Result<(), Rejection> {
        match self.collected(of, due).await? {
            Fate::Settled(settlement) => self.book(key, of, due.index, settlement).await,
            Fate::Unknown(cause) => Err(open_order(cause)),
            _ => self.fail(key, of, due.index, Unpaid::NotOrdered).await,
        }
    }

    /// Whether a rail has charged for a period by itself, which nobody has ordered. Sends nothing.
    pub(super) async fn collected(&self, of: &Agreement, due: &Period) -> Result<Fate, Rejection> {
        let renewer = self.renewer_of(of)?;
        let known = renewer.rail().reconcile(renewer.renewal(of, due)?);
        Ok(self.0.ledger.within_deadline(known).await)
    }

    /// Asks after the orders of an entry that nobody has in hand, of agreements of before too. Whether any is left open.
    pub(super) async fn ask_after(&self, key: &Key) -> Result<bool, Rejection> {
        let local = self.0.locals.of(key);
        let asked = match local.ordering.clone().try_lock_owned() {
            Ok(_turn) => self.ask_in_turn(key).await,
            // Somebody of this process has it in hand.
            Err(_) => Ok(true),
        };
        self.0.locals.leave(key, local);
        asked
    }

    async fn ask_in_turn(&self, key: &Key) -> Result<bool, Rejection> {
        let Some((_, entry)) = self.read(key).await? else { return Ok(false) };
        let (mut open, all) = (false, entry.held.iter().chain(&entry.past));
        for (held, order) in all.filter_map(|held| Some((held, held.order.as_ref()?))) {
            let asked = self.is_free(order.holder, order.until);
            open |= !asked || self.resume(key, &held.agreement, order).await.is_err();
        }
        Ok(open)
    }

    fn order(&self, period: u64, evidence: Box<RawValue>) -> Order {
        Order { period, evidence, until: self.lease_end(), holder: self.0.ledger.me }
    }
}

/// Whether a route still asks what was agreed.
fn is_asked(offer: &Offer, it: &Agreement) -> bool {
    let same = *offer.id() == it.method && offer.settles_at() == it.place;
    let asks = same && !offer.is_left_out();
    let plan = offer.once().filter(|_| asks).and_then(|offer| offer.plan());
    plan.is_some_and(|plan| {
        plan.amount == it.amount && plan.currency == it.currency && plan.cadence() == it.cadence
    })
}
