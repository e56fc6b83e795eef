//! How a paid WebSocket begins: the address is asked over HTTP, and paid over the socket.

use std::collections::VecDeque;

use mpp_core::{
    Challenge, Credential, Intent, intent::Session, payer::Wish, problem::Problem,
    transport::Answer,
};
use reqwest::{Method, Url};
use tokio::{
    sync::OwnedMutexGuard,
    time::{Instant, timeout_at},
};

use super::{
    ENDING, Socket,
    line::{self, Broken, HungUp, Line},
    step,
};
use crate::{
    account,
    error::{Error, Kind},
    exchange::{Exchange, Turn},
    frame::{self, Frame},
    journal::Purpose,
    reqwest::{desk::Desk, origin},
    verdict::Verdict,
};

/// Frames that may come before the answer to a credential.
const EARLY: usize = 256;
/// Connections that one opening may take.
const TRIES: u8 = 5;

/// Opens a paid WebSocket.
pub(super) async fn open(desk: Desk, url: Url) -> Result<Socket, Error> {
    let (plain, socket) = both(&url)?;
    let wallet = desk.wallet().clone();
    origin::may_carry(&wallet, &plain)?;
    let to = origin::site(&Method::GET, &plain);
    let purpose = Purpose::of(&to, b"", None).choosing("upgrade", b"websocket");
    let mut exchange = wallet
        .exchange(to)
        .accepting(wallet.accept_intent(Session::NAME.as_str()))
        .about(Some(purpose), None);
    // What an earlier connection signed and heard nothing of is shown again: renewing it pays nothing.
    let mut turn = exchange.adopt().await?;
    let mut refused: Option<Problem> = None;
    for _ in 0..TRIES {
        // Connected before anything is signed: a server that cannot be reached costs nothing.
        let mut line = match Line::to(&socket).await {
            Ok(line) => line,
            Err(e) => return Err(exchange.lost(e).await),
        };
        let mut early = VecDeque::new();
        let mut next = match turn.take() {
            Some(turn) => turn,
            None => {
                let challenges = match desk.ask(&plain).await {
                    Ok(challenges) => challenges,
                    Err(e) => return Err(exchange.lost(e).await),
                };
                let answer = match refused.take() {
                    Some(problem) => refusal(challenges, problem),
                    None => Answer::Required { challenges, problem: None },
                };
                exchange.hear(answer).await?
            }
        };
        while let Some(credential) = next.credential().cloned() {
            let managing = matches!(next, Turn::Manage(_));
            let parts = (&mut line, &mut early);
            match authorized(parts, &mut exchange, &credential, managing).await? {
                Ok(turn) => next = turn,
                Err(problem) => {
                    refused = Some(problem);
                    break;
                }
            }
        }
        if refused.is_some() {
            line.hang_up(line::GOOD).await;
            continue;
        }
        let verdict = exchange.verdict();
        let opened = verdict.and_then(|verdict| {
            let receipt = verdict.receipt()?;
            let account = account::drawn_upon(verdict.unfinished().credential(), Some(receipt))?;
            Some((exchange.challenge()?, receipt, account))
        });
        let Some((challenge, receipt, account)) = opened else {
            line.hang_up(line::GOOD).await;
            let error = verdict.and_then(Verdict::error);
            return Err(error.unwrap_or_else(|| Error::untouched(Kind::TooManyTurns)));
        };
        let (challenge, receipt) = (challenge.clone(), receipt.clone());
        // Each further unit is asked for by itself: there is nothing of this payment left to be read.
        exchange.delivered().await;
        return Ok(Socket {
            line,
            desk,
            url: plain,
            challenge,
            account,
            receipt,
            early,
            granting: None,
            pending: None,
            needs: 0,
            stalls: None,
            idle: None,
            closing: false,
            ready: false,
            over: false,
        });
    }
    let last = refused.map(Box::new);
    if exchange.is_out() {
        let problem = last.map(|problem| *problem).unwrap_or_default();
        exchange.hear(refusal(Vec::new(), problem)).await?;
    }
    let error = exchange.verdict().and_then(Verdict::error);
    Err(error.unwrap_or_else(|| Error::untouched(Kind::TooManyTurns)))
}

