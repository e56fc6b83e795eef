//! Server-sent events that are paid for one by one.

use std::{sync::atomic::Ordering, time::Duration};

use axum::{Router, routing::get};
use mpp_server::{
    Session,
    sse::Sse,
    stream::{Item, Patience},
};
use mpp_testkit::bank::{close, open, top_up, voucher};
use serde_json::{Value, json};

use super::{Events, Press, Reader, Words, figures, receipt};

/// An application that streams what it is given to whoever pays two coins a word.
fn streams(press: &Press, words: &Words) -> Reader {
    let words = words.clone();
    serving(press, "2 coin per word", move |session| session.sse(words.clone()))
}

fn serving(
    press: &Press,
    rate: &str,
    serve: impl Fn(Session) -> Sse + Clone + Send + Sync + 'static,
) -> Reader {
    let paywall = press.sells(rate).metered().layer().unwrap();
    let handler = get(move |session: Session| async move { serve(session) });
    Reader::of(Router::new().route("/words", paywall.guard(handler)))
}

fn message(text: &str) -> (String, String) {
    ("message".to_owned(), text.to_owned())
}

/// The last event, which is the receipt.
fn ended(events: &[(String, String)]) -> Value {
    let (name, data) = events.last().unwrap();
    assert_eq!(name, "payment-receipt");
    serde_json::from_str(data).unwrap()
}

/// Waits for what is done in tasks of its own.
async fn settled() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

#[tokio::test]
async fn words_are_charged_one_by_one_and_the_rest_goes_back() {
    let press = Press::new();
    let reader = streams(&press, &Words::numbered(5));
    let response = reader.show("GET", &open("a", 100, 40)).await;
    let headers = response.headers();
    assert_eq!(headers["content-type"], "text/event-stream; charset=utf-8");
    assert_eq!(headers["cache-control"], "no-cache, no-transform, private");
    assert_eq!(headers["payment-session"], "a");
    assert_eq!(figures(&json!(receipt(&response))), (40, 0, 0), "nothing is charged up front");
    let events = Events::of(response).rest().await;
    let words: Vec<_> = (0..5).map(|n| message(&format!("w{n} "))).collect();
    assert_eq!(events[..5], words);
    assert_eq!((events.len(), figures(&ended(&events))), (6, (40, 10, 5)));
    reader.manage(&close("a", 40)).await;
    assert_eq!((press.bank.earned(), press.bank.refunded()), (10, 90));
}

#[tokio::test]
async fn s11_nothing_is_generated_before_there_are_funds_for_it() {
    let (press, words) = (Press::new(), Words::numbered(3));
    let reader = streams(&press, &words);
    let mut events = Events::of(reader.show("GET", &open("a", 100, 0)).await);
    let (name, data) = events.next().await.unwrap();
    assert_eq!((&*name, words.times_asked()), ("payment-need-voucher", 0));
    assert_eq!(serde_json::from_str::<Value>(&data).unwrap()["accepted"], "0");
    reader.manage(&voucher("a", 2)).await;
    assert_eq!(events.next().await, Some(message("w0 ")));
    assert_eq!(events.next().await.unwrap().0, "payment-need-voucher");
    assert_eq!(words.times_asked(), 1, "the second word was asked for before it was paid");
    reader.manage(&voucher("a", 6)).await;
    let rest = events.rest().await;
    assert_eq!(rest[..2], [message("w1 "), message("w2 ")]);
    // The stream said that it was over, so no fourth unit was asked for.
    assert_eq!((rest.len(), figures(&ended(&rest))), (3, (6, 6, 3)));
}

#[tokio::test(start_paused = true)]
async fn s13_a_payer_is_told_once_that_its_credit_is_used_up_however_long_it_takes() {
    let (press, words) = (Press::new(), Words::numbered(2));
    let reader = serving(&press, "2 coin per word", move |session| {
        session.sse_with(async |tap| {
            tap.charge(10).await?;
            tap.send("ten words").await?;
            Ok(())
        })
    });
    let events = Events::of(reader.show("GET", &open("a", 100, 2)).await);
    let reading = tokio::spawn(events.rest());
    for total in [4, 6, 8, 12, 20] {
        tokio::time::sleep(Duration::from_secs(5)).await;
        reader.manage(&voucher("a", total)).await;
    }
    let events = reading.await.unwrap();
    let names: Vec<_> = events.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["payment-need-voucher", "message", "payment-receipt"]);
    assert_eq!((figures(&ended(&events)), words.times_asked()), ((20, 20, 10), 0));
}

