//! Begins a subscription: customer, payment method, price, and the one call that charges.

use mpp_core::{
    Timestamp,
    agreement::Began,
    fate::{Fate, Settlement},
    problem::Rejection,
};

use serde_json::Value;

use super::{
    Verifier,
    order::{Begin, Kept, name_of},
    owner::MADE_FOR,
    stop::{Step, before_money, failed, is_final, refused, unknown},
};
use crate::{
    api::{ApiError, Form, Told},
    subscription::billing::{
        contract::{Contract, interval, is_price},
        invoice::Invoice,
        odd,
        read::Read,
    },
};

/// A customer, and the payment method of theirs that is charged.
struct Payer {
    customer: String,
    /// `None`: it belongs to nobody yet.
    method: Option<String>,
    /// Made just now: there can be no subscription of theirs.
    new: bool,
}

impl Verifier {
    pub(super) async fn begin(&self, order: &Begin) -> Fate {
        self.begun(order).await.unwrap_or_else(|fate| *fate)
    }

    async fn begun(&self, order: &Begin) -> Step<Fate> {
        let old = order.is_old(&self.clock.now());
        let Some(payer) = self.payer(order, old).await? else {
            // Nobody has the payment method any more, and no key tells whom it was given to.
            let found = self.searched(order).await?;
            return self.too_old(order, found).await;
        };
        let found = match payer.new {
            true => None,
            false => self.contract_of(order, &payer.customer).await?,
        };
        match found {
            _ if old => return self.too_old(order, found).await,
            // Until its first invoice is paid or not, only the answer to its own call tells.
            Some(contract) if !contract.is_incomplete() => {
                return self.judge(order, contract).await;
            }
            _ => (),
        }
        let method = match payer.method {
            Some(method) => self.owned(order, &payer.customer, method).await?,
            // A crash after it leaves a payment method that its customer can be found by.
            None => self.attach(order, &payer.customer).await?,
        };
        // A crash after it leaves a price, which the next order finds.
        let price = self.price(order).await?;
        // A crash after it leaves a subscription that is charged, which the same key or the challenge's id finds.
        match self.subscribe(order, &payer.customer, &method, &price).await {
            Ok(answer) => {
                let id = answer.body.id_of("id", "sub_").ok_or_else(|| unknown(odd()))?;
                // The answer may be of long ago: what is the case today tells.
                let contract = self.billing.contract(id).await.map_err(unknown)?;
                self.judge(order, contract).await
            }
            Err(ApiError::Refused(no)) if is_final(&no) => {
                // A refusal leaves nothing behind, as is published. If it did, it would charge later.
                match self.contract_of(order, &payer.customer).await? {
                    Some(left) => self.judge_or_call_off(order, left, refused(no)).await,
                    None => Err(failed(refused(no))),
                }
            }
            // Its key was used for another customer or card: by an earlier run, whose subscription bears the challenge.
            Err(ApiError::Refused(no)) => match self.searched(order).await? {
                Some(contract) => self.judge(order, contract).await,
                None => Err(unknown(ApiError::Refused(no))),
            },
            Err(lost) => Err(unknown(lost)),
        }
    }

    async fn searched(&self, order: &Begin) -> Step<Option<Contract>> {
        self.billing.contract_begun_by(&order.challenge).await.map_err(unknown)
    }

    /// Whether an order got through, read without a change.
    pub(super) async fn look_for_begun(&self, order: &Begin) -> Fate {
        self.seen(order).await.unwrap_or_else(|fate| *fate)
    }

    async fn seen(&self, order: &Begin) -> Step<Fate> {
        let customer = match &order.customer {
            Some(customer) => Some(customer.clone()),
            None => self.method(&order.payment_method).await.map_err(stopped)?.customer,
        };
        let Some(customer) = customer else { return Ok(Fate::Absent) };
        let Some(contract) = self.contract_of(order, &customer).await? else {
            return Ok(Fate::Absent);
        };
        let invoices = self.billing.invoices_of(&contract.id).await.map_err(unknown)?;
        let settled = settled(order, &contract, invoices.iter().find(|i| i.is_first()), self);
        // What is not as agreed is for `settle` to end.
        Ok(settled.map_or(Fate::Absent, Fate::Settled))
    }

