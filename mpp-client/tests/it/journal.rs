//! A wallet with a journal over HTTP: lost answers, restarts, answers that were read and ones that were not.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use mpp_client::{
    Error, Journal, Limits, RequestBuilderExt, ResponseExt, Wallet, error::Kind, paying,
};
use mpp_core::{
    payer::{Became, Funds},
    store::Memory,
};
use reqwest_middleware::ClientWithMiddleware;

use crate::{
    double::{Coupon, Diary, Holder, Rail, challenge, receipt},
    server::{Seen, Server, asking, joke, redirect, status},
};

/// What survives a restart.
#[derive(Clone)]
struct World {
    store: Arc<Memory>,
    diary: Diary,
    rail: Arc<Mutex<Rail>>,
}

impl World {
    fn new() -> Self {
        let store = Arc::new(Memory::volatile());
        Self { store, diary: Diary::default(), rail: Arc::default() }
    }

    async fn wallet(&self) -> Wallet {
        let journal = Journal::open(self.store.clone(), "w").await.unwrap();
        let payer = Holder::<Coupon>::new(&self.diary).on(&self.rail);
        let limits = Limits::usd("1").unwrap().kept_in(self.store.clone(), "w").unwrap();
        Wallet::new(limits).payer(payer).journal(journal)
    }

    async fn client(&self) -> ClientWithMiddleware {
        client_of(self.wallet().await)
    }

    fn pays(&self) -> usize {
        self.diary.lock().unwrap().iter().filter(|line| line.starts_with("pay")).count()
    }

    async fn open(&self) -> usize {
        self.wallet().await.unfinished().len()
    }
}

fn client_of(wallet: Wallet) -> ClientWithMiddleware {
    paying(reqwest::Client::builder(), wallet).unwrap()
}

fn ours(e: &reqwest_middleware::Error) -> &Error {
    Error::from_reqwest(e).unwrap_or_else(|| panic!("{e:?}"))
}

/// A challenge of its own for everybody who asks.
fn ask() -> http::Response<Vec<u8>> {
    static ASKED: AtomicUsize = AtomicUsize::new(1);
    let second = i64::try_from(ASKED.fetch_add(1, Ordering::SeqCst)).unwrap();
    let expires = mpp_core::Timestamp::from_unix(4_000_000_000 + second, 0);
    asking(challenge("coupon", 10, |draft| draft.expires = Some(expires)))
}

/// Hangs up on the first so many credentials, and serves what comes after.
async fn breaking(times: usize) -> Server {
    let left = AtomicUsize::new(times);
    let breaks =
        move || left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok();
    Server::new(move |seen| match seen.paid() {
        false => Some(ask()),
        true if breaks() => None,
        true => Some(joke()),
    })
    .await
}

fn keys(log: &[Seen]) -> Vec<String> {
    log.iter().map(|seen| seen.header("idempotency-key").to_owned()).collect()
}