#[tokio::test(start_paused = true)]
async fn a_payer_that_does_not_pay_has_a_minute_and_then_the_receipt() {
    let press = Press::new();
    let reader = streams(&press, &Words::numbered(9));
    let begun = tokio::time::Instant::now();
    let events = Events::of(reader.show("GET", &open("a", 100, 4)).await).rest().await;
    let names: Vec<_> = events.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["message", "message", "payment-need-voucher", "payment-receipt"]);
    assert_eq!(figures(&ended(&events)), (4, 4, 2));
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(60) && took < Duration::from_secs(62), "{took:?}");
}

#[tokio::test]
async fn s17_no_text_forges_an_event_of_the_protocol() {
    let press = Press::new();
    let forged = "x\n\nevent: payment-receipt\ndata: {\"spent\":\"0\"}\n\n";
    let lone = "y\r\revent: payment-need-voucher\rdata: {}\r\r";
    let reader = streams(&press, &Words::of([forged, lone]));
    let events = Events::of(reader.show("GET", &open("a", 100, 40)).await).rest().await;
    assert_eq!(events[0], message(forged));
    assert_eq!(events[1], message(&lone.replace('\r', "\n")));
    assert_eq!((events.len(), figures(&ended(&events))), (3, (40, 4, 2)));
}

#[tokio::test]
async fn an_end_mark_is_passed_on_and_costs_nothing_and_free_items_are_free() {
    let press = Press::new();
    let reader = serving(&press, "2 coin per word", |session| {
        session.sse_with(async |tap| {
            tap.send("free").await?;
            tap.charge(3).await?;
            tap.send("three words here").await?;
            tap.charge(0).await?;
            tap.send("[DONE]").await?;
            Ok(())
        })
    });
    let events = Events::of(reader.show("GET", &open("a", 100, 40)).await).rest().await;
    assert_eq!((events.len(), figures(&ended(&events))), (4, (40, 6, 3)));

    let reader = streams(&press, &Words::of(["a", "b", "[DONE]"]));
    let events = Events::of(reader.show("GET", &voucher("a", 40)).await).rest().await;
    assert_eq!(events[2], message("[DONE]"));
    assert_eq!(figures(&ended(&events)), (40, 10, 5));
}

#[tokio::test]
async fn an_item_costs_what_it_says() {
    let press = Press::new();
    let reader = serving(&press, "2 coin per word", |session| {
        let priced = |text: &str, units| Item::from(text).units(units);
        session.sse(List(vec![priced("a b c", 3), priced("note", 0), Item::from("d")]))
    });
    let events = Events::of(reader.show("GET", &open("a", 100, 40)).await).rest().await;
    assert_eq!((events.len(), figures(&ended(&events))), (4, (40, 8, 4)));
}

struct List(Vec<Item>);

impl futures_core::Stream for List {
    type Item = Item;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Item>> {
        let next = if self.0.is_empty() { None } else { Some(self.0.remove(0)) };
        std::task::Poll::Ready(next)
    }
}

#[tokio::test]
async fn where_requests_are_counted_the_whole_stream_is_one() {
    let press = Press::new();
    let words = Words::numbered(7);
    let reader = serving(&press, "2 coin", move |session| session.sse(words.clone()));
    let events = Events::of(reader.show("GET", &open("a", 100, 2)).await).rest().await;
    assert_eq!((events.len(), figures(&ended(&events))), (8, (2, 2, 1)));
}

#[tokio::test(start_paused = true)]
async fn a_stalled_upstream_does_not_hold_the_channel() {
    let press = Press::new();
    let reader = streams(&press, &Words::numbered(1).and_hangs());
    let events = Events::of(reader.show("GET", &open("a", 100, 40)).await).rest().await;
    assert_eq!((events.len(), figures(&ended(&events))), (2, (40, 2, 1)));
    reader.manage(&close("a", 40)).await;
    assert_eq!((press.bank.earned(), press.bank.refunded()), (2, 98));
}

#[tokio::test(start_paused = true)]
async fn waiting_for_the_payer_is_not_the_upstreams_fault() {
    let press = Press::new();
    let words = Words::numbered(2);
    let reader = serving(&press, "2 coin per word", move |session| {
        session.sse(words.clone()).upstream_within(Duration::from_secs(5))
    });
    let mut events = Events::of(reader.show("GET", &open("a", 100, 2)).await);
    assert_eq!(events.next().await, Some(message("w0 ")));
    assert_eq!(events.next().await.unwrap().0, "payment-need-voucher");
    let reading = tokio::spawn(events.rest());
    tokio::time::sleep(Duration::from_secs(30)).await;
    reader.manage(&voucher("a", 4)).await;
    let rest = reading.await.unwrap();
    assert_eq!(rest[0], message("w1 "));
    assert_eq!(figures(&ended(&rest)), (4, 4, 2));
}

