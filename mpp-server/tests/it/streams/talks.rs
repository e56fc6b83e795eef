//! What a client and a metered socket say to each other.

use std::time::Duration;

use mpp_server::{stream::Patience, ws::Code};
use mpp_testkit::bank::{Mood, Slip, close, open, sign, top_up, voucher};
use serde_json::{Value, json};

use super::{
    Press, Words, figures,
    wire::{Client, Hall, Heard},
};

fn serving(words: &Words) -> Code {
    let words = words.clone();
    Code::items(move |_| words)
}

async fn hear_words(client: &mut Client, words: std::ops::Range<usize>) {
    for n in words {
        assert_eq!(client.hear_kind("message").await, json!(format!("w{n} ")));
    }
}

#[tokio::test]
async fn a_client_pays_is_served_and_closes() {
    let (press, words) = (Press::new(), Words::numbered(5));
    let mut client = Hall::of(&press).enter(serving(&words)).await;
    client.show(&open("a", 100, 20)).await;
    assert_eq!(figures(&client.hear_kind("payment-receipt").await), (20, 0, 0));
    hear_words(&mut client, 0..5).await;
    assert_eq!(figures(&client.hear_kind("payment-close-ready").await), (20, 10, 5));
    client.show(&close("a", 20)).await;
    let last = client.hear_kind("payment-receipt").await;
    assert_eq!((figures(&last), last["txHash"].as_str()), ((20, 10, 5), Some("close a")));
    assert_eq!(client.rest().await, [Heard::Closed(1000, "payment session closed")]);
    assert_eq!((press.bank.earned(), press.bank.refunded()), (10, 90));
}

