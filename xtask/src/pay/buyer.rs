//! One payer, and what became of each URL it was sent to.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mpp_client::{
    Error, Event, Limits, ResponseExt, Wallet,
    choice::{Choice, Pick},
    error::Kind,
    reqwest::PaymentMiddleware,
};
use mpp_core::{
    Amount, Challenge, Credential, Receipt,
    payer::{Allowance, Funds, Step},
};
use mpp_tempo::charge::Payer;
use reqwest::{Request, Response, header, redirect};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next};
use serde_json::{Value, json};

/// Fetches with one wallet, one URL at a time.
pub(crate) struct Buyer {
    client: ClientWithMiddleware,
    heard: Arc<Mutex<Heard>>,
}

/// What the wallet told of the request that runs.
#[derive(Default)]
struct Heard {
    asked: Vec<(Challenge, Amount)>,
    sent: Option<Amount>,
    /// Of the last request that went over the wire; `None` while it is unanswered.
    status: Option<u16>,
}

/// Notes every status below the payment: an answer that is not paid never reaches the caller.
struct Statuses(Arc<Mutex<Heard>>);

#[async_trait::async_trait]
impl Middleware for Statuses {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut http::Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        lock(&self.0).status = None;
        let response = next.run(request, extensions).await?;
        lock(&self.0).status = Some(response.status().as_u16());
        Ok(response)
    }
}

/// What became of a URL.
pub(crate) struct Outcome {
    /// Of the last answer; `None`: the last request got none.
    pub(crate) status: Option<u16>,
    pub(crate) receipt: Option<Receipt>,
    pub(crate) body: String,
    /// The price in base units, once a proof of its payment left the wallet or may have been of use to somebody: a
    /// refusal is the server's word, and gives nothing back. Fees are not in it.
    pub(crate) spent: Amount,
    pub(crate) error: Option<Trouble>,
}

/// Why a URL was not served, as far as its payment is concerned.
pub(crate) struct Trouble {
    kind: &'static str,
    funds: Funds,
    pub(crate) said: String,
}

impl Buyer {
    /// Pays with one payer, up to so many dollars a payment.
    pub(crate) fn new(payer: Payer, most: &str) -> anyhow::Result<Self> {
        Self::of(Wallet::new(Limits::usd(most)?).payer(payer))
    }

    /// Pays with a wallet.
    pub(crate) fn of(wallet: Wallet) -> anyhow::Result<Self> {
        let heard = Arc::<Mutex<Heard>>::default();
        let (asked, told) = (heard.clone(), heard.clone());
        let wallet = wallet
            .on_challenge(move |choices| {
                lock(&asked).ask(choices);
                Pick::Any
            })
            .on_event(move |event| lock(&told).hear(&event));
        let client = reqwest::Client::builder().no_proxy().redirect(redirect::Policy::none());
        let client = ClientBuilder::new(client.build()?)
            .with(PaymentMiddleware::new(wallet).redirects_off())
            .with(Statuses(heard.clone()))
            .build();
        Ok(Self { client, heard })
    }

    /// Fetches a URL, pays if that is asked, and reads the answer to its end.
    pub(crate) async fn fetch(&self, url: &str) -> Outcome {
        self.fetch_as(url, None).await
    }

    /// The same, with an `Authorization` of the caller's own.
    pub(crate) async fn fetch_as(&self, url: &str, authorization: Option<&str>) -> Outcome {
        *lock(&self.heard) = Heard::default();
        let mut request = self.client.get(url);
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return self.failed(&error),
        };
        let status = response.status().as_u16();
        let receipt = response.receipt().cloned();
        let refused = response.verdict().and_then(mpp_client::verdict::Verdict::error);
        let error = refused.as_ref().map(Trouble::of);
        match response.text().await {
            Ok(body) => {
                let spent = lock(&self.heard).spent(refused.as_ref());
                Outcome { status: Some(status), receipt, body, spent, error }
            }
            Err(error) => {
                Outcome { receipt, ..self.failed(&reqwest_middleware::Error::Reqwest(error)) }
            }
        }
    }

    fn failed(&self, error: &reqwest_middleware::Error) -> Outcome {
        let ours = Error::from_reqwest(error);
        let heard = lock(&self.heard);
        let (spent, status) = (heard.spent(ours), heard.status);
        let error = ours.map_or_else(|| Trouble::of_transport(spent, error), Trouble::of);
        Outcome { status, receipt: None, body: String::new(), spent, error: Some(error) }
    }
}

