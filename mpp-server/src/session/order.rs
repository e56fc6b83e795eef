//! Orders to the rail: written down before they leave, carried out in a task of their own, one at a time for an account.

use std::{future::Future, sync::Arc, time::Duration};

use mpp_core::{
    account::{Account, Raise, State},
    fate::{Fate, Settlement},
    problem::{ProblemType, Reason, Rejection},
    store::{Keep, Key, Unreadable},
    teller::{Standing, Teller},
    verifier::Spend,
};
use serde_json::{Map, Value};
use tokio::sync::OwnedMutexGuard;

use super::{
    Engine,
    books::{At, Desk, not_found, unavailable},
    entry::{Act, Collected, Done, Entry, Pending},
    schedule::millis,
};
use crate::{
    event::{AccountChange, Event},
    ledger::in_flight,
};

/// What follows the owner in a mark whose order was carried out.
const DONE: &[u8] = b"\ndone";

/// An order that was carried out, now or before.
pub(super) struct Ordered<K> {
    pub(super) entry: Entry<K>,
    /// Members of the receipt: a transaction's hash.
    pub(super) extra: Map<String, Value>,
    /// It was carried out just now.
    pub(super) fresh: bool,
}

/// How an order stands once it was to be written down.
pub(super) enum Marked<K> {
    /// It is ours to carry out.
    Go(Box<Entry<K>>),
    /// It was carried out before.
    Done(Box<Entry<K>>),
}

impl<T: Teller> Desk<T> {
    pub(super) async fn open(
        &self,
        at: &At,
        challenge: &str,
        (order, kept, raise): (T::Order, T::Kept, Raise),
    ) -> Result<Ordered<T::Kept>, Rejection> {
        let pending = self.pending(Act::Open, &order, Some(challenge), Some(&raise))?;
        let (desk, at) = (self.clone(), at.clone());
        alone(&self.engine, async move {
            let _turn = desk.turn(&at).await?;
            if desk.use_up(&at, &order).await? {
                return Ok(desk.again(desk.found(&at).await?, &order));
            }
            match desk.mark_opening(&at, &pending, &kept).await? {
                Marked::Done(entry) => Ok(desk.again(*entry, &order)),
                // A crash from here on leaves the order pending: the rail is asked what became of it.
                Marked::Go(entry) => desk.carry_out(&at, &order, &entry.account).await,
            }
        })
        .await
    }

    pub(super) async fn top_up(
        &self,
        at: &At,
        challenge: &str,
        order: T::Order,
    ) -> Result<Ordered<T::Kept>, Rejection> {
        let pending = self.pending(Act::TopUp, &order, Some(challenge), None)?;
        let (desk, at) = (self.clone(), at.clone());
        alone(&self.engine, async move { desk.ordered(&at, pending, order).await }).await
    }

    /// Marks an order on an account that is there, and carries it out.
    pub(super) async fn ordered(
        &self,
        at: &At,
        pending: Pending,
        order: T::Order,
    ) -> Result<Ordered<T::Kept>, Rejection> {
        let _turn = self.turn(at).await?;
        let name = self.till.it.name(&order).into_owned();
        if self.use_up(at, &order).await? {
            return Ok(self.again(self.found(at).await?, &order));
        }
        match self.mark(at, &pending, &name).await? {
            Marked::Done(entry) => Ok(self.again(*entry, &order)),
            // A crash from here on leaves the order pending: the rail is asked what became of it.
            Marked::Go(entry) => self.carry_out(at, &order, &entry.account).await,
        }
    }

    /// An order that was carried out before, and what was said of it then.
    pub(super) fn again(&self, entry: Entry<T::Kept>, order: &T::Order) -> Ordered<T::Kept> {
        let extra = entry.told(&self.till.it.name(order));
        Ordered { entry, extra, fresh: false }
    }

    /// Marks what an order uses up, so that no other order of any account is ever carried out with it; true, where this one was
    /// carried out before, however many have been since. A crash from here on leaves a mark of this very order, which finds its
    /// own.
    async fn use_up(&self, at: &At, order: &T::Order) -> Result<bool, Rejection> {
        let Some((key, owner, keep)) = self.mark_of(at, order)? else { return Ok(false) };
        let store = &self.engine.store;
        let marked = store.swap(&key, None, Some(owner.as_bytes()), keep).await;
        if marked.map_err(unavailable)?.is_some() {
            return Ok(false);
        }
        let held = store.get(&key).await.map_err(unavailable)?.map(|held| held.value);
        match held.as_deref().and_then(|held| held.strip_prefix(owner.as_bytes())) {
            Some(b"") => Ok(false),
            Some(done) if done == DONE => Ok(true),
            _ => {
                let detail =
                    "This payment is credited to another account already. Do not pay again.";
                let kind = ProblemType::ALREADY_CREDITED;
                Err(Rejection::new(kind, Reason::CREDITED_ELSEWHERE, detail))
            }
        }
    }