    /// Ends an order that nothing is sent for any more.
    async fn too_old(&self, order: &Begin, found: Option<Contract>) -> Step<Fate> {
        match found {
            Some(contract) => self.judge(order, contract).await,
            None => Err(failed(Rejection::expired(&order.at))),
        }
    }

    /// The subscription that this order began, if it did.
    async fn contract_of(&self, order: &Begin, customer: &str) -> Step<Option<Contract>> {
        let all = self.billing.contracts_of(customer).await.map_err(unknown)?;
        Ok(all.into_iter().find(|contract| contract.is_of(&order.challenge)))
    }

    /// Who is subscribed. A customer is made where the payment method is nobody's; `None` where that is too late.
    async fn payer(&self, order: &Begin, old: bool) -> Step<Option<Payer>> {
        if let Some(customer) = order.customer.clone() {
            let method = Some(order.payment_method.clone());
            return Ok(Some(Payer { customer, method, new: false }));
        }
        let method = self.method(&order.payment_method).await.map_err(stopped)?;
        if let Some(customer) = method.customer {
            return Ok(Some(Payer { customer, method: Some(method.id), new: false }));
        }
        if old {
            return Ok(None);
        }
        let form = Form::new().entry("metadata", MADE_FOR, order.payment_method.as_str());
        // A crash after it leaves a customer without a payment method, whom the same key finds again.
        let made = self.prepared("/v1/customers", form, &order.key_of("customer")).await?;
        let customer = made.body.id_of("id", "cus_").ok_or_else(|| unknown(odd()))?.to_owned();
        Ok(Some(Payer { customer, method: None, new: !made.replayed }))
    }

    /// A payment method that belongs to somebody by now, where that is whom the check saw, or the customer that was made for it.
    async fn owned(&self, order: &Begin, customer: &str, method: String) -> Step<String> {
        let seen = order.customer.as_deref() == Some(customer);
        if seen || self.made_for(customer, &method).await.map_err(stopped)? {
            return Ok(method);
        }
        Err(failed(Rejection::failed("The payment method belongs to somebody else by now.")))
    }

    /// Gives the payment method to its customer. Stripe asks the card's issuer here whether it is good for later charges.
    async fn attach(&self, order: &Begin, customer: &str) -> Step<String> {
        let path = format!("/v1/payment_methods/{}/attach", order.payment_method);
        let form = Form::new().with("customer", customer);
        let attached = self.prepared(&path, form, &order.key_of(customer)).await?.body;
        let method = attached.id_of("id", "pm_").map(str::to_owned);
        method.ok_or_else(|| unknown(odd()))
    }

    /// The price of the terms: one that is there, or a new one.
    async fn price(&self, order: &Begin) -> Step<String> {
        let lookup = order.lookup_key();
        let price = match self.known_price(&lookup).await? {
            Some(price) => price,
            None => self.new_price(order, &lookup).await?,
        };
        let id = price.id_of("id", "").ok_or_else(|| unknown(odd()))?;
        match is_price(&price, &order.terms.of("", ""), &order.terms.cadence) {
            true => Ok(id.to_owned()),
            false => Err(failed(unsayable())),
        }
    }

    async fn known_price(&self, lookup: &str) -> Step<Option<Value>> {
        let form = Form::new().with("lookup_keys[]", lookup).with("active", "true");
        let found = self.billing.get("/v1/prices", form).await.map_err(before_money)?;
        Ok(found.get("data").and_then(|data| data.get(0)).cloned())
    }

    async fn new_price(&self, order: &Begin, lookup: &str) -> Step<Value> {
        let form = price_form(order, lookup).ok_or_else(|| failed(unsayable()))?;
        match self.prepared("/v1/prices", form, &order.key_of("price")).await {
            Ok(answer) => Ok(answer.body),
            // Another order of the same terms was quicker.
            Err(no) => self.known_price(lookup).await?.ok_or(no),
        }
    }

