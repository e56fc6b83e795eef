//! Pays underneath an unchanged `reqwest` client: middleware, and what requests and responses know of it.
//!
#![doc = include_str!("../README.md")]

mod ask;
mod delivered;
pub(crate) mod desk;
mod drive;
mod errand;
mod events;
mod extend;
mod heard;
pub(crate) mod origin;
mod parts;
mod problem;
mod road;
pub(crate) mod sessions;
mod tend;
mod wanted;

use std::sync::Arc;

use http::Extensions;
use reqwest::{Client, Request, Response, redirect};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next};
use tracing::Instrument;

use self::{desk::Desk, drive::Drive, extend::PerRequest, road::Road};
use crate::{error::Error, wallet::Wallet};

pub use self::{
    events::Events,
    extend::{RequestBuilderExt, ResponseExt},
    origin::site,
    sessions::SessionExt,
};

/// Builds a client that pays with a wallet.
///
/// Redirects are followed by the middleware and not underneath it, so that no credential ever leaves for another
/// origin; whatever redirect policy the builder has is replaced (ten redirects at most).
///
/// # Errors
/// As for [`reqwest::ClientBuilder::build`].
pub fn paying(
    client: reqwest::ClientBuilder,
    wallet: impl Into<Arc<Wallet>>,
) -> reqwest::Result<ClientWithMiddleware> {
    let client = client.redirect(redirect::Policy::none()).build()?;
    let middleware = PaymentMiddleware::new(wallet).redirects_off().errands_over(client.clone());
    Ok(ClientBuilder::new(client).with(middleware).build())
}

/// The middleware that answers 402 with a payment and sends the request again.
///
/// It pays the origin that was asked and no other, over HTTPS (or to loopback, or to hosts the wallet names). A request
/// that already carries a `Payment` credential is sent as it is. Put middleware that retries above it: as long as a try
/// was not served with a receipt, a retried request shows the credential of the try before, and pays nothing new; where
/// money may have moved before there was a credential, it is sent without paying.
///
/// A request that may do harm twice (POST, PUT, PATCH, DELETE) gets an `Idempotency-Key`, unless the application has set
/// one: the same with every copy of it. With a journal, a paid request has one whatever its method.
///
/// A client's default headers are added underneath and are unknown here: an application's own `Authorization` must be
/// set on the request, or a credential takes its place.
#[derive(Clone, Debug)]
pub struct PaymentMiddleware {
    wallet: Arc<Wallet>,
    redirects_off: bool,
    shows: u8,
    desk: Option<Desk>,
}

impl PaymentMiddleware {
    /// Pays with a wallet, over a client that may follow redirects by itself. Such a client would carry
    /// `Payment-Authorization` and `Payment-Session` anywhere: challenges that want the first are refused, and no request names
    /// an account before it is asked to pay. See [`paying`].
    pub fn new(wallet: impl Into<Arc<Wallet>>) -> Self {
        Self { wallet: wallet.into(), redirects_off: false, shows: 5, desk: None }
    }

    /// Says that the client underneath follows no redirects (`redirect::Policy::none()`): the middleware follows them.
    /// Said of a client that does follow them, credentials in `Payment-Authorization` and names of accounts may reach other
    /// origins.
    pub fn redirects_off(mut self) -> Self {
        self.redirects_off = true;
        self
    }

    /// Manages sessions over this client, beside requests: pays what streams ask for, and adds to deposits that run low. Said
    /// last. Credentials go out over it alone, with no header of the application's; [`paying`] says it by itself.
    pub fn errands_over(mut self, client: Client) -> Self {
        self.desk = Some(Desk::new(self.wallet.clone(), client, self.redirects_off));
        self
    }

    /// Shows the same credential up to `times` more, where the connection broke before an answer, or the server asked
    /// for time (403 without a challenge or 503, with a `Retry-After` in seconds). Costs nothing anew, and waits no more
    /// than fifteen seconds in all. Default 5. Time-outs are the caller's, and are not repeated.
    pub fn show_again(mut self, times: u8) -> Self {
        self.shows = times;
        self
    }
}

#[async_trait::async_trait]
impl Middleware for PaymentMiddleware {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        // Left in place: middleware above may try again with the same extensions.
        let asked = extensions.get::<PerRequest>().cloned().unwrap_or_default();
        if asked.wants_desk {
            return Ok(sessions::present(self.desk.as_ref()));
        }
        let mut road = Road::new(next, extensions, self.redirects_off);
        if asked.without_paying || drive::carries_credential(request.headers()) {
            return Ok(road.unpaid(request).await?.response);
        }
        let span = tracing::debug_span!("pay", origin = %origin::of(request.url()));
        let drive =
            Drive { wallet: &self.wallet, road, shows: self.shows, desk: self.desk.as_ref() };
        drive.run(request, asked).instrument(span).await
    }
}

impl Error {
    /// This crate's error inside the one that a client with middleware returns.
    pub fn from_reqwest(error: &reqwest_middleware::Error) -> Option<&Self> {
        match error {
            reqwest_middleware::Error::Middleware(e) => e.downcast_ref(),
            reqwest_middleware::Error::Reqwest(_) => None,
        }
    }
}
