//! Asks addresses for what they want, and for what they know of an account, without paying anything.

use http::{HeaderValue, header::HeaderMap};
use mpp_core::{
    Amount, Challenge, Intent,
    accept::Accept,
    intent::{Charge, Session},
    transport::{ACCEPT_PAYMENT, Answer, Http, PAYMENT_SESSION, PAYMENT_SESSION_SNAPSHOT},
};
use reqwest::{Method, Request, Response, Url};

use super::{
    desk::Desk,
    heard::{answer, heard, without_content},
    origin,
};
use crate::{
    error::Error,
    exchange::{Exchange, Turn},
    verdict::Verdict,
};

/// The longest snapshot that is read.
const LONGEST_SNAPSHOT: usize = 16 * 1024;

impl Desk {
    /// The session challenges of an address: what it says to a GET, or to a POST without content where it knows no GET. None
    /// where it asks for no payment.
    pub(crate) async fn ask(&self, url: &Url) -> Result<Vec<Challenge>, Error> {
        let get = Request::new(Method::GET, url.clone());
        let post = without_content(&get);
        for mut request in [get, post] {
            let accept = self.wallet().accept_intent(Session::NAME.as_str());
            put_accept(request.headers_mut(), &accept);
            let to = origin::site(request.method(), url);
            // A client that follows redirects by itself would name the account to whoever it is led to.
            let hint = self.redirects_off().then(|| self.wallet().hint(&to)).flatten();
            if let Some(Ok(hint)) = hint.map(HeaderValue::try_from) {
                request.headers_mut().insert(PAYMENT_SESSION, hint);
            }
            match answer(&self.send(request).await?, None) {
                Answer::Required { challenges, .. } => return Ok(challenges),
                Answer::Troubled { status: 404 | 405 | 501, .. } => {}
                _ => break,
            }
        }
        Ok(Vec::new())
    }

    /// Proves who the wallet is, at a price of zero, and takes what the server then says of its account. Whether a payer can
    /// go on with that.
    pub(super) async fn bootstrap(&self, url: &Url) -> Result<bool, Error> {
        let accept = self.wallet().accept_intent(Charge::NAME.as_str());
        let mut head = Request::new(Method::HEAD, url.clone());
        if accept.to_header().is_empty() {
            return Ok(false);
        }
        put_accept(head.headers_mut(), &accept);
        let Some(again) = head.try_clone() else { return Ok(false) };
        let asked = answer(&self.send(head).await?, None);
        let to = origin::site(&Method::HEAD, url);
        let exchange = self.wallet().exchange(to.clone()).accepting(accept);
        let Some((exchange, turn)) = prove(exchange, asked).await? else { return Ok(false) };
        let response = self.show_proof(exchange, turn, again).await?;
        let snapshot = response.headers().get(PAYMENT_SESSION_SNAPSHOT);
        let text = snapshot.and_then(|value| value.to_str().ok());
        match text.filter(|text| text.len() <= LONGEST_SNAPSHOT) {
            Some(snapshot) => Ok(self.wallet().remember(&to, snapshot).await),
            None => Ok(false),
        }
    }

    async fn show_proof(
        &self,
        mut exchange: Exchange,
        turn: Turn,
        mut request: Request,
    ) -> Result<Response, Error> {
        if let Some(credential) = turn.credential()
            && let Err(e) = Http::put_credential_in(request.headers_mut(), credential)
        {
            return Err(exchange.lost(e).await);
        }
        let response = match self.send(request).await {
            Ok(response) => response,
            Err(e) => return Err(exchange.lost(e).await),
        };
        let (response, said) = heard(response).await;
        exchange.hear(said).await?;
        exchange.delivered().await;
        exchange.verdict().and_then(Verdict::error).map_or(Ok(response), Err)
    }
}

/// Answers a challenge that costs nothing. `None`: there is none.
async fn prove(exchange: Exchange, asked: Answer) -> Result<Option<(Exchange, Turn)>, Error> {
    if !matches!(asked, Answer::Required { .. }) {
        return Ok(None);
    }
    let Ok(prepared) = exchange.prepare(asked) else { return Ok(None) };
    let free = prepared.choices().iter().position(|c| c.quote.exposes.amount.is_zero());
    match free {
        Some(free) => prepared.pay(free, Amount::ZERO).await.map(Some),
        None => Ok(None),
    }
}

fn put_accept(headers: &mut HeaderMap, accept: &Accept) {
    let list = accept.to_header();
    if !list.is_empty()
        && let Ok(value) = HeaderValue::try_from(list)
    {
        headers.insert(ACCEPT_PAYMENT, value);
    }
}
