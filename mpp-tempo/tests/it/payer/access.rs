//! Access keys that pay: made known by the first payment, and by no other.

use std::num::NonZeroU64;

use alloy::primitives::U256;
use mpp_core::payer::Funds;
use mpp_tempo::chain::{
    PATH_USD as TOKEN,
    keychain::{KeyAuthorization, KeyKind, Limit},
    parse_address,
    signature::P256Key,
    signer::{AccessKey, Signer},
};

use super::*;

/// A payer with a key that the account allows to spend so much of pathUSD, fees included.
fn agent(chain: &Devnet, seed: u8, limit: u128) -> Payer {
    let inner = Arc::new(P256Key::new([seed; 32]).unwrap());
    let hour = NonZeroU64::new(seconds() + 3600).unwrap();
    let root = key(PAYER.key.hex());
    let authorization = KeyAuthorization::new(42431, KeyKind::P256, inner.account(), hour)
        .limit(Limit { token: TOKEN, amount: U256::from(limit), period: None });
    let signature = root.sign(authorization.signing_hash());
    let signed = authorization.signed(signature).unwrap();
    let account = parse_address(PAYER.address).unwrap();
    let signer = AccessKey::new(account, inner).with_authorization(&signed).unwrap();
    Payer::signing_with(Arc::new(signer), &Chain::MODERATO, node(chain))
}

#[tokio::test]
async fn an_access_key_is_made_known_by_its_first_payment_and_pays_on() {
    let chain = Devnet::start().await.unwrap();
    let agent = agent(&chain, 0x51, 10 * PRICE);
    assert_eq!(agent.address(), PAYER.address);
    assert_ne!(agent.authorized_signer(), PAYER.address);
    let before = held(&chain, RECIPIENT.address).await;
    for (name, brings) in [("order-1", true), ("order-2", false), ("order-3", false)] {
        let payment = pay(&agent, &challenge(name, json!({}))).await.unwrap();
        let made = signed(&payment);
        assert_eq!(made.transaction.key_authorization.is_some(), brings, "{name}");
        assert_eq!(made.sender().unwrap().to_string(), PAYER.address);
        assert!(send(&chain, &payment).await.success, "{name}");
    }
    assert_eq!(held(&chain, RECIPIENT.address).await - before, 3 * PRICE);
    chain.stop().await;
}

#[tokio::test]
async fn a_second_payment_waits_until_the_key_is_known() {
    let chain = Devnet::start().await.unwrap();
    let agent = agent(&chain, 0x52, 10 * PRICE);
    let first = pay(&agent, &challenge("order-1", json!({}))).await.unwrap();
    let asked = challenge("order-2", json!({}));
    let (second, ()) = tokio::join!(pay(&agent, &asked), async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert!(send(&chain, &first).await.success);
    });
    let second = second.unwrap();
    assert!(signed(&second).transaction.key_authorization.is_none());
    assert!(send(&chain, &second).await.success);
    chain.stop().await;
}

#[tokio::test]
async fn what_the_key_may_not_spend_is_not_signed() {
    let chain = Devnet::start().await.unwrap();
    let poor = agent(&chain, 0x53, PRICE - 1);
    let refused = pay(&poor, &challenge("order-1", json!({}))).await.unwrap_err();
    assert_eq!(refused.funds, Funds::Untouched);
    let once = agent(&chain, 0x54, PRICE + 60_000);
    let first = pay(&once, &challenge("order-2", json!({}))).await.unwrap();
    assert!(send(&chain, &first).await.success);
    let refused = pay(&once, &challenge("order-3", json!({}))).await.unwrap_err();
    assert_eq!(refused.funds, Funds::Untouched);
    chain.stop().await;
}

#[tokio::test]
async fn a_key_that_nobody_authorised_pays_nothing() {
    let chain = Devnet::start().await.unwrap();
    let account = parse_address(PAYER.address).unwrap();
    let stranger = AccessKey::new(account, Arc::new(P256Key::new([0x55; 32]).unwrap()));
    let payer = Payer::signing_with(Arc::new(stranger), &Chain::MODERATO, node(&chain));
    let refused = pay(&payer, &challenge("order-1", json!({}))).await.unwrap_err();
    assert_eq!(refused.funds, Funds::Untouched);
    chain.stop().await;
}
