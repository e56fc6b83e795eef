//! What a paying client does with its accounts, beside requests.

use std::future::Future;

use mpp_core::{Amount, Receipt, payer::Wish};
use reqwest::{IntoUrl, Response, Url};
use reqwest_middleware::{ClientWithMiddleware, Error as Failure};

use super::{desk::Desk, extend::PerRequest};
use crate::{
    error::{Error, Kind},
    verdict::Verdict,
};

/// What a paying client does with its sessions: of clients that [`paying`](super::paying) built, or whose middleware has a
/// [client of its own](super::PaymentMiddleware::errands_over). Requests need none of it: they open, draw on and top up accounts by
/// themselves.
///
/// ```no_run
/// use mpp_client::{ResponseExt, SessionExt};
///
/// # async fn run(client: reqwest_middleware::ClientWithMiddleware) -> Result<(), Box<dyn std::error::Error>> {
/// let url = "https://api.example.com/tokens";
/// let mut events = client.get(url).send().await?.events()?;
/// while let Some(event) = events.next().await {
///     println!("{}", event?.data);
/// }
/// let receipt = client.close_session(url).await?;
/// println!("closed: {receipt:?}");
/// # Ok(())
/// # }
/// ```
pub trait SessionExt: sealed::Sealed {
    /// Asks an address for the account that this wallet has there and may have forgotten: proves who it is, for nothing, and
    /// takes up what the server knows. Whether there is such an account; nothing of it is believed that is not proven.
    ///
    /// # Errors
    /// The server was not reached, or refused the proof.
    fn bootstrap(
        &self,
        url: impl IntoUrl + Send,
    ) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Adds to the deposit of the account at an address, in base units; the policy is asked. `None`: there is no account, or
    /// the server gave no receipt.
    ///
    /// # Errors
    /// As for a request that pays.
    fn top_up(
        &self,
        url: impl IntoUrl + Send,
        more: Amount,
    ) -> impl Future<Output = Result<Option<Receipt>, Error>> + Send;

    /// Closes the account at an address: the server takes what was spent, and the rest comes back. `None`: there is none, or
    /// the server gave no receipt.
    ///
    /// # Errors
    /// As for a request that pays.
    fn close_session(
        &self,
        url: impl IntoUrl + Send,
    ) -> impl Future<Output = Result<Option<Receipt>, Error>> + Send;
}

impl SessionExt for ClientWithMiddleware {
    async fn bootstrap(&self, url: impl IntoUrl + Send) -> Result<bool, Error> {
        let url = place(url)?;
        desk(self).await?.bootstrap(&url).await
    }

    async fn top_up(
        &self,
        url: impl IntoUrl + Send,
        more: Amount,
    ) -> Result<Option<Receipt>, Error> {
        let url = place(url)?;
        granted(&desk(self).await?, &url, Wish::TopUp(more)).await
    }

    async fn close_session(&self, url: impl IntoUrl + Send) -> Result<Option<Receipt>, Error> {
        let url = place(url)?;
        granted(&desk(self).await?, &url, Wish::Close).await
    }
}

async fn granted(desk: &Desk, url: &Url, wish: Wish) -> Result<Option<Receipt>, Error> {
    let challenges = desk.ask(url).await?;
    let verdict = desk.grant(url, challenges, wish).await?;
    Ok(verdict.as_ref().and_then(Verdict::receipt).cloned())
}

/// An address without its fragment, which stays with the client.
pub(super) fn place(url: impl IntoUrl) -> Result<Url, Error> {
    let mut url = url.into_url().map_err(|e| Error::untouched(Kind::Address).because(e))?;
    url.set_fragment(None);
    Ok(url)
}

/// Asks the client's own middleware who manages its accounts. Nothing is sent: a client without such a middleware would ask a
/// host that exists nowhere.
pub(super) async fn desk(client: &ClientWithMiddleware) -> Result<Desk, Error> {
    let asked = PerRequest { wants_desk: true, ..PerRequest::default() };
    let answered = client.get("http://desk.invalid/").with_extension(asked).send().await;
    let none = |e: Option<Failure>| {
        let none = Error::untouched(Kind::NoClient);
        match e {
            Some(e) => none.because(e),
            None => none,
        }
    };
    let response = answered.map_err(|e| none(Some(e)))?;
    response.extensions().get::<Desk>().cloned().ok_or_else(|| none(None))
}

/// What the middleware answers to that.
pub(super) fn present(desk: Option<&Desk>) -> Response {
    let mut response = http::Response::new(reqwest::Body::default());
    if let Some(desk) = desk {
        response.extensions_mut().insert(desk.clone());
    }
    Response::from(response)
}

mod sealed {
    #[expect(unnameable_types, reason = "what cannot be named cannot be implemented")]
    pub trait Sealed {}
    impl Sealed for reqwest_middleware::ClientWithMiddleware {}
}