    /// Writes on the mark that its order was carried out. A crash before this leaves that to what the account remembers.
    pub(super) async fn used_up(&self, at: &At, order: &T::Order) -> Result<(), Rejection> {
        let Some((key, owner, keep)) = self.mark_of(at, order)? else { return Ok(()) };
        let store = &self.engine.store;
        let held = store.get(&key).await.map_err(unavailable)?;
        let Some(held) = held.filter(|held| held.value == owner.as_bytes()) else { return Ok(()) };
        let done = [owner.as_bytes(), DONE].concat();
        store.swap(&key, Some(held.version), Some(&done), keep).await.map_err(unavailable)?;
        Ok(())
    }

    /// The mark of what an order uses up, whose it is, and how long it is kept.
    fn mark_of(&self, at: &At, order: &T::Order) -> Result<Option<(Key, String, Keep)>, Rejection> {
        let it = &self.till.it;
        let Some(Spend { proof, until }) = it.spends(order) else { return Ok(None) };
        let key = Key::of_hash(&["session-spent", self.till.id.method.as_str()], &proof)
            .map_err(Rejection::internal)?;
        let now = self.engine.now();
        let keep = match until {
            Some(until) => Keep::For { ttl: until.since(&now), since: now },
            None => Keep::Forever,
        };
        Ok(Some((key, format!("{} {}", at.id, it.name(order)), keep)))
    }

    pub(super) fn pending(
        &self,
        act: Act,
        order: &T::Order,
        challenge: Option<&str>,
        raise: Option<&Raise>,
    ) -> Result<Pending, Rejection> {
        Ok(Pending {
            act,
            order: serde_json::value::to_raw_value(order).map_err(Rejection::internal)?,
            by: self.engine.me,
            until: self.lease(),
            challenge: challenge.map(str::to_owned),
            to: raise.and_then(Raise::total),
            proof: raise.and_then(|raise| raise.proof().map(str::to_owned)),
        })
    }

    /// Until when an order that is begun now is believed to be in hand.
    fn lease(&self) -> i64 {
        let deadline = millis(self.engine.deadline).saturating_add(5_000);
        self.engine.now().unix_millis().saturating_add(deadline)
    }

    /// The turn to carry an order out: nobody else of this process has one in hand for this account.
    pub(super) async fn turn(&self, at: &At) -> Result<OwnedMutexGuard<()>, Rejection> {
        let turn = at.local.ordering.clone().lock_owned();
        tokio::time::timeout(self.engine.deadline, turn).await.map_err(|_| in_flight())
    }

    async fn mark_opening(
        &self,
        at: &At,
        pending: &Pending,
        kept: &T::Kept,
    ) -> Result<Marked<T::Kept>, Rejection> {
        loop {
            let Some((_, entry)) = self.read(at).await? else {
                let account = Account::opening(kept.clone());
                let mut entry = Entry::of(account, self.engine.now().unix_millis());
                entry.pending = Some(pending.clone());
                if self.write(at, None, &entry).await? {
                    return Ok(Marked::Go(Box::new(entry)));
                }
                continue;
            };
            match &entry.pending {
                Some(before) if entry.account.state == State::Opening => {
                    self.resume_free(at, before).await?;
                }
                _ => return Ok(Marked::Done(Box::new(entry))),
            }
        }
    }

    pub(super) async fn mark(
        &self,
        at: &At,
        pending: &Pending,
        name: &str,
    ) -> Result<Marked<T::Kept>, Rejection> {
        loop {
            let (marked, entry) = self
                .change(at, |entry, _| {
                    if entry.account.has_done(name) {
                        return Ok(Ok(false));
                    }
                    if let Some(before) = &entry.pending {
                        return Ok(Err(Box::new(before.clone())));
                    }
                    match entry.account.state {
                        State::Open => entry.pending = Some(pending.clone()),
                        State::Opening => return Err(in_flight()),
                        _ => return Err(mpp_core::account::closed()),
                    }
                    Ok(Ok(true))
                })
                .await?;
            match marked {
                Ok(true) => return Ok(Marked::Go(Box::new(entry))),
                Ok(false) => return Ok(Marked::Done(Box::new(entry))),
                Err(before) => self.resume_free(at, &before).await?,
            }
        }
    }

