//! Collects what a later period costs: by the invoice that Stripe made for it, and by no other.

use mpp_core::{
    fate::{Fate, Settlement},
    problem::Rejection,
};

use super::{
    Verifier,
    order::{Renew, name_of},
    stop::{Step, declined, failed, is_final, refused, unknown},
};
use crate::{
    api::{ApiError, Form, Refused},
    subscription::billing::{
        contract::Contract,
        invoice::{Invoice, Status},
    },
};

impl Verifier {
    pub(super) async fn collect(&self, order: &Renew) -> Fate {
        self.collected(order).await.unwrap_or_else(|fate| *fate)
    }

    async fn collected(&self, order: &Renew) -> Step<Fate> {
        let contract = self.billing.contract(&order.kept.subscription).await.map_err(unknown)?;
        let invoices = self.billing.invoices_of(&contract.id).await.map_err(unknown)?;
        // A period that is over is not paid later. A crash in here leaves some of them open: the next run, or this one again.
        for stale in invoices.iter().filter(|invoice| is_stale(invoice, order)) {
            self.billing.voided(stale).await.map_err(unknown)?;
        }
        let Some(invoice) = its_own(&invoices, order) else {
            return self.without_invoice(order, &contract).await;
        };
        if let Some(settlement) = settled(order, &contract, invoice) {
            return Ok(Fate::Settled(settlement));
        }
        let fits = self.is_payable(order, &contract, invoice);
        match invoice.status {
            Status::Paid => {
                self.call_off(&contract, order.start, Some(invoice), not_as_agreed()).await
            }
            Status::Closed => {
                self.call_off(&contract, order.start, Some(invoice), declined()).await
            }
            Status::Draft | Status::Open if !fits => {
                self.call_off(&contract, order.start, Some(invoice), not_as_agreed()).await
            }
            Status::Draft => {
                // A crash after it leaves an open invoice, which Stripe collects or the next run.
                let path = format!("/v1/invoices/{}/finalize", invoice.id);
                self.billing.step(&path, Form::new()).await.map_err(unknown)?;
                self.pay(order, &contract, &invoice.id).await
            }
            Status::Open => self.pay(order, &contract, &invoice.id).await,
        }
    }

    /// Whether the charge is there, read without a change. What is open is for `settle`, which pays each invoice once.
    pub(super) async fn look_for_collected(&self, order: &Renew) -> Fate {
        let read = async {
            let contract = self.billing.contract(&order.kept.subscription).await?;
            let invoices = self.billing.invoices_of(&contract.id).await?;
            let mine = its_own(&invoices, order);
            Ok::<_, ApiError>(mine.and_then(|invoice| settled(order, &contract, invoice)))
        };
        match read.await {
            Ok(found) => found.map_or(Fate::Absent, Fate::Settled),
            Err(lost) => Fate::unknown(lost),
        }
    }

    /// Whether an invoice that is not paid yet may be: as agreed, and for a subscription that nobody has ended.
    fn is_payable(&self, order: &Renew, contract: &Contract, invoice: &Invoice) -> bool {
        let agreed = order.terms.of(&order.kept.subscription, &order.kept.customer);
        !contract.is_called_off()
            && !has_ended(order, contract)
            && invoice.unpayable(&agreed, order.span()).is_none()
            && contract.unfit(&agreed, &order.terms.cadence).is_none()
    }

    /// Stripe has made no invoice of the period. Its clock may be behind ours; or it never will.
    async fn without_invoice(&self, order: &Renew, contract: &Contract) -> Step<Fate> {
        if has_ended(order, contract) || contract.is_called_off() {
            return self.give_up(contract, over()).await;
        }
        Err(unknown("Stripe has not made the invoice of this period yet"))
    }

    /// Pays an open invoice, once: its key is its id's, and Stripe pays no invoice twice.
    async fn pay(&self, order: &Renew, contract: &Contract, id: &str) -> Step<Fate> {
        let form = Form::new().with("off_session", "true");
        let (path, key) = (format!("/v1/invoices/{id}/pay"), format!("mpp_pay_{id}"));
        // A crash after it leaves an invoice that is paid, or open: the next run reads which.
        let no = match self.billing.post(&path, form, Some(&key)).await {
            Ok(_) => None,
            Err(ApiError::Refused(no)) => Some(no),
            Err(lost) => return Err(unknown(lost)),
        };
        // What Stripe said may be of before, and it collects by itself too: how the invoice stands today tells.
        let invoice = self.billing.invoice(id).await.map_err(unknown)?;
        if let Some(settlement) = settled(order, contract, &invoice) {
            return Ok(Fate::Settled(settlement));
        }
        match no {
            Some(no) if is_decline(&no) => self.given_up_on(order, contract, &invoice, no).await,
            Some(no) => Err(unknown(ApiError::Refused(no))),
            None => Err(unknown("the payment of the invoice is being processed")),
        }
    }