    async fn subscribe(
        &self,
        order: &Begin,
        customer: &str,
        method: &str,
        price: &str,
    ) -> Result<Told, ApiError> {
        let description = order.description.as_deref().filter(|text| text.len() <= 500);
        let form = Form::new()
            .with("customer", customer)
            .with("items[0][price]", price)
            .with("items[0][quantity]", "1")
            .with("default_payment_method", method)
            .with("collection_method", "charge_automatically")
            .with("payment_behavior", "error_if_incomplete")
            .with("proration_behavior", "none")
            .with("off_session", "true")
            .maybe("description", description);
        self.billing.post("/v1/subscriptions", order.noted(form), Some(&order.key())).await
    }

    /// A call that moves no money. Where its key holds a failure of Stripe's, it is made under one more.
    async fn prepared(&self, path: &str, form: Form, key: &str) -> Step<Told> {
        let first = self.billing.post(path, form.clone(), Some(key)).await;
        match first {
            Err(ApiError::Unclear { status: 500.., .. }) => {
                let again = self.billing.post(path, form, Some(&format!("{key}_2"))).await;
                again.map_err(before_money)
            }
            first => first.map_err(before_money),
        }
    }

    /// What a subscription that is there says of the money.
    async fn judge(&self, order: &Begin, contract: Contract) -> Step<Fate> {
        self.judge_or_call_off(order, contract, not_at_once()).await
    }

    async fn judge_or_call_off(
        &self,
        order: &Begin,
        contract: Contract,
        why: Rejection,
    ) -> Step<Fate> {
        let invoices = self.billing.invoices_of(&contract.id).await.map_err(unknown)?;
        let first = invoices.into_iter().find(Invoice::is_first);
        match settled(order, &contract, first.as_ref(), self) {
            Some(settlement) => Ok(Fate::Settled(settlement)),
            None => self.call_off(&contract, contract.anchor, first.as_ref(), why).await,
        }
    }
}

/// The first charge, where it is the one that was agreed: the subscription as it should be, its first invoice paid, for exactly the
/// first period from its own start on.
fn settled(
    order: &Begin,
    contract: &Contract,
    first: Option<&Invoice>,
    verifier: &Verifier,
) -> Option<Settlement> {
    let agreed = order.terms.of(&contract.id, &contract.customer);
    let (start, _) = first?.span?;
    let anchor = Timestamp::from_unix(start, 0);
    let end = order.terms.cadence.period(&anchor, 0)?.end.unix_seconds();
    let as_agreed = !contract.is_called_off()
        && contract.anchor == start
        && contract.unfit(&agreed, &order.terms.cadence).is_none()
        && first?.unfit(&agreed, (start, end)).is_none();
    if !as_agreed {
        return None;
    }
    let kept = Kept {
        subscription: contract.id.clone(),
        customer: contract.customer.clone(),
        account: verifier.billing.account.clone(),
    };
    let began = Began { id: name_of(&contract.id), anchor, kept: kept.to_json() };
    let settlement = Settlement::new(&first?.id).with("stripeSubscription", contract.id.as_str());
    Some(settlement.beginning(began))
}

fn price_form(order: &Begin, lookup: &str) -> Option<Form> {
    let (unit, count) = interval(&order.terms.cadence)?;
    let form = Form::new()
        .with("unit_amount", order.terms.amount.to_string())
        .with("currency", order.terms.currency.as_str())
        .with("recurring[interval]", unit)
        .with("recurring[interval_count]", count.to_string())
        .with("lookup_key", lookup);
    Some(match &order.product {
        Some(product) => form.with("product", product.as_str()),
        None => form.with("product_data[name]", order.name()),
    })
}

/// A read that stopped an order. What Stripe did not say, or said no to, tells nothing of what an earlier run did.
fn stopped(rejection: Rejection) -> Box<Fate> {
    if rejection.source.is_some() { unknown(rejection) } else { failed(rejection) }
}

fn unsayable() -> Rejection {
    Rejection::internal("the price of the subscription is not the one that was asked for")
}

fn not_at_once() -> Rejection {
    Rejection::failed(
        "The first period could not be charged at once and as agreed. It was called off.",
    )
}
