//! What one request may say of its payment, and what its response knows of it.

use std::future::Future;

use mpp_core::{Price, Receipt, transport::Answer};
use reqwest::Response;
use reqwest_middleware::RequestBuilder;

use super::{
    events::{self, Events},
    heard, problem,
};
use crate::{error::Error, unfinished::Unfinished, verdict::Verdict};

/// What one request says, beside its wallet.
#[derive(Clone, Debug, Default)]
pub(super) struct PerRequest {
    pub(super) within: Option<Price>,
    pub(super) without_paying: bool,
    pub(super) resume: Option<Unfinished>,
    /// Nothing is sent: who manages accounts is asked for.
    pub(super) wants_desk: bool,
    /// The idempotency key that an earlier try of the same request got.
    pub(super) key: Option<String>,
}

/// What one request says of its payment.
pub trait RequestBuilderExt: Sized + sealed::Sealed {
    /// Puts at stake at most this for the request, whatever the wallet's policy allows besides.
    ///
    /// It binds what is newly put at stake: a price, or a deposit. A request that is paid within a deposit there is already
    /// puts nothing at stake, and what it costs of that deposit is not bound by this, nor by the policy. The payer's own bounds
    /// are: of a Tempo session payer `max_price` for a request, `stream_ahead` for a stream, and `max_deposit` for all of them.
    fn pay_within(self, most: Price) -> Self;
    /// Pays nothing: a 402 is returned as it came.
    fn without_paying(self) -> Self;
    /// Shows a credential of before again, and pays nothing: for [`Error::unfinished`] and [`Verdict::unfinished`].
    /// The request must be the same as then. Where redirects had led to what was paid, it is sent to that place.
    fn resume(self, unfinished: &Unfinished) -> Self;
}

impl RequestBuilderExt for RequestBuilder {
    fn pay_within(self, most: Price) -> Self {
        saying(self, |asked| asked.within = Some(most))
    }

    fn without_paying(self) -> Self {
        saying(self, |asked| asked.without_paying = true)
    }

    fn resume(self, unfinished: &Unfinished) -> Self {
        saying(self, |asked| asked.resume = Some(unfinished.clone()))
    }
}

/// What one try leaves in the extensions for the next, where middleware above repeats a request.
pub(super) enum Memory {
    /// Nothing is in doubt.
    Nothing,
    /// A credential to be shown instead of paying anew.
    Show(Box<Unfinished>),
    /// Money may have moved, and there is nothing to show for it: whatever asks for payment is the caller's answer.
    PayNoMore,
}

impl PerRequest {
    pub(super) fn remember(&mut self, memory: Memory) {
        self.without_paying = matches!(memory, Memory::PayNoMore);
        self.resume = match memory {
            Memory::Show(unfinished) => Some(*unfinished),
            Memory::Nothing | Memory::PayNoMore => None,
        };
    }
}

/// What a response knows of its payment.
pub trait ResponseExt: Sized + sealed::Sealed {
    /// The receipt, where this request was paid and the server said so.
    fn receipt(&self) -> Option<&Receipt>;
    /// What became of the credential that was sent for this response, if one was.
    fn verdict(&self) -> Option<&Verdict>;
    /// The response as the protocol reads its head, for [`Wallet::prepare`](crate::Wallet::prepare).
    fn answer(&self) -> Answer;
    /// Turns a response whose payment was refused, or is in doubt, into an error that holds the server's reason.
    ///
    /// # Errors
    /// [`Kind::Refused`](crate::error::Kind::Refused) or [`Kind::Unresolved`](crate::error::Kind::Unresolved).
    fn error_for_payment(self) -> impl Future<Output = Result<Self, Error>> + Send;
    /// Reads a stream of events (`text/event-stream`), and pays as it asks.
    ///
    /// # Errors
    /// [`Kind::NotAStream`](crate::error::Kind::NotAStream): the answer is something else.
    fn events(self) -> Result<Events, Error>;
}

impl ResponseExt for Response {
    fn receipt(&self) -> Option<&Receipt> {
        self.verdict()?.receipt()
    }

    fn verdict(&self) -> Option<&Verdict> {
        self.extensions().get()
    }

    fn answer(&self) -> Answer {
        heard::answer(self, None)
    }

    async fn error_for_payment(self) -> Result<Self, Error> {
        let Some(mut verdict) = self.verdict().cloned() else { return Ok(self) };
        if verdict.error().is_none() {
            return Ok(self);
        }
        let (response, body) = problem::peek(self).await;
        if let Answer::Required { problem, .. } | Answer::Troubled { problem, .. } =
            heard::answer(&response, body.as_deref())
        {
            verdict.problem = problem.map(Box::new).or(verdict.problem);
        }
        verdict.error().map_or(Ok(response), Err)
    }

    fn events(self) -> Result<Events, Error> {
        events::of(self)
    }
}

fn saying(mut builder: RequestBuilder, say: impl FnOnce(&mut PerRequest)) -> RequestBuilder {
    let mut asked = builder.extensions().get::<PerRequest>().cloned().unwrap_or_default();
    say(&mut asked);
    builder.with_extension(asked)
}

mod sealed {
    #[expect(unnameable_types, reason = "what cannot be named cannot be implemented")]
    pub trait Sealed {}
    impl Sealed for reqwest_middleware::RequestBuilder {}
    impl Sealed for reqwest::Response {}
}
