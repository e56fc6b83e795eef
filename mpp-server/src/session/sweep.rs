//! Going through all accounts now and then: what a crash left open, what payers are about to take back, what is idle, what is
//! to be collected.

use std::{cmp::Reverse, sync::Arc};

use mpp_core::{
    account::State,
    problem::{Reason, Rejection},
    store::Key,
    teller::{Standing, Teller},
};
use tokio::{sync::Semaphore, task::JoinSet};

use super::{
    books::{At, Desk, unavailable},
    entry::Entry,
};

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Swept {
    /// Orders that a crash or a lost answer had left open, and that have an end now.
    pub resumed: usize,
    /// Accounts of which what was earned is on the rail now.
    pub collected: usize,
    /// Accounts that were closed.
    pub closed: usize,
    /// Orders whose outcome is still not known.
    pub unknown: usize,
}

impl std::ops::AddAssign for Swept {
    fn add_assign(&mut self, other: Self) {
        self.resumed += other.resumed;
        self.collected += other.collected;
        self.closed += other.closed;
        self.unknown += other.unknown;
    }
}

/// Accounts that are read, and of which the rail is asked, at a time.
const PAGE: usize = 128;
/// Accounts that are closed at a time.
const TOGETHER: usize = 32;

impl<T: Teller> Desk<T> {
    pub(super) async fn sweep(&self) -> Result<Swept, Rejection> {
        let (mut swept, mut after) = (Swept::default(), None);
        let mut ending = JoinSet::new();
        let together = Arc::new(Semaphore::new(TOGETHER));
        loop {
            let (page, last) = self.page(after.as_ref()).await?;
            let Some(last) = last else { break };
            for at in self.sweep_page(page, &mut swept).await {
                // A close takes seconds, and a grace may be about to end: none waits for another.
                let (desk, together) = (self.clone(), together.clone());
                ending.spawn(async move {
                    let _turn = together.acquire_owned().await;
                    desk.end(&at).await
                });
            }
            after = Some(last);
        }
        while let Some(ended) = ending.join_next().await {
            swept.closed += usize::from(ended.unwrap_or(false));
        }
        Ok(swept)
    }

    /// Closes an account; whether it is closed now.
    async fn end(&self, at: &At) -> bool {
        match self.close_ourselves(at).await {
            Ok(closed) => closed.is_some(),
            Err(e) => {
                let reason = e.reason.as_str();
                tracing::warn!(account = at.id, reason, "an account could not be closed");
                false
            }
        }
    }

    /// Collects everything that was earned.
    pub(super) async fn collect_everything(&self) -> Result<Swept, Rejection> {
        let (mut swept, mut after) = (Swept::default(), None);
        loop {
            let (page, last) = self.page(after.as_ref()).await?;
            let Some(last) = last else { return Ok(swept) };
            let accounts = page.into_iter().map(|(at, _)| at).collect();
            swept.collected += self.collect_all(accounts).await;
            after = Some(last);
        }
    }

    /// Reads some accounts, and says up to where; nowhere, where there are no more.
    async fn page(&self, after: Option<&Key>) -> Result<Page<T::Kept>, Rejection> {
        let prefix = self.prefix()?;
        let found = self.engine.store.scan(&prefix, after, PAGE).await.map_err(unavailable)?;
        let last = found.last().map(|(key, _)| key.clone());
        let mut page = Vec::with_capacity(found.len());
        for (key, value) in found {
            match Entry::read(&key, &value.value) {
                Ok(entry) => {
                    let (id, local) = (key.last(), self.engine.locals.of(&key));
                    page.push((At { id, key, local }, entry));
                }
                Err(e) => tracing::error!(cause = %e, "an account on the books cannot be read"),
            }
        }
        Ok((page, last))
    }

    /// Tends some accounts, and says which are to be closed: first those whose payers leave, the most uncollected first.
    async fn sweep_page(&self, page: Vec<(At, Entry<T::Kept>)>, swept: &mut Swept) -> Vec<At> {
        let mut live = Vec::new();
        for (at, entry) in page {
            if entry.is_over() {
                self.engine.locals.leave(&at.key, at.local);
                continue;
            }
            if let Err(e) = self.tend(&at, &entry, swept).await {
                let reason = e.reason.as_str();
                tracing::warn!(account = at.id, reason, "an account could not be tended");
            }
            live.push(at);
        }
        let now = self.engine.now().unix_millis();
        let (mut due, mut ending) = (Vec::new(), Vec::new());
        for (at, entry) in self.look_at(live).await {
            if self.is_to_end(&entry, now) {
                let leaves = self.till.it.standing(&entry.account.kept) != Standing::Open;
                let paid_out = self.till.it.paid_out(&entry.account.kept);
                let at_stake = entry.account.spent.saturating_sub(paid_out);
                ending.push(((!leaves, Reverse(at_stake)), at));
            } else if self.engine.schedule.is_due_by_time(&entry, now)
                || self.engine.schedule.is_due_by_use(&entry)
            {
                due.push(at);
            }
        }
        swept.collected += self.collect_all(due).await;
        ending.sort_by_key(|(order, _)| *order);
        ending.into_iter().map(|(_, at)| at).collect()
    }

