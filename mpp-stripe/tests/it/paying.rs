//! Whole payments: a wallet, a shop, and a card between them.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use mpp_client::{Error, Limits, ResponseExt, Wallet, error::Kind};
use mpp_core::{
    payer::{Funds, Outcome},
    store::Memory,
};
use mpp_stripe::{
    Currency,
    charge::{Payer, Token, Verifier},
    token::{IssueError, Issuer, PaymentMethod, Wanted},
};
use mpp_testkit::peer::{Fault, Peer};

use crate::{
    log::Log,
    stage::{Stage, client, everything, keeping, wallet},
};

fn ours(e: &reqwest_middleware::Error) -> &Error {
    Error::from_reqwest(e).unwrap_or_else(|| panic!("{e:?}"))
}

#[tokio::test]
async fn both_halves_pass_the_suite_of_every_method() {
    let stage = Stage::new().await;
    let verifier = Verifier::new(stage.api(), stage.sim.network_id(), Currency::USD).unwrap();
    let payer = stage.payer("pm_card_visa");
    mpp_testkit::method::suite(&Arc::new(verifier), &payer, "0.50 usd".parse().unwrap()).await;
}

#[tokio::test]
async fn a_wallet_pays_a_shop_once() {
    let stage = Stage::new().await;
    let shop = stage.shop().await;
    let (log, _listening) = Log::listen();
    let response =
        client(wallet(stage.payer("pm_card_visa"))).get(shop.url()).send().await.unwrap();
    let receipt = response.receipt().unwrap().clone();
    assert_eq!(response.text().await.unwrap(), "ha");
    let logged = log.text();
    assert!(!logged.is_empty() && !logged.contains("spt_"), "{logged}");
    assert!(!logged.contains(stage.sim.secret_key()), "{logged}");
    let intents = stage.sim.payment_intents();
    assert_eq!((intents.len(), stage.charged(), stage.tokens(), shop.served()), (1, 1, 1, 1));
    assert_eq!(intents[0]["id"], receipt.reference);
    assert_eq!((&intents[0]["amount"], &intents[0]["currency"]), (&50.into(), &"usd".into()));
}

#[tokio::test]
async fn what_a_wallet_may_not_spend_no_token_is_made_for() {
    let stage = Stage::new().await;
    let shop = stage.shop().await;
    let payer = || stage.payer("pm_card_visa");
    let in_eur = Limits::in_unit("eur", "100").unwrap();
    let cases: [(Wallet, &str); 4] = [
        (Wallet::new(Limits::usd("0.49").unwrap()).payer(payer()), "not allowed"),
        (Wallet::new(in_eur).payer(payer()), "not allowed"),
        (wallet(payer().only_to(["profile_friends"])), "only_to"),
        (wallet(payer().only_by(["klarna"])), "only_by"),
    ];
    for (wallet, word) in cases {
        let e = client(wallet).get(shop.url()).send().await.unwrap_err();
        assert_eq!(ours(&e).funds(), Funds::Untouched, "{word}");
        assert!(ours(&e).to_string().contains(word), "{e}");
    }
    assert_eq!((stage.tokens(), shop.served()), (0, 0));
    let exactly = Wallet::new(Limits::usd("0.50").unwrap()).payer(payer());
    assert!(client(exactly).get(shop.url()).send().await.unwrap().receipt().is_some());
}

#[tokio::test]
async fn a_declined_card_is_not_tried_again_and_the_wallet_says_why() {
    let stage = Stage::new().await;
    let shop = stage.shop().await;
    let declined = [
        "pm_card_chargeDeclined",
        "pm_card_chargeDeclinedInsufficientFunds",
        "pm_card_chargeCustomerFail",
    ];
    for (before, card) in declined.into_iter().enumerate() {
        let response = client(wallet(stage.payer(card))).get(shop.url()).send().await.unwrap();
        assert_eq!(response.status(), 402);
        let e = response.error_for_payment().await.unwrap_err();
        let problem = e.problem().unwrap();
        assert_eq!(problem.reason.as_deref(), Some("declined"), "{problem:?}");
        assert!(matches!(e.kind(), Kind::Refused(_)));
        assert!(!everything(&e).contains("spt_"));
        assert_eq!((stage.tokens(), stage.charged()), (before + 1, 0));
    }
    assert_eq!(shop.served(), 0);
}

