//! Charge in pull mode: money moves once, or not at all, and each side knows which.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use mpp_core::{
    Amount, Challenge, Credential, Draft, Encoded, Realm, Request, Timestamp,
    binding::{Claim, Keys},
    fate::Fate,
    name::{IntentName, MethodName},
    payer::{Allowance, Funds, Payer as _, Payment, Site},
    problem::{Reason, Rejection},
    transport::Resource,
    verifier::{Asking, Verifier as _},
};
use mpp_tempo::{
    Chain, HttpRpc, Key, TempoCharge,
    chain::rpc::http::Patience,
    charge::{Evidence, Payer, Payload, Verifier, reason},
};
use mpp_testkit::devnet::{ALPHA_USD, Devnet, PATH_USD, PAYER, RECIPIENT};
use serde_json::json;

const PRICE: u128 = 100_000;

fn node(chain: &Devnet) -> Arc<HttpRpc> {
    // A node answers half a minute late about what it dropped.
    let patience = Patience { ask: Duration::from_secs(3), send: Duration::from_secs(3) };
    Arc::new(HttpRpc::new(chain.rpc_url()).unwrap().patience(patience))
}

fn shop(chain: &Devnet) -> Verifier {
    Verifier::new(&Chain::MODERATO, RECIPIENT.address, node(chain)).unwrap()
}

fn payer(chain: &Devnet) -> Payer {
    payer_with(chain, PAYER.key.hex())
}

fn payer_with(chain: &Devnet, key: &str) -> Payer {
    Payer::new(key.parse().unwrap(), &Chain::MODERATO, node(chain))
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_unix(i64::try_from(since.as_secs()).unwrap(), 0)
}

fn keys() -> Keys {
    Keys::new([1; 32]).unwrap()
}

fn realm() -> Realm {
    Realm::parse("api.example.com").unwrap()
}

/// A challenge of its own for every name.
async fn challenge(shop: &Verifier, name: &str) -> Challenge {
    let terms =
        shop.terms(&"0.10 usd".parse::<mpp_core::Price>().unwrap().external_id(name)).unwrap();
    let at = Resource::at("GET /");
    let name = realm();
    let until = mpp_core::Timestamp::from_unix(0, 0);
    let asking = Asking::new(&at, &name, &until);
    let details = shop.details(&terms, asking).await.unwrap().details;
    keys().seal(Draft {
        realm: realm(),
        method: MethodName::from_static("tempo"),
        intent: IntentName::from_static("charge"),
        request: Encoded::of(&Request::<TempoCharge> { terms, details }).unwrap(),
        expires: Some(now().plus(Duration::from_secs(300))),
        digest: None,
        description: None,
        header: None,
        opaque: None,
    })
}

async fn pay(payer: &Payer, challenge: &Challenge) -> Result<Payment<TempoCharge>, Funds> {
    let to = Site { origin: "https://api.example.com".into(), resource: "/".into() };
    let within = Allowance { up_to: Amount::new(PRICE + 50_000), to };
    payer.pay(&challenge.read().unwrap(), &within).await.map_err(|error| error.funds)
}

fn claim(challenge: &Challenge, payment: &Payment<TempoCharge>) -> Claim<TempoCharge> {
    let demand = challenge.read::<TempoCharge>().unwrap();
    let credential = Credential::answer(&demand, payment.source.clone(), &payment.payload).unwrap();
    let ours = keys().recognise(credential, &realm()).unwrap();
    ours.admit(&now()).unwrap().claim().unwrap()
}

async fn checked(shop: &Verifier, payer: &Payer, name: &str) -> Result<Evidence, Rejection> {
    let challenge = challenge(shop, name).await;
    let payment = pay(payer, &challenge).await.unwrap();
    shop.check(&claim(&challenge, &payment)).await
}

fn reference(fate: Fate) -> String {
    match fate {
        Fate::Settled(settled) => settled.reference,
        other => panic!("{other:?}"),
    }
}