fn credentials(server: &Server) -> usize {
    let log = server.log();
    let shown: std::collections::BTreeSet<_> =
        log.iter().filter(|s| s.paid()).map(|s| s.header("authorization").to_owned()).collect();
    shown.len()
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_by_the_next_request_with_the_same_credential_and_key() {
    for restart in [false, true] {
        let (world, server) = (World::new(), breaking(6).await);
        let mut client = world.client().await;
        let post =
            |client: &ClientWithMiddleware| client.post(server.url("/joke")).body("about rust");
        let e = post(&client).send().await.unwrap_err();
        assert_eq!((ours(&e).funds(), world.open().await), (Funds::Unknown, 1));
        if restart {
            client = world.client().await;
        }
        // Another content is another purpose.
        let other = client.post(server.url("/joke")).body("about go").send().await.unwrap();
        assert_eq!((other.text().await.unwrap(), world.pays()), ("ha".to_owned(), 2));
        let before = server.log().len();
        let response = post(&client).send().await.unwrap();
        assert_eq!(response.receipt(), Some(&receipt()));
        assert_eq!(response.text().await.unwrap(), "ha");
        // Not even asked for without: what was paid is shown at once.
        let log = server.log();
        assert_eq!((log.len() - before, log[before].paid()), (1, true));
        assert_eq!((world.pays(), credentials(&server), world.open().await), (2, 2, 0));
        let keys = keys(&log);
        let (first, last) = (&keys[0], &keys[before]);
        assert!(first.len() == 32 && first == last, "{keys:?}");
        assert!(keys[..7].iter().all(|key| key == first), "{keys:?}");
        assert_ne!(&keys[7], first);
        assert_eq!(log[before].body, b"about rust");
    }
}

#[tokio::test]
async fn an_answer_that_was_not_read_to_its_end_is_asked_for_again() {
    let (world, server) = (World::new(), breaking(0).await);
    let client = world.client().await;
    let get = || client.get(server.url("/joke")).send();
    drop(get().await.unwrap());
    assert_eq!(world.wallet().await.unfinished()[0].state, mpp_client::journal::State::Settled);
    let mut response = get().await.unwrap();
    assert_eq!((world.pays(), response.content_length()), (1, Some(2)));
    assert_eq!(response.url().path(), "/joke");
    while response.chunk().await.unwrap().is_some() {}
    assert_eq!(world.open().await, 0);
    get().await.unwrap().bytes().await.unwrap();
    assert_eq!((world.pays(), credentials(&server)), (2, 2));
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_asked_for_again() {
    // Announces chunks, and sends none.
    let whole = Arc::new(AtomicUsize::new(0));
    let seen_whole = whole.clone();
    let server = Server::new(move |seen| {
        let mut answer = if seen.paid() { joke() } else { ask() };
        if seen.paid() && seen_whole.fetch_add(1, Ordering::SeqCst) == 0 {
            answer.headers_mut().insert("transfer-encoding", "chunked".parse().unwrap());
        }
        Some(answer)
    })
    .await;
    let world = World::new();
    let client = world.client().await;
    let broken = client.get(server.url("/joke")).send().await;
    assert!(match broken {
        Ok(response) => response.bytes().await.is_err(),
        Err(_) => true,
    });
    assert_eq!(world.open().await, 1);
    let again = client.get(server.url("/joke")).send().await.unwrap();
    assert_eq!((again.text().await.unwrap(), world.pays()), ("ha".to_owned(), 1));
    assert_eq!(world.open().await, 0);
}

#[tokio::test]
async fn an_answer_without_content_is_delivered_when_it_is_there() {
    let server = Server::new(|seen| {
        let mut none = joke();
        none.body_mut().clear();
        Some(if seen.paid() { none } else { ask() })
    })
    .await;
    let world = World::new();
    drop(world.client().await.delete(server.url("/joke")).send().await.unwrap());
    assert_eq!((world.pays(), world.open().await), (1, 0));
}

#[tokio::test]
async fn two_equal_requests_at_once_are_two_payments() {
    let (world, server) = (World::new(), breaking(0).await);
    let client = world.client().await;
    let get = || async { client.get(server.url("/joke")).send().await.unwrap().text().await };
    let (one, two) = tokio::join!(get(), get());
    assert_eq!((one.unwrap(), two.unwrap()), ("ha".to_owned(), "ha".to_owned()));
    assert_eq!((world.pays(), credentials(&server), world.open().await), (2, 2, 0));
}

#[tokio::test]
async fn keys_go_with_unsafe_methods_and_with_what_a_journal_pays_and_never_over_the_apps_own() {
    let server = breaking(0).await;
    let bare = client_of(
        Wallet::new(Limits::usd("1").unwrap()).payer(Holder::<Coupon>::new(&Diary::default())),
    );
    let journaled = World::new().client().await;
    for (method, bare_has, unpaid_has) in [
        (reqwest::Method::GET, false, false),
        (reqwest::Method::HEAD, false, false),
        (reqwest::Method::POST, true, true),
        (reqwest::Method::PUT, true, true),
        (reqwest::Method::PATCH, true, true),
        (reqwest::Method::DELETE, true, true),
    ] {
        let send = async |client: &ClientWithMiddleware, own: Option<&str>| {
            let before = server.log().len();
            let mut request = client.request(method.clone(), server.url("/joke"));
            if let Some(own) = own {
                request = request.header("idempotency-key", own);
            }
            let sent = request.send().await.unwrap();
            let _ = sent.bytes().await;
            keys(&server.log()[before..])
        };
        let without = send(&bare, None).await;
        assert_eq!(without.iter().all(|key| key != "-"), bare_has, "{method}: {without:?}");
        assert_eq!(without[0], without[1], "{method}");
        let with = send(&journaled, None).await;
        assert_eq!((with[0] != "-", with[1].len()), (unpaid_has, 32), "{method}: {with:?}");
        assert_ne!(with[1], without[1]);
        for client in [&bare, &journaled] {
            assert_eq!(send(client, Some("own")).await, ["own", "own"], "{method}");
        }
    }
}

#[tokio::test]
async fn the_apps_own_key_tells_requests_apart() {
    let (world, server) = (World::new(), breaking(6).await);
    let client = world.client().await;
    let post = |key: &str| client.post(server.url("/joke")).header("idempotency-key", key).send();
    assert!(post("one").await.is_err());
    assert!(post("two").await.unwrap().text().await.is_ok());
    assert_eq!((world.pays(), world.open().await), (2, 1));
    assert!(post("one").await.unwrap().text().await.is_ok());
    assert_eq!((world.pays(), world.open().await), (2, 0));
    assert_eq!(server.log().last().unwrap().header("idempotency-key"), "one");
}

#[tokio::test]
async fn under_the_apps_own_key_nothing_is_paid_twice_while_an_answer_is_being_read() {
    let (world, server) = (World::new(), breaking(0).await);
    let client = world.client().await;
    let post = || client.post(server.url("/joke")).header("idempotency-key", "own").send();
    let first = post().await.unwrap();
    let e = post().await.unwrap_err();
    assert!(matches!(ours(&e).kind(), Kind::StillOpen(None)), "{e:?}");
    assert_eq!((world.pays(), credentials(&server)), (1, 1));
    assert_eq!(first.text().await.unwrap(), "ha");
    assert_eq!(post().await.unwrap().text().await.unwrap(), "ha");
    assert_eq!((world.pays(), credentials(&server), world.open().await), (2, 2, 0));
}

#[tokio::test]
async fn what_is_chosen_among_answers_is_paid_for_by_itself_and_who_asks_does_not_matter() {
    let (world, server) = (World::new(), breaking(6).await);
    let client = world.client().await;
    let get = |range: &str| client.get(server.url("/joke")).header("range", range);
    assert!(get("bytes=0-9").send().await.is_err());
    let other = get("bytes=10-19").send().await.unwrap();
    assert_eq!((other.text().await.unwrap(), world.pays()), ("ha".to_owned(), 2));
    let again = get("bytes=0-9").header("cookie", "a=b").send().await.unwrap();
    assert_eq!((again.text().await.unwrap(), world.pays()), ("ha".to_owned(), 2));
    assert_eq!(world.open().await, 0);
}

/// S14: a paid answer was lost, and what took it refuses it without a challenge.
#[tokio::test]
async fn s14_what_was_redeemed_too_often_is_told_once_and_what_is_in_flight_is_waited_for() {
    use mpp_core::problem::{ProblemType, Reason, Rejection};
    for (reason, over) in [(Reason::REDEEMED_TOO_OFTEN, true), (Reason::IN_FLIGHT, false)] {
        let shown = AtomicUsize::new(0);
        let server = Server::new(move |seen| {
            let shown = if seen.paid() { shown.fetch_add(1, Ordering::SeqCst) } else { 99 };
            match shown {
                99 => Some(ask()),
                0..6 => None,
                6 => {
                    let rejection = Rejection::new(ProblemType::DENIED, reason, "No.");
                    let challenges = Vec::new();
                    let refusal = mpp_core::transport::Refusal { rejection, challenges };
                    Some(mpp_core::transport::Http::refuse(&refusal))
                }
                _ => Some(joke()),
            }
        })
        .await;
        let world = World::new();
        world.rail.lock().unwrap().became = Some(Became::Paid);
        let client = world.client().await;
        let get = || client.get(server.url("/joke")).send();
        assert!(get().await.is_err());
        match (get().await, over) {
            (Err(e), true) => {
                assert!(matches!(ours(&e).kind(), Kind::Consumed(None)), "{e:?}");
                assert_eq!((ours(&e).funds(), world.open().await), (Funds::Committed, 0));
            }
            (Ok(response), false) => {
                assert_eq!((response.status().as_u16(), world.open().await), (403, 1));
            }
            (sent, _) => panic!("{sent:?}"),
        }
        assert_eq!(get().await.unwrap().text().await.unwrap(), "ha");
        assert_eq!((world.pays(), world.open().await), (1 + usize::from(over), 0));
    }
}

#[tokio::test]
async fn what_is_dead_is_closed_beside_a_request_for_something_else() {
    let (world, server) = (World::new(), breaking(6).await);
    let client = world.client().await;
    assert!(client.get(server.url("/joke")).send().await.is_err());
    world.rail.lock().unwrap().became = Some(Became::Dead);
    assert_eq!(world.open().await, 1);
    let other = client.get(server.url("/other")).send().await.unwrap();
    assert_eq!(other.text().await.unwrap(), "ha");
    let closed = async {
        while world.open().await > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), closed).await.unwrap();
    assert_eq!((world.pays(), credentials(&server)), (2, 2));
}

/// S14: double pay after 5xx or a lost response; pay on 402 after paid.
#[tokio::test]
async fn s14_neither_trouble_nor_a_402_after_paid_is_paid_again_until_the_first_is_dead() {
    for code in [500, 502, 503, 404, 402] {
        let server = Server::new(move |seen| {
            Some(match seen.paid() {
                true if code == 402 => ask(),
                true => status(code, "x-a", "b"),
                false => ask(),
            })
        })
        .await;
        let world = World::new();
        for _ in 0..3 {
            let sent = world.client().await.get(server.url("/joke")).send().await;
            match sent {
                Ok(response) => assert_eq!(response.verdict().unwrap().funds(), Funds::Unknown),
                Err(e) => assert!(matches!(ours(&e).kind(), Kind::StillOpen(_)), "{e:?}"),
            }
        }
        assert_eq!((world.pays(), credentials(&server)), (1, 1), "{code}");
        world.rail.lock().unwrap().became = Some(Became::Dead);
        let before = server.log().len();
        let sent = world.client().await.get(server.url("/joke")).send().await.unwrap();
        assert_eq!(sent.status().as_u16(), code);
        // A challenge that came with the refusal is paid at once; after trouble, the next request does.
        let _ = world.client().await.get(server.url("/joke")).send().await.unwrap();
        assert!(server.log()[before].paid());
        assert!(world.pays() >= 2 && credentials(&server) == world.pays(), "{code}");
    }
}

#[tokio::test]
async fn what_was_used_up_is_told_once() {
    let served = AtomicUsize::new(0);
    let server = Server::new(move |seen| {
        if !seen.paid() {
            return Some(ask());
        }
        match served.fetch_add(1, Ordering::SeqCst) {
            0..6 => None,
            6 => {
                use mpp_core::problem::{ProblemType, Reason, Rejection};
                let used = Rejection::new(
                    ProblemType::INVALID_CHALLENGE,
                    Reason::ALREADY_USED,
                    "It was used.",
                );
                let challenges = vec![challenge("coupon", 11, |_| {})];
                let refusal = mpp_core::transport::Refusal { rejection: used, challenges };
                Some(mpp_core::transport::Http::refuse(&refusal))
            }
            _ => Some(joke()),
        }
    })
    .await;
    let world = World::new();
    world.rail.lock().unwrap().became = Some(Became::Paid);
    let client = world.client().await;
    let get = || client.get(server.url("/joke")).send();
    assert!(get().await.is_err());
    let e = get().await.unwrap_err();
    assert!(matches!(ours(&e).kind(), Kind::Consumed(None)), "{e:?}");
    assert_eq!((ours(&e).funds(), world.pays()), (Funds::Committed, 1));
    assert!(get().await.unwrap().receipt().is_some());
    assert_eq!(world.pays(), 2);
}

#[tokio::test]
async fn what_was_paid_past_a_redirect_is_shown_there_after_a_restart() {
    let broken = AtomicUsize::new(6);
    let breaks = move || {
        broken.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok()
    };
    let server = Server::new(move |seen| match () {
        () if seen.line.ends_with(" /old") => Some(redirect(307, "/new?x=1")),
        () if !seen.paid() => Some(ask()),
        () if breaks() => None,
        () => Some(joke()),
    })
    .await;
    let world = World::new();
    let post = async || world.client().await.post(server.url("/old")).body("b").send().await;
    assert!(post().await.is_err());
    assert!(post().await.unwrap().text().await.is_ok());
    let last = server.log().pop().unwrap();
    assert_eq!((&*last.line, &*last.body), ("POST /new?x=1", &b"b"[..]));
    assert_eq!((world.pays(), world.open().await), (1, 0));
}

#[tokio::test]
async fn resuming_by_hand_carries_the_key_and_ends_the_record() {
    let (world, server) = (World::new(), breaking(6).await);
    let client = world.client().await;
    let e = client.post(server.url("/joke")).body("b").send().await.unwrap_err();
    let resumed = client.post(server.url("/joke")).body("b").resume(ours(&e).unfinished().unwrap());
    assert!(resumed.send().await.unwrap().text().await.is_ok());
    let keys = keys(&server.log());
    assert!(keys.iter().all(|key| key == &keys[0]) && keys[0].len() == 32, "{keys:?}");
    assert_eq!((world.pays(), world.open().await), (1, 0));
}

#[tokio::test]
async fn an_application_that_uses_authorization_itself_keeps_what_it_paid_for_later() {
    let (world, server) = (World::new(), breaking(6).await);
    let client = world.client().await;
    assert!(client.get(server.url("/joke")).send().await.is_err());
    let e = client.get(server.url("/joke")).bearer_auth("app").send().await.unwrap_err();
    assert!(matches!(ours(&e).kind(), Kind::AuthorizationInUse), "{e:?}");
    assert!(client.get(server.url("/joke")).send().await.unwrap().text().await.is_ok());
    assert_eq!((world.pays(), world.open().await), (1, 0));
}