#[tokio::test]
async fn s11_nothing_is_generated_before_a_credential_was_taken_and_its_funds_are_there() {
    let (press, words) = (Press::new(), Words::numbered(3));
    let client = Hall::of(&press).enter(serving(&words)).await;
    client.say(r#"{"mpp":"message","data":"hello?"}"#);
    client.say(r#"{"mpp":"payment-close-request"}"#);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(words.times_asked(), 0);

    let mut client = Hall::of(&press).enter(serving(&words)).await;
    client.show(&open("a", 100, 0)).await;
    client.hear_kind("payment-receipt").await;
    let need = client.hear_kind("payment-need-voucher").await;
    assert_eq!((need["accepted"].as_str(), words.times_asked()), (Some("0"), 0));
    client.show(&voucher("a", 2)).await;
    assert_eq!(figures(&client.hear_kind("payment-receipt").await).0, 2);
    hear_words(&mut client, 0..1).await;
    client.hear_kind("payment-need-voucher").await;
    assert_eq!(words.times_asked(), 1, "the second word was asked for before it was paid");
    client.show(&voucher("a", 6)).await;
    client.hear_kind("payment-receipt").await;
    hear_words(&mut client, 1..3).await;
    assert_eq!(figures(&client.hear_kind("payment-close-ready").await), (6, 6, 3));
}

#[tokio::test]
async fn the_end_names_the_credential_that_was_taken_last() {
    let (press, words) = (Press::new(), Words::numbered(2));
    let mut client = Hall::of(&press).enter(serving(&words)).await;
    client.show(&open("a", 100, 2)).await;
    let first = client.hear_kind("payment-receipt").await;
    hear_words(&mut client, 0..1).await;
    client.hear_kind("payment-need-voucher").await;
    client.show(&voucher("a", 4)).await;
    let second = client.hear_kind("payment-receipt").await;
    hear_words(&mut client, 1..2).await;
    let ready = client.hear_kind("payment-close-ready").await;
    assert_ne!(first["challengeId"], second["challengeId"]);
    assert_eq!(ready["challengeId"], second["challengeId"]);
}

#[tokio::test]
async fn s17_a_refused_voucher_is_reported_and_ends_the_socket() {
    let (press, words) = (Press::new(), Words::numbered(9));
    let mut client = Hall::of(&press).enter(serving(&words)).await;
    client.show(&open("a", 100, 2)).await;
    client.hear_kind("payment-receipt").await;
    hear_words(&mut client, 0..1).await;
    client.hear_kind("payment-need-voucher").await;
    let (total, signature) = (mpp_core::Amount::new(8), sign("b", 8));
    client.show(&Slip::Voucher { tab: "a".into(), total, signature }).await;
    let message = client.hear_refusal(402).await;
    assert!(message.as_str().unwrap().contains("signature"), "{message}");
    assert_eq!((client.hear().await, words.times_asked()), (Heard::Gone, 1));
}

#[tokio::test]
async fn a_first_credential_that_is_refused_runs_nothing() {
    let (press, words) = (Press::new(), Words::numbered(9));
    let mut client = Hall::of(&press).enter(serving(&words)).await;
    client.show(&voucher("z", 8)).await;
    client.hear_refusal(410).await;
    assert_eq!(words.times_asked(), 0);
}

#[tokio::test]
async fn what_is_no_frame_is_400() {
    let press = Press::new();
    let long = format!(r#"{{"mpp":"message","data":"{}"}}"#, "a".repeat(64 * 1024));
    for (frame, message) in [
        ("nonsense", "invalid payment message"),
        (r#"{"mpp":"payment-receipt","data":{}}"#, "invalid payment message"),
        (r#"{"mpp":"authorization","authorization":"Bearer x"}"#, "invalid payment message"),
        (r#"{"mpp":"authorization","authorization":"Payment x"}"#, "invalid payment message"),
        (&long, "payment message is too large"),
    ] {
        let mut client = Hall::of(&press).enter(serving(&Words::numbered(1))).await;
        client.say(frame);
        assert_eq!(client.hear_refusal(400).await, message, "{}", &frame[..frame.len().min(80)]);
    }
}

#[tokio::test]
async fn s13_more_frames_than_can_wait_are_refused() {
    let (press, words) = (Press::new(), Words::numbered(1));
    // The bank hangs over the first, and the others wait.
    press.bank.will([Mood::TakesAndHangs]);
    let mut client = Hall::of(&press).enter(serving(&words)).await;
    client.show(&open("a", 100, 2)).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    for _ in 0..33 {
        client.say(r#"{"mpp":"payment-close-request"}"#);
    }
    assert_eq!(client.hear_refusal(429).await, "too many queued payment messages");
    assert_eq!(words.times_asked(), 0);
}

#[tokio::test]
async fn a_client_asks_to_close_in_the_middle_and_the_rest_is_booked_before_it_does() {
    let (press, words) = (Press::new(), Words::numbered(1000));
    let mut client = Hall::of(&press).enter(serving(&words)).await;
    client.show(&open("a", 4000, 2000)).await;
    client.hear_kind("payment-receipt").await;
    hear_words(&mut client, 0..3).await;
    client.say(r#"{"mpp":"payment-close-request"}"#);
    let ready = loop {
        match client.hear().await {
            Heard::Frame(frame) if frame["mpp"] == "message" => {}
            Heard::Frame(mut frame) => break frame["data"].take(),
            other => panic!("{other:?}"),
        }
    };
    let (_, spent, units) = figures(&ready);
    assert!(units < 12 && spent == u128::from(units) * 2, "{ready}");
    client.show(&close("a", 2000)).await;
    assert_eq!(figures(&client.hear_kind("payment-receipt").await).1, spent);
    assert_eq!((press.bank.earned(), press.bank.refunded()), (spent, 4000 - spent));
}

#[tokio::test]
async fn a_close_without_asking_ends_the_stream_first() {
    let press = Press::new();
    let mut client = Hall::of(&press).enter(serving(&Words::numbered(1000))).await;
    client.show(&open("a", 4000, 2000)).await;
    client.hear_kind("payment-receipt").await;
    hear_words(&mut client, 0..3).await;
    client.show(&close("a", 2000)).await;
    let heard = client.rest().await;
    let spent = press.bank.earned();
    assert!((6..=24).contains(&spent), "{spent}");
    assert_eq!(press.bank.refunded(), 4000 - spent);
    assert_eq!(heard.last(), Some(&Heard::Closed(1000, "payment session closed")));
}

#[tokio::test]
async fn a_top_up_comes_over_the_socket_too() {
    let press = Press::new();
    let mut client = Hall::of(&press).enter(serving(&Words::numbered(2))).await;
    client.show(&open("a", 2, 2)).await;
    client.hear_kind("payment-receipt").await;
    hear_words(&mut client, 0..1).await;
    client.hear_kind("payment-need-voucher").await;
    client.show(&top_up("a", "t", 6)).await;
    assert_eq!(client.hear_kind("payment-receipt").await["txHash"], "top-up a t");
    client.show(&voucher("a", 8)).await;
    client.hear_kind("payment-receipt").await;
    hear_words(&mut client, 1..2).await;
    assert_eq!(figures(&client.hear_kind("payment-close-ready").await), (8, 4, 2));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_is_not_waited_for() {
    let press = Press::new();
    let client = Hall::of(&press).enter(serving(&Words::numbered(2))).await;
    assert_eq!(client.rest().await, [Heard::Closed(1000, "idle")]);
    // Words of the application's own are no sign of a payer.
    let chatty = Hall::of(&press).enter(serving(&Words::numbered(2))).await;
    let begun = tokio::time::Instant::now();
    for _ in 0..9 {
        chatty.say(r#"{"mpp":"message","data":"hm"}"#);
        tokio::time::sleep(Duration::from_secs(8)).await;
    }
    assert_eq!(chatty.rest().await, [Heard::Closed(1000, "idle")]);
    assert!(begun.elapsed() < Duration::from_secs(80));
}

#[tokio::test(start_paused = true)]
async fn a_payer_that_does_not_pay_is_told_how_it_stands_and_has_time_to_close() {
    let press = Press::new();
    let mut client = Hall::of(&press).enter(serving(&Words::numbered(2))).await;
    client.show(&open("a", 100, 2)).await;
    client.hear_kind("payment-receipt").await;
    hear_words(&mut client, 0..1).await;
    client.hear_kind("payment-need-voucher").await;
    assert_eq!(figures(&client.hear_kind("payment-close-ready").await), (2, 2, 1));
    assert_eq!(client.rest().await, [Heard::Closed(1000, "idle")]);
}

#[tokio::test(start_paused = true)]
async fn s13_a_client_that_does_not_read_does_not_hold_the_channel() {
    let (press, words) = (Press::new(), Words::numbered(100));
    let mut patience = Patience::default();
    patience.client = Duration::from_secs(5);
    let client = Hall::of(&press).enter_within(patience, serving(&words)).await;
    client.show(&open("a", 200, 200)).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let asked = words.times_asked();
    assert!(asked < 6, "{asked}");
    client.reader.manage(&close("a", 200)).await;
    assert_eq!(press.bank.earned(), 2 * words.times_asked() as u128);
}

#[tokio::test]
async fn a_client_that_hangs_up_has_the_rest_back() {
    let press = Press::new();
    let hall = Hall::of(&press);
    let mut client = hall.enter(serving(&Words::numbered(100))).await;
    client.show(&open("a", 200, 200)).await;
    client.hear_kind("payment-receipt").await;
    hear_words(&mut client, 0..3).await;
    drop(client);
    tokio::time::sleep(Duration::from_millis(20)).await;
    hall.reader.manage(&close("a", 200)).await;
    assert!((6..=14).contains(&press.bank.earned()), "{}", press.bank.earned());
}

#[tokio::test]
async fn a_socket_that_comes_later_takes_its_account_over() {
    let press = Press::new();
    let hall = Hall::of(&press);
    let mut first = hall.enter(serving(&Words::numbered(1).and_hangs())).await;
    first.show(&open("a", 200, 20)).await;
    first.hear_kind("payment-receipt").await;
    hear_words(&mut first, 0..1).await;
    let mut second = hall.enter(serving(&Words::numbered(3))).await;
    second.show(&voucher("a", 40)).await;
    second.hear_kind("payment-receipt").await;
    hear_words(&mut second, 0..3).await;
    second.hear_kind("payment-close-ready").await;
    first.hear_refusal(409).await;
    second.show(&close("a", 40)).await;
    assert_eq!(figures(&second.hear_kind("payment-receipt").await), (40, 8, 4));
}

#[tokio::test]
async fn the_other_form_of_frames_is_spoken_to_whoever_speaks_it() {
    let press = Press::new();
    let mut client = Hall::of(&press).enter(serving(&Words::numbered(2))).await;
    let show = async |client: &Client, slip: Slip| {
        let token = client.reader.answer(&slip).await.to_token().unwrap();
        let credential = format!("Payment {token}");
        client.say(json!({ "type": "credential", "credential": credential }).to_string());
    };
    let frame = async |client: &mut Client| match client.hear().await {
        Heard::Frame(frame) => frame,
        other => panic!("{other:?}"),
    };
    show(&client, open("a", 100, 2)).await;
    let receipt = frame(&mut client).await;
    assert_eq!((&receipt["type"], figures(&receipt["receipt"])), (&json!("receipt"), (2, 0, 0)));
    assert_eq!(frame(&mut client).await, json!({ "type": "message", "data": "w0 " }));
    let need = frame(&mut client).await;
    assert_eq!((&need["type"], &need["accepted"]), (&json!("needVoucher"), &json!("2")));
    show(&client, voucher("a", 4)).await;
    assert_eq!(frame(&mut client).await["type"], "receipt");
    assert_eq!(frame(&mut client).await["data"], "w1 ");
    assert_eq!(figures(&frame(&mut client).await["receipt"]), (4, 4, 2));
    show(&client, voucher("a", 3)).await;
    let refused = frame(&mut client).await;
    let id: &Value = &refused["challenge"]["id"];
    assert!(refused["type"] == "challenge" && id.is_string(), "{refused}");
    assert_eq!(client.hear().await, Heard::Closed(1008, "payment refused"));
}
