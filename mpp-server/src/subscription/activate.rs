//! Activation: a credential goes the ledger's way, and what it agreed is on the books before anything is served for it.

use mpp_core::{
    credential::Fingerprint,
    problem::Rejection,
    store::{Keep, Key},
};

use super::{
    Agreements, Member,
    entry::{Activating, Entry, Held},
    refusal::{open_order, wrong_subscriber},
    standing::Begun,
};
use crate::{
    event::SubscriptionChange,
    ledger::{self, Blocked, Hold, Manner, Start, broken, in_flight},
    permit::{Ending, Paid},
    route::Order,
};

/// How often a claim is tried that others win.
const TRIES: u32 = 16;

/// What came of claiming an entry for a challenge.
enum Claimed {
    /// Nothing else is paid for this subscriber meanwhile.
    Ours,
    /// Something was agreed already.
    Agreed,
}

impl Agreements {
    /// Pays a challenge and puts what it agrees on the books, in a task of its own.
    pub(crate) async fn activate(
        &self,
        member: &Member,
        key: Key,
        start: Start,
        hold: Hold,
    ) -> Result<Paid, Rejection> {
        let (me, member) = (self.clone(), member.clone());
        self.alone(async move { me.go_through(&member, key, start, hold).await }).await
    }

    async fn go_through(
        &self,
        member: &Member,
        key: Key,
        start: Start,
        hold: Hold,
    ) -> Result<Paid, Rejection> {
        let mine = self.activating(&start);
        // A crash here leaves nothing.
        if let Claimed::Agreed = self.claim(member, &mine).await? {
            return self.paid(&member.key).await;
        }
        // A crash here leaves a claim for a challenge that nothing was sent for: past its lease another may begin.
        let manner = Manner { order: Order::SettleFirst, asked: None };
        let serving = match self.0.ledger.go_on(key.clone(), start, manner, hold).await {
            Ok(serving) => serving,
            Err(refused) => {
                self.let_go(&member.key, &mine).await;
                return Err(refused);
            }
        };
        // A crash here leaves the ledger's entry `serving`, which keeps all that was agreed: the subscriber's next request, or
        // a pass over the books, completes it.
        let done = match self.0.ledger.find(&key).await? {
            Some((_, entry)) => self.complete(&entry).await,
            None => Err(Rejection::internal("a payment has vanished from the books")),
        };
        let ending = if done.is_ok() { Ending::Delivered } else { Ending::NotDelivered };
        // A crash here leaves an agreement, and an entry that says so once it is looked at again.
        if let Err(e) = serving.turn.end(ending, None).await {
            tracing::warn!(reason = e.reason.as_str(), "an activation is not ended on the ledger");
        }
        done?;
        self.paid(&member.key).await
    }

    /// Takes what is agreed from a settled payment that a crash, or a broken store, kept from its agreement.
    pub(crate) async fn completed(
        &self,
        member: &Member,
        paid: &ledger::Entry,
    ) -> Result<Paid, Rejection> {
        self.complete(paid).await?;
        self.0.ledger.conclude(&paid.challenge).await;
        self.paid(&member.key).await
    }

    /// Refuses a credential that began another's subscription, however far it got.
    pub(crate) fn is_of(
        &self,
        member: &Member,
        paid: &ledger::Entry,
        print: &Fingerprint,
    ) -> Result<(), Rejection> {
        let ours = paid.agreed.as_ref().is_none_or(|agreed| agreed.member == member.key.as_str());
        if ours || paid.print != *print { Ok(()) } else { Err(wrong_subscriber()) }
    }

    fn activating(&self, start: &Start) -> Activating {
        let (challenge, print, method, account, expires) = match start {
            Start::New(o) => (&o.challenge, o.print, o.rail.id(), o.rail.settles_at(), &o.expires),
            Start::Resume(_, e, _) | Start::Serve(_, e) => {
                (&e.challenge, e.print, &e.method, e.account.as_str(), &e.expires)
            }
        };
        Activating {
            challenge: challenge.clone(),
            print,
            method: method.clone(),
            account: account.to_owned(),
            expires: expires.clone(),
            until: self.lease_end(),
            holder: self.0.ledger.me,
        }
    }

