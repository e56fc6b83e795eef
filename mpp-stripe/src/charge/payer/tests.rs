//! What a payer pays, what it leaves alone and why, and that it shows no secret.

use std::sync::Mutex;

use mpp_core::{
    Amount, Timestamp,
    payer::{Funds, Payer as _, Site},
};
use serde_json::{Value, json};

use super::*;
use crate::token::scripted::{END, PROFILE, asking, request, vector, with};

/// A moment of 2027 that does not pass.
#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(1_800_000_000, 0)
    }
}

fn within(up_to: u128) -> Allowance {
    let to = Site { origin: "https://api.example.com".to_owned(), resource: "GET /".to_owned() };
    Allowance { up_to: Amount::new(up_to), to }
}

fn giving(token: &'static str) -> Payer {
    let answer = move |_: Wanted| async move { Ok::<_, std::io::Error>(token.to_owned()) };
    Payer::asking(answer).clock(Arc::new(Still))
}

async fn pay(payer: &Payer, challenge: &Challenge) -> Result<Value, PayError> {
    let demand = challenge.read::<StripeCharge>().unwrap();
    let payment = payer.pay(&demand, &within(u128::MAX)).await?;
    Ok(serde_json::to_value(&payment.payload).unwrap())
}

#[tokio::test]
async fn the_published_challenge_is_answered_as_deployed_clients_answer_it() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = heard.clone();
    let payer = Payer::asking(move |wanted| {
        hears.lock().unwrap().push(wanted);
        async { Ok::<_, std::io::Error>("spt_test".to_owned()) }
    })
    .paying_with(PaymentMethod::parse("pm_card_visa").unwrap())
    .external_id("ours");
    let challenge = vector();
    let payload = pay(&payer, &challenge).await.unwrap();
    assert_eq!(payload, json!({ "spt": "spt_test", "externalId": "order-1" }));
    let heard = heard.lock().unwrap();
    let [wanted] = &heard[..] else { panic!("asked {} times", heard.len()) };
    let asked = json!({
        "amount": wanted.amount, "currency": wanted.currency, "expiresAt": wanted.expires_at,
        "metadata": wanted.metadata, "networkId": wanted.network_id,
        "paymentMethod": wanted.payment_method.as_ref().unwrap().as_str(),
    });
    let published = json!({
        "amount": "5000", "currency": "usd", "expiresAt": END, "metadata": { "plan": "pro" },
        "networkId": PROFILE, "paymentMethod": "pm_card_visa",
    });
    assert_eq!(asked, published);
    assert_eq!(wanted.challenge, challenge);
}

#[tokio::test]
async fn a_payment_has_the_sellers_name_else_the_payers_else_none() {
    let named = asking(&request(), None);
    let unnamed = asking(&with("/externalId", json!(null)), None);
    let (plain, naming) = (giving("spt_1"), giving("spt_1").external_id("mine"));
    let cases = [
        (&naming, &named, json!({ "spt": "spt_1", "externalId": "order-1" })),
        (&naming, &unnamed, json!({ "spt": "spt_1", "externalId": "mine" })),
        (&plain, &unnamed, json!({ "spt": "spt_1" })),
    ];
    for (payer, challenge, payload) in cases {
        assert_eq!(pay(payer, challenge).await.unwrap(), payload);
    }
}

#[test]
fn what_is_put_at_stake_is_the_price_in_its_currencys_units() {
    for (currency, decimals) in [("usd", 2), ("jpy", 0), ("kwd", 3)] {
        let challenge = asking(&with("/currency", json!(currency)), None);
        let demand = challenge.read::<StripeCharge>().unwrap();
        let exposed = Exposure::new(Amount::new(5000)).in_unit(currency, decimals);
        assert_eq!(giving("spt_1").exposes(&demand), Some(exposed));
        assert_eq!(giving("spt_1").declines(&demand), None);
    }
}

/// Needs to be told by what to pay.
struct Card;

impl Issuer for Card {
    async fn create_token(&self, wanted: Wanted) -> Result<Token, IssueError> {
        let id = wanted.payment_method.ok_or(IssueError::NoPaymentMethod)?;
        Ok(Token::parse(&id.as_str().replace("pm_", "spt_"))?)
    }
}

#[tokio::test]
async fn what_a_payer_leaves_alone_it_says_and_makes_no_token_for() {
    let change = |pointer, value| asking(&with(pointer, value), None);
    let usual = asking(&request(), None);
    let choosy = || giving("spt_1").only_to([PROFILE, "internal"]).only_by(["card", "link"]);
    let cases = [
        (choosy(), change("/methodDetails/networkId", json!("profile_2")), "only_to"),
        (choosy(), change("/methodDetails/paymentMethodTypes", json!(["klarna"])), "only_by"),
        (giving("spt_1").only_by([]), usual.clone(), "only_by"),
        (giving("spt_1").only_to([]), usual.clone(), "only_to"),
        (Payer::new(Card), usual.clone(), "paying_with"),
        (giving("spt_1"), change("/currency", json!("USD")), "lower case"),
        (giving("spt_1"), change("/amount", json!("0")), "nothing"),
        (giving("spt_1"), change("/recipient", json!("acct_<b>")), "recipient"),
        (
            giving("spt_1"),
            change("/methodDetails/metadata", json!({ "externalId": "x" })),
            "externalId",
        ),
    ];
    for (payer, challenge, word) in cases {
        let demand = challenge.read::<StripeCharge>().unwrap();
        assert_eq!(payer.exposes(&demand), None, "{word}");
        let why = payer.declines(&demand).unwrap();
        assert!(why.contains(word) && !why.contains("<b>"), "{why}");
        assert_eq!(pay(&payer, &challenge).await.unwrap_err().funds, Funds::Untouched);
    }
    let demand = usual.read::<StripeCharge>().unwrap();
    assert!(choosy().exposes(&demand).is_some());
}