fn failure(fate: Fate) -> Reason {
    match fate {
        Fate::Failed(rejection) => rejection.reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn money_moves_exactly_once_however_often_it_is_settled() {
    let chain = Devnet::start().await.unwrap();
    let (shop, payer) = (shop(&chain), payer(&chain));
    let held = async |who| chain.balance_of(PATH_USD, who).await.unwrap();
    let (payer_before, shop_before) = (held(PAYER.address).await, held(RECIPIENT.address).await);

    let challenge = challenge(&shop, "order-1").await;
    let payment = pay(&payer, &challenge).await.unwrap();
    let evidence = shop.check(&claim(&challenge, &payment)).await.unwrap();
    assert_eq!(held(RECIPIENT.address).await, shop_before, "checking moves nothing");
    assert!(matches!(shop.reconcile(&evidence).await, Fate::Absent));

    let first = reference(shop.settle(&evidence).await);
    let paid = payer_before - held(PAYER.address).await;
    assert_eq!(held(RECIPIENT.address).await - shop_before, PRICE);
    let exposed = payment.exposed.unwrap().get();
    assert!((PRICE..=exposed).contains(&paid), "{paid} of {exposed}");

    let stored = serde_json::to_string(&evidence).unwrap();
    let restored: Evidence = serde_json::from_str(&stored).unwrap();
    assert_eq!(reference(shop.settle(&restored).await), first);
    assert_eq!(reference(shop.reconcile(&restored).await), first);
    assert_eq!(held(RECIPIENT.address).await - shop_before, PRICE);
    assert_eq!(payer_before - held(PAYER.address).await, paid);

    let receipt = chain.rpc("eth_getTransactionReceipt", json!([first])).await.unwrap();
    let proven =
        mpp_tempo::charge::verify_receipt(&challenge.read().unwrap(), &payment.payload, &receipt);
    assert_eq!(proven.unwrap(), first);
    chain.stop().await;
}

#[tokio::test]
async fn an_account_without_history_is_paid_in_another_token() {
    let chain = Devnet::start().await.unwrap();
    let fresh = "0x00000000000000000000000000000000000beef1";
    let shop = Verifier::new(&Chain::MODERATO, fresh, node(&chain)).unwrap();
    let shop = shop.currency(ALPHA_USD).unwrap();
    let evidence = checked(&shop, &payer(&chain), "order-1").await.unwrap();
    reference(shop.settle(&evidence).await);
    assert_eq!(chain.balance_of(ALPHA_USD, fresh).await.unwrap(), PRICE);
    chain.stop().await;
}

#[tokio::test]
async fn payments_of_equal_amounts_at_once_are_different_payments() {
    let chain = Devnet::start().await.unwrap();
    let (shop, payer) = (shop(&chain), payer(&chain));
    let before = chain.balance_of(PATH_USD, RECIPIENT.address).await.unwrap();
    let one = checked(&shop, &payer, "order-1").await.unwrap();
    let other = checked(&shop, &payer, "order-2").await.unwrap();
    assert_ne!(shop.spends(&one), shop.spends(&other));
    let (one, other) = tokio::join!(shop.settle(&one), shop.settle(&other));
    assert_ne!(reference(one), reference(other));
    let after = chain.balance_of(PATH_USD, RECIPIENT.address).await.unwrap();
    assert_eq!(after - before, 2 * PRICE);
    chain.stop().await;
}

#[tokio::test]
async fn a_payer_without_money_is_stopped_on_both_sides() {
    let chain = Devnet::start().await.unwrap();
    let shop = shop(&chain);
    let broke = payer_with(&chain, &format!("0x{}", "5a".repeat(32)));
    let asked = challenge(&shop, "order-1").await;
    assert_eq!(pay(&broke, &asked).await.unwrap_err(), Funds::Untouched);

    // One who signs all the same: with money when signing, without when checked.
    let snapshot = chain.snapshot().await.unwrap();
    chain.fund(PATH_USD, &broke.address(), PRICE + 50_000).await.unwrap();
    let payment = pay(&broke, &asked).await.unwrap();
    chain.revert(snapshot).await.unwrap();
    let refused = shop.check(&claim(&asked, &payment)).await.unwrap_err();
    assert_eq!(refused.reason, reason::SHORT_OF_FUNDS);
    chain.stop().await;
}

#[tokio::test]
async fn money_spent_between_check_and_settlement_is_a_failure_that_the_chain_shows() {
    let chain = Devnet::start().await.unwrap();
    let shop = shop(&chain);
    let poor = payer_with(&chain, &format!("0x{}", "5b".repeat(32)));
    chain.fund(PATH_USD, &poor.address(), PRICE + 60_000).await.unwrap();
    let before = chain.balance_of(PATH_USD, RECIPIENT.address).await.unwrap();
    let one = checked(&shop, &poor, "order-1").await.unwrap();
    let other = checked(&shop, &poor, "order-2").await.unwrap();
    reference(shop.settle(&one).await);
    assert_eq!(failure(shop.settle(&other).await), reason::REVERTED);
    assert_eq!(failure(shop.reconcile(&other).await), reason::REVERTED);
    let after = chain.balance_of(PATH_USD, RECIPIENT.address).await.unwrap();
    assert_eq!(after - before, PRICE);
    chain.stop().await;
}

#[tokio::test]
async fn a_payment_sent_too_late_has_failed_and_moves_nothing() {
    let chain = Devnet::start().await.unwrap();
    let shop = shop(&chain).settle_deadline(Duration::from_secs(3));
    let before = chain.balance_of(PATH_USD, RECIPIENT.address).await.unwrap();
    let late = checked(&shop, &payer(&chain), "order-1").await.unwrap();
    assert!(matches!(shop.reconcile(&late).await, Fate::Absent));
    chain.rpc("evm_increaseTime", json!([60])).await.unwrap();
    chain.rpc("evm_mine", json!([])).await.unwrap();
    assert_eq!(failure(shop.settle(&late).await), Reason::EXPIRED);
    assert_eq!(failure(shop.reconcile(&late).await), Reason::EXPIRED);
    assert_eq!(chain.balance_of(PATH_USD, RECIPIENT.address).await.unwrap(), before);
    chain.stop().await;
}

#[tokio::test]
async fn a_payment_settled_before_its_end_stays_settled_after_it() {
    let chain = Devnet::start().await.unwrap();
    let shop = shop(&chain).settle_deadline(Duration::from_secs(3));
    let evidence = checked(&shop, &payer(&chain), "order-1").await.unwrap();
    let first = reference(shop.settle(&evidence).await);
    chain.rpc("evm_increaseTime", json!([60])).await.unwrap();
    chain.rpc("evm_mine", json!([])).await.unwrap();
    // The node now refuses the very bytes it has mined.
    assert_eq!(reference(shop.settle(&evidence).await), first);
    assert_eq!(reference(shop.reconcile(&evidence).await), first);
    chain.stop().await;
}

#[tokio::test]
async fn a_payer_whose_money_moved_already_is_not_asked_for_more() {
    let chain = Devnet::start().await.unwrap();
    let poor = payer_with(&chain, &format!("0x{}", "5c".repeat(32)));
    chain.fund(PATH_USD, &poor.address(), PRICE + 60_000).await.unwrap();
    let asked = challenge(&shop(&chain), "order-1").await;
    let payment = pay(&poor, &asked).await.unwrap();
    let Payload::Transaction { signature } = &payment.payload else { panic!("pull mode") };
    // By the payer, or by a server that forgot.
    chain.rpc("eth_sendRawTransactionSync", json!([signature])).await.unwrap();
    let before = chain.balance_of(PATH_USD, RECIPIENT.address).await.unwrap();
    let shop = shop(&chain);
    let evidence = shop.check(&claim(&asked, &payment)).await.unwrap();
    reference(shop.settle(&evidence).await);
    assert_eq!(chain.balance_of(PATH_USD, RECIPIENT.address).await.unwrap(), before);
    chain.stop().await;
}

#[tokio::test]
async fn a_transaction_that_the_node_drops_is_unknown_until_it_is_too_late() {
    let chain = Devnet::start().await.unwrap();
    let shop = shop(&chain).settle_deadline(Duration::from_secs(1));
    let asked = challenge(&shop, "order-1").await;
    let payment = pay(&payer(&chain), &asked).await.unwrap();
    let Payload::Transaction { signature } = &payment.payload else { panic!("pull mode") };
    let starved = starve(signature);
    // No check takes it; a store may hold one from before.
    let checked = shop.check(&claim(&asked, &payment)).await.unwrap();
    let mut stored = serde_json::to_value(checked).unwrap();
    stored["transaction"] = json!(starved);
    let payment = Payment { payload: Payload::Transaction { signature: starved }, ..payment };
    let refused = shop.check(&claim(&asked, &payment)).await.unwrap_err();
    assert_eq!(refused.reason, reason::GAS_TOO_LOW);
    let evidence: Evidence = serde_json::from_value(stored).unwrap();
    assert!(matches!(shop.settle(&evidence).await, Fate::Unknown(_)));
    assert!(matches!(shop.reconcile(&evidence).await, Fate::Absent));
    chain.rpc("evm_increaseTime", json!([60])).await.unwrap();
    chain.rpc("evm_mine", json!([])).await.unwrap();
    assert_eq!(failure(shop.reconcile(&evidence).await), Reason::EXPIRED);
    chain.stop().await;
}

#[tokio::test]
async fn a_node_on_another_chain_is_not_believed() {
    let chain = Devnet::start().await.unwrap();
    let payment = {
        let asked = challenge(&shop(&chain), "order-1").await;
        let payment = pay(&payer(&chain), &asked).await.unwrap();
        (asked, payment)
    };
    let elsewhere = Chain { id: 4217, ..Chain::MODERATO };
    let shop = Verifier::new(&elsewhere, RECIPIENT.address, node(&chain)).unwrap();
    let asked = challenge(&shop, "order-2").await;
    let key: Key = PAYER.key.hex().parse().unwrap();
    let lost = Payer::new(key, &elsewhere, node(&chain));
    assert_eq!(pay(&lost, &asked).await.unwrap_err(), Funds::Untouched);
    // A challenge of the other configuration is not this one's.
    let refused = shop.check(&claim(&payment.0, &payment.1)).await.unwrap_err();
    assert_eq!(refused.reason, Reason::WRONG_TERMS);
    chain.stop().await;
}

/// Signs the payment again with less gas than such a transaction needs: nodes take it, and drop it without a word.
fn starve(signature: &str) -> String {
    use mpp_tempo::chain::transaction::{Signed, Transaction};
    let bytes: Vec<u8> = signature.as_bytes()[2..]
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    let signed = Signed::decode(&bytes).unwrap();
    let key: Key = PAYER.key.hex().parse().unwrap();
    let starved = Transaction { gas_limit: 30_000, ..signed.transaction }.sign(&key).encode();
    let hex: String = starved.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("0x{hex}")
}