/// Sends a credential, and hears its answer: the next turn, or what was refused. A refusal leaves the credential out.
async fn authorized(
    (line, early): (&mut Line, &mut VecDeque<Frame>),
    exchange: &mut Exchange,
    credential: &Credential,
    managing: bool,
) -> Result<Result<Turn, Problem>, Error> {
    let text = match frame::authorization(credential) {
        Ok(text) => text,
        Err(e) => return Err(exchange.lost(e).await),
    };
    if let Err(e) = line.send(text).await {
        return Err(exchange.lost(e).await);
    }
    let until = Instant::now() + ENDING;
    loop {
        // A crash in here leaves a credential in the journal, and its answer on the wire.
        let frame = match timeout_at(until, line.receive()).await {
            Ok(Ok(Some(frame))) => frame,
            Ok(Ok(None)) => return Err(exchange.lost(HungUp).await),
            Ok(Err(e)) => return Err(exchange.lost(e).await),
            Err(_) => return Err(exchange.lost(Broken::Slow).await),
        };
        match frame {
            Frame::Receipt(receipt) if step::answers(&receipt, credential) => {
                let answer = match managing {
                    true => Answer::Acknowledged(*receipt),
                    false => Answer::Served(Some(*receipt)),
                };
                return exchange.hear(answer).await.map(Ok);
            }
            Frame::Failed { status, message } => {
                let problem = Problem { status, detail: message, ..Problem::default() };
                return Ok(Err(problem));
            }
            Frame::Other => {}
            frame if early.len() < EARLY => early.push_back(frame),
            _ => {
                line.hang_up(line::BAD).await;
                let flooded = Error::untouched(Kind::BadStream("too much comes before a receipt"));
                return Err(exchange.lost(flooded).await);
            }
        }
    }
}

/// Sends a credential, and hears its answer, a refusal too.
pub(super) async fn show(
    parts: (&mut Line, &mut VecDeque<Frame>),
    exchange: &mut Exchange,
    credential: &Credential,
    managing: bool,
) -> Result<Turn, Error> {
    match authorized(parts, exchange, credential, managing).await? {
        Ok(turn) => Ok(turn),
        Err(problem) => exchange.hear(refusal(Vec::new(), problem)).await,
    }
}

/// What a refusal over a socket is over HTTP.
pub(super) fn refusal(challenges: Vec<Challenge>, problem: Problem) -> Answer {
    match problem.status {
        401 | 402 | 410 => Answer::Required { challenges, problem: Some(problem) },
        status => Answer::Troubled { status, problem: Some(problem) },
    }
}

/// The address over HTTP, and over WebSocket.
fn both(url: &Url) -> Result<(Url, Url), Error> {
    let (plain, socket) = match url.scheme() {
        "https" | "wss" => ("https", "wss"),
        "http" | "ws" => ("http", "ws"),
        _ => return Err(Error::untouched(Kind::Address)),
    };
    let with = |scheme: &str| {
        let rest = url.as_str().split_once(':').map(|(_, rest)| rest).unwrap_or_default();
        Url::parse(&format!("{scheme}:{rest}"))
            .map_err(|e| Error::untouched(Kind::Address).because(e))
    };
    Ok((with(plain)?, with(socket)?))
}

impl Desk {
    /// A challenge that lasts for now: this one, or a fresh one where it ends soon and the address has one.
    pub(super) async fn lasting(
        &self,
        url: &Url,
        challenge: Challenge,
    ) -> Result<Challenge, Error> {
        if !self.ends_soon(&challenge) {
            return Ok(challenge);
        }
        let id = challenge.method_id();
        let fresh = self.ask(url).await?;
        Ok(fresh.into_iter().find(|fresh| fresh.method_id() == id).unwrap_or(challenge))
    }

    /// Keeps others from putting something at stake at an address, where this does.
    pub(super) async fn alone(
        &self,
        url: &Url,
        challenges: &[Challenge],
        wish: &Wish,
    ) -> Option<OwnedMutexGuard<()>> {
        let to = origin::site(&Method::POST, url);
        let staking = self.wallet().would_stake(challenges, wish, &to);
        match staking.then(|| self.funding(&to.origin)) {
            Some(lock) => Some(lock.lock_owned().await),
            None => None,
        }
    }
}
