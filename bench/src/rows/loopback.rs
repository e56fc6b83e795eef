//! A 402 over loopback against the free route of the same server, 32 connections at once.

use std::{net::SocketAddr, time::Instant};

use axum::Router;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};

use crate::{
    inprocess::{FREE, free},
    interleaved::{Effort, Side, all, median},
    ours::PATH,
    row::{Goal, Row},
};

const CONNECTIONS: usize = 32;
/// Rounds of which the middle one counts: a turn takes long, so these are fewer than elsewhere.
const MOST_ROUNDS: usize = 15;

/// Measures. Server and clients share the machine, as on any of its kind.
pub fn row(effort: Effort) -> Row {
    let runtime = Runtime::new().expect("a runtime starts");
    let serve = |app: Router| {
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
            let address = listener.local_addr().expect("it is bound");
            tokio::spawn(async move { axum::serve(listener, app).await });
            address
        })
    };
    let ours = serve(crate::ours::app().merge(free()));
    let peer = serve(crate::peers::app().merge(free()));
    let side = |to, path, status| requesting(&runtime, effort, to, path, status);
    let rounds = all(
        effort.rounds.min(MOST_ROUNDS),
        [side(ours, PATH, "402"), side(peer, PATH, "402"), side(ours, FREE, "200")],
    );
    let of = |side: usize| median(rounds.iter().map(|round| round[side]));
    let ratio = median(rounds.iter().map(|[ours, _, free]| ours / free));
    let row = Row::cost("402 over loopback, part of the free route", "requests/s", of(0), of(1));
    Row { ratio: Some(ratio), ..row.over(of(2)) }.to_reach(Goal::Ratio(0.90))
}

/// A side that sends requests over every connection, and counts how many are answered in a second.
fn requesting<'a>(
    runtime: &'a Runtime,
    effort: Effort,
    to: SocketAddr,
    path: &str,
    status: &'static str,
) -> Side<'a> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: {to}\r\n\r\n");
    let mut connections =
        Vec::from_iter((0..CONNECTIONS).map(|_| {
            runtime.block_on(TcpStream::connect(to)).map(Some).expect("the server listens")
        }));
    Box::new(move || {
        runtime.block_on(async {
            let began = Instant::now();
            let running = Vec::from_iter(connections.iter_mut().map(|connection| {
                let (request, stream) = (request.clone(), connection.take());
                let stream = stream.expect("it is given back each turn");
                tokio::spawn(converse(stream, request, status, effort.per_connection))
            }));
            for (task, connection) in running.into_iter().zip(&mut connections) {
                *connection = Some(task.await.expect("every request is answered"));
            }
            (CONNECTIONS * effort.per_connection) as f64 / began.elapsed().as_secs_f64()
        })
    })
}

/// Asks and hears, so many times.
async fn converse(mut stream: TcpStream, request: String, status: &str, times: usize) -> TcpStream {
    let mut buffer = vec![0; 8192];
    for _ in 0..times {
        stream.write_all(request.as_bytes()).await.expect("the server reads");
        let mut heard = 0;
        loop {
            heard += stream.read(&mut buffer[heard..]).await.expect("the server answers");
            if whole(&buffer[..heard]) {
                break;
            }
        }
        assert_eq!(&buffer[9..12], status.as_bytes());
    }
    stream
}

/// Whether a response is all there.
fn whole(response: &[u8]) -> bool {
    let Some(head) = response.windows(4).position(|end| end == b"\r\n\r\n") else { return false };
    const LENGTH: &[u8] = b"\r\ncontent-length: ";
    let at = response.windows(LENGTH.len()).position(|name| name == LENGTH);
    let at = at.expect("the server names the length") + LENGTH.len();
    let digits = response[at..].iter().take_while(|byte| byte.is_ascii_digit());
    let length = digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'));
    response.len() >= head + 4 + length
}