    /// Goes on with an order that nobody has in hand, so that another can be given.
    pub(super) async fn resume_free(&self, at: &At, before: &Pending) -> Result<(), Rejection> {
        if !self.is_free(before) {
            return Err(in_flight());
        }
        match self.resume(at).await {
            // It has an end, whichever: what comes next is decided by what is on the books now.
            Ok(_) => Ok(()),
            Err(open) if open.reason == Reason::OUTCOME_UNKNOWN => Err(open),
            Err(_) => Ok(()),
        }
    }

    /// Whether nobody has an order in hand. Asked only by who has the turn in this process.
    pub(super) fn is_free(&self, pending: &Pending) -> bool {
        pending.by == self.engine.me
            || self.engine.alone
            || pending.until <= self.engine.now().unix_millis()
    }

    /// Carries an order out that is written down, and books what became of it.
    pub(super) async fn carry_out(
        &self,
        at: &At,
        order: &T::Order,
        account: &Account<T::Kept>,
    ) -> Result<Ordered<T::Kept>, Rejection> {
        let settling = self.till.it.settle(order, account);
        let fate = self.within_deadline(settling).await;
        let name = self.till.it.name(order).into_owned();
        let done = self.booked(at, &name, fate).await?;
        self.used_up(at, order).await?;
        Ok(done)
    }

    /// Whether a pending order is the one of this name.
    fn is_named(&self, pending: &Pending, name: &str) -> bool {
        order_of::<T::Order>(pending).is_ok_and(|order| self.till.it.name(&order) == name)
    }

    pub(super) async fn within_deadline(&self, fate: impl Future<Output = Fate>) -> Fate {
        tokio::time::timeout(self.engine.deadline, fate).await.unwrap_or_else(Fate::unknown)
    }

    /// Writes down what became of the order that is pending.
    pub(super) async fn booked(
        &self,
        at: &At,
        name: &str,
        fate: Fate,
    ) -> Result<Ordered<T::Kept>, Rejection> {
        match fate {
            Fate::Settled(settlement) => self.book_settled(at, name, settlement).await,
            Fate::Failed(rejection) => {
                self.book_failed(at, name).await?;
                Err(rejection)
            }
            // What was just given to it, it has yet to hear of.
            Fate::Absent => {
                self.ask_after(at, name);
                Err(Rejection::unknown("the rail does not know an order that it was just given"))
            }
            Fate::Unknown(cause) => {
                self.ask_after(at, name);
                Err(Rejection::unknown(cause))
            }
            _ => Err(Rejection::unknown("a fate that this engine does not know")),
        }
    }

    async fn book_settled(
        &self,
        at: &At,
        name: &str,
        settlement: Settlement,
    ) -> Result<Ordered<T::Kept>, Rejection> {
        let it = &self.till.it;
        let seen: Option<T::Kept> = match settlement.kept {
            Some(kept) => Some(read(serde_json::from_value(kept))?),
            None => None,
        };
        // Should this not be written, the order stays pending, and the rail says the same once more.
        let (act, entry) = self
            .change(at, |entry, now| {
                // Another gate has booked it, and perhaps begun another since.
                let Some(pending) = entry.pending.take_if(|pending| self.is_named(pending, name))
                else {
                    return Ok(None);
                };
                if let Some(seen) = &seen {
                    it.merge(&mut entry.account.kept, seen.clone());
                }
                entry.account.credit_order(name, settlement.credit)?;
                match pending.act {
                    Act::Open => {
                        entry.account.state = State::Open;
                        entry.collected.at = now;
                        let ceiling = it.ceiling(&entry.account.kept);
                        // The deposit is there, whatever is to be said of the voucher: what it raises, later ones raise too.
                        if let Some(raise) = pending.raise()
                            && let Err(e) = entry.account.raise(&raise, ceiling)
                        {
                            tracing::warn!(
                                reason = e.reason.as_str(),
                                "the first voucher was not taken"
                            );
                        }
                    }
                    Act::Close => entry.account.state = State::Closed,
                    Act::Collect => {
                        let (units, spent) = (entry.account.units, entry.account.spent);
                        entry.collected = Collected { units, spent, at: now };
                    }
                    Act::TopUp => {}
                }
                if it.standing(&entry.account.kept) == Standing::Ended {
                    entry.absorb(|_| true);
                    entry.account.state = State::Closed;
                }
                if pending.act != Act::Collect {
                    let extra = settlement.extra.clone();
                    entry.done = Some(Done { name: name.to_owned(), extra });
                }
                entry.touched = now;
                Ok(Some(pending.act))
            })
            .await?;
        at.local.changed.notify_waiters();
        if let Some(act) = act {
            self.tell(at, act, &settlement.extra);
            if act == Act::Open {
                // Lost in a crash, a payer that forgets is not told of its account; nothing else.
                self.index(&at.id, &entry.account.kept).await?;
            }
        }
        Ok(Ordered { entry, extra: settlement.extra, fresh: true })
    }

