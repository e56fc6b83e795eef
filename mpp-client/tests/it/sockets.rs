//! WebSockets that ask for money while they flow: honest ones, and others.

use std::{net::SocketAddr, time::Duration};

use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, HeaderValue};
use mpp_client::{
    Journal, Limits, Wallet,
    error::Kind,
    paying,
    ws::{Socket, SocketExt},
};
use mpp_core::{
    problem::{ProblemType, Reason},
    store::Memory,
};
use reqwest_middleware::ClientWithMiddleware;
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, accept_async,
    tungstenite::{Message, protocol::frame::coding::CloseCode},
};

use crate::{
    bar::{BEER, Bar, Mood, TEASES, refuse, write},
    server::{Seen, read},
    tab::{Patron, bill},
};

/// What a bar does over its wire, beside its mood.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wire {
    Honest,
    /// Says once that it was paid by somebody else.
    Confuses,
    /// Sends a frame that is too long.
    Floods,
    /// Asks for what it has, and pours from an empty tap in between.
    Teases,
    /// Asks, says how the tab of an earlier challenge stands, and hangs up on the answer.
    Crosses,
    /// Takes the first credential it is shown, and hangs up.
    Forgets,
}

/// A bar that pours over WebSockets. The books are those of another, which nobody asks over HTTP.
async fn bar(mood: Mood, wire: Wire) -> (Bar, SocketAddr) {
    let books = Bar::open(mood).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let bar = books.clone();
    tokio::spawn(async move {
        let mut forgets = wire == Wire::Forgets;
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 1024];
            let length = stream.peek(&mut head).await.unwrap();
            let text = String::from_utf8_lossy(&head[..length]).to_lowercase();
            if !text.contains("upgrade: websocket") {
                let _ = read(&mut stream).await;
                let asked = refuse(ProblemType::PAYMENT_REQUIRED, Reason::NO_CREDENTIAL);
                let _ = write(&mut stream, &asked).await;
                continue;
            }
            let bar = bar.clone();
            let forget = std::mem::take(&mut forgets);
            tokio::spawn(async move { pour(bar, stream, wire, forget).await });
        }
    });
    (books, at)
}

async fn say(socket: &mut WebSocketStream<TcpStream>, mpp: &str, data: Value) {
    let frame = json!({ "mpp": mpp, "data": data }).to_string();
    let _ = socket.send(Message::text(frame)).await;
}

fn receipt(spent: u128) -> Value {
    serde_json::to_value(bill(spent)).unwrap()
}

/// Hears one frame: a note is judged and receipted. `false`: it is over.
async fn hear(bar: &Bar, socket: &mut WebSocketStream<TcpStream>) -> bool {
    let Some(Ok(Message::Text(text))) = socket.next().await else { return false };
    let frame: Value = serde_json::from_str(&text).unwrap();
    if frame["mpp"] == "payment-close-request" {
        let spent = bar.standing().1;
        say(socket, "payment-close-ready", receipt(spent)).await;
        return true;
    }
    let mut headers = HeaderMap::new();
    let authorization = frame["authorization"].as_str().unwrap();
    headers.insert("authorization", HeaderValue::try_from(authorization).unwrap());
    let seen = Seen { line: "POST /ws".to_owned(), headers, body: Vec::new() };
    match bar.judge(&seen) {
        Ok(()) => {
            let spent = bar.standing().1;
            say(socket, "payment-receipt", receipt(spent)).await;
            bar.books().notes.last().unwrap().action != "close"
        }
        Err(refused) => {
            let status = refused.status().as_u16();
            let frame = json!({ "mpp": "payment-error", "status": status, "message": "no" });
            let _ = socket.send(Message::text(frame.to_string())).await;
            false
        }
    }
}