    /// The card was declined: the invoice is voided before anything is said, so that Stripe cannot collect it later.
    async fn given_up_on(
        &self,
        order: &Renew,
        contract: &Contract,
        open: &Invoice,
        no: Refused,
    ) -> Step<Fate> {
        let invoice = self.billing.voided(open).await.map_err(unknown)?;
        if let Some(settlement) = settled(order, contract, &invoice) {
            // Stripe's own attempt was quicker.
            return Ok(Fate::Settled(settlement));
        }
        self.call_off(contract, order.start, Some(&invoice), refused(no)).await
    }

    /// Ends the subscription, so that nothing is charged for it any more.
    async fn give_up(&self, contract: &Contract, why: Rejection) -> Step<Fate> {
        self.billing.end_now(contract).await.map_err(unknown)?;
        Err(failed(why))
    }
}

/// The charge of the period, where this invoice is it.
fn settled(order: &Renew, contract: &Contract, invoice: &Invoice) -> Option<Settlement> {
    let agreed = order.terms.of(&order.kept.subscription, &order.kept.customer);
    let counts = !contract.is_called_off() && invoice.unfit(&agreed, order.span()).is_none();
    counts.then(|| charge(&contract.id, &invoice.id))
}

/// The charge of a period, as its receipt says it.
pub(crate) fn charge(subscription: &str, invoice: &str) -> Settlement {
    let settlement = Settlement::new(invoice).with("stripeSubscription", subscription);
    settlement.with("subscriptionId", name_of(subscription))
}

/// The invoice that begins within the period: a paid one first, and what can still be before what was closed.
fn its_own<'i>(invoices: &'i [Invoice], order: &Renew) -> Option<&'i Invoice> {
    let within = |invoice: &&Invoice| {
        // What has not one line is of this period, if of any: it is looked at, and fits nothing.
        let begins = invoice.span.map_or(order.start, |(start, _)| start);
        let other = invoice.is_first() || invoice.is_by_hand();
        (order.start..order.end).contains(&begins) && !other
    };
    let rank = |invoice: &&Invoice| match invoice.status {
        Status::Paid => 0,
        Status::Open => 1,
        Status::Draft => 2,
        Status::Closed => 3,
    };
    invoices.iter().filter(within).min_by_key(rank)
}

/// Whether an invoice is of a period that is over, and not paid.
fn is_stale(invoice: &Invoice, order: &Renew) -> bool {
    matches!(invoice.status, Status::Draft | Status::Open)
        && !invoice.is_by_hand()
        && invoice.span.is_some_and(|(_, end)| end <= order.start)
}

/// Whether nothing is to be charged for the period any more, by what Stripe was told.
fn has_ended(order: &Renew, contract: &Contract) -> bool {
    contract.has_ended() || contract.ends().is_some_and(|end| end <= order.start)
}

fn is_decline(no: &Refused) -> bool {
    is_final(no) && (no.status == 402 || no.kind.as_deref() == Some("card_error"))
}

fn over() -> Rejection {
    Rejection::failed("This subscription has ended: nothing is charged for it any more.")
}

fn not_as_agreed() -> Rejection {
    Rejection::failed("What would be charged is not what was agreed. The subscription was ended.")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_a_seller_bills_by_hand_is_no_periods_charge_and_is_left_alone() {
        let order: Renew = serde_json::from_value(json!({
            "kept": { "subscription": "sub_1", "customer": "cus_1" },
            "terms": { "amount": "5000", "currency": "usd", "cadence": { "unit": "week", "count": 1 } },
            "start": 100, "end": 200,
        }))
        .unwrap();
        let invoice = |id: &str, status: &str, reason: &str, start: i64| {
            let period = json!({ "start": start, "end": start + 100 });
            let lines = json!({ "has_more": false, "data": [{ "period": period }] });
            let body: Value =
                json!({ "id": id, "status": status, "billing_reason": reason, "lines": lines });
            Invoice::read(body).unwrap()
        };
        let invoices = [
            invoice("in_hand", "paid", "manual", 100),
            invoice("in_late", "open", "manual", 0),
            invoice("in_stale", "open", "subscription_cycle", 0),
            invoice("in_due", "open", "subscription_cycle", 100),
        ];
        assert_eq!(its_own(&invoices, &order).map(|it| it.id.as_str()), Some("in_due"));
        let stale = invoices.iter().filter(|it| is_stale(it, &order)).map(|it| it.id.as_str());
        assert_eq!(Vec::from_iter(stale), ["in_stale"]);
    }
}
