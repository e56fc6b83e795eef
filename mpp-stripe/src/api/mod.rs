//! Stripe's HTTP API, as far as we call it: form parameters in, JSON out, nothing repeated behind anybody's back.

mod error;
mod form;
mod secret;
#[cfg(feature = "server")]
mod selling;

use std::{fmt, time::Duration};

use reqwest::{Client, Method, RequestBuilder, Response, Url, header::HeaderValue, redirect};
use serde_json::Value;

pub(crate) use self::form::Form;
#[cfg(feature = "server")]
pub(crate) use self::selling::Told;
pub use self::{
    error::{ApiError, Refused},
    secret::{NotAKey, SecretKey},
};

/// The version whose shapes we know. Shared Payment Tokens are in previews alone.
pub const VERSION: &str = "2026-07-29.preview";
const LIVE: &str = "https://api.stripe.com";
/// Longer than this is no answer to anything we ask.
const MAX_ANSWER: usize = 2 * 1024 * 1024;
/// How long Stripe may take: a card's issuer is asked within.
const PATIENCE: Duration = Duration::from_secs(30);

/// Stripe, for one account. It has a client of its own: no middleware, no redirects, no retries.
///
/// TLS is whatever the binary turned on in reqwest; without any, Stripe cannot be reached.
#[derive(Clone)]
pub struct Api {
    client: Client,
    base: Url,
    authorization: HeaderValue,
    test: bool,
    version: HeaderValue,
    patience: Duration,
}

/// An address, a version or a client that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiSetup {
    /// Not an `https` address, or `http` on this machine.
    #[error("Stripe is spoken to over https, or over http on this machine alone")]
    Address,
    /// Not a version as `2026-07-29.preview`.
    #[error("not a version of Stripe's API")]
    Version,
    /// The HTTP client cannot start.
    #[error("the HTTP client cannot start")]
    Client(#[source] reqwest::Error),
}

/// One call.
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    /// From the root: `/v1/payment_intents`.
    pub(crate) path: &'a str,
    pub(crate) form: &'a Form,
    pub(crate) idempotency: Option<&'a str>,
    /// The connected account it is made for.
    pub(crate) account: Option<&'a str>,
    /// The version it was first made in, where it is made again.
    pub(crate) version: Option<&'a str>,
}

impl<'a> Call<'a> {
    pub(crate) fn post(path: &'a str, form: &'a Form) -> Self {
        Self { method: Method::POST, path, form, idempotency: None, account: None, version: None }
    }

    pub(crate) fn get(path: &'a str, form: &'a Form) -> Self {
        Self { method: Method::GET, ..Self::post(path, form) }
    }

    pub(crate) fn once(self, key: &'a str) -> Self {
        Self { idempotency: Some(key), ..self }
    }
}

/// A success.
pub(crate) struct Answer {
    pub(crate) body: Value,
}

/// Whether an answer is what was said to the first call of the same idempotency key.
type Replayed = bool;

impl Api {
    /// Stripe itself, with a key of one's own.
    ///
    /// # Errors
    /// [`ApiSetup::Client`].
    pub fn new(key: &SecretKey) -> Result<Self, ApiSetup> {
        let client =
            Client::builder().redirect(redirect::Policy::none()).retry(reqwest::retry::never());
        Self::with_client(key, client.build().map_err(ApiSetup::Client)?)
    }

    /// The same through a client with its own TLS, proxy or pool. It must follow no redirects and repeat nothing.
    ///
    /// # Errors
    /// [`ApiSetup`], where the key cannot travel in a header.
    pub fn with_client(key: &SecretKey, client: Client) -> Result<Self, ApiSetup> {
        Ok(Self {
            client,
            base: Url::parse(LIVE).map_err(|_| ApiSetup::Address)?,
            authorization: key.authorization().ok_or(ApiSetup::Address)?,
            test: key.is_test(),
            version: HeaderValue::from_static(VERSION),
            patience: PATIENCE,
        })
    }

    /// Speaks to another address: a simulator on this machine.
    ///
    /// # Errors
    /// [`ApiSetup::Address`]: plain http leaves this machine with the key in it.
    pub fn at(self, base: &str) -> Result<Self, ApiSetup> {
        let base = Url::parse(base).map_err(|_| ApiSetup::Address)?;
        // A name and a password in the address would travel beside the key, or instead of it.
        if !base.username().is_empty() || base.password().is_some() {
            return Err(ApiSetup::Address);
        }
        let here = matches!(base.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
        match base.scheme() {
            "https" => Ok(Self { base, ..self }),
            "http" if here => Ok(Self { base, ..self }),
            _ => Err(ApiSetup::Address),
        }
    }

    /// Asks for the shapes of another version.
    ///
    /// # Errors
    /// [`ApiSetup::Version`].
    pub fn version(self, version: &str) -> Result<Self, ApiSetup> {
        let plain = |c: u8| {
            c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b'_' | b'=' | b';' | b' ')
        };
        let fits = (10..=128).contains(&version.len()) && version.bytes().all(plain);
        let version = HeaderValue::from_str(version).ok().filter(|_| fits);
        Ok(Self { version: version.ok_or(ApiSetup::Version)?, ..self })
    }

