//! WebSockets that are paid as they ask.

mod line;
mod opening;
mod step;

use std::{collections::VecDeque, fmt, future::Future, time::Duration};

use mpp_core::{
    Challenge, Credential, Receipt,
    payer::{Funds, Wish},
    problem::Problem,
    transport::Answer,
};
use reqwest::{IntoUrl, Method, Url};
use reqwest_middleware::ClientWithMiddleware;
use serde_json::Value;
use tokio::{
    sync::OwnedMutexGuard,
    time::{Instant, timeout},
};

use self::line::Line;
use crate::{
    account,
    error::{Error, Kind},
    exchange::{Exchange, Turn},
    frame::{self, Frame},
    reqwest::{desk::Desk, origin, sessions},
    verdict::Verdict,
};

/// How often a stream may ask for payment without going on.
const NEEDS: u8 = 16;
/// How long a stream may stand still after it asked: servers give up after a minute.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long a server may take over its part of the end.
const ENDING: Duration = Duration::from_secs(30);

/// WebSockets that are paid, on a client that pays.
pub trait SocketExt: sealed::Sealed {
    /// Opens a paid WebSocket (`wss://`, or `ws://` where plain HTTP may be paid): asks the same address over HTTP what it
    /// wants, connects, and pays. No header of the application's goes with it.
    ///
    /// ```no_run
    /// use mpp_client::ws::SocketExt;
    ///
    /// # async fn run(client: reqwest_middleware::ClientWithMiddleware) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut socket = client.socket("wss://api.example.com/tokens").await?;
    /// while let Some(text) = socket.next().await {
    ///     println!("{}", text?);
    /// }
    /// println!("closed: {:?}", socket.close().await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As for a request that pays. With a journal, what was signed for an address and not answered is shown to it by the next
    /// socket, and nothing is paid anew.
    fn socket(
        &self,
        url: impl IntoUrl + Send,
    ) -> impl Future<Output = Result<Socket, Error>> + Send;
}

impl SocketExt for ClientWithMiddleware {
    async fn socket(&self, url: impl IntoUrl + Send) -> Result<Socket, Error> {
        let url = sessions::place(url)?;
        opening::open(sessions::desk(self).await?, url).await
    }
}

/// A paid WebSocket. What it asks for is paid within the wallet's policy; what is the protocol's own is not shown. Dropped, its
/// account stays open for the next.
pub struct Socket {
    line: Line,
    desk: Desk,
    /// The same address over HTTP.
    url: Url,
    challenge: Challenge,
    /// The name of its account: as it was signed for, or as the server's first receipt has it.
    account: String,
    receipt: Receipt,
    /// What came while something else was waited for.
    early: VecDeque<Frame>,
    granting: Option<Granting>,
    pending: Option<Value>,
    needs: u8,
    /// When it counts as stalled: since it asked, nothing came.
    stalls: Option<Instant>,
    idle: Option<Duration>,
    /// The end was asked for: nothing more is paid but that.
    closing: bool,
    /// The server says that nothing more comes.
    ready: bool,
    over: bool,
}

/// A need that is being paid, and alone in putting something at stake, if it does.
struct Granting {
    exchange: Exchange,
    /// The step that is out.
    step: Credential,
    _alone: Option<OwnedMutexGuard<()>>,
}

impl Socket {
    /// Ends with [`Kind::Idle`] where nothing at all comes for so long.
    pub fn idle(mut self, most: Duration) -> Self {
        self.idle = Some(most);
        self
    }

    /// The latest receipt.
    pub fn receipt(&self) -> &Receipt {
        &self.receipt
    }

    /// The next text of the application; `None` at the end, and after an error. Let it come to its end: dropped midway, the
    /// answer to a payment may be lost.
    ///
    /// # Errors
    /// What was asked could not be paid, the connection broke, or the server says what cannot be read.
    pub async fn next(&mut self) -> Option<Result<String, Error>> {
        if self.over || self.ready {
            return None;
        }
        let next = self.advance().await.transpose();
        self.over = !self.ready && !matches!(next, Some(Ok(_)));
        next
    }

