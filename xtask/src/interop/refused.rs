//! A cell that must be refused: a credential that is genuine but for one thing, shown by a bare request.

use std::time::Duration;

use anyhow::{Context, ensure};
use http::{HeaderMap, HeaderName, Method, header};
use mpp_core::{Challenge, transport::read_challenges};
use mpp_testkit::devnet::PAYER;
use serde_json::Value;

use super::{
    books::Books,
    flow::Fraud,
    forge,
    party::{Client, Purse, REQUEST, Server},
};
use crate::pay::Way;

/// What is shown, and where.
pub(super) struct Shown {
    url: String,
    authorization: String,
}

/// How long a challenge that is to end is good: some sign for no less.
pub(super) const ENDS: Duration = Duration::from_secs(8);

/// Makes the credential. What is replayed was taken once when this returns.
pub(super) async fn prepare(
    fraud: Fraud,
    client: &mut Client,
    server: &Server,
) -> anyhow::Result<Shown> {
    let url = format!("{}{}", server.url, fraud.path());
    let at = |path: &str| format!("{}{path}", server.url);
    if fraud == Fraud::Garbage {
        let authorization = "Payment bm90IGEgY3JlZGVudGlhbA".to_owned();
        return Ok(Shown { url, authorization });
    }
    let asked = asked(&url, "tempo/charge").await?;
    let answered = match fraud {
        Fraud::Expired => forge::ending(&asked, ENDS)?,
        Fraud::ChangedPrice => forge::cheaper(&asked)?,
        Fraud::Tampered => forge::tampered(&asked)?,
        Fraud::ForeignSecret => forge::foreign(&asked)?,
        _ => asked,
    };
    let way = (fraud == Fraud::ReplayedPush).then_some(Way::Push);
    let purse = Purse { key: PAYER.key.hex(), way };
    let authorization = client.sign(&url, &answered, purse).await?;
    match fraud {
        Fraud::Replayed | Fraud::ReplayedPush | Fraud::ReplayedProof => {
            let shown = Shown { url, authorization };
            let (status, _, body) = shown.show().await?;
            ensure!(status == 200, "the first time it is not taken: {status} {body}");
            Ok(shown)
        }
        Fraud::WrongRoute => Ok(Shown { url: at("/alpha"), authorization }),
        Fraud::RouteOfSamePrice => Ok(Shown { url: at("/pull"), authorization }),
        _ => Ok(Shown { url, authorization }),
    }
}

/// Shows it, and says how it was refused; an error is what was not.
pub(super) async fn show(shown: &Shown, books: &Books) -> anyhow::Result<String> {
    let before = books.holdings(PAYER.address).await?;
    let (status, headers, body) = shown.show().await?;
    let after = books.holdings(PAYER.address).await?;
    ensure!(!headers.contains_key("payment-receipt"), "a receipt came");
    let refused = is_refusal(status, &body)?;
    before.unmoved(&after)?;
    Ok(refused)
}

impl Shown {
    async fn show(&self) -> anyhow::Result<(u16, HeaderMap, String)> {
        send(Method::GET, &self.url, Some(&self.authorization)).await
    }
}

/// That an answer says no, and serves nothing.
pub(super) fn is_refusal(status: u16, body: &str) -> anyhow::Result<String> {
    let said: Value = serde_json::from_str(body).unwrap_or_default();
    ensure!(said["ok"] != true, "{status}, and it was served");
    ensure!(matches!(status, 400..=403 | 409 | 410), "{status} is no refusal: {}", body.trim());
    let problem = said["type"].as_str().and_then(|name| name.rsplit('/').next());
    Ok(format!("refused {status} {}", problem.unwrap_or_default()).trim_end().to_owned())
}

/// The challenge of a route that was not paid, of this method and intent.
pub(super) async fn asked(url: &str, of: &str) -> anyhow::Result<Challenge> {
    let (status, headers, body) = send(Method::GET, url, None).await?;
    ensure!(status == 402, "unpaid, the route answers {status}: {}", body.trim());
    let challenges = read_challenges(&headers);
    let found = challenges.into_iter().find(|c| c.method_id().to_string() == of);
    found.with_context(|| format!("the route asks no {of}"))
}

/// A bare request, with this credential.
pub(super) async fn send(
    method: Method,
    url: &str,
    authorization: Option<&str>,
) -> anyhow::Result<(u16, HeaderMap, String)> {
    let fields = authorization.map(|value| (header::AUTHORIZATION, value));
    send_with(method, url, fields).await
}

/// A bare request, with these fields.
pub(super) async fn send_with<'a>(
    method: Method,
    url: &str,
    fields: impl IntoIterator<Item = (HeaderName, &'a str)>,
) -> anyhow::Result<(u16, HeaderMap, String)> {
    let client = reqwest::Client::builder().no_proxy().timeout(REQUEST).build()?;
    let fields = fields.into_iter();
    let request = fields
        .fold(client.request(method, url), |request, (name, value)| request.header(name, value));
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Ok((status, headers, response.text().await?))
}