#[tokio::test]
async fn after_a_decline_nothing_else_is_paid_for_the_request_until_its_token_is_dead() {
    let stage = Stage::new().await;
    let shop = stage.shop().await;
    let store = Arc::new(Memory::volatile());
    let client = async |card: &str| {
        let issuer = stage.issuer().held_for(Duration::ZERO);
        let payer = Payer::new(issuer).clock(Arc::new(stage.now()));
        let payer = payer.paying_with(PaymentMethod::parse(card).unwrap());
        client(keeping(payer, &store).await.clock(stage.now()))
    };
    let declined = client("pm_card_chargeDeclined").await.get(shop.url()).send().await.unwrap();
    assert!(matches!(declined.verdict().unwrap().outcome(), Outcome::Refused(_)));
    // The seller's word that nothing moved is one thing, and a token that it could use the other.
    for seconds in [1, 302] {
        stage.advance(seconds);
        let e = client("pm_card_visa").await.get(shop.url()).send().await.unwrap_err();
        assert!(matches!(ours(&e).kind(), Kind::StillOpen(_)), "{e:?}");
        assert_eq!((stage.tokens(), stage.charged(), shop.served()), (1, 0, 0));
    }
    stage.advance(1);
    // It is dead: paid anew, by the card there is now.
    let response = client("pm_card_visa").await.get(shop.url()).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!((stage.tokens(), stage.charged(), shop.served()), (2, 1, 1));
}

#[tokio::test]
async fn a_card_that_wants_its_owner_is_no_payment() {
    let stage = Stage::new().await;
    let shop = stage.shop().await;
    let wallet = wallet(stage.payer("pm_card_authenticationRequired"));
    let response = client(wallet).get(shop.url()).send().await.unwrap();
    assert!(matches!(response.verdict().unwrap().outcome(), Outcome::Refused(_)));
    assert_eq!((stage.tokens(), stage.charged(), shop.served()), (1, 0, 0));
}

/// Makes a token and dies with it.
struct Dying<I>(I, Arc<tokio::sync::Notify>);

impl<I: Issuer> Issuer for Dying<I> {
    async fn create_token(&self, wanted: Wanted) -> Result<Token, IssueError> {
        let _made = self.0.create_token(wanted).await?;
        self.1.notify_one();
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_token_that_was_made_and_not_written_down_is_forgotten_and_the_next_one_pays_once() {
    let stage = Stage::new().await;
    let shop = stage.shop().await;
    let store = Arc::new(Memory::volatile());
    let made = Arc::new(tokio::sync::Notify::new());
    let card = PaymentMethod::parse("pm_card_visa").unwrap();
    let dying = Payer::new(Dying(stage.issuer(), made.clone())).paying_with(card);
    let first = client(keeping(dying, &store).await).get(shop.url());
    let life = tokio::spawn(first.send());
    made.notified().await;
    life.abort();
    assert!(life.await.unwrap_err().is_cancelled());
    assert_eq!((stage.tokens(), stage.charged()), (1, 0));
    let next = client(keeping(stage.payer("pm_card_visa"), &store).await);
    let response = next.get(shop.url()).send().await.unwrap();
    assert_eq!(response.text().await.unwrap(), "ha");
    assert_eq!((stage.tokens(), stage.charged(), shop.served()), (2, 1, 1));
    let open = keeping(stage.payer("pm_card_visa"), &store).await.unfinished();
    assert!(open.is_empty(), "{open:?}");
}

#[tokio::test]
async fn an_answer_that_is_lost_is_fetched_by_the_same_token_after_a_restart() {
    let stage = Stage::new().await;
    let shop = stage.shop().await;
    let store = Arc::new(Memory::volatile());
    // The 402 passes; the credential arrives and nothing comes back, as often as it is shown by the first life.
    let mut script = vec![Fault::DropsAnswer; 8];
    script[0] = Fault::None;
    let line = Peer::before(shop.at, script).await.unwrap();
    let first = client(keeping(stage.payer("pm_card_visa"), &store).await);
    let e = first.get(line.url("/joke")).send().await.unwrap_err();
    assert_eq!(ours(&e).funds(), Funds::Unknown);
    assert!(!everything(ours(&e)).contains("spt_"));
    drop(first);
    let mut answer = None;
    for _ in 0..10 {
        let next = client(keeping(stage.payer("pm_card_visa"), &store).await);
        if let Ok(response) = next.get(line.url("/joke")).send().await {
            answer = Some(response.text().await.unwrap());
            break;
        }
    }
    assert_eq!(answer.as_deref(), Some("ha"));
    assert_eq!((stage.tokens(), stage.charged()), (1, 1));
}

#[tokio::test]
async fn a_program_without_a_secret_pays_by_asking_one_that_has_it() {
    let stage = Stage::new().await;
    let shop = stage.shop().await;
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (backend, asks) = (Arc::new(stage.issuer()), asked.clone());
    let payer = Payer::asking(move |wanted: Wanted| {
        asks.lock().unwrap().push((
            wanted.amount.get(),
            wanted.currency,
            wanted.network_id.clone(),
        ));
        let backend = backend.clone();
        async move {
            let card = PaymentMethod::parse("pm_card_visa").ok();
            let token = backend.create_token(wanted.by(card)).await?;
            Ok::<_, IssueError>(token.expose().to_owned())
        }
    });
    let response = client(wallet(payer)).get(shop.url()).send().await.unwrap();
    assert!(response.receipt().is_some());
    let expected = (50, Currency::USD, stage.sim.network_id().to_owned());
    assert_eq!((&asked.lock().unwrap()[..], stage.charged()), (&[expected][..], 1));
}