    /// Waits longer for answers, or less long.
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Whether its key moves no real money.
    pub fn is_test(&self) -> bool {
        self.test
    }

    /// Makes a call, once.
    pub(crate) async fn call(&self, call: Call<'_>) -> Result<Answer, ApiError> {
        self.exchange(call).await.map(|(answer, _)| answer)
    }

    async fn exchange(&self, call: Call<'_>) -> Result<(Answer, Replayed), ApiError> {
        let unanswered = |e: reqwest::Error| ApiError::Unanswered(e.without_url().into());
        let response = self.request(&call)?.send().await.map_err(unanswered)?;
        let status = response.status().as_u16();
        let field = |name: &str| {
            response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned)
        };
        let replayed = field("idempotent-replayed").is_some_and(|v| v == "true");
        let request = field("request-id").filter(|id| id.len() <= 64);
        let body = read(response).await;
        match (status, body) {
            (200..=299, Ok(Some(body))) => Ok((Answer { body }, replayed)),
            // The head came, and the rest did not: what was done is done.
            (_, Err(e)) => Err(unanswered(e)),
            (409, Ok(Some(body))) if Refused::is_in_use(&body) => Err(ApiError::InUse),
            (400..=404, Ok(Some(body))) => match Refused::read(status, &body) {
                Some(refused) => Err(ApiError::Refused(Refused { request, replayed, ..refused })),
                None => Err(ApiError::Unclear { status, request }),
            },
            _ => Err(ApiError::Unclear { status, request }),
        }
    }

    fn request(&self, call: &Call<'_>) -> Result<RequestBuilder, ApiError> {
        let mut url = self.base.join(call.path).map_err(|e| ApiError::Unanswered(e.into()))?;
        let form = call.form.encoded();
        let post = call.method == Method::POST;
        if !post && !form.is_empty() {
            url.set_query(Some(&form));
        }
        let version = match call.version {
            Some(version) => {
                HeaderValue::from_str(version).map_err(|e| ApiError::Unanswered(e.into()))?
            }
            None => self.version.clone(),
        };
        let mut request = self
            .client
            .request(call.method.clone(), url)
            .timeout(self.patience)
            .header("authorization", self.authorization.clone())
            .header("stripe-version", version);
        if let Some(key) = call.idempotency {
            request = request.header("idempotency-key", sensitive(key)?);
        }
        if let Some(account) = call.account {
            request = request.header("stripe-account", account);
        }
        if post {
            request =
                request.header("content-type", "application/x-www-form-urlencoded").body(form);
        }
        Ok(request)
    }
}

/// An idempotency key names the token it is about.
fn sensitive(text: &str) -> Result<HeaderValue, ApiError> {
    let mut value = HeaderValue::from_str(text).map_err(|e| ApiError::Unanswered(e.into()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The body, where it is JSON of a size that Stripe sends.
async fn read(mut response: Response) -> Result<Option<Value>, reqwest::Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if bytes.len() + chunk.len() > MAX_ANSWER {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(serde_json::from_slice(&bytes).ok())
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api")
            .field("base", &self.base.as_str())
            .field("test", &self.test)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api() -> Api {
        Api::new(&SecretKey::new("sk_test_hunter2").unwrap()).unwrap()
    }

    #[test]
    fn a_key_leaves_this_machine_over_https_alone() {
        for good in ["https://example.com", "http://127.0.0.1:1", "http://localhost:1"] {
            assert!(api().at(good).is_ok(), "{good}");
        }
        for bad in ["", "http://example.com", "ftp://127.0.0.1", "https://a:b@example.com", "x"] {
            assert!(matches!(api().at(bad), Err(ApiSetup::Address)), "{bad}");
        }
    }

    #[test]
    fn a_version_is_one_and_no_header_of_its_own() {
        assert_eq!(api().version("2026-04-22.preview").unwrap().version, "2026-04-22.preview");
        for bad in ["", "latest", "2026-04-22\r\nx: y", "2026-04-22.préview"] {
            assert!(matches!(api().version(bad), Err(ApiSetup::Version)), "{bad}");
        }
    }

    #[test]
    fn debug_shows_no_key() {
        assert!(!format!("{:?}", api()).contains("hunter2"));
    }
}