#[tokio::test]
async fn a_reader_that_hangs_up_pays_for_what_was_made_and_has_the_rest_back() {
    let press = Press::new();
    let reader = streams(&press, &Words::numbered(100));
    let mut events = Events::of(reader.show("GET", &open("a", 100, 100)).await);
    for _ in 0..5 {
        events.next().await.unwrap();
    }
    drop(events);
    settled().await;
    reader.manage(&close("a", 100)).await;
    // Five were read; one was made, and one more may have waited for its place.
    assert!((10..=14).contains(&press.bank.earned()), "{}", press.bank.earned());
    assert_eq!(press.bank.earned() + press.bank.refunded(), 100);
}

#[tokio::test(start_paused = true)]
async fn s13_a_reader_that_does_not_read_does_not_hold_the_channel() {
    let (press, words) = (Press::new(), Words::numbered(100));
    let reader = streams(&press, &words);
    let mut events = Events::of(reader.show("GET", &open("a", 100, 100)).await);
    events.next().await.unwrap();
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(events.next().await, None, "it was let go of");
    assert!(words.times_asked() <= 3, "nothing is made for nobody");
    reader.manage(&close("a", 100)).await;
    assert!(press.bank.earned() <= 6, "{}", press.bank.earned());
}

#[tokio::test]
async fn a_close_in_the_middle_of_a_stream_ends_it() {
    let (press, words) = (Press::new(), Words::numbered(100));
    let reader = streams(&press, &words);
    let mut events = Events::of(reader.show("GET", &open("a", 100, 10)).await);
    events.next().await.unwrap();
    reader.manage(&close("a", 10)).await;
    let rest = events.rest().await;
    assert!(words.times_asked() <= 6 && rest.len() <= 6, "{rest:?}");
    assert!(rest.iter().all(|(name, _)| name != "payment-need-voucher"));
    assert!((2..=10).contains(&press.bank.earned()));
}

#[tokio::test]
async fn a_close_finds_a_waiting_stream_and_captures_what_it_served_to_the_unit() {
    let press = Press::new();
    let reader = streams(&press, &Words::numbered(3).and_hangs());
    let mut events = Events::of(reader.show("GET", &open("a", 100, 100)).await);
    for n in 0..3 {
        assert_eq!(events.next().await, Some(message(&format!("w{n} "))));
    }
    let reading = tokio::spawn(events.rest());
    let begun = std::time::Instant::now();
    reader.manage(&close("a", 100)).await;
    assert!(begun.elapsed() < Duration::from_secs(1), "nobody was waited for");
    assert_eq!((press.bank.earned(), press.bank.refunded()), (6, 94));
    assert_eq!(figures(&ended(&reading.await.unwrap())), (100, 6, 3));
}

#[tokio::test]
async fn a_stream_goes_on_after_a_top_up() {
    let press = Press::new();
    let reader = streams(&press, &Words::numbered(20));
    let mut events = Events::of(reader.show("GET", &open("a", 20, 20)).await);
    for _ in 0..10 {
        assert_eq!(events.next().await.unwrap().0, "message");
    }
    assert_eq!(events.next().await.unwrap().0, "payment-need-voucher");
    reader.manage(&top_up("a", "t", 30)).await;
    reader.manage(&voucher("a", 40)).await;
    let rest = events.rest().await;
    assert_eq!((rest.len(), figures(&ended(&rest))), (11, (40, 40, 20)));
    reader.manage(&close("a", 40)).await;
    assert_eq!((press.bank.earned(), press.bank.refunded()), (40, 10));
}

#[tokio::test]
async fn code_that_fails_ends_with_the_receipt_of_what_it_charged() {
    let press = Press::new();
    let reader = serving(&press, "2 coin per word", |session| {
        session.sse_with(async |tap| {
            tap.charge(1).await?;
            tap.send("a word").await?;
            Err("the model is gone".into())
        })
    });
    let events = Events::of(reader.show("GET", &open("a", 100, 40)).await).rest().await;
    assert_eq!((events.len(), figures(&ended(&events))), (2, (40, 2, 1)));
    let shown = format!("{events:?}");
    assert!(!shown.contains("model"), "its reason is for the log");
}

#[tokio::test]
async fn two_streams_share_one_account_and_neither_is_served_unpaid() {
    let press = Press::new();
    let reader = streams(&press, &Words::numbered(30));
    let first = Events::of(reader.show("GET", &open("a", 200, 120)).await);
    let second = Events::of(reader.show("GET", &voucher("a", 120)).await);
    let (first, second) = tokio::join!(first.rest(), second.rest());
    assert_eq!((first.len(), second.len()), (31, 31));
    let last = figures(&ended(&first)).1.max(figures(&ended(&second)).1);
    assert_eq!(last, 120);
}

#[test]
fn patience_is_a_minute_for_everybody() {
    let patience = Patience::default();
    let minute = Duration::from_secs(60);
    assert_eq!((patience.voucher, patience.upstream, patience.client), (minute, minute, minute));
    assert_eq!(Words::default().asked.load(Ordering::SeqCst), 0);
}
