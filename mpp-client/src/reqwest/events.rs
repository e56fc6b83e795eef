//! A stream of events that is paid as it asks.

use std::{fmt, future::Future, pin::Pin, pin::pin, task::Poll, time::Duration};

use bytes::Bytes;
use http::header;
use mpp_core::{
    Receipt,
    payer::{Funds, Wish},
};
use reqwest::Response;
use serde_json::Value;
use tokio::{task::JoinHandle, time::Instant};

use super::desk::Drawn;
use crate::{
    account,
    error::{Error, Kind},
    sse::{Item, Reader},
};

const NEED: &str = "payment-need-voucher";
const RECEIPT: &str = "payment-receipt";
/// How often a stream may ask for payment without going on.
const NEEDS: u8 = 16;
/// How long a stream may stand still after it asked: servers give up after a minute.
const PATIENCE: Duration = Duration::from_secs(90);

/// The events of a response, read one by one. What the stream asks for is paid while it goes on, by the wallet that paid for
/// the response and within its policy; what is the protocol's own is not shown.
///
/// A stream that asks for payment and is not paid ends with an error that says why: what was refused, what the policy denied, or
/// that it [does not go on](Kind::Stalled).
pub struct Events {
    response: Response,
    reader: Reader,
    drawn: Option<Drawn>,
    receipt: Option<Receipt>,
    paying: Option<JoinHandle<Result<Drawn, Error>>>,
    /// What it asked last while an earlier need was being paid.
    pending: Option<Value>,
    needs: u8,
    /// When it counts as stalled: since it asked, nothing came.
    stalls: Option<Instant>,
    idle: Option<Duration>,
    over: bool,
}

/// What happened first.
enum Woke {
    Bytes(Bytes),
    End,
    Broken(reqwest::Error),
    Paid(Box<Result<Drawn, Error>>),
    Late,
}

/// Whether a response says that it is a stream of events.
pub(super) fn is_stream(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("text/event-stream")
}

/// The events of a response.
pub(super) fn of(response: Response) -> Result<Events, Error> {
    let drawn = response.extensions().get::<Drawn>().cloned();
    if !response.status().is_success() || !is_stream(&response) {
        return Err(Error::in_doubt(Kind::NotAStream, funds(drawn.as_ref()), None));
    }
    let receipt = response.extensions().get::<Receipt>().cloned();
    Ok(Events {
        response,
        reader: Reader::new(),
        drawn,
        receipt,
        paying: None,
        pending: None,
        needs: 0,
        stalls: None,
        idle: None,
        over: false,
    })
}

impl Events {
    /// Ends the stream with [`Kind::Idle`] where nothing at all comes for so long. Without it, a stream that asks for nothing
    /// may take its time.
    pub fn idle(mut self, most: Duration) -> Self {
        self.idle = Some(most);
        self
    }

    /// The next event of the application; `None` at the end, and after an error. May be dropped and called again.
    ///
    /// # Errors
    /// What was asked could not be paid, the connection broke, or the stream says what cannot be read.
    pub async fn next(&mut self) -> Option<Result<Item, Error>> {
        if self.over {
            return None;
        }
        let next = self.advance().await.transpose();
        self.over = !matches!(next, Some(Ok(_)));
        next
    }

    /// The latest receipt: of the head, then what the stream says, its last word at its end.
    pub fn receipt(&self) -> Option<&Receipt> {
        self.receipt.as_ref()
    }

    async fn advance(&mut self) -> Result<Option<Item>, Error> {
        loop {
            while let Some(item) = self.reader.next_item() {
                if let Some(item) = self.take(item)? {
                    return Ok(Some(item));
                }
            }
            match self.woken().await {
                Woke::Bytes(bytes) => {
                    let read = self.reader.push(&bytes);
                    read.map_err(|e| {
                        self.fails(Kind::BadStream("an event is too long")).because(e)
                    })?;
                }
                Woke::Paid(paid) => self.paid((*paid)?),
                Woke::End => return self.end().await,
                Woke::Broken(e) => return Err(self.fails(Kind::Delivery).because(e)),
                Woke::Late if self.stalls.is_some_and(|at| at <= Instant::now()) => {
                    return Err(self.fails(Kind::Stalled));
                }
                Woke::Late => return Err(self.fails(Kind::Idle)),
            }
        }
    }

    /// Keeps what is the protocol's, and gives back what is the application's.
    fn take(&mut self, item: Item) -> Result<Option<Item>, Error> {
        match item.event.as_str() {
            NEED => self.need(&item.data).map(|()| None),
            RECEIPT => {
                self.hear(&item.data);
                Ok(None)
            }
            _ => {
                self.goes_on(&item);
                Ok(Some(item))
            }
        }
    }

