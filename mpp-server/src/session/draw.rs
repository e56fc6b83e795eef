//! Drawing on an account: accept and deduct, in one swap.

use mpp_core::{
    Amount,
    account::{Account, Raise},
    problem::{Reason, Rejection},
    teller::Teller,
};

use super::{
    books::{At, Desk, Seen, not_found},
    entry::{Act, Entry, Pending},
    meter::Drawn,
    take::{Take, charged_before},
};

impl<T: Teller> Desk<T> {
    /// Accepts a raise and deducts what the request costs. The raise stands where the balance is short: the payer signed it.
    /// `seen` is what its proof was checked against, where that was on the books.
    ///
    /// A crash before the swap leaves nothing; after it, units that are paid and were not served, as many as the request asked
    /// for.
    pub(super) async fn draw(
        &self,
        at: &At,
        seen: Option<Seen<T::Kept>>,
        raise: &Raise,
        take: &Take,
    ) -> Result<Entry<T::Kept>, Rejection> {
        match self.draw_once(at, seen, raise, take).await {
            // What is kept of the deposit may be older than a top-up that went past us.
            Err(refused) if refused.reason == Reason::OVER_DEPOSIT => {
                if !self.look_again(at).await? {
                    return Err(refused);
                }
                self.draw_once(at, None, raise, take).await
            }
            drawn => drawn,
        }
    }

    async fn draw_once(
        &self,
        at: &At,
        seen: Option<Seen<T::Kept>>,
        raise: &Raise,
        take: &Take,
    ) -> Result<Entry<T::Kept>, Rejection> {
        let it = &self.till.it;
        let units = if take.content { take.units } else { 0 };
        let name = take.name.as_deref().filter(|_| units > 0);
        let (drawn, entry) = self
            .change_seen(at, seen, |entry, now| {
                self.stands(entry)?;
                if name.is_some_and(|name| entry.recent.iter().any(|before| before == name)) {
                    return Err(charged_before());
                }
                self.is_private(entry, raise, take)?;
                let ceiling = it.ceiling(&entry.account.kept);
                let before = entry.account.credit;
                let drawn = entry.account.draw(raise, ceiling, units, take.price);
                let raised = entry.account.credit > before;
                if drawn.is_ok() && (raised || units > 0) {
                    entry.touched = now;
                    name.into_iter().for_each(|name| entry.remember(name));
                }
                // What was not raised is not written.
                if drawn.is_err() && !raised {
                    return Err(drawn.err().unwrap_or_else(not_found));
                }
                Ok((drawn, raised))
            })
            .await?;
        let (drawn, raised) = drawn;
        if raised {
            at.local.changed.notify_waiters();
        }
        drawn?;
        Ok(entry)
    }

    /// Refuses a voucher that the rail was shown: everybody can read it there, and nothing is left of it for its payer.
    fn is_private(
        &self,
        entry: &Entry<T::Kept>,
        raise: &Raise,
        take: &Take,
    ) -> Result<(), Rejection> {
        let paid_out = self.till.it.paid_out(&entry.account.kept);
        match raise.total() {
            Some(total) if total <= paid_out && !paid_out.is_zero() => {
                let cost = take.price.checked_mul(take.units.max(1)).unwrap_or(take.price);
                Err(mpp_core::account::insufficient(cost))
            }
            _ => Ok(()),
        }
    }

    /// Deducts from the credit that is there.
    ///
    /// Returns whether the account is due to be collected.
    pub(super) async fn spend(&self, at: &At, drawn: Drawn) -> Result<bool, Rejection> {
        let (_, entry) = self
            .change(at, |entry, now| {
                self.stands(entry)?;
                entry.touched = now;
                entry.account.spend(drawn.units, drawn.price)
            })
            .await?;
        Ok(self.is_due(&entry))
    }

    /// Gives back what was deducted for something that was not served.
    pub(super) async fn give_back(
        &self,
        at: &At,
        drawn: Drawn,
        name: Option<&str>,
    ) -> Result<(), Rejection> {
        let it = &self.till.it;
        self.change(at, |entry, _| {
            let floor = it.paid_out(&entry.account.kept);
            // What is being collected right now counts as collected.
            let floor = match &entry.pending {
                Some(Pending { act: Act::Collect, to: Some(to), .. }) => floor.max(*to),
                Some(Pending { act: Act::Collect | Act::Close, .. }) => entry.account.spent,
                _ => floor,
            };
            entry.account.give_back(drawn.units, drawn.price, floor);
            entry.recent.retain(|before| Some(before.as_str()) != name);
            Ok(())
        })
        .await?;
        at.local.changed.notify_waiters();
        Ok(())
    }

    /// Puts an account on the books that is on its rail alone. What was served on it before is not known: all that was signed
    /// before counts, but for what this raise asks for.
    pub(super) async fn adopt(
        &self,
        at: &At,
        kept: T::Kept,
        raise: &Raise,
        take: &Take,
    ) -> Result<(), Rejection> {
        let it = &self.till.it;
        let Some(total) = raise.total() else {
            return Err(Rejection::internal("only a proven total can be gone on with"));
        };
        let mut account = Account::of(kept);
        account.raise(raise, it.ceiling(&account.kept))?;
        let wanted = take.price.checked_mul(take.units.max(1)).unwrap_or(Amount::ZERO);
        let served = total.saturating_sub(wanted).max(it.paid_out(&account.kept)).min(total);
        account.spent = served;
        let entry = Entry::of(account, self.engine.now().unix_millis());
        self.stands(&entry)?;
        // Another writer that was first has put the same account there.
        if self.write(at, None, &entry).await? {
            tracing::warn!(account = at.id, "went on with an account that was not on the books");
            self.index(&at.id, &entry.account.kept).await?;
        }
        Ok(())
    }
}
