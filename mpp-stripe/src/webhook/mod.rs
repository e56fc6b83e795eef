//! What Stripe says by itself: signed events, read into notices of subscriptions.

mod error;
mod signature;

use std::{fmt, sync::Arc};

use mpp_core::{
    Timestamp,
    renewer::{Notice, Said},
    time::Clock,
    verifier::Verifier as _,
};
use serde_json::Value;

pub use self::{
    error::WebhookError,
    signature::{BadSignature, NotASecret, WebhookSecret},
};
use crate::{
    api::ApiError,
    clock::SystemClock,
    subscription::{
        Verifier,
        billing::{
            contract::Contract,
            invoice::{Agreed, Invoice, Status},
            read::Read,
        },
        verifier::{collect::charge, order::name_of},
    },
};

/// No event of Stripe's is longer.
const LONGEST: usize = 1024 * 1024;

/// Reads webhooks: checks who signed them, and asks Stripe how what they are about stands today.
///
/// An event says that something happened, in the shapes of the version its endpoint was made with, and it may come late, twice, or
/// after its successor. So of its contents only names are taken: what is said in a [`Notice`] was read just then, with the verifier's
/// own key, and is the same whichever event led to it. What is not as agreed makes no notice: such a period is found unpaid when it
/// is asked for, and called off then.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use axum::{Router, body::Bytes, extract::State, http::{HeaderMap, StatusCode}, routing::post};
/// use mpp_server::Gate;
/// use mpp_stripe::{subscription::Verifier, webhook::Webhook};
///
/// type Desk = Arc<(Webhook, Gate, Arc<Verifier>)>;
///
/// /// The raw bytes are signed: nothing may parse the body before.
/// async fn stripe(State(desk): State<Desk>, headers: HeaderMap, body: Bytes) -> StatusCode {
///     let (webhook, gate, shop) = &*desk;
///     let signature = headers.get("stripe-signature").and_then(|v| v.to_str().ok()).unwrap_or_default();
///     let status = |code| StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
///     match webhook.read(signature, &body).await {
///         // What could not be written down is answered with 500, and Stripe says it again.
///         Ok(Some(notice)) => match gate.subscriptions().hear(shop, notice).await {
///             Ok(_) => StatusCode::OK,
///             Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
///         },
///         Ok(None) => StatusCode::OK,
///         Err(error) => status(error.status()),
///     }
/// }
///
/// # fn routes(desk: Desk) -> Router {
/// Router::new().route("/webhooks/stripe", post(stripe)).with_state(desk)
/// # }
/// ```
#[derive(Clone)]
pub struct Webhook {
    secrets: Vec<WebhookSecret>,
    verifier: Verifier,
    clock: Arc<dyn Clock>,
}

/// What an event is about.
enum About {
    Invoice(String),
    Contract(String),
}

impl Webhook {
    /// Reads what is signed with the secret of an endpoint, about the subscriptions of a verifier.
    pub fn new(secret: WebhookSecret, verifier: Verifier) -> Self {
        Self { secrets: vec![secret], verifier, clock: Arc::new(SystemClock) }
    }

    /// Takes another secret too: while one is rolled, Stripe signs with both.
    pub fn and_secret(mut self, secret: WebhookSecret) -> Self {
        self.secrets.push(secret);
        self
    }

    /// Judges the age of signatures by another clock than the system's.
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// Reads one event: its `Stripe-Signature` and its body as it came, byte for byte. `None`: it is about nothing of ours, and to be
    /// answered with 200 all the same, or Stripe says it again for days.
    ///
    /// # Errors
    /// [`WebhookError`], and by [`status`](WebhookError::status) what to answer.
    pub async fn read(&self, signature: &str, body: &[u8]) -> Result<Option<Notice>, WebhookError> {
        if body.len() > LONGEST {
            return Err(WebhookError::TooLong);
        }
        signature::check(&self.secrets, signature, body, self.clock.now().unix_seconds())?;
        let event: Value = serde_json::from_slice(body).map_err(|_| WebhookError::Unreadable)?;
        let (id, about) = match (event.id_of("id", "evt_"), self.about(&event)) {
            (Some(id), Some(about)) => (id, about),
            (None, _) => return Err(WebhookError::Unreadable),
            (_, None) => return Ok(None),
        };
        let said = match about {
            About::Invoice(invoice) => self.of_invoice(&invoice).await?,
            About::Contract(contract) => self.of_contract(&contract).await?,
        };
        let place = self.verifier.settles_at();
        Ok(said.map(|(subscription, said)| Notice::new(id, place, name_of(&subscription), said)))
    }

    /// What an event is about, where it is of the verifier's account.
    fn about(&self, event: &Value) -> Option<About> {
        let billing = &self.verifier.billing;
        let ours = event.flag("livemode") == Some(!billing.api.is_test())
            && event.text("account") == billing.account.as_deref();
        let object = event.get("data").filter(|_| ours)?.get("object")?;
        match event.text("type")? {
            "invoice.paid" | "invoice.payment_succeeded" | "invoice.payment_failed" => {
                Some(About::Invoice(object.id_of("id", "in_")?.to_owned()))
            }
            "customer.subscription.updated" | "customer.subscription.deleted" => {
                Some(About::Contract(object.id_of("id", "sub_")?.to_owned()))
            }
            _ => None,
        }
    }

    async fn of_contract(&self, id: &str) -> Result<Option<(String, Said)>, ApiError> {
        let contract = self.verifier.billing.contract(id).await?;
        let end = contract.ends().filter(|_| contract.noted().is_some());
        Ok(end.map(|end| (contract.id, Said::Ended(Timestamp::from_unix(end, 0)))))
    }

    async fn of_invoice(&self, id: &str) -> Result<Option<(String, Said)>, ApiError> {
        let invoice = self.verifier.billing.invoice(id).await?;
        let Some(of) = invoice.subscription() else { return Ok(None) };
        let contract = self.verifier.billing.contract(of).await?;
        let said = said(&contract, &invoice);
        Ok(said.map(|said| (contract.id, said)))
    }
}

/// What an invoice says of its period, where it is of one, and as agreed.
fn said(contract: &Contract, invoice: &Invoice) -> Option<Said> {
    let noted = contract.noted().filter(|_| !contract.is_called_off())?;
    let agreed = Agreed {
        subscription: &contract.id,
        customer: &contract.customer,
        amount: noted.amount,
        currency: noted.currency,
    };
    let (start, _) = invoice.span?;
    let anchor = Timestamp::from_unix(contract.anchor, 0);
    let period = noted.cadence.period_at(&anchor, &Timestamp::from_unix(start, 0))?;
    let span = (period.start.unix_seconds(), period.end.unix_seconds());
    let start = period.start;
    match invoice.status {
        Status::Paid if invoice.unfit(&agreed, span).is_none() => {
            let settlement = charge(&contract.id, &invoice.id);
            Some(Said::Charged { start, settlement })
        }
        Status::Open if invoice.is_by_hand() => None,
        Status::Open if invoice.unpayable(&agreed, span).is_none() && invoice.was_tried() => {
            Some(Said::Declined { start })
        }
        _ => None,
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("secrets", &self.secrets.len()).finish_non_exhaustive()
    }
}