/// Answers one challenge, and sends the answer nowhere: the value of an `Authorization` field.
pub(crate) async fn answer<P: mpp_core::payer::Payer>(
    payer: &P,
    challenge: &Challenge,
    url: &str,
) -> anyhow::Result<String> {
    let demand = challenge.read::<P::Method>()?;
    let site = mpp_client::reqwest::site(&reqwest::Method::GET, &url.parse()?);
    let within = Allowance { up_to: Amount::new(u128::from(u64::MAX)), to: site };
    let payment = payer.pay(&demand, &within).await?;
    let credential = Credential::answer(&demand, payment.source.clone(), &payment.payload)?;
    Ok(format!("Payment {}", credential.to_token()?))
}

impl Heard {
    fn ask(&mut self, choices: &[Choice]) {
        self.asked.extend(choices.iter().filter_map(|choice| {
            let request: Value = choice.challenge.request.decode().ok()?;
            Some((choice.challenge.clone(), Amount::parse(request.get("amount")?.as_str()?).ok()?))
        }));
    }

    fn hear(&mut self, event: &Event) {
        if let Event::Sent { challenge, step: Step::Pay, .. } = event {
            let asked = self.asked.iter().find(|(asked, _)| asked.id() == challenge);
            self.sent = asked.map(|(_, amount)| *amount);
        }
    }

    /// A payer that sends by itself may have paid before there was anything to show.
    fn spent(&self, error: Option<&Error>) -> Amount {
        let gone = error.is_some_and(|error| error.funds() != Funds::Untouched);
        let first = self.asked.first().filter(|_| gone).map(|(_, amount)| *amount);
        self.sent.or(first).unwrap_or(Amount::new(0))
    }
}

impl Outcome {
    /// Whether what was asked for came.
    pub(crate) fn is_served(&self) -> bool {
        self.error.is_none() && self.status.is_some_and(|status| (200..300).contains(&status))
    }

    /// The line that is printed for it.
    pub(crate) fn to_json(&self, url: &str) -> Value {
        json!({
            "url": url,
            "status": self.status,
            "receipt": self.receipt,
            "spent": self.spent.get().to_string(),
            "error": self.error.as_ref().map(|e| json!({ "kind": e.kind, "funds": funds(e.funds) })),
        })
    }
}

impl Trouble {
    fn of(error: &Error) -> Self {
        Self { kind: kind(error.kind()), funds: error.funds(), said: causes(error) }
    }

    /// An answer that broke off, or never came, without a payment of its own.
    fn of_transport(spent: Amount, error: &reqwest_middleware::Error) -> Self {
        let funds = if spent.is_zero() { Funds::Untouched } else { Funds::Unknown };
        Self { kind: "transport", funds, said: causes(error) }
    }
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        said.push_str(&format!(": {error}"));
        cause = error.source();
    }
    said
}

fn kind(kind: &Kind) -> &'static str {
    match kind {
        Kind::Denied(_) => "denied",
        Kind::NoPayer(_) => "no_payer",
        Kind::Expired => "expired",
        Kind::InsecureTransport(_) => "insecure_transport",
        Kind::CrossOriginRedirect { .. } => "cross_origin_redirect",
        Kind::TooManyTurns => "too_many_turns",
        Kind::Transport => "transport",
        Kind::Payer => "payer",
        Kind::Delivery => "delivery",
        Kind::Refused(_) => "refused",
        Kind::Unresolved(_) => "unresolved",
        Kind::HeaderRefused(_) => "header_refused",
        _ => "other",
    }
}

const fn funds(funds: Funds) -> &'static str {
    match funds {
        Funds::Untouched => "untouched",
        Funds::Committed => "committed",
        // A state that is not known here is unknown.
        _ => "unknown",
    }
}

/// What is kept is replaced whole, so that poison says nothing.
fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_was_spent_and_why_nothing_came() {
        let refused = Outcome {
            status: Some(402),
            receipt: None,
            body: String::new(),
            spent: Amount::new(10_000),
            error: Some(Trouble { kind: "refused", funds: Funds::Unknown, said: "why".into() }),
        };
        assert!(!refused.is_served());
        let line = json!({
            "url": "http://127.0.0.1/", "status": 402, "receipt": null, "spent": "10000",
            "error": { "kind": "refused", "funds": "unknown" },
        });
        assert_eq!(refused.to_json("http://127.0.0.1/"), line);
        assert!(Outcome { error: None, status: Some(200), ..refused }.is_served());
    }
}