    /// What came ends a standstill. Only something that was delivered lets the stream ask as often again, and for as much.
    fn goes_on(&mut self, item: &Item) {
        self.stalls = None;
        if item.data.is_empty() {
            return;
        }
        self.needs = 0;
        if let Some(drawn) = &self.drawn {
            drawn.desk.wallet().delivered(&drawn.challenge);
        }
    }

    fn need(&mut self, data: &str) -> Result<(), Error> {
        let read = serde_json::from_str::<Value>(data);
        let need =
            read.map_err(|e| self.fails(Kind::BadStream("what it needs is no JSON")).because(e))?;
        self.needs += 1;
        if self.needs > NEEDS || self.drawn.is_none() {
            return Err(self.fails(Kind::Stalled));
        }
        self.stalls.get_or_insert_with(|| Instant::now() + PATIENCE);
        self.pending = Some(need);
        self.pay();
        Ok(())
    }

    /// Pays what it asked last, unless something is being paid. In a task of its own: what was begun is finished whether or
    /// not anybody reads on.
    fn pay(&mut self) {
        if self.paying.is_some() {
            return;
        }
        let (Some(drawn), Some(need)) = (&self.drawn, self.pending.take()) else { return };
        self.paying = Some(tokio::spawn(drawn.clone().grant(Wish::Need(need))));
    }

    fn paid(&mut self, drawn: Drawn) {
        self.drawn = Some(drawn);
        self.pay();
    }

    fn hear(&mut self, data: &str) {
        // Read as the header is, so that what is kept can be kept.
        let read = serde_json::from_str::<Receipt>(data).ok();
        let token = read.and_then(|receipt| receipt.to_token().ok());
        let Some(receipt) = token.and_then(|token| Receipt::from_token(&token).ok()) else {
            tracing::debug!("a stream's receipt cannot be read");
            return;
        };
        let account = self.drawn.as_ref().and_then(|drawn| Some((drawn, drawn.account.as_ref()?)));
        match account {
            Some((drawn, account)) if account::is_of(&receipt, account) => {
                drawn.desk.wallet().hear(&receipt);
            }
            // Its word on an account of somebody else's, or one that does not add up, is none at all.
            Some(_) if !account::is_bare(&receipt) => {
                tracing::warn!(reference = %receipt.reference, "a stream's receipt is not of its account");
                return;
            }
            _ => {}
        }
        // Its last word: whatever it asked before, it has come to its end.
        self.stalls = None;
        self.receipt = Some(receipt);
    }

    /// A stream that ends while it waits for its payment did not end well.
    async fn end(&mut self) -> Result<Option<Item>, Error> {
        if let Some(paying) = self.paying.take() {
            joined(paying.await)?;
        }
        if self.stalls.is_some() {
            return Err(self.fails(Kind::Stalled));
        }
        Ok(None)
    }

    async fn woken(&mut self) -> Woke {
        let idle = self.idle.map(|most| Instant::now() + most);
        let until = [self.stalls, idle].into_iter().flatten().min();
        let mut late = until.map(|until| Box::pin(tokio::time::sleep_until(until)));
        let Self { response, paying, .. } = self;
        // Dropped, it loses nothing: what was not read is read by the next.
        let mut chunk = pin!(response.chunk());
        let woke = std::future::poll_fn(|cx| {
            if let Some(paying) = paying.as_mut()
                && let Poll::Ready(paid) = Pin::new(paying).poll(cx)
            {
                return Poll::Ready(Woke::Paid(Box::new(joined(paid))));
            }
            if let Poll::Ready(chunk) = chunk.as_mut().poll(cx) {
                return Poll::Ready(match chunk {
                    Ok(Some(bytes)) => Woke::Bytes(bytes),
                    Ok(None) => Woke::End,
                    Err(e) => Woke::Broken(e),
                });
            }
            match late.as_mut().map(|late| late.as_mut().poll(cx)) {
                Some(Poll::Ready(())) => Poll::Ready(Woke::Late),
                _ => Poll::Pending,
            }
        })
        .await;
        if matches!(woke, Woke::Paid(_)) {
            self.paying = None;
        }
        woke
    }

    fn fails(&self, kind: Kind) -> Error {
        Error::in_doubt(kind, funds(self.drawn.as_ref()), None)
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("receipt", &self.receipt)
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}

fn funds(drawn: Option<&Drawn>) -> Funds {
    if drawn.is_some() { Funds::Committed } else { Funds::Untouched }
}

fn joined(paid: Result<Result<Drawn, Error>, tokio::task::JoinError>) -> Result<Drawn, Error> {
    let lost = |e| Error::in_doubt(Kind::Payer, Funds::Unknown, None).because(e);
    paid.map_err(lost).and_then(|paid| paid)
}
