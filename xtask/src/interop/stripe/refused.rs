//! A cell that must be refused: a credential that is genuine but for one thing, and a card that pays for nothing.

use anyhow::{Context, ensure};
use http::{HeaderMap, HeaderName, Method, header};
use mpp_core::{Challenge, Credential, transport::read_challenges};
use mpp_testkit::stripe::Simulator;
use serde_json::{Value, json};

use super::{
    flow::asked,
    fraud::{Fraud, VISA},
    party::{Client, reworded},
    tally::Tally,
};
use crate::interop::{
    forge,
    party::Server,
    refused::{ENDS, is_refusal, send_with},
};

/// What is shown, and where.
pub(super) struct Shown {
    url: String,
    fields: Vec<(HeaderName, String)>,
}

/// Makes the credential. What is shown a second time was taken once when this returns.
pub(super) async fn prepare(
    fraud: Fraud,
    client: &mut Client,
    server: &Server,
    stripe: &Simulator,
) -> anyhow::Result<Shown> {
    let url = format!("{}{}", server.url, fraud.path());
    if fraud == Fraud::Garbage {
        return Ok(Shown::at(url, "Payment bm90IGEgY3JlZGVudGlhbA".to_owned()));
    }
    let asked = challenge(&url).await?;
    let answered = match fraud {
        Fraud::Expired => forge::ending(&asked, ENDS)?,
        Fraud::ChangedPrice => forge::cheaper(&asked)?,
        Fraud::Tampered => forge::tampered(&asked)?,
        Fraud::ForeignSecret => forge::foreign(&asked)?,
        _ => asked,
    };
    let signed = client.sign(&url, &answered, fraud.card()).await?;
    let signed = reworded(&signed, |payload| change(fraud, payload, stripe))?;
    let shown = Shown::at(url.clone(), signed.clone());
    match fraud {
        Fraud::Replayed => shown.is_taken().await?,
        Fraud::SpentToken => {
            shown.is_taken().await?;
            let spent = payload(&signed)?;
            let next = client.sign(&url, &challenge(&url).await?, VISA).await?;
            return Ok(Shown::at(url, reworded(&next, |payload| *payload = spent)?));
        }
        Fraud::WrongRoute => return Ok(Shown::at(format!("{}/dear", server.url), signed)),
        Fraud::WrongHeader => {
            let field = HeaderName::from_static("payment-authorization");
            return Ok(Shown { url, fields: vec![(field, signed)] });
        }
        Fraud::WrongMethod => {
            let payload = serde_json::value::to_raw_value(&payload(&signed)?)?;
            let elsewhere = forge::of_method(&answered, "lightning")?;
            let credential = Credential::from_parts(elsewhere, None, payload)?;
            return Ok(Shown::at(url, format!("Payment {}", credential.to_token()?)));
        }
        _ => {}
    }
    Ok(shown)
}

/// What is done to a payload.
fn change(fraud: Fraud, payload: &mut Value, stripe: &Simulator) {
    let terms = asked(fraud.path());
    let mint = |currency, amount, from_now: i64| {
        json!(stripe.token(VISA, currency, amount, stripe.now() + from_now))
    };
    match fraud {
        Fraud::NoToken => *payload = json!({ "nope": 1 }),
        Fraud::UnknownToken => payload["spt"] = json!("spt_1NobodyMadeThisOne00000000"),
        Fraud::SmallToken => payload["spt"] = mint(terms.currency, terms.amount - 1, 600),
        Fraud::ForeignToken => payload["spt"] = mint("eur", terms.amount, 600),
        Fraud::EndedToken => payload["spt"] = mint(terms.currency, terms.amount, -1),
        Fraud::WrongName => payload["externalId"] = json!("order-of-somebody-else"),
        Fraud::NoName => {
            if let Some(members) = payload.as_object_mut() {
                members.remove("externalId");
            }
        }
        _ => {}
    }
}

/// Shows it, and says how it was refused; an error is what was not.
pub(super) async fn show(
    fraud: Fraud,
    shown: &Shown,
    stripe: &Simulator,
) -> anyhow::Result<String> {
    let tally = Tally::of(stripe);
    let (status, headers, body) = shown.show().await?;
    tally.is_unmoved(stripe)?;
    ensure!(!headers.contains_key("payment-receipt"), "a receipt came");
    if fraud == Fraud::Waits {
        ensure!(status == 503, "{status}: {}", body.trim());
        ensure!(read_challenges(&headers).is_empty(), "it is invited to pay again");
        return Ok("not known yet 503 internal-payment-error".to_owned());
    }
    let refused = is_refusal(status, &body)?;
    if matches!(fraud, Fraud::Garbage | Fraud::WrongMethod) {
        ensure!(!read_challenges(&headers).is_empty(), "no fresh challenge came: {refused}");
    }
    Ok(refused)
}

impl Shown {
    fn at(url: String, credential: String) -> Self {
        Self { url, fields: vec![(header::AUTHORIZATION, credential)] }
    }

    async fn show(&self) -> anyhow::Result<(u16, HeaderMap, String)> {
        let fields = self.fields.iter().map(|(name, value)| (name.clone(), value.as_str()));
        send_with(Method::GET, &self.url, fields).await
    }

    async fn is_taken(&self) -> anyhow::Result<()> {
        let (status, _, body) = self.show().await?;
        ensure!(status == 200, "the first time it is not taken: {status} {body}");
        Ok(())
    }
}

/// What a card is asked for at a route that was not paid.
async fn challenge(url: &str) -> anyhow::Result<Challenge> {
    crate::interop::refused::asked(url, "stripe/charge").await
}

/// The payload of a credential.
fn payload(authorization: &str) -> anyhow::Result<Value> {
    let mut found = None;
    reworded(authorization, |payload| found = Some(payload.clone()))?;
    found.context("a credential without a payload")
}