    /// The order moved nothing, and never will.
    async fn book_failed(&self, at: &At, name: &str) -> Result<(), Rejection> {
        loop {
            let Some((version, mut entry)) = self.read(at).await? else { return Ok(()) };
            let Some(pending) = entry.pending.take_if(|pending| self.is_named(pending, name))
            else {
                return Ok(());
            };
            let written = match pending.act {
                Act::Open => self.remove(at, version).await?,
                act => {
                    if act == Act::Close {
                        // Nothing was closed: it can be drawn on as before, and closed again.
                        entry.account.state = State::Open;
                    }
                    if act == Act::Collect {
                        // Tried again when as much again was served: not at each draw.
                        let (units, spent) = (entry.account.units, entry.account.spent);
                        let now = self.engine.now().unix_millis();
                        entry.collected = Collected { units, spent, at: now };
                    }
                    self.write(at, Some(version), &entry).await?
                }
            };
            if written {
                at.local.changed.notify_waiters();
                return Ok(());
            }
        }
    }

    fn tell(&self, at: &At, act: Act, extra: &Map<String, Value>) {
        let what = match act {
            Act::Open => AccountChange::Opened,
            Act::TopUp => AccountChange::ToppedUp,
            Act::Collect => AccountChange::Collected,
            Act::Close => AccountChange::Closed,
        };
        tracing::info!(method = %self.till.id, account = at.id, ?what, "an account's order is settled");
        self.engine.events.send(|| Event::Account {
            method: self.till.id.clone(),
            account: at.id.clone(),
            what,
            settlement: extra.clone(),
        });
    }

    /// Asks the rail after an order whose outcome is not known, so that the books say in time what became of it.
    fn ask_after(&self, at: &At, name: &str) {
        let (desk, at, name) = (self.clone(), at.clone(), name.to_owned());
        tokio::spawn(async move {
            for again in 0..4_u32 {
                tokio::time::sleep(Duration::from_secs(2 << again)).await;
                let Ok(_turn) = desk.turn(&at).await else { continue };
                match desk.read(&at).await {
                    Ok(Some((_, entry))) => match &entry.pending {
                        Some(pending) if !desk.is_named(pending, &name) => return,
                        Some(pending) if desk.is_free(pending) => {}
                        Some(_) => continue,
                        None => return,
                    },
                    Ok(None) => return,
                    Err(_) => continue,
                }
                match desk.resume_quietly(&at).await {
                    Err(e) if e.reason == Reason::OUTCOME_UNKNOWN => {}
                    _ => return,
                }
            }
        });
    }
}

/// Runs in a task of its own: a caller that hangs up changes nothing.
pub(super) async fn alone<R: Send + 'static>(
    engine: &Arc<Engine>,
    order: impl Future<Output = Result<R, Rejection>> + Send + 'static,
) -> Result<R, Rejection> {
    let busy = engine.busy();
    let order = async move {
        let _busy = busy;
        order.await
    };
    tokio::spawn(order).await.unwrap_or_else(|e| Err(Rejection::unknown(e)))
}

/// The order that is pending, read back.
pub(super) fn order_of<O: serde::de::DeserializeOwned>(pending: &Pending) -> Result<O, Rejection> {
    read(serde_json::from_str(pending.order.get()))
}

/// What cannot be read back is told without quoting it.
fn read<T>(read: Result<T, serde_json::Error>) -> Result<T, Rejection> {
    read.map_err(|e| Rejection::unknown(Unreadable::from(e)))
}

/// An account that has vanished under an order.
pub(super) fn vanished() -> Rejection {
    not_found()
}