    /// Ends what nobody has in hand any more: orders, and what dead meters had set aside.
    async fn tend(
        &self,
        at: &At,
        entry: &Entry<T::Kept>,
        swept: &mut Swept,
    ) -> Result<(), Rejection> {
        let now = self.engine.now().unix_millis();
        let dead =
            |by: u64, until: i64| until <= now || (self.engine.alone && by != self.engine.me);
        if entry.holds.iter().any(|hold| dead(hold.by, hold.until)) {
            let absorbed =
                self.change(at, |entry, _| Ok(entry.absorb(|hold| dead(hold.by, hold.until))));
            absorbed.await?;
        }
        if entry.pending.is_none() {
            return Ok(());
        }
        // Somebody of this process has it in hand.
        let Ok(_turn) = at.local.ordering.clone().try_lock_owned() else { return Ok(()) };
        let Some((_, entry)) = self.read(at).await? else { return Ok(()) };
        if !entry.pending.as_ref().is_some_and(|pending| self.is_free(pending)) {
            return Ok(());
        }
        match self.resume_quietly(at).await {
            Err(e) if e.reason == Reason::OUTCOME_UNKNOWN => swept.unknown += 1,
            _ => swept.resumed += 1,
        }
        Ok(())
    }

    /// Asks the rail how accounts stand, and merges what it says: of accounts with an order in hand too, since their payers may
    /// leave meanwhile. Returns those that are still there.
    async fn look_at(&self, accounts: Vec<At>) -> Vec<(At, Entry<T::Kept>)> {
        let mut asked = Vec::new();
        for at in accounts {
            match self.read(&at).await {
                Ok(Some((_, entry)))
                    if matches!(entry.account.state, State::Open | State::Closing) =>
                {
                    asked.push((at, entry));
                }
                Ok(_) => {}
                Err(e) => unread(&at, &e),
            }
        }
        if asked.is_empty() {
            return asked;
        }
        let kept: Vec<T::Kept> =
            asked.iter().map(|(_, entry)| entry.account.kept.clone()).collect();
        let looking = self.till.it.look(&kept);
        let seen = tokio::time::timeout(self.engine.deadline, looking).await.unwrap_or_default();
        if seen.len() != asked.len() {
            tracing::warn!(method = %self.till.id, "the rail does not say how accounts stand");
        }
        let mut live = Vec::new();
        for ((at, entry), seen) in
            asked.into_iter().zip(seen.into_iter().chain(std::iter::repeat_with(|| None)))
        {
            let entry = match seen {
                Some(seen) => match self.seen(&at, seen).await {
                    Ok(entry) => entry,
                    Err(e) => {
                        unread(&at, &e);
                        entry
                    }
                },
                None => entry,
            };
            if entry.account.state != State::Closed {
                live.push((at, entry));
            }
        }
        live
    }

    /// Merges what the rail says of an account. One that is gone without an order of ours is closed.
    async fn seen(&self, at: &At, seen: T::Kept) -> Result<Entry<T::Kept>, Rejection> {
        let it = &self.till.it;
        let (changed, entry) = self
            .change(at, |entry, _| {
                let before = it.standing(&entry.account.kept);
                it.merge(&mut entry.account.kept, seen.clone());
                let after = it.standing(&entry.account.kept);
                if after == Standing::Ended && entry.pending.is_none() {
                    entry.absorb(|_| true);
                    entry.account.state = State::Closed;
                }
                Ok(before != after)
            })
            .await?;
        if changed {
            at.local.changed.notify_waiters();
        }
        Ok(entry)
    }

    /// Asks the rail about one account whose credit would be more than its deposit; whether that made a difference.
    pub(super) async fn look_again(&self, at: &At) -> Result<bool, Rejection> {
        let entry = self.found(at).await?;
        let kept = [entry.account.kept.clone()];
        let looking = self.till.it.look(&kept);
        let seen = tokio::time::timeout(self.engine.deadline, looking).await.unwrap_or_default();
        let Some(Some(seen)) = seen.into_iter().next() else { return Ok(false) };
        let before = self.till.it.ceiling(&entry.account.kept);
        let entry = self.seen(at, seen).await?;
        Ok(self.till.it.ceiling(&entry.account.kept) > before)
    }

    /// Whether it is ours to close: its payer is about to take everything back, a close of before has not got far, or nobody
    /// uses it any more.
    fn is_to_end(&self, entry: &Entry<T::Kept>, now: i64) -> bool {
        if entry.pending.is_some() {
            return false;
        }
        match (entry.account.state, self.till.it.standing(&entry.account.kept)) {
            (State::Closing, _) | (State::Open, Standing::Ending { .. }) => true,
            (State::Open, Standing::Open) => {
                entry.holds.is_empty() && self.engine.schedule.is_idle(entry, now)
            }
            _ => false,
        }
    }
}

/// Accounts as they were read, and the key of the last that was looked at.
type Page<K> = (Vec<(At, Entry<K>)>, Option<Key>);

fn unread(at: &At, e: &Rejection) {
    let reason = e.reason.as_str();
    tracing::warn!(account = at.id, reason, "an account could not be looked after");
}