    /// Closes the account: stops the stream, and lets the server take what was spent. What still comes of the stream is not
    /// shown. `None`: there was nothing to close.
    ///
    /// # Errors
    /// The server refused, or its last account does not add up: it is closed to nobody's loss later, by
    /// [`close_session`](crate::SessionExt::close_session).
    pub async fn close(mut self) -> Result<Option<Receipt>, Error> {
        let ended = timeout(ENDING, self.end());
        let ended = ended.await.unwrap_or_else(|_| Err(self.fails(Kind::Stalled)));
        match &ended {
            Ok(_) => self.line.hang_up(line::GOOD).await,
            Err(_) => self.line.hang_up(line::BAD).await,
        }
        ended
    }

    async fn end(&mut self) -> Result<Option<Receipt>, Error> {
        self.closing = true;
        if !self.ready {
            self.line.send(frame::close_request()).await.map_err(|e| self.broke(e))?;
        }
        while !self.ready {
            if self.advance().await?.is_none() && !self.ready {
                return Err(self.fails(Kind::Delivery));
            }
        }
        let challenge = self.desk.lasting(&self.url, self.challenge.clone()).await?;
        let mut exchange = self.exchange();
        let mut turn = exchange.manage(vec![challenge], Wish::Close).await?;
        while let Turn::Manage(credential) = turn {
            // A crash in here leaves a close that the server can carry out, for what was spent.
            turn = opening::show(self.parts(), &mut exchange, &credential, true).await?;
        }
        let verdict = exchange.verdict();
        verdict.and_then(Verdict::error).map_or(Ok(()), Err)?;
        Ok(verdict.and_then(Verdict::receipt).cloned())
    }

    async fn advance(&mut self) -> Result<Option<String>, Error> {
        loop {
            let frame = match self.early.pop_front() {
                Some(frame) => frame,
                None => match self.receive().await? {
                    Some(frame) => frame,
                    None => return self.hung_up().await,
                },
            };
            match frame {
                Frame::Message(text) => {
                    self.goes_on(&text);
                    return Ok(Some(text));
                }
                Frame::Need(need) => self.need(need).await?,
                Frame::Receipt(receipt) => self.hear(*receipt).await?,
                Frame::CloseReady(receipt) => {
                    self.ready(*receipt).await?;
                    return Ok(None);
                }
                Frame::Failed { status, message } => {
                    return Err(self.failed(status, message).await);
                }
                Frame::Other => {}
            }
        }
    }

    /// What came ends a standstill. Only something that was delivered lets the stream ask as often again, and for as much.
    fn goes_on(&mut self, text: &str) {
        self.stalls = None;
        if !text.is_empty() {
            self.needs = 0;
            self.desk.wallet().delivered(&self.challenge);
        }
    }

    /// The next frame; `None` where the server hung up.
    async fn receive(&mut self) -> Result<Option<Frame>, Error> {
        let idle = self.idle.map(|most| Instant::now() + most);
        let until = [self.stalls, idle].into_iter().flatten().min();
        let received = match until {
            None => self.line.receive().await,
            Some(until) => match tokio::time::timeout_at(until, self.line.receive()).await {
                Ok(received) => received,
                Err(_) => {
                    let stalled = self.stalls.is_some_and(|at| at <= Instant::now());
                    return Err(self.fails(if stalled { Kind::Stalled } else { Kind::Idle }));
                }
            },
        };
        match received {
            Ok(frame) => Ok(frame),
            Err(e) => {
                if e.is_theirs() {
                    self.line.hang_up(line::BAD).await;
                }
                Err(self.broke(e))
            }
        }
    }

    /// A stream that hangs up while it waits for its payment did not end well.
    async fn hung_up(&mut self) -> Result<Option<String>, Error> {
        if let Some(mut granting) = self.granting.take() {
            return Err(granting.exchange.lost(line::HungUp).await);
        }
        match self.stalls {
            Some(_) => Err(self.fails(Kind::Stalled)),
            None => Ok(None),
        }
    }

    async fn need(&mut self, need: Value) -> Result<(), Error> {
        if self.closing {
            return Ok(());
        }
        self.needs += 1;
        if self.needs > NEEDS {
            return Err(self.fails(Kind::Stalled));
        }
        self.stalls.get_or_insert_with(|| Instant::now() + PATIENCE);
        self.pending = Some(need);
        self.pay().await
    }

