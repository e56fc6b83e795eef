//! The forms of a payment: pushed, shared, sponsored, many at once.

use alloy::primitives::address;
use mpp_core::{Credential, binding::Keys, payer::Funds, verifier::Verifier as _};
use mpp_tempo::{
    chain::{PATH_USD as TOKEN, transaction::FeePayer},
    charge::{Mode, Verifier},
};
use mpp_testkit::devnet::{SPLIT, SPONSOR};

use super::*;

#[tokio::test]
async fn what_is_pushed_was_mined_and_the_server_finds_it() {
    let chain = Devnet::start().await.unwrap();
    let before = held(&chain, RECIPIENT.address).await;
    let asked = challenge("order-1", json!({ "supportedModes": ["push"] }));
    let payment = pay(&payer(&chain), &asked).await.unwrap();
    let Payload::Hash { hash } = &payment.payload else { panic!("push mode") };
    assert!(hash.len() == 66 && !hash.bytes().any(|byte| byte.is_ascii_uppercase()));
    assert_eq!(held(&chain, RECIPIENT.address).await - before, PRICE);
    let receipt = chain.rpc("eth_getTransactionReceipt", json!([hash])).await.unwrap();
    let demand = asked.read::<TempoCharge>().unwrap();
    let proven = mpp_tempo::charge::verify_receipt(&demand, &payment.payload, &receipt);
    assert_eq!(&proven.unwrap(), hash);

    let shop = Verifier::new(&Chain::MODERATO, RECIPIENT.address, node(&chain)).unwrap();
    let shop = shop.modes([Mode::Push]);
    let credential = Credential::answer(&demand, payment.source, &payment.payload).unwrap();
    let realm = Realm::parse("api.example.com").unwrap();
    let ours = Keys::new([1; 32]).unwrap().recognise(credential, &realm).unwrap();
    let now = Timestamp::from_unix(i64::try_from(seconds()).unwrap(), 0);
    let evidence = shop.check(&ours.admit(&now).unwrap().claim().unwrap()).await.unwrap();
    assert!(shop.has_moved(&evidence));
    chain.stop().await;
}

#[tokio::test]
async fn a_push_that_would_fail_is_not_sent() {
    let chain = Devnet::start().await.unwrap();
    let poor = Payer::new(key(&format!("0x{}", "5d".repeat(32))), &Chain::MODERATO, node(&chain))
        .mode(Mode::Push);
    // Enough for the price and not for the fee.
    chain.fund(PATH_USD, &poor.address(), PRICE).await.unwrap();
    let refused = pay(&poor, &challenge("order-1", json!({}))).await.unwrap_err();
    assert_eq!(refused.funds, Funds::Untouched);
    assert_eq!(held(&chain, &poor.address()).await, PRICE);
    chain.stop().await;
}

#[tokio::test]
async fn s7_ten_shares_to_accounts_without_history_are_paid_at_once() {
    // One node answers the same number for every list of calls, the other runs it.
    shares(Devnet::start().await.unwrap()).await;
    shares(Devnet::start_complete().await.unwrap()).await;
}

async fn shares(chain: Devnet) {
    let fresh = |index: usize| format!("0x00000000000000000000000000000000000beef{index:x}");
    let splits: Vec<_> =
        (0..10).map(|index| json!({ "amount": "1000", "recipient": fresh(index) })).collect();
    let before = held(&chain, RECIPIENT.address).await;
    let asked = challenge("order-1", json!({ "splits": splits }));
    let payment = pay(&payer(&chain), &asked).await.unwrap();
    assert!(send(&chain, &payment).await.success, "{:?}", signed(&payment).transaction.gas_limit);
    assert_eq!(held(&chain, RECIPIENT.address).await - before, PRICE - 10_000);
    for index in 0..10 {
        assert_eq!(held(&chain, &fresh(index)).await, 1_000);
    }
    chain.stop().await;
}

