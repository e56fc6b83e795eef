//! Over a real network: a server of axum's, and a client of sockets that is not ours.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use axum::{Router, response::Response, routing::get};
use mpp_core::{Challenge, transport::read_field};
use mpp_server::{Session, axum::MeteredUpgrade, sse::Sse};
use mpp_testkit::bank::{self, Slip, close, open, voucher};
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket, protocol::CloseFrame};

use super::{Press, Words, figures};

/// No answer on this machine takes longer.
const DEADLINE: Duration = Duration::from_secs(3);

async fn socket(up: MeteredUpgrade) -> Response {
    up.serve(|_| Words::numbered(50))
}

async fn events(session: Session) -> Sse {
    session.sse(Words::numbered(2000))
}

/// Serves on a port of its own.
async fn listen(press: &Press) -> SocketAddr {
    let sells = || press.sells("2 coin per word");
    let app = Router::new()
        .route("/ws", sells().socket().unwrap().guard(get(socket)))
        .route("/sse", sells().metered().layer().unwrap().guard(get(events)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    at
}

fn connect(at: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// One request, and everything that comes back before the connection is closed.
fn exchange(at: SocketAddr, head: &str) -> String {
    let mut stream = connect(at);
    write!(stream, "{head}\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn challenge(at: SocketAddr, path: &str) -> Challenge {
    let answer = exchange(at, &format!("GET {path} HTTP/1.1"));
    assert!(answer.starts_with("HTTP/1.1 402"), "{answer}");
    let field = answer.lines().find_map(|line| line.strip_prefix("www-authenticate: ")).unwrap();
    read_field(field).unwrap().remove(0)
}

fn authorization(challenge: &Challenge, slip: &Slip) -> String {
    format!("Payment {}", bank::answer(challenge, slip).to_token().unwrap())
}

struct Client {
    socket: WebSocket<TcpStream>,
    challenge: Challenge,
}

impl Client {
    fn at(at: SocketAddr) -> Self {
        let challenge = challenge(at, "/ws");
        let (socket, _) =
            tungstenite::client(format!("ws://localhost:{}/ws", at.port()), connect(at)).unwrap();
        Self { socket, challenge }
    }

    fn say(&mut self, frame: &Value) {
        self.socket.send(Message::text(frame.to_string())).unwrap();
    }

    fn show(&mut self, slip: &Slip) {
        let authorization = authorization(&self.challenge, slip);
        self.say(&json!({ "mpp": "authorization", "authorization": authorization }));
    }

    fn hear(&mut self) -> Value {
        serde_json::from_str(self.socket.read().unwrap().to_text().unwrap()).unwrap()
    }

    fn hear_close(&mut self) -> CloseFrame {
        match self.socket.read().unwrap() {
            Message::Close(Some(frame)) => frame,
            other => panic!("a close was expected, not {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_session_goes_over_one_socket() {
    let press = Press::new();
    let at = listen(&press).await;
    let talk = move || {
        let mut client = Client::at(at);
        client.show(&open("a", 1000, 40));
        assert_eq!(client.hear()["mpp"], "payment-receipt");
        for n in 0..20 {
            assert_eq!(client.hear(), json!({ "mpp": "message", "data": format!("w{n} ") }));
        }
        assert_eq!(client.hear()["mpp"], "payment-need-voucher");
        client.show(&voucher("a", 200));
        assert_eq!(client.hear()["mpp"], "payment-receipt");
        for n in 20..50 {
            assert_eq!(client.hear()["data"], format!("w{n} "));
        }
        assert_eq!(client.hear()["mpp"], "payment-close-ready");
        client.show(&close("a", 200));
        let last = client.hear();
        assert_eq!(figures(&last["data"]), (200, 100, 50));
        let closed = client.hear_close();
        assert_eq!(
            (u16::from(closed.code), closed.reason.as_str()),
            (1000, "payment session closed")
        );
    };
    tokio::task::spawn_blocking(talk).await.unwrap();
    assert_eq!((press.bank.earned(), press.bank.refunded()), (100, 900));
}

#[tokio::test(flavor = "multi_thread")]
async fn s13_a_frame_that_is_too_long_is_told_so_and_one_far_too_long_breaks_off() {
    let press = Press::new();
    let at = listen(&press).await;
    let talk = move || {
        let mut client = Client::at(at);
        client.say(&json!({ "mpp": "message", "data": "a".repeat(70 * 1024) }));
        let told = client.hear();
        assert_eq!(
            (&told["status"], &told["message"]),
            (&json!(400), &json!("payment message is too large"))
        );
        assert_eq!(u16::from(client.hear_close().code), 1008);
        let mut client = Client::at(at);
        let _ = client.socket.send(Message::text("a".repeat(4 * 1024 * 1024)));
        assert!(client.socket.read().is_err());
    };
    tokio::task::spawn_blocking(talk).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn events_flow_over_a_connection_and_a_hang_up_returns_the_rest() {
    let press = Press::new();
    let at = listen(&press).await;
    let talk = move || {
        let challenge = challenge(at, "/sse");
        let pay = |slip: &Slip, method: &str| {
            format!("{method} /sse HTTP/1.1\r\nauthorization: {}", authorization(&challenge, slip))
        };
        let begun = Instant::now();
        let answer = exchange(at, &pay(&open("a", 10_000, 4000), "GET"));
        let took = begun.elapsed();
        assert_eq!(answer.matches("event: message").count(), 2000);
        assert_eq!(answer.matches("event: payment-receipt").count(), 1);
        println!("2000 events over loopback in {took:?}");
        // Another reads a little, and goes.
        let mut stream = connect(at);
        write!(stream, "{}\r\nhost: localhost\r\n\r\n", pay(&voucher("a", 8000), "GET")).unwrap();
        let mut some = [0; 2000];
        stream.read_exact(&mut some).unwrap();
        drop(stream);
        let posted = |slip: &Slip| exchange(at, &pay(slip, "POST"));
        std::thread::sleep(Duration::from_millis(200));
        let closed = posted(&close("a", 8000));
        assert!(closed.starts_with("HTTP/1.1 204"), "{closed}");
    };
    tokio::task::spawn_blocking(talk).await.unwrap();
    let earned = press.bank.earned();
    assert!((4000..=8000).contains(&earned), "{earned}");
    assert_eq!(earned + press.bank.refunded(), 10_000);
}
