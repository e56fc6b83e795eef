//! A network that breaks at each step: the payment is taken once, and the client that keeps asking has its response.

use std::{net::SocketAddr, sync::atomic::Ordering, time::Duration};

use mpp_core::Credential;
use mpp_testkit::{
    peer::{Fault, Peer, made_up},
    rail,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::shop::{Shop, answering, get_, send};

/// What a client hears: its status, and whether the body came whole.
async fn ask(to: SocketAddr, credential: &Credential, key: Option<&str>) -> Option<(u16, String)> {
    let mut socket = TcpStream::connect(to).await.unwrap();
    let token = credential.to_token().unwrap();
    let key = key.map(|key| format!("Idempotency-Key: {key}\r\n")).unwrap_or_default();
    let request = format!(
        "GET /a HTTP/1.1\r\nHost: 127.0.0.1\r\n{key}Authorization: Payment {token}\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await.ok()?;
    let mut heard = Vec::new();
    socket.read_to_end(&mut heard).await.ok()?;
    let heard = String::from_utf8(heard).unwrap();
    let (head, body) = heard.split_once("\r\n\r\n")?;
    let length = head
        .lines()
        .find_map(|l| l.to_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok())?;
    let status = head.split_whitespace().nth(1)?.parse().ok()?;
    (body.len() == length).then(|| (status, body.to_owned()))
}

async fn served(app: axum::Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

fn faults() -> Vec<Fault> {
    vec![
        Fault::None,
        Fault::SlowRequest(Duration::from_millis(10)),
        Fault::SlowAnswer(Duration::from_millis(10)),
        Fault::DropsRequest,
        Fault::HangsUp,
        Fault::DropsAnswer,
        Fault::CutsHead,
        Fault::CutsBody,
        Fault::CutsLastByte,
        Fault::Repeats,
        Fault::RepeatsAndTellsLast,
        Fault::Stale,
        Fault::Says(made_up(402, &[("cache-control", "no-store")], "pay again")),
        Fault::Says(made_up(500, &[], "oh")),
    ]
}

#[tokio::test]
async fn whatever_breaks_on_the_way_a_payment_is_taken_once_and_its_response_had() {
    for fault in faults() {
        for on_success in [false, true] {
            let s = Shop::new();
            let selling = s.gate.charge("1 coupon").unwrap().via(&s.rail);
            let selling = if on_success { selling.charge_on_success() } else { selling };
            let (app, runs) = answering(selling.layer().unwrap(), &[(200, "the whole joke")]);
            let c = rail::answer(&send(&app, get_("/a")).await.challenge(), "b1");
            let peer = Peer::before(served(app).await, vec![fault.clone()]).await.unwrap();
            // Twice broken is no worse than once.
            let mut heard = ask(peer.address(), &c, Some("k")).await;
            for _ in 0..100 {
                if heard.as_ref().is_some_and(|(status, _)| *status == 200) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
                heard = ask(peer.address(), &c, Some("k")).await;
            }
            assert_eq!(heard, Some((200, "the whole joke".into())), "{fault:?}");
            assert_eq!((s.rail.taken(), s.rail.sent_again()), (1, 0), "{fault:?}");
            assert!((1..=2).contains(&runs.load(Ordering::SeqCst)), "{fault:?}");
        }
    }
}

#[tokio::test]
async fn requests_that_overtake_each_other_are_two_payments_and_two_responses() {
    let s = Shop::new();
    let wall = s.gate.charge("1 coupon").unwrap().via(&s.rail).layer().unwrap();
    let (app, runs) = answering(wall, &[(200, "ha")]);
    let one = rail::answer(&send(&app, get_("/a")).await.challenge(), "b1");
    let two = rail::answer(&send(&app, get_("/a")).await.challenge(), "b2");
    let peer = Peer::before(served(app).await, vec![Fault::AfterNext]).await.unwrap();
    let first = tokio::spawn({
        let (one, to) = (one.clone(), peer.address());
        async move { ask(to, &one, None).await }
    });
    while peer.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    let second = ask(peer.address(), &two, None).await;
    assert_eq!(
        (second, first.await.unwrap()),
        (Some((200, "ha".into())), Some((200, "ha".into())))
    );
    assert_eq!((s.rail.taken(), runs.load(Ordering::SeqCst), peer.forwarded()), (2, 2, 2));
}