/// Pours fifteen, and asks whenever the tab is short; then waits to be closed.
async fn pour(bar: Bar, stream: TcpStream, wire: Wire, forget: bool) {
    let Ok(mut socket) = accept_async(stream).await else { return };
    if forget {
        let _ = socket.next().await;
        return;
    }
    if !hear(&bar, &mut socket).await {
        return;
    }
    for _ in 0..if wire == Wire::Teases { TEASES } else { 0 } {
        let required = json!({ "required": bar.standing().0.to_string() });
        say(&mut socket, "payment-need-voucher", required).await;
        say(&mut socket, "message", json!("")).await;
    }
    for nth in 0..15 {
        if nth == 1 && wire == Wire::Crosses {
            let mut earlier = bill(10);
            earlier.extra.insert("challengeId".into(), "earlier".into());
            say(&mut socket, "payment-need-voucher", json!({ "required": "20" })).await;
            say(&mut socket, "payment-receipt", serde_json::to_value(earlier).unwrap()).await;
            let _ = socket.next().await;
            let _ = socket.close(None).await;
            return;
        }
        loop {
            let (credit, spent) = bar.standing();
            if credit - spent >= BEER {
                break;
            }
            say(
                &mut socket,
                "payment-need-voucher",
                json!({ "required": (spent + BEER).to_string() }),
            )
            .await;
            while bar.standing().0 < spent + BEER {
                if !hear(&bar, &mut socket).await {
                    return;
                }
            }
        }
        bar.books().spent += BEER;
        say(&mut socket, "message", json!(format!("beer {nth}"))).await;
        if wire == Wire::Confuses {
            let mut other = bill(10);
            other.reference = "tab-2".to_owned();
            say(&mut socket, "payment-receipt", serde_json::to_value(other).unwrap()).await;
        }
        if wire == Wire::Floods {
            say(&mut socket, "message", json!("x".repeat(70_000))).await;
        }
        if matches!(wire, Wire::Confuses | Wire::Floods) {
            let mut left = None;
            while let Some(Ok(said)) = socket.next().await {
                if let Message::Close(Some(frame)) = said {
                    left = Some(frame.code);
                }
            }
            let code = left.map_or(0, u16::from);
            bar.books().elsewhere = code.to_string();
            return;
        }
    }
    let spent = bar.standing().1;
    say(&mut socket, "payment-close-ready", receipt(spent)).await;
    while hear(&bar, &mut socket).await {}
    let _ = socket.close(None).await;
}

fn wallet(patron: &Patron) -> Wallet {
    Wallet::new(Limits::usd("10").unwrap()).payer(patron.clone())
}

fn client(wallet: Wallet) -> ClientWithMiddleware {
    paying(reqwest::Client::builder(), wallet).unwrap()
}

async fn next(socket: &mut Socket) -> Option<Result<String, mpp_client::Error>> {
    timeout(Duration::from_secs(10), socket.next()).await.expect("it hangs")
}

/// Drinks to the end, or to an error.
async fn drink(socket: &mut Socket) -> (Vec<String>, Option<mpp_client::Error>) {
    let mut drunk = Vec::new();
    loop {
        match next(socket).await {
            None => return (drunk, None),
            Some(Ok(beer)) => drunk.push(beer),
            Some(Err(e)) => return (drunk, Some(e)),
        }
    }
}

#[tokio::test]
async fn a_socket_is_paid_as_it_asks_and_closed_for_what_was_spent() {
    let (bar, at) = bar(Mood::Fair, Wire::Honest).await;
    let patron = Patron::new(100);
    let mut socket = client(wallet(&patron)).socket(format!("ws://{at}/ws")).await.unwrap();
    let (drunk, failed) = drink(&mut socket).await;
    assert!(failed.is_none(), "{failed:?}");
    assert_eq!(drunk, (0..15).map(|nth| format!("beer {nth}")).collect::<Vec<_>>());
    let receipt = socket.close().await.unwrap().unwrap();
    assert_eq!(receipt.extra["spent"], "150");
    let said = patron.said();
    assert!(said.contains("topUp 100, accepted, voucher 110, accepted"), "{said}");
    assert!(said.ends_with("heard tab-1, close 150, accepted"), "{said}");
    assert_eq!(bar.books().deposit, 200);
    assert_eq!(patron.standing().delivered, 15);
}

#[tokio::test]
async fn s13_texts_with_nothing_in_them_let_no_socket_ask_again() {
    let (_, at) = bar(Mood::Fair, Wire::Teases).await;
    let patron = Patron::new(100);
    let mut socket = client(wallet(&patron)).socket(format!("ws://{at}/ws")).await.unwrap();
    let (drunk, failed) = drink(&mut socket).await;
    assert!(matches!(failed.unwrap().kind(), Kind::Stalled));
    assert!(drunk.len() < TEASES && drunk.iter().all(String::is_empty), "{drunk:?}");
    assert_eq!(patron.standing().delivered, 0);
}

