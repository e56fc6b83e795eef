//! Events of a metered stream over loopback, beside the same stream for nothing.

use std::{convert::Infallible, future::IntoFuture, net::SocketAddr, time::Instant};

use axum::{Router, body::Body, http::header, routing::get};
use futures_util::stream;
use mpp_core::{Challenge, store::Memory, transport::read_field};
use mpp_server::{Session, sse::Sse};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};

use crate::{
    channels::{Payer, metered},
    inprocess::{FREE, rest, runtime},
    interleaved::{Effort, Side, all, median},
    ours::PATH,
    row::Row,
};

/// Events of one stream, each of one unit,
const EVENTS: u32 = 40 * BATCH as u32;
/// of which so many are set aside at a time.
const BATCH: u64 = 256;
/// Rounds of which the middle one counts: a turn takes long, so these are fewer than elsewhere.
const MOST_ROUNDS: usize = 15;

/// Measures one stream at a time, server and client on one thread.
pub fn row(effort: Effort) -> Row {
    let runtime = runtime();
    let at = runtime.block_on(served());
    let sides = [paying(&runtime, at), reading(&runtime, at)];
    let rounds = all(effort.rounds.min(MOST_ROUNDS), sides);
    let of = |side: usize| median(rounds.iter().map(|round| round[side]));
    let ratio = median(rounds.iter().map(|[metered, free]| metered / free));
    let name = format!("events over loopback, {BATCH} set aside at a time");
    Row { ratio: Some(ratio), ..Row::rate(name, "events/s", of(0), Some(of(1))) }
}

async fn served() -> SocketAddr {
    let paid = metered(Memory::volatile()).guard(get(tokens));
    let app = Router::new().route(PATH, paid).route(FREE, get(free));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let at = listener.local_addr().expect("it is bound");
    tokio::spawn(axum::serve(listener, app).into_future());
    at
}

async fn tokens(session: Session) -> Sse {
    session.in_batches_of(BATCH).sse(stream::iter((0..EVENTS).map(token)))
}

/// The same bytes but for the receipt, and nobody counts.
async fn free() -> ([(header::HeaderName, &'static str); 1], Body) {
    let event = |n| format!("event: message\ndata: {}\n\n", token(n));
    let events = (0..EVENTS).map(move |n| Ok::<_, Infallible>(event(n)));
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(stream::iter(events)))
}

fn token(n: u32) -> String {
    format!("token {n}")
}

/// Each turn is paid by a voucher for all of its units, signed before the clock runs.
fn paying<'a>(runtime: &'a Runtime, at: SocketAddr) -> Side<'a> {
    let payer = Payer::numbered(1);
    let challenge = runtime.block_on(challenge(at));
    // What a channel was good for before it came on the books counts as served: it comes with a unit.
    let opened = runtime.block_on(exchange(at, &asks("POST", PATH, &pays(&payer, &challenge, 1))));
    assert!(opened.starts_with("HTTP/1.1 20"), "{opened}");
    let mut total = 0;
    Box::new(move || {
        total += u128::from(EVENTS);
        let request = asks("GET", PATH, &pays(&payer, &challenge, total));
        let (answer, rate) = runtime.block_on(timed(at, &request));
        assert_eq!(answer.matches("event: payment-receipt\n").count(), 1, "it is over");
        assert!(!answer.contains("event: payment-need-voucher\n"), "it was paid for whole");
        rate
    })
}

fn reading<'a>(runtime: &'a Runtime, at: SocketAddr) -> Side<'a> {
    Box::new(move || runtime.block_on(timed(at, &asks("GET", FREE, ""))).1)
}

/// From the connection to its last byte; every event has to be there.
async fn timed(at: SocketAddr, request: &str) -> (String, f64) {
    let began = Instant::now();
    let answer = exchange(at, request).await;
    let taken = began.elapsed();
    assert_eq!(answer.matches("event: message\n").count(), EVENTS as usize, "it is served whole");
    // What the server does once it has said everything is in nobody's turn.
    rest().await;
    (answer, f64::from(EVENTS) / taken.as_secs_f64())
}

async fn exchange(at: SocketAddr, request: &str) -> String {
    let mut answer = String::with_capacity(64 * EVENTS as usize);
    let mut connection = TcpStream::connect(at).await.expect("the server listens");
    connection.write_all(request.as_bytes()).await.expect("the server reads");
    connection.read_to_string(&mut answer).await.expect("the server answers, in text");
    answer
}

/// A request, the last on its connection.
fn asks(verb: &str, path: &str, fields: &str) -> String {
    format!("{verb} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n{fields}\r\n")
}

fn pays(payer: &Payer, challenge: &Challenge, total: u128) -> String {
    let head = payer.pays(challenge, total);
    let value = head.headers[header::AUTHORIZATION].to_str().expect("base64url");
    format!("authorization: {value}\r\n")
}

async fn challenge(at: SocketAddr) -> Challenge {
    let answer = exchange(at, &asks("GET", PATH, "")).await;
    let field = answer.lines().find_map(|line| line.strip_prefix("www-authenticate: "));
    let challenges = read_field(field.expect("nothing is paid")).expect("a challenge");
    challenges.into_iter().next().expect("a challenge")
}