    /// Takes the subscriber's entry for one challenge: of two that are paid at once, one goes on.
    async fn claim(&self, member: &Member, mine: &Activating) -> Result<Claimed, Rejection> {
        for _ in 0..TRIES {
            let found = self.read(&member.key).await?;
            let (version, mut entry) = match found {
                Some((version, entry)) => (Some(version), entry),
                None => (None, Entry::of(&member.product)),
            };
            let now = self.now();
            match &entry.held {
                Some(held) if held.is_paid(&now) => return Ok(Claimed::Agreed),
                Some(held) if held.is_in_force(&now) => {
                    return Err(open_order("a period is due that was to be charged for first"));
                }
                _ => {}
            }
            let other = entry.activating.as_ref().filter(|it| it.challenge != mine.challenge);
            if let Some(other) = other {
                match self.begun(&member.key, other).await? {
                    Begun::Completed => return Ok(Claimed::Agreed),
                    Begun::Nothing if !self.closed(&member.key, other).await? => continue,
                    Begun::Nothing => {}
                }
            }
            entry.activating = Some(mine.clone());
            // Lost: another copy of this credential, or another challenge, or an agreement. Looked at again.
            if self.write(&member.key, version, &entry).await? {
                return Ok(Claimed::Ours);
            }
        }
        Err(in_flight())
    }

    /// Makes sure that nothing is sent any more for a challenge of which nothing became: whoever holds it and only sleeps
    /// finds it closed on the ledger. False: it came to something meanwhile.
    async fn closed(&self, key: &Key, it: &Activating) -> Result<bool, Rejection> {
        let Activating { challenge, print, method, account, expires, .. } = it;
        let blocked = Blocked { challenge, print: *print, method, account, expires };
        if self.0.ledger.block(blocked).await? {
            return Ok(true);
        }
        Ok(matches!(self.begun(key, it).await?, Begun::Nothing))
    }

    /// Gives a claim back that came to nothing. One that cannot be given back now is looked at when another comes.
    async fn let_go(&self, key: &Key, mine: &Activating) {
        let nothing = matches!(self.begun(key, mine).await, Ok(Begun::Nothing));
        if !nothing || !self.closed(key, mine).await.unwrap_or(false) {
            return;
        }
        self.release(key, &mine.challenge).await;
    }

    /// Takes a claim off the books.
    pub(super) async fn release(&self, key: &Key, challenge: &str) {
        let released = self.change(key, |entry| {
            entry.activating.take_if(|it| it.challenge == challenge);
            Ok(())
        });
        if let Err(e) = released.await {
            tracing::warn!(reason = e.reason.as_str(), "a claim is not released");
        }
    }

    /// Puts on the books what a settled payment agreed. Said again it changes nothing.
    pub(super) async fn complete(&self, paid: &ledger::Entry) -> Result<(), Rejection> {
        let (Some(held), Some(agreed)) = (Held::of(paid), &paid.agreed) else {
            return Err(Rejection::internal(
                "a payment agrees nothing that could be put on the books",
            ));
        };
        let key = Key::from_stored(agreed.member.clone());
        self.name(&held, &key).await?;
        // A crash here leaves a name of a subscription that is on nobody's books yet; the payment is as open as it was.
        let now = self.now();
        let fresh = self
            .change(&key, |entry| {
                entry.activating.take_if(|it| it.challenge == paid.challenge);
                match &entry.held {
                    Some(before) if before.challenge == paid.challenge => return Ok(false),
                    Some(before) if before.is_in_force(&now) => return Err(twice()),
                    _ => {}
                }
                entry.begin(held.clone());
                Ok(true)
            })
            .await?;
        if fresh {
            self.tell(&held.agreement, SubscriptionChange::Began);
        }
        Ok(())
    }

    /// Writes down whose a subscription is: its rail names it by its id alone.
    async fn name(&self, held: &Held, member: &Key) -> Result<(), Rejection> {
        let it = &held.agreement;
        let (index, store) =
            (Self::index(&it.method, &it.place, &it.began.id)?, &self.0.ledger.store);
        let name = member.as_str().as_bytes();
        let fresh = store.swap(&index, None, Some(name), Keep::Forever).await.map_err(broken)?;
        if fresh.is_some() {
            return Ok(());
        }
        let found = store.get(&index).await.map_err(broken)?;
        match found.is_some_and(|found| found.value == name) {
            true => Ok(()),
            false => Err(Rejection::internal("a rail gave two subscribers one subscription")),
        }
    }

    /// What serves a subscriber whose agreement was put on the books just now.
    async fn paid(&self, key: &Key) -> Result<Paid, Rejection> {
        let held = self.read(key).await?.and_then(|(_, entry)| entry.held);
        let held = held.filter(|held| held.is_paid(&self.now()));
        // Its first period is over before it came to be served: the next request charges for the one that runs.
        held.map(|held| held.paid()).ok_or_else(|| open_order("the period ended meanwhile"))
    }
}

/// Two payments came to be settled for one subscriber, which no order of steps here leads to.
fn twice() -> Rejection {
    tracing::error!("a subscriber paid for two subscriptions at once: one is to be given back");
    Rejection::internal("two subscriptions of one subscriber were paid")
}