#[tokio::test]
async fn s14_a_receipt_of_something_else_answers_no_voucher_that_is_out() {
    let (_, at) = bar(Mood::Fair, Wire::Crosses).await;
    let patron = Patron::new(100);
    let mut socket = client(wallet(&patron)).socket(format!("ws://{at}/ws")).await.unwrap();
    let (drunk, failed) = drink(&mut socket).await;
    assert_eq!(drunk, ["beer 0"]);
    assert!(matches!(failed.unwrap().kind(), Kind::Delivery));
    let said = patron.said();
    assert!(said.ends_with("voucher 20, heard tab-1, unknown"), "{said}");
}

#[tokio::test]
async fn a_socket_is_closed_in_the_middle_when_its_reader_has_had_enough() {
    let (bar, at) = bar(Mood::Fair, Wire::Honest).await;
    let patron = Patron { opens_apart: true, ..Patron::new(100) };
    let mut socket = client(wallet(&patron)).socket(format!("http://{at}/ws")).await.unwrap();
    assert_eq!(next(&mut socket).await.unwrap().unwrap(), "beer 0");
    assert!(socket.close().await.unwrap().is_some());
    let last = bar.books().notes.last().unwrap().clone();
    assert_eq!(last.action, "close");
    assert!(last.total >= bar.books().spent);
}

#[tokio::test]
async fn s17_a_refused_voucher_ends_the_socket_with_what_was_refused() {
    let (bar, at) = bar(Mood::Fair, Wire::Honest).await;
    let patron = Patron::new(100);
    let mut socket = client(wallet(&patron)).socket(format!("ws://{at}/ws")).await.unwrap();
    bar.books().mood = Mood::Refuses;
    let (_, failed) = drink(&mut socket).await;
    let failed = failed.unwrap();
    assert!(matches!(failed.kind(), Kind::Refused(Some(problem)) if problem.detail == "no"));
    assert!(next(&mut socket).await.is_none());
}

#[tokio::test]
async fn what_breaks_the_protocol_is_left_with_a_code_that_says_so() {
    for wire in [Wire::Confuses, Wire::Floods] {
        let (bar, at) = bar(Mood::Fair, wire).await;
        let patron = Patron::new(100);
        let mut socket = client(wallet(&patron)).socket(format!("ws://{at}/ws")).await.unwrap();
        let (drunk, failed) = drink(&mut socket).await;
        assert_eq!(drunk, ["beer 0"]);
        assert!(matches!(failed.unwrap().kind(), Kind::BadStream(_)), "{wire:?}");
        drop(socket);
        for _ in 0..200 {
            if !bar.books().elsewhere.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(bar.books().elsewhere, u16::from(CloseCode::from(3008)).to_string(), "{wire:?}");
    }
}

#[tokio::test]
async fn s14_an_authorization_that_was_lost_is_shown_again_and_not_renewed() {
    let (bar, at) = bar(Mood::Fair, Wire::Forgets).await;
    let patron = Patron::new(100);
    let journal = Journal::open(Memory::volatile(), "socket").await.unwrap();
    let client = client(wallet(&patron).journal(journal));
    let lost = client.socket(format!("ws://{at}/ws")).await.unwrap_err();
    assert!(matches!(lost.kind(), Kind::Delivery), "{lost:?}");
    let mut socket = client.socket(format!("ws://{at}/ws")).await.unwrap();
    assert_eq!(next(&mut socket).await.unwrap().unwrap(), "beer 0");
    assert_eq!(patron.said().matches("open").count(), 1);
    assert_eq!(bar.books().notes[0].action, "open");
}

#[tokio::test]
async fn s14_a_socket_over_plain_text_is_opened_to_loopback_alone() {
    let client = client(wallet(&Patron::new(100)));
    for url in ["ws://bar.example.com/ws", "http://10.0.0.1/ws", "ftp://127.0.0.1/ws"] {
        let e = timeout(Duration::from_secs(5), client.socket(url)).await.unwrap().unwrap_err();
        assert!(matches!(e.kind(), Kind::InsecureTransport(_) | Kind::Address), "{url}: {e}");
    }
}
