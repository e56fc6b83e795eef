//! Ends subscriptions: at the end of what was paid, or at once and with the money given back.

use mpp_core::{Timestamp, agreement::Agreement, fate::Fate, problem::Rejection};

use super::{
    Verifier,
    order::Kept,
    stop::{Step, unknown},
};
use crate::{
    api::{ApiError, Form},
    subscription::billing::{
        Billing,
        contract::{CALLED_OFF, Contract},
        invoice::{Invoice, Status},
        odd,
        read::Read,
    },
};

impl Verifier {
    /// Calls a subscription off that is not what was agreed: nothing paid for periods from `from` on counts, and what was paid
    /// goes back. `Failed`, for `why`, once no money of the payer's is there any more.
    pub(super) async fn call_off(
        &self,
        contract: &Contract,
        from: i64,
        invoice: Option<&Invoice>,
        why: Rejection,
    ) -> Step<Fate> {
        let billing = &self.billing;
        if !contract.is_called_off() && !contract.has_ended() {
            // First of all: from here on no run takes what is paid for it for a payment.
            let form = Form::new().entry("metadata", CALLED_OFF, "true");
            let path = format!("/v1/subscriptions/{}", contract.id);
            billing.post(&path, form, None).await.map_err(unknown)?;
        }
        // A crash between these leaves a marked subscription, and the next run goes on here.
        if let Some(open) = invoice.filter(|invoice| invoice.status != Status::Paid) {
            billing.voided(open).await.map_err(unknown)?;
        }
        billing.end_now(contract).await.map_err(unknown)?;
        let named = invoice.map(|invoice| invoice.id.as_str());
        // Where a run was broken off after the mark, Stripe went on charging: all of it goes back.
        match undone(billing, &contract.id, from, named).await.map_err(unknown)? {
            None => Ok(Fate::Failed(why)),
            Some(invoice) => Err(unknown(CalledOff { subscription: contract.id.clone(), invoice })),
        }
    }

    /// Says to Stripe that no period from `from` on is charged.
    pub(super) async fn cancelled(
        &self,
        agreement: &Agreement,
        from: &Timestamp,
    ) -> Result<(), Rejection> {
        let kept = Kept::read(&agreement.began)?;
        let from = from.unix_seconds();
        let contract = self.billing.contract(&kept.subscription).await.map_err(untold)?;
        if contract.has_ended() {
            return self.closed_from(&kept, from).await;
        }
        // What waits for the next invoice would be collected with the last.
        for item in self.waiting(&kept.customer).await.map_err(untold)? {
            match self.billing.delete(&format!("/v1/invoiceitems/{item}")).await {
                Err(ApiError::Refused(no)) if no.status == 404 => (),
                answer => drop(answer.map_err(untold)?),
            }
        }
        if contract.period_end().is_some_and(|end| end <= from) {
            let form = Form::new().with("cancel_at_period_end", "true");
            let path = format!("/v1/subscriptions/{}", kept.subscription);
            let told = self.billing.post(&path, form, None).await.map_err(untold)?.body;
            let told = Contract::read(told).ok_or_else(|| untold(odd()))?;
            // Stripe may have begun the next period just before it heard, and would charge for that and end after it.
            if told.period_end().is_some_and(|end| end <= from) {
                return Ok(());
            }
        }
        // Stripe is in a period already that nobody paid for: it ends here.
        self.billing.end_now(&contract).await.map_err(untold)?;
        self.closed_from(&kept, from).await
    }

    /// Voids what is open of periods from then on, and gives back what Stripe has collected for them: nobody is served in them.
    async fn closed_from(&self, kept: &Kept, from: i64) -> Result<(), Rejection> {
        let subscription = kept.subscription.clone();
        match undone(&self.billing, &subscription, from, None).await.map_err(untold)? {
            None => Ok(()),
            Some(invoice) => Err(Rejection::unknown(CalledOff { subscription, invoice })),
        }
    }
}

/// Voids what is open of periods from `from` on and of the invoice that is named, and gives back what was paid. The first
/// invoice of which money is, or may come to be, with the seller.
async fn undone(
    billing: &Billing,
    subscription: &str,
    from: i64,
    named: Option<&str>,
) -> Result<Option<String>, ApiError> {
    for found in billing.invoices_of(subscription).await? {
        // What has not one line is of no period that was served; paid, it is whatever its seller made it for.
        let later = found.span.map_or(found.status != Status::Paid, |(start, _)| start >= from);
        if !later && named != Some(found.id.as_str()) {
            continue;
        }
        // A crash between these leaves the rest of them, and the next run goes on here.
        let invoice = match found.status {
            Status::Draft | Status::Open => billing.voided(&found).await?,
            Status::Paid | Status::Closed => billing.invoice(&found.id).await?,
        };
        let collected = matches!(invoice.status, Status::Draft | Status::Open);
        if collected || !given_back(billing, &invoice).await? {
            return Ok(Some(invoice.id));
        }
    }
    Ok(None)
}

/// Gives back all that was paid on an invoice, and says whether nothing of it is, or will be, with the seller.
async fn given_back(billing: &Billing, invoice: &Invoice) -> Result<bool, ApiError> {
    let intents = invoice.payment_intents();
    if intents.is_empty() && invoice.paid() != Some(0) {
        // Paid by something else than a card: for a person.
        return Ok(false);
    }
    for intent in intents {
        let path = format!("/v1/payment_intents/{intent}");
        let today = billing.get(&path, Form::new()).await?;
        let back = match today.text("status") {
            Some("canceled" | "requires_payment_method" | "requires_action") => true,
            Some("succeeded") => refunded(billing, intent).await?,
            // It may still succeed.
            _ => false,
        };
        if !back {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Gives a payment back, once: its key is its id's.
async fn refunded(billing: &Billing, intent: &str) -> Result<bool, ApiError> {
    let form = Form::new().with("payment_intent", intent);
    let key = format!("mpp_refund_{intent}");
    let refund = match billing.post("/v1/refunds", form, Some(&key)).await {
        Ok(answer) => answer.body,
        Err(ApiError::Refused(no)) if no.code.as_deref() == Some("charge_already_refunded") => {
            return Ok(true);
        }
        Err(error) => return Err(error),
    };
    let id = refund.id_of("id", "re_").ok_or_else(odd)?;
    let today = billing.get(&format!("/v1/refunds/{id}"), Form::new()).await?;
    Ok(today.text("status") == Some("succeeded"))
}

/// It is to be said again.
fn untold(error: ApiError) -> Rejection {
    match error {
        ApiError::Refused(no) => Rejection::internal(ApiError::Refused(no)),
        lost => Rejection::unknown(lost),
    }
}

/// A subscription that was called off, and whose money is not back.
#[derive(Debug, thiserror::Error)]
#[error("{subscription} was called off, and what was paid by {invoice} is not given back yet")]
struct CalledOff {
    subscription: String,
    invoice: String,
}
