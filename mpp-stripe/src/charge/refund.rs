//! Gives money back, once for each name it is asked under.

use mpp_core::{Amount, Receipt};
use serde_json::Value;

use super::{
    StripeCharge, Verifier, connect::is_id, metadata::short, payment_intent::PaymentIntent,
};
use crate::{
    Currency,
    api::{Api, ApiError, Call, Form, Refused},
};

const PATH: &str = "/v1/refunds";
/// The note by which a refund is known again when its idempotency key is forgotten.
const NOTE: &str = "mpp_refund";
/// So many hundreds of refunds of one payment are looked through.
const PAGES: usize = 20;

/// What is to be given back, and under which name.
///
/// The name makes it one: a refund that is asked for again under its name, because the answer was lost, is the same refund,
/// however late. Without one it is named after its amount.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefundOrder {
    amount: Option<Amount>,
    name: Option<String>,
    account: Option<String>,
    reverse_transfer: bool,
    application_fee: bool,
}

/// Money that was given back, or is on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refund {
    /// `re_…`
    pub id: String,
    /// In base units.
    pub amount: Amount,
    /// In what.
    pub currency: Currency,
    /// Whether it has arrived at Stripe's end; else it is still to be done, and may fail.
    pub done: bool,
}

/// Why nothing was given back, or may have been.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RefundError {
    /// A receipt of another method, or of a payment that this account does not know, or that was made for something else than
    /// the receipt says.
    #[error("the receipt is for no payment of this account")]
    NotOurs,
    /// A refund of nothing.
    #[error("a refund is of more than nothing")]
    Nothing,
    /// More than is left of the payment.
    #[error("more is to be given back than is left of the payment")]
    TooMuch,
    /// A name that is none.
    #[error("a refund's name is 1 to 64 letters, digits, `.`, `_` or `-`")]
    Name,
    /// The name was used for another refund of the same payment.
    #[error("the name stands for another refund of this payment")]
    NameTaken,
    /// The refund of this name was made, and failed or was called off: another try needs another name.
    #[error("the refund {0} was made, and failed")]
    Failed(String),
    /// Stripe said no.
    #[error("Stripe refused: {0}")]
    Refused(Refused),
    /// It is not known whether it was made: ask again under the same name.
    #[error("whether the refund was made is not known: ask again under the same name")]
    Unknown(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl RefundOrder {
    /// All that is left of a payment.
    pub fn all() -> Self {
        Self::default()
    }

    /// So much, in base units.
    pub fn of(amount: Amount) -> Self {
        Self { amount: Some(amount), ..Self::default() }
    }

    /// Under a name: two refunds of the same amount need two.
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// Of a payment that was made on this connected account; unless said otherwise, on that of the verifier's options.
    pub fn account(self, account: impl Into<String>) -> Self {
        Self { account: Some(account.into()), ..self }
    }

    /// Takes back from the connected account what was passed on to it, in proportion.
    pub fn reverse_transfer(self) -> Self {
        Self { reverse_transfer: true, ..self }
    }

    /// Gives the platform's fee back too, in proportion.
    pub fn application_fee(self) -> Self {
        Self { application_fee: true, ..self }
    }

    fn name(&self) -> Result<String, RefundError> {
        let name = match (&self.name, self.amount) {
            (Some(name), _) => name.clone(),
            (None, Some(amount)) => format!("amount-{amount}"),
            (None, None) => "all".to_owned(),
        };
        let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-');
        let fits = (1..=64).contains(&name.len()) && name.bytes().all(plain);
        if fits { Ok(name) } else { Err(RefundError::Name) }
    }

    fn form(&self, intent: &str, name: &str) -> Form {
        let flag = |set: bool| set.then_some("true");
        Form::new()
            .with("payment_intent", intent)
            .maybe("amount", self.amount.map(|amount| amount.to_string()))
            .maybe("refund_application_fee", flag(self.application_fee))
            .maybe("reverse_transfer", flag(self.reverse_transfer))
            .entry("metadata", NOTE, name)
    }
}

impl Verifier {
    /// Gives back what a receipt is for: all that is left of it, or so much in base units. The same call again is the same
    /// refund; for a second one of the same amount see [`Verifier::refund_as`].
    ///
    /// What was served is not taken back by it, and what was not served is not refused: that is the application's.
    ///
    /// # Errors
    /// [`RefundError`]. After [`RefundError::Unknown`] ask again, with the same receipt and amount.
    pub async fn refund(
        &self,
        receipt: &Receipt,
        amount: Option<Amount>,
    ) -> Result<Refund, RefundError> {
        self.refund_as(receipt, &amount.map_or_else(RefundOrder::all, RefundOrder::of)).await
    }

    /// Gives back under a name, or of a payment on a connected account.
    ///
    /// # Errors
    /// [`RefundError`]. After [`RefundError::Unknown`] ask again, with the same receipt and order.
    pub async fn refund_as(
        &self,
        receipt: &Receipt,
        order: &RefundOrder,
    ) -> Result<Refund, RefundError> {
        let intent = receipt.reference.as_str();
        let ours = receipt.method == <StripeCharge as mpp_core::Method>::NAME
            && intent.starts_with("pi_")
            && is_id(intent);
        let name = order.name()?;
        let account = order.account.as_deref().or_else(|| self.fixed_account());
        match order.amount {
            _ if !ours || account.is_some_and(|account| !is_id(account)) => {
                return Err(RefundError::NotOurs);
            }
            Some(amount) if amount.is_zero() => return Err(RefundError::Nothing),
            _ => {}
        }
        // Receipts are anybody's to write: the payment itself says what it was for.
        if !is_of(&self.api, account, receipt).await? {
            return Err(RefundError::NotOurs);
        }
        // Stripe forgets keys after a day; its books are looked at first, and the key sees to who asks at the same time.
        if let Some(made) = made(&self.api, account, intent, &name).await? {
            return read(&made, order);
        }
        let (form, key) = (order.form(intent, &name), format!("mpp_refund_{intent}_{name}"));
        // A crash from here on leaves a refund that nobody has read: the same call finds it.
        let call = Call::post(PATH, &form).once(&key).on_behalf_of(account);
        read(&self.api.call(call).await.map_err(refused)?.body, order)
    }
}

/// Whether the payment that a receipt names is one of ours, and of the challenge that the receipt names.
async fn is_of(api: &Api, account: Option<&str>, receipt: &Receipt) -> Result<bool, RefundError> {
    let (path, none) = (format!("/v1/payment_intents/{}", receipt.reference), Form::new());
    let answer = api.call(Call::get(&path, &none).on_behalf_of(account)).await;
    let intent = PaymentIntent::read(&answer.map_err(refused)?.body).ok_or_else(unreadable)?;
    let named = receipt.extra.get("challengeId").and_then(Value::as_str).map(short);
    // A receipt that names no challenge could be for any payment: every receipt of a gate names its own.
    Ok(named.is_some() && intent.challenge == named)
}

/// The refund of this name, where there is one.
async fn made(
    api: &Api,
    account: Option<&str>,
    intent: &str,
    name: &str,
) -> Result<Option<Value>, RefundError> {
    let mut after = None;
    for _ in 0..PAGES {
        let query = Form::new().with("payment_intent", intent).with("limit", "100");
        let query = query.maybe("starting_after", after.take());
        let answer = api.call(Call::get(PATH, &query).on_behalf_of(account)).await;
        let page = answer.map_err(refused)?.body;
        let listed = page.get("data").and_then(Value::as_array).ok_or_else(unreadable)?;
        let named = |refund: &&Value| {
            let note = refund.get("metadata").and_then(|notes| notes.get(NOTE));
            note.and_then(Value::as_str) == Some(name)
        };
        if let Some(found) = listed.iter().find(named) {
            return Ok(Some(found.clone()));
        }
        let more = page.get("has_more").and_then(Value::as_bool) == Some(true);
        let last = listed.last().and_then(|refund| refund.get("id")).and_then(Value::as_str);
        match last {
            Some(last) if more => after = Some(last.to_owned()),
            _ => return Ok(None),
        }
    }
    // What is not looked through could hold it.
    Err(unreadable())
}

/// Reads a refund against what was asked.
fn read(body: &Value, order: &RefundOrder) -> Result<Refund, RefundError> {
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let amount = body.get("amount").and_then(Value::as_u64).map(u128::from).map(Amount::new);
    let currency = text("currency").and_then(|code| Currency::parse(code).ok());
    let id = text("id").filter(|id| is_id(id)).map(str::to_owned);
    let (Some("refund"), Some(id), Some(amount), Some(currency)) =
        (text("object"), id, amount, currency)
    else {
        return Err(unreadable());
    };
    match text("status") {
        _ if order.amount.is_some_and(|asked| asked != amount) => Err(RefundError::NameTaken),
        Some("failed" | "canceled") => Err(RefundError::Failed(id)),
        status => Ok(Refund { id, amount, currency, done: status == Some("succeeded") }),
    }
}

fn refused(error: ApiError) -> RefundError {
    let refused = match error {
        ApiError::Refused(refused) => refused,
        unclear => return RefundError::Unknown(unclear.into()),
    };
    let is = |word: &Option<String>, name: &str| word.as_deref() == Some(name);
    match () {
        () if is(&refused.kind, "idempotency_error") => RefundError::NameTaken,
        () if is(&refused.code, "charge_already_refunded") || is(&refused.param, "amount") => {
            RefundError::TooMuch
        }
        () if is(&refused.code, "resource_missing") => RefundError::NotOurs,
        () => RefundError::Refused(refused),
    }
}

fn unreadable() -> RefundError {
    RefundError::Unknown("Stripe answered with something else than a refund".into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_refund_is_named_after_its_amount_or_by_its_caller() {
        assert_eq!(RefundOrder::all().name().unwrap(), "all");
        assert_eq!(RefundOrder::of(Amount::new(50)).name().unwrap(), "amount-50");
        assert_eq!(RefundOrder::all().named("order-1").name().unwrap(), "order-1");
        for bad in ["", "a b", "ä", &"x".repeat(65)] {
            assert!(
                matches!(RefundOrder::all().named(bad).name(), Err(RefundError::Name)),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_refund_is_read_against_what_was_asked() {
        let body = |status: &str| json!({ "object": "refund", "id": "re_1", "amount": 50, "currency": "usd", "status": status });
        let order = RefundOrder::of(Amount::new(50));
        assert!(read(&body("succeeded"), &order).unwrap().done);
        assert!(!read(&body("pending"), &order).unwrap().done);
        assert!(
            matches!(read(&body("failed"), &order), Err(RefundError::Failed(id)) if id == "re_1")
        );
        let other = RefundOrder::of(Amount::new(49));
        assert!(matches!(read(&body("succeeded"), &other), Err(RefundError::NameTaken)));
        assert!(matches!(read(&json!([]), &order), Err(RefundError::Unknown(_))));
    }
}