#[tokio::test]
async fn a_payment_method_is_chosen_per_challenge_else_the_usual_one_is_taken() {
    let method = |id| PaymentMethod::parse(id).unwrap();
    let choosing = |challenge: &Challenge| {
        (challenge.realm.as_str() == "api.example.com")
            .then(|| PaymentMethod::parse("pm_chosen"))?
            .ok()
    };
    let never = |_: &Challenge| None;
    let usual = || Payer::new(Card).paying_with(method("pm_usual"));
    for (payer, token) in [
        (usual(), "spt_usual"),
        (usual().choosing(choosing), "spt_chosen"),
        (usual().choosing(never), "spt_usual"),
        (Payer::new(Card).choosing(choosing), "spt_chosen"),
    ] {
        assert_eq!(pay(&payer, &vector()).await.unwrap()["spt"], token);
    }
    let none = Payer::new(Card).choosing(never);
    assert_eq!(none.exposes(&vector().read().unwrap()), None);
}

#[tokio::test]
async fn a_token_that_never_left_puts_nothing_at_stake_and_its_secrets_are_not_told() {
    let failing = Payer::asking(async |_| Err::<String, _>("the backend said spt_secret"));
    for (payer, challenge, up_to) in [
        (giving("spt_1"), vector(), 4999),
        (giving("spt_1"), asking(&request(), Some("2027-01-15T07:59:59Z")), 5000),
        (giving("pi_not_a_token_spt_secret"), vector(), 5000),
        (giving("spt_secret with more"), vector(), 5000),
        (failing, vector(), 5000),
    ] {
        let demand = challenge.read::<StripeCharge>().unwrap();
        let e = payer.pay(&demand, &within(up_to)).await.unwrap_err();
        assert_eq!(e.funds, Funds::Untouched);
        assert!(!e.to_string().contains("spt_secret"), "{e}");
        // What an application says is its own: it is the last source, and in no text of ours.
        let source = e.source.map(|why| why.to_string()).unwrap_or_default();
        assert!(!source.contains("spt_secret"), "{source}");
    }
}

#[tokio::test]
async fn what_was_not_written_down_was_never_paid_and_what_was_shown_is_open() {
    let (payer, challenge) = (giving("spt_1"), vector());
    let demand = challenge.read::<StripeCharge>().unwrap();
    assert!(matches!(payer.recall(&demand).await, Ok(Recall::Never)));
    let payload = |spt: &str| Payload { spt: spt.to_owned(), external_id: None };
    assert!(matches!(payer.became(&demand, &payload("spt_1")).await, Ok(Became::Open)));
    let e = payer.became(&demand, &payload("spt_1/../x")).await.unwrap_err();
    assert_eq!(e.funds, Funds::Unknown);
}

#[test]
fn debug_shows_no_secret() {
    let key = crate::SecretKey::new("sk_test_hush").unwrap();
    let issuer = crate::token::ApiTokens::new(crate::Api::new(&key).unwrap());
    let shown = format!("{issuer:?} {:?}", Payer::new(issuer.clone()));
    assert!(!shown.contains("hush") && !shown.contains("c2tf"), "{shown}");
}

#[tokio::test]
async fn a_token_lives_as_long_as_its_challenge_and_no_longer_than_its_payer_allows() {
    let ends = async |longest: Option<u64>, end: Option<&str>| {
        let heard = Arc::new(Mutex::new(None));
        let hears = heard.clone();
        let payer = Payer::asking(move |wanted| {
            *hears.lock().unwrap() = Some(wanted.expires_at);
            async { Ok::<_, std::io::Error>("spt_test".to_owned()) }
        });
        let payer = payer.clock(Arc::new(Still));
        let payer = match longest {
            Some(seconds) => payer.lasting_at_most(Duration::from_secs(seconds)),
            None => payer,
        };
        pay(&payer, &asking(&request(), end)).await.unwrap();
        let seconds: i64 = heard.lock().unwrap().unwrap();
        seconds - 1_800_000_000
    };
    let five_minutes = Some("2027-01-15T08:05:00Z");
    for (longest, end, lives) in [
        (None, five_minutes, 300),
        (None, None, 3600),
        (Some(60), five_minutes, 60),
        (Some(60), None, 60),
        (Some(600), five_minutes, 300),
        (Some(u64::MAX), five_minutes, 300),
    ] {
        assert_eq!(ends(longest, end).await, lives, "{longest:?} {end:?}");
    }
}
