//! What Stripe is told beside the price: for all payments, or for each.

use mpp_core::{
    Amount, Price,
    intent::PriceError,
    problem::{ProblemType, Reason, Rejection},
    verifier::Verifier as _,
};
use mpp_stripe::charge::{Connect, ConnectError, Options, OptionsError, SetupError};
use mpp_testkit::stripe::Fault;

use super::stage::{Stage, VISA, answer};

fn connect() -> Connect {
    Connect::new().account("acct_1").application_fee(Amount::new(50)).transfer_group("order-1")
}

#[tokio::test]
async fn connected_accounts_get_their_part_and_the_challenge_says_nothing_of_it() {
    let stage = Stage::new().await;
    let options = Options::new().metadata("internal", "note").connect(connect());
    let shop = stage.selling("5 usd".parse().unwrap(), stage.verifier().options(options).unwrap());
    let challenge = shop.challenge().await;
    let request = String::from_utf8(challenge.request.json().to_vec()).unwrap();
    for private in ["acct_1", "50\"", "internal\":", "order-1"] {
        assert!(!request.contains(private), "{request}");
    }
    shop.delivers(&answer(&challenge, &stage.token(VISA), None)).await;
    let calls = stage.sim.calls();
    let call = calls.iter().find(|call| call.path == "/v1/payment_intents").unwrap();
    assert_eq!(call.header("stripe-account"), Some("acct_1"));
    assert_eq!(call.field("application_fee_amount"), Some("50"));
    assert_eq!(call.field("transfer_group"), Some("order-1"));
    assert_eq!(call.field("metadata[internal]"), Some("note"));
}

#[tokio::test]
async fn what_was_decided_for_a_payment_is_decided_once() {
    let stage = Stage::new().await;
    let decided = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counted = decided.clone();
    let verifier = stage.verifier().options_each(move |claim| {
        assert_eq!(claim.request.terms.amount, Amount::new(500));
        let nth = counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Ok(Options::new()
            .metadata("nth", nth.to_string())
            .connect(Connect::new().account("acct_1")))
    });
    let shop = stage.selling("5 usd".parse().unwrap(), verifier);
    let shown = shop.pay(VISA).await;
    stage.sim.next(Fault::AnswerLost);
    assert!(shop.serve(&shown).await.is_err());
    stage.sim.advance(std::time::Duration::from_secs(10));
    shop.delivers(&shown).await;
    assert_eq!(decided.load(std::sync::atomic::Ordering::SeqCst), 1);
    assert_eq!(stage.intents()[0]["metadata"]["nth"], "0");
    assert_eq!((stage.intents().len(), stage.succeeded()), (1, 1));
}

#[tokio::test]
async fn who_decides_may_refuse_and_may_not_give_away_more_than_is_paid() {
    let stage = Stage::new().await;
    let denied = stage.verifier().options_each(|_| {
        Err(Rejection::new(ProblemType::DENIED, Reason::new("closed-today"), "Come back tomorrow."))
    });
    let greedy = stage.verifier().options_each(|_| {
        Ok(Options::new().connect(Connect::new().application_fee(Amount::new(501))))
    });
    let nobody =
        stage.verifier().options_each(|_| Ok(Options::new().connect(Connect::new().account(""))));
    for (verifier, why) in [
        (denied, (403, Reason::new("closed-today"), 0)),
        (greedy, (500, Reason::OUR_FAULT, 0)),
        (nobody, (500, Reason::OUR_FAULT, 0)),
    ] {
        let shop = stage.selling("5 usd".parse().unwrap(), verifier);
        let shown = shop.pay(VISA).await;
        assert_eq!(shop.refused(&shown).await, why);
    }
    assert_eq!(stage.charges(), 0);
}

#[tokio::test]
async fn options_are_judged_when_the_shop_is_set_up_where_they_can_be() {
    let stage = Stage::new().await;
    let nobody = Options::new().connect(Connect::new().transfer("", None));
    let refused = stage.verifier().options(nobody).unwrap_err();
    assert_eq!(refused, SetupError::Options(OptionsError::Connect(ConnectError::Account)));
    let verifier = stage.verifier().options(Options::new().connect(connect())).unwrap();
    let terms = |price: &str| verifier.terms(&price.parse::<Price>().unwrap()).map(|_| ());
    assert_eq!(terms("0.50 usd"), Ok(()));
    let dear = Options::new().connect(Connect::new().application_fee(Amount::new(51)));
    let verifier = stage.verifier().options(dear).unwrap();
    assert_eq!(verifier.terms(&"0.50 usd".parse().unwrap()), Err(PriceError::Shares));
}
