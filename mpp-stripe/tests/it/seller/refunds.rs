//! Money is given back once for each name, and never more than there was.

use mpp_core::{Amount, Receipt};
use mpp_stripe::charge::{Connect, Options, RefundError, RefundOrder};
use mpp_testkit::stripe::Fault;

use super::stage::{Stage, VISA};

async fn paid(stage: &Stage) -> Receipt {
    let shop = stage.shop();
    shop.delivers(&shop.pay(VISA).await).await
}

fn given_back(stage: &Stage) -> Vec<u64> {
    stage.sim.objects("refund").iter().map(|refund| refund["amount"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn a_whole_payment_is_given_back_once_however_often_it_is_asked() {
    let stage = Stage::new().await;
    let (receipt, verifier) = (paid(&stage).await, stage.verifier());
    let first = verifier.refund(&receipt, None).await.unwrap();
    assert_eq!((first.amount, first.done), (Amount::new(500), true));
    // A day later too, when Stripe has forgotten the key.
    for hours in [0, 1, 48] {
        stage.sim.advance(std::time::Duration::from_secs(hours * 3600));
        assert_eq!(verifier.refund(&receipt, None).await.unwrap(), first);
    }
    assert_eq!(given_back(&stage), [500]);
}

#[tokio::test]
async fn a_refund_whose_answer_was_lost_is_the_same_refund() {
    let stage = Stage::new().await;
    let (receipt, verifier) = (paid(&stage).await, stage.verifier());
    for (fault, before) in
        [(Fault::AnswerLost, 1), (Fault::ServerError, 1), (Fault::ConnectionLost, 1)]
    {
        let amount = Amount::new(100 + u128::from(stage.sim.objects("refund").len() as u64));
        stage.sim.next(fault);
        let unknown = verifier.refund(&receipt, Some(amount)).await.unwrap_err();
        assert!(matches!(unknown, RefundError::Unknown(_)), "{unknown:?}");
        stage.sim.advance(std::time::Duration::from_secs(48 * 3600));
        let count = given_back(&stage).len();
        assert_eq!(verifier.refund(&receipt, Some(amount)).await.unwrap().amount, amount);
        assert!(given_back(&stage).len() - count <= before);
    }
    assert_eq!(given_back(&stage).len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_ask_for_one_refund_at_once_get_one() {
    let stage = Stage::new().await;
    let (receipt, verifier) = (paid(&stage).await, stage.verifier());
    let asked = Vec::from_iter((0..20).map(|_| {
        let (receipt, verifier) = (receipt.clone(), verifier.clone());
        tokio::spawn(async move { verifier.refund(&receipt, Some(Amount::new(20))).await.unwrap() })
    }));
    for asked in asked {
        asked.await.unwrap();
    }
    assert_eq!(given_back(&stage), [20]);
    let posted = stage
        .sim
        .calls()
        .into_iter()
        .filter(|call| call.method == "POST" && call.path == "/v1/refunds");
    let keys = posted.map(|call| call.header("idempotency-key").unwrap().to_owned());
    assert_eq!(std::collections::BTreeSet::from_iter(keys).len(), 1);
}

#[tokio::test]
async fn two_refunds_of_one_amount_need_two_names_and_no_more_than_is_left() {
    let stage = Stage::new().await;
    let (receipt, verifier) = (paid(&stage).await, stage.verifier());
    let two = |name: &str| RefundOrder::of(Amount::new(200)).named(name);
    let first = verifier.refund_as(&receipt, &two("a")).await.unwrap();
    let second = verifier.refund_as(&receipt, &two("b")).await.unwrap();
    assert_ne!(first.id, second.id);
    assert_eq!(verifier.refund_as(&receipt, &two("a")).await.unwrap(), first);
    let other = RefundOrder::of(Amount::new(50)).named("a");
    let taken = verifier.refund_as(&receipt, &other).await.unwrap_err();
    assert!(matches!(taken, RefundError::NameTaken), "{taken:?}");
    let much = verifier.refund_as(&receipt, &two("c")).await.unwrap_err();
    assert!(matches!(much, RefundError::TooMuch), "{much:?}");
    // The rest is what is left.
    assert_eq!(verifier.refund(&receipt, None).await.unwrap().amount, Amount::new(100));
    let nothing =
        verifier.refund_as(&receipt, &RefundOrder::all().named("more")).await.unwrap_err();
    assert!(matches!(nothing, RefundError::TooMuch), "{nothing:?}");
    assert_eq!(given_back(&stage), [200, 200, 100]);
}

#[tokio::test]
async fn what_is_no_receipt_of_ours_is_not_given_back() {
    let stage = Stage::new().await;
    let (receipt, verifier) = (paid(&stage).await, stage.verifier());
    let by_hash = Receipt { method: "tempo".parse().unwrap(), ..receipt.clone() };
    for reference in ["pi_nobody", "in_1", "pi_1/../x", ""] {
        let other = Receipt { reference: reference.into(), ..receipt.clone() };
        let refused = verifier.refund(&other, None).await.unwrap_err();
        assert!(matches!(refused, RefundError::NotOurs), "{reference}: {refused:?}");
    }
    assert!(matches!(verifier.refund(&by_hash, None).await, Err(RefundError::NotOurs)));
    let nothing = verifier.refund(&receipt, Some(Amount::ZERO)).await;
    assert!(matches!(nothing, Err(RefundError::Nothing)));
    assert!(given_back(&stage).is_empty());
}

#[tokio::test]
async fn a_payment_on_a_connected_account_is_given_back_there() {
    let stage = Stage::new().await;
    let options = Options::new().connect(Connect::new().account("acct_1"));
    let verifier = stage.verifier().options(options).unwrap();
    let shop = stage.selling("5 usd".parse().unwrap(), verifier.clone());
    let receipt = shop.delivers(&shop.pay(VISA).await).await;
    // Without its account it is nobody's.
    let refused = stage.verifier().refund(&receipt, None).await.unwrap_err();
    assert!(matches!(refused, RefundError::NotOurs), "{refused:?}");
    assert_eq!(verifier.refund(&receipt, None).await.unwrap().amount, Amount::new(500));
    let named = RefundOrder::all().account("acct_1");
    assert!(stage.verifier().refund_as(&receipt, &named).await.is_ok());
    assert_eq!(given_back(&stage), [500]);
}

#[tokio::test]
async fn a_receipt_that_names_another_payment_than_its_own_gives_nothing_back() {
    let stage = Stage::new().await;
    let (mine, theirs) = (paid(&stage).await, paid(&stage).await);
    let verifier = stage.verifier();
    // A receipt is no secret, and no proof: whoever was given one can write another name into it.
    let mut forged = Receipt { reference: theirs.reference.clone(), ..mine.clone() };
    // With the challenge of its own, and with none.
    for _ in 0..2 {
        let refused = verifier.refund(&forged, None).await.unwrap_err();
        assert!(matches!(refused, RefundError::NotOurs), "{refused:?}");
        forged.extra.remove("challengeId");
    }
    // Nor what the same account was paid by other means.
    let form = [("amount", "900"), ("currency", "usd"), ("confirm", "true")];
    let form = form.iter().chain(&[("payment_method", VISA)]);
    let key = stage.sim.secret_key();
    let made = reqwest::Client::new()
        .post(format!("{}/v1/payment_intents", stage.sim.url()))
        .bearer_auth(key)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish());
    let made: serde_json::Value =
        serde_json::from_slice(&made.send().await.unwrap().bytes().await.unwrap()).unwrap();
    let mut other = Receipt { reference: made["id"].as_str().unwrap().to_owned(), ..mine.clone() };
    for _ in 0..2 {
        let refused = verifier.refund(&other, None).await.unwrap_err();
        assert!(matches!(refused, RefundError::NotOurs), "{refused:?}");
        other.extra.remove("challengeId");
    }
    assert!(given_back(&stage).is_empty());
    assert_eq!(verifier.refund(&mine, None).await.unwrap().amount, Amount::new(500));
}