#[tokio::test]
async fn a_sponsored_payment_costs_the_payer_its_price_alone() {
    let chain = Devnet::start().await.unwrap();
    let poor = Payer::new(key(&format!("0x{}", "5e".repeat(32))), &Chain::MODERATO, node(&chain));
    chain.fund(PATH_USD, &poor.address(), PRICE).await.unwrap();
    let share = json!({ "amount": "30000", "recipient": SPLIT.address });
    let asked = challenge("order-1", json!({ "feePayer": true, "splits": [share] }));
    let payment = pay(&poor, &asked).await.unwrap();
    assert_eq!(amount(payment.exposed), PRICE);
    let handed = signed(&payment);
    assert_eq!(handed.transaction.fee_payer, FeePayer::Awaited);
    assert!(handed.transaction.gas_limit <= 2_000_000);
    let became = poor.became(&asked.read().unwrap(), &payment.payload).await.unwrap();
    assert_eq!(became, mpp_core::payer::Became::Open);
    let whole = handed.sponsored(TOKEN, &key(SPONSOR.key.hex())).unwrap();
    let receipt = node(&chain).send(whole.encode().into()).await.unwrap();
    assert!(receipt.success);
    assert_eq!(held(&chain, &poor.address()).await, 0);
    // Whatever its hash has become by the sponsor's signature.
    let became = poor.became(&asked.read().unwrap(), &payment.payload).await.unwrap();
    assert_eq!(became, mpp_core::payer::Became::Paid);
    chain.stop().await;
}

#[tokio::test]
async fn payments_at_once_from_one_account_are_all_mined() {
    let chain = Devnet::start().await.unwrap();
    let before = held(&chain, RECIPIENT.address).await;
    let payer = Arc::new(payer(&chain));
    let node = node(&chain);
    let tasks: Vec<_> = (0..10)
        .map(|index| {
            let (payer, node) = (payer.clone(), node.clone());
            tokio::spawn(async move {
                // With one memo for all of them, nothing but their challenges tells them apart.
                let memo = format!("0x{}", "42".repeat(32));
                let asked = challenge(&format!("order-{index}"), json!({ "memo": memo }));
                let payment = pay(&payer, &asked).await.unwrap();
                node.send(signed(&payment).encode().into()).await.unwrap().success
            })
        })
        .collect();
    for task in tasks {
        assert!(task.await.unwrap());
    }
    assert_eq!(held(&chain, RECIPIENT.address).await - before, 10 * PRICE);
    chain.stop().await;
}

#[tokio::test]
async fn a_proof_is_the_accounts_and_moves_nothing() {
    let chain = Devnet::start().await.unwrap();
    let asked = {
        let request = json!({
            "amount": "0", "currency": PATH_USD, "recipient": RECIPIENT.address,
            "methodDetails": { "chainId": 42431 },
        });
        let request: Request<TempoCharge> = serde_json::from_value(request).unwrap();
        Keys::new([1; 32]).unwrap().seal(Draft {
            request: Encoded::of(&request).unwrap(),
            ..challenge("free", json!({})).to_draft()
        })
    };
    let block = node(&chain).latest_block().await.unwrap().number;
    let payment = pay(&payer(&chain), &asked).await.unwrap();
    let Payload::Proof { signature } = &payment.payload else { panic!("proof") };
    let account = address!("70997970C51812dc3A010C7d01b50e0d17dc79C8");
    let digest = mpp_tempo::charge::proof::proof_digest(
        42431,
        account,
        asked.id().as_str(),
        "api.example.com",
    );
    let bytes = alloy::primitives::hex::decode(signature).unwrap();
    let made = mpp_tempo::chain::signature::Signature::parse(&bytes).unwrap();
    assert_eq!(made.recover(digest), Ok(account));
    let sent = chain.rpc("eth_getTransactionCount", json!([PAYER.address, "latest"])).await;
    assert_eq!(sent.unwrap(), json!("0x0"), "after block {block}");
    chain.stop().await;
}