    /// Pays what it asked last, unless something is being paid.
    async fn pay(&mut self) -> Result<(), Error> {
        if self.granting.is_some() {
            return Ok(());
        }
        let Some(need) = self.pending.take() else { return Ok(()) };
        self.challenge = self.desk.lasting(&self.url, self.challenge.clone()).await?;
        let (wish, challenges) = (Wish::Need(need), vec![self.challenge.clone()]);
        let alone = self.desk.alone(&self.url, &challenges, &wish).await;
        let mut exchange = self.exchange();
        if let Turn::Manage(credential) = exchange.manage(challenges, wish).await? {
            let step = credential.clone();
            self.granting = Some(Granting { exchange, step, _alone: alone });
            self.authorize(&credential).await?;
        }
        Ok(())
    }

    async fn authorize(&mut self, credential: &Credential) -> Result<(), Error> {
        let sent = match frame::authorization(credential) {
            Ok(text) => self.line.send(text).await.map_err(|e| self.broke(e)),
            Err(e) => Err(self.fails(Kind::Payer).because(e)),
        };
        match (sent, self.granting.take()) {
            (Err(e), Some(mut granting)) => Err(granting.exchange.lost(e).await),
            (sent, granting) => {
                self.granting = granting;
                sent
            }
        }
    }

    async fn hear(&mut self, receipt: Receipt) -> Result<(), Error> {
        self.belongs(&receipt).await?;
        self.receipt = receipt.clone();
        // Word of how the account stands may cross a step on the way, and is no answer to that.
        let answered = self.granting.as_mut().filter(|g| step::settles(&receipt, &g.step));
        let Some(granting) = answered else {
            self.hear_standing(&receipt);
            return Ok(());
        };
        match granting.exchange.hear(Answer::Acknowledged(receipt)).await? {
            Turn::Manage(credential) => {
                granting.step = credential.clone();
                self.authorize(&credential).await
            }
            _ => {
                self.granting = None;
                Box::pin(self.pay()).await
            }
        }
    }

    async fn ready(&mut self, receipt: Receipt) -> Result<(), Error> {
        self.belongs(&receipt).await?;
        self.hear_standing(&receipt);
        self.receipt = receipt;
        (self.ready, self.stalls) = (true, None);
        Ok(())
    }

    fn hear_standing(&self, receipt: &Receipt) {
        if account::is_of(receipt, &self.account) {
            self.desk.wallet().hear(receipt);
        }
    }

    /// A receipt of another account, or of more spent than was promised, is no word to go on with.
    async fn belongs(&mut self, receipt: &Receipt) -> Result<(), Error> {
        if account::is_of(receipt, &self.account) || account::is_bare(receipt) {
            return Ok(());
        }
        self.line.hang_up(line::BAD).await;
        Err(self.fails(Kind::BadStream("a receipt is not of this account")))
    }

    async fn failed(&mut self, status: u16, message: String) -> Error {
        let problem = Problem { status, detail: message, ..Problem::default() };
        let Some(mut granting) = self.granting.take() else {
            let problem = Some(Box::new(problem));
            let refused = matches!(status, 401 | 402 | 410);
            let kind = if refused { Kind::Refused(problem) } else { Kind::Unresolved(problem) };
            return self.fails(kind);
        };
        let error = granting.exchange.hear(opening::refusal(Vec::new(), problem)).await.err();
        let told = || granting.exchange.verdict().and_then(Verdict::error);
        error.or_else(told).unwrap_or_else(|| self.fails(Kind::Stalled))
    }

    fn exchange(&self) -> Exchange {
        self.desk.wallet().exchange(origin::site(&Method::POST, &self.url))
    }

    fn parts(&mut self) -> (&mut Line, &mut VecDeque<Frame>) {
        (&mut self.line, &mut self.early)
    }

    fn broke(&self, e: line::Broken) -> Error {
        let kind = if e.is_theirs() {
            Kind::BadStream("a frame is too long or cannot be read")
        } else {
            Kind::Delivery
        };
        self.fails(kind).because(e)
    }

    fn fails(&self, kind: Kind) -> Error {
        Error::in_doubt(kind, Funds::Committed, None)
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("url", &self.url.as_str())
            .field("ready", &self.ready)
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}

mod sealed {
    #[expect(unnameable_types, reason = "what cannot be named cannot be implemented")]
    pub trait Sealed {}
    impl Sealed for reqwest_middleware::ClientWithMiddleware {}
}
