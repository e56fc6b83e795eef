//! Going through all accounts now and then: what a crash left open, what payers are about to take back, what is idle, what is
//! to be collected.

use mpp_core::{
    account::State,
    problem::{Reason, Rejection},
    store::Key,
    teller::{Standing, Teller},
};

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

impl<T: Teller> Desk<T> {
    pub(super) async fn sweep(&self) -> Result<Swept, Rejection> {
        let mut swept = Swept::default();
        let mut after = None;
        loop {
            let page = self.page(after.as_ref()).await?;
            let Some(last) = page.last().map(|(at, _)| at.key.clone()) else { return Ok(swept) };
            self.sweep_page(page, &mut swept).await;
            after = Some(last);
        }
    }

    /// Collects everything that was earned.
    pub(super) async fn collect_everything(&self) -> Result<Swept, Rejection> {
        let mut swept = Swept::default();
        let mut after = None;
        loop {
            let page = self.page(after.as_ref()).await?;
            let Some(last) = page.last().map(|(at, _)| at.key.clone()) else { return Ok(swept) };
            let accounts = page.into_iter().map(|(at, _)| at).collect();
            swept.collected += self.collect_all(accounts).await;
            after = Some(last);
        }
    }

    async fn page(&self, after: Option<&Key>) -> Result<Vec<(At, Entry<T::Kept>)>, Rejection> {
        let prefix = self.prefix()?;
        let found = self.engine.store.scan(&prefix, after, PAGE).await.map_err(unavailable)?;
        let mut page = Vec::with_capacity(found.len());
        for (key, value) in found {
            let id = key.last();
            match Entry::read(&key, &value.value) {
                Ok(entry) => {
                    let local = self.engine.locals.of(&key);
                    page.push((At { id, key: key.clone(), local }, entry));
                }
                Err(e) => tracing::error!(cause = %e, "an account on the books cannot be read"),
            }
        }
        Ok(page)
    }

    async fn sweep_page(&self, page: Vec<(At, Entry<T::Kept>)>, swept: &mut Swept) {
        let mut live = Vec::new();
        for (at, entry) in page {
            if entry.is_over() {
                self.engine.locals.leave(&at.key, at.local);
                continue;
            }
            match self.tend(&at, &entry, swept).await {
                Ok(()) => live.push(at),
                Err(e) => tracing::warn!(
                    account = at.id,
                    reason = e.reason.as_str(),
                    "an account could not be tended"
                ),
            }
        }
        let live = match self.look_at(&live).await {
            Ok(entries) => entries,
            Err(e) => {
                tracing::warn!(reason = e.reason.as_str(), "accounts could not be looked after");
                return;
            }
        };
        let now = self.engine.now().unix_millis();
        let mut due = Vec::new();
        for (at, entry) in live {
            if self.is_to_end(&entry, now) {
                match self.close_ourselves(&at).await {
                    Ok(Some(_)) => swept.closed += 1,
                    Ok(None) => {}
                    Err(e) => tracing::warn!(
                        account = at.id,
                        reason = e.reason.as_str(),
                        "an account could not be closed"
                    ),
                }
            } else if self.engine.schedule.is_due_by_time(&entry, now)
                || self.engine.schedule.is_due_by_use(&entry)
            {
                due.push(at);
            }
        }
        swept.collected += self.collect_all(due).await;
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

    /// Asks the rail how accounts stand, and merges what it says. Returns those that are still there.
    async fn look_at(&self, accounts: &[At]) -> Result<Vec<(At, Entry<T::Kept>)>, Rejection> {
        let mut asked = Vec::new();
        for at in accounts {
            if let Some((_, entry)) = self.read(at).await?
                && matches!(entry.account.state, State::Open | State::Closing)
                && entry.pending.is_none()
            {
                asked.push((at.clone(), entry));
            }
        }
        if asked.is_empty() {
            return Ok(asked);
        }
        let kept: Vec<T::Kept> =
            asked.iter().map(|(_, entry)| entry.account.kept.clone()).collect();
        let looking = self.till.it.look(&kept);
        let seen = tokio::time::timeout(self.engine.deadline, looking).await.unwrap_or_default();
        let mut live = Vec::new();
        for ((at, entry), seen) in
            asked.into_iter().zip(seen.into_iter().chain(std::iter::repeat_with(|| None)))
        {
            let entry = match seen {
                Some(seen) => self.seen(&at, seen).await?,
                None => entry,
            };
            if entry.account.state != State::Closed {
                live.push((at, entry));
            }
        }
        Ok(live)
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
