//! What a hostile reading found, on the chain: each was money once.

use std::{
    num::NonZeroU64,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use alloy::primitives::{Address, B256, U256};
use mpp_core::{
    Challenge, Credential, Draft, Encoded, Price, Realm, Request, Timestamp,
    binding::{Claim, Keys},
    credential::Source,
    fate::Fate,
    name::{IntentName, MethodName},
    problem::Reason,
    store::Memory,
    transport::Resource,
    verifier::{Asking, Verifier as _},
};
use mpp_tempo::{
    Chain, HttpRpc, Key, TempoCharge,
    chain::{
        PATH_USD as TOKEN,
        attribution::Attribution,
        keychain::{KeyAuthorization, KeyKind, Limit},
        parse_address,
        rpc::{Rpc, http::Patience},
        signature::P256Key,
        signer::{AccessKey, Signer},
        tip20::Transfer,
        transaction::{FeePayer, Signed, Transaction},
    },
    charge::{
        Evidence, Payload, Verifier, reason,
        sponsor::{self, Sponsor},
    },
};
use mpp_testkit::devnet::{Devnet, PATH_USD, PAYER, RECIPIENT, SPLIT, SPONSOR};

const PRICE: u128 = 100_000;

fn node(chain: &Devnet) -> Arc<HttpRpc> {
    // A node answers half a minute late about what it dropped.
    let patience = Patience { ask: Duration::from_secs(3), send: Duration::from_secs(3) };
    Arc::new(HttpRpc::new(chain.rpc_url()).unwrap().patience(patience))
}

fn shop(chain: &Devnet) -> Verifier {
    Verifier::new(&Chain::MODERATO, RECIPIENT.address, node(chain)).unwrap()
}

fn sponsored(chain: &Devnet) -> Verifier {
    let signer: Arc<dyn Signer> = Arc::new(key(SPONSOR.key.hex()));
    let sponsor = Sponsor::new(&Chain::MODERATO, signer, Arc::new(Memory::volatile())).unwrap();
    shop(chain).sponsored_by(sponsor).unwrap()
}

fn key(text: &str) -> Key {
    text.parse().unwrap()
}

fn to(text: &str) -> Address {
    parse_address(text).unwrap()
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn now() -> Timestamp {
    Timestamp::from_unix(i64::try_from(seconds()).unwrap(), 0)
}

fn keys() -> Keys {
    Keys::new([1; 32]).unwrap()
}

fn realm() -> Realm {
    Realm::parse("api.example.com").unwrap()
}

/// What the shop asks, at a price, in the name of an order.
async fn asked(shop: &Verifier, price: &str, order: &str) -> Challenge {
    let terms = shop.terms(&price.parse::<Price>().unwrap().external_id(order)).unwrap();
    let (at, until) = (Resource::at("GET /"), now());
    let details = shop.details(&terms, Asking::new(&at, &realm(), &until)).await.unwrap().details;
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

fn claim(challenge: &Challenge, payload: &Payload) -> Claim<TempoCharge> {
    let demand = challenge.read::<TempoCharge>().unwrap();
    let credential = Credential::answer(&demand, None::<Source>, payload).unwrap();
    keys().recognise(credential, &realm()).unwrap().admit(&now()).unwrap().claim().unwrap()
}

async fn check(
    shop: &Verifier,
    challenge: &Challenge,
    signed: &Signed,
) -> Result<Evidence, Reason> {
    let signature = alloy::primitives::hex::encode_prefixed(signed.encode());
    let payload = Payload::Transaction { signature };
    shop.check(&claim(challenge, &payload)).await.map_err(|refused| refused.reason)
}

fn memo(challenge: &Challenge) -> Option<B256> {
    Some(Attribution::new(challenge.realm.as_str(), challenge.id().as_str()).memo(None))
}

fn price_of(challenge: &Challenge) -> Transfer {
    Transfer { to: to(RECIPIENT.address), amount: U256::from(PRICE), memo: memo(challenge) }
}

fn transaction(transfers: &[Transfer], fee_payer: FeePayer) -> Transaction {
    Transaction {
        calls: transfers.iter().map(|made| made.call(TOKEN)).collect(),
        gas_limit: 1_000_000,
        max_fee_per_gas: 40_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        valid_before: NonZeroU64::new(seconds() + 25),
        fee_token: (fee_payer == FeePayer::Sender).then_some(TOKEN),
        fee_payer,
        ..Transaction::on(42431)
    }
}

#[tokio::test]
async fn s6_a_gas_limit_that_would_burn_the_sponsors_fee_is_refused_before_it_signs() {
    let chain = Devnet::start_complete().await.unwrap();
    let shop = sponsored(&chain);
    let before = chain.balance_of(PATH_USD, SPONSOR.address).await.unwrap();
    for gas_limit in [50_000, 52_000, 54_000, 56_000, 58_000, 60_000] {
        let challenge = asked(&shop, "0.10 usd", &gas_limit.to_string()).await;
        let transaction = transaction(&[price_of(&challenge)], FeePayer::Awaited);
        let signed = Transaction { gas_limit, ..transaction }.sign(&key(PAYER.key.hex()));
        let refused = check(&shop, &challenge, &signed).await.unwrap_err();
        assert_eq!(refused, reason::GAS_TOO_LOW, "{gas_limit}");
    }
    assert_eq!(chain.balance_of(PATH_USD, SPONSOR.address).await.unwrap(), before);
    chain.stop().await;
}

#[tokio::test]
async fn s6_an_access_key_beyond_its_limit_costs_no_sponsor_a_fee() {
    let chain = Devnet::start_complete().await.unwrap();
    let shop = sponsored(&chain);
    let (root, inner) = (key(PAYER.key.hex()), Arc::new(P256Key::new([0x71; 32]).unwrap()));
    let hour = NonZeroU64::new(seconds() + 3600).unwrap();
    let authorization = KeyAuthorization::new(42431, KeyKind::P256, inner.account(), hour)
        .limit(Limit { token: TOKEN, amount: U256::from(PRICE - 1), period: None });
    let known = authorization.clone().signed(root.sign(authorization.signing_hash())).unwrap();
    let first = Transaction {
        key_authorization: Some(known.encode()),
        gas_limit: 3_000_000,
        ..transaction(
            &[Transfer { to: to(SPLIT.address), amount: U256::from(1), memo: None }],
            FeePayer::Sender,
        )
    };
    assert!(node(&chain).send(first.sign(&root).encode().into()).await.unwrap().success);
    let agent = AccessKey::new(to(PAYER.address), inner);
    let challenge = asked(&shop, "0.10 usd", "order-1").await;
    let unsigned = transaction(&[price_of(&challenge)], FeePayer::Awaited);
    let signature = agent.sign(unsigned.signing_hash()).await.unwrap();
    let refused = check(&shop, &challenge, &unsigned.signed(signature)).await.unwrap_err();
    assert_eq!(refused, sponsor::reason::ACCESS_KEY);
    chain.stop().await;
}

#[tokio::test]
async fn s7_a_share_of_one_payment_is_not_the_price_of_another() {
    let chain = Devnet::start_complete().await.unwrap();
    let with_share = shop(&chain).share(SPLIT.address, "0.05").unwrap();
    let of_share = Verifier::new(&Chain::MODERATO, SPLIT.address, node(&chain)).unwrap();
    let first = asked(&with_share, "0.10 usd", "a").await;
    let second = asked(&of_share, "0.05 usd", "b").await;
    let half = U256::from(50_000);
    let transfers = [
        Transfer { to: to(RECIPIENT.address), amount: half, memo: memo(&first) },
        Transfer { to: to(SPLIT.address), amount: half, memo: memo(&second) },
    ];
    let signed = transaction(&transfers, FeePayer::Sender).sign(&key(PAYER.key.hex()));
    assert_eq!(check(&with_share, &first, &signed).await.unwrap_err(), reason::WRONG_CALLS);
    // Sent by its payer, it pays for the one that its memo names, and its hash is what both would be marked by.
    assert!(node(&chain).send(signed.encode().into()).await.unwrap().success);
    let payload = Payload::Hash { hash: format!("{:#x}", signed.hash()) };
    assert!(with_share.check(&claim(&first, &payload)).await.is_err());
    let evidence = of_share.check(&claim(&second, &payload)).await.unwrap();
    assert_eq!(of_share.spends(&evidence).unwrap().proof, format!("{:#x}", signed.hash()));
    chain.stop().await;
}

#[tokio::test]
async fn s8_a_mined_transaction_whose_memo_names_no_challenge_buys_nothing_more() {
    let chain = Devnet::start_complete().await.unwrap();
    let fixed = B256::repeat_byte(0x42);
    let shop = shop(&chain).memo(&fixed.to_string()).unwrap();
    let victims = asked(&shop, "0.10 usd", "victim").await;
    let transfer = Transfer { memo: Some(fixed), ..price_of(&victims) };
    let signed = transaction(&[transfer], FeePayer::Sender).sign(&key(PAYER.key.hex()));
    let evidence = check(&shop, &victims, &signed).await.unwrap();
    assert!(matches!(shop.settle(&evidence).await, Fate::Settled(_)));
    let strangers = asked(&shop, "0.10 usd", "stranger").await;
    let refused = check(&shop, &strangers, &signed).await.unwrap_err();
    assert_eq!(refused, reason::ALREADY_MINED);
    chain.stop().await;
}

#[tokio::test]
async fn s3_a_made_up_authorisation_speaks_for_nobody_even_where_nobody_waits() {
    let chain = Devnet::start_complete().await.unwrap();
    let shop = shop(&chain).optimistic();
    let inner = Arc::new(P256Key::new([0x72; 32]).unwrap());
    let hour = NonZeroU64::new(seconds() + 3600).unwrap();
    let authorization = KeyAuthorization::new(42431, KeyKind::P256, inner.account(), hour);
    let stranger = Key::new([0x66; 32]).unwrap();
    let made_up =
        authorization.clone().signed(stranger.sign(authorization.signing_hash())).unwrap();
    let agent = AccessKey::new(to(PAYER.address), inner);
    for gas_limit in [50_000, 2_000_000] {
        let challenge = asked(&shop, "0.10 usd", &gas_limit.to_string()).await;
        let unsigned = Transaction {
            key_authorization: Some(made_up.encode()),
            gas_limit,
            ..transaction(&[price_of(&challenge)], FeePayer::Sender)
        };
        let signature = agent.sign(unsigned.signing_hash()).await.unwrap();
        let refused = check(&shop, &challenge, &unsigned.signed(signature)).await.unwrap_err();
        assert_eq!(refused, reason::KEY_INACTIVE, "{gas_limit}");
    }
    let challenge = asked(&shop, "0.10 usd", "starved").await;
    let transaction = transaction(&[price_of(&challenge)], FeePayer::Sender);
    let starved = Transaction { gas_limit: 50_000, ..transaction }.sign(&key(PAYER.key.hex()));
    assert_eq!(check(&shop, &challenge, &starved).await.unwrap_err(), reason::GAS_TOO_LOW);
    chain.stop().await;
}

#[tokio::test]
async fn who_waits_for_no_block_goes_on_with_nothing_that_somebody_began_who_does() {
    let chain = Devnet::start().await.unwrap();
    let careful = shop(&chain);
    let places = [
        careful.settles_at().into_owned(),
        careful.clone().optimistic().settles_at().into_owned(),
        sponsored(&chain).settles_at().into_owned(),
    ];
    assert!(places[0] != places[1] && places[1] != places[2] && places[0] != places[2]);
    assert_eq!(careful.clone().share(SPLIT.address, "0.01").unwrap().settles_at(), places[0]);
    chain.stop().await;
}

#[tokio::test]
async fn a_contract_proves_its_account_by_its_own_word_and_an_empty_account_by_none() {
    let chain = Devnet::start().await.unwrap();
    let shop = shop(&chain);
    let challenge = asked(&shop, "0 usd", "who").await;
    let (wallet, says_no) = (Address::repeat_byte(0x61), Address::repeat_byte(0x62));
    // Runtime codes that answer one word to every call: ERC-1271's, and another.
    for (account, word) in [(wallet, "1626ba7e"), (says_no, "ffffffff")] {
        let code = format!("0x63{word}60e01b60005260206000f3");
        chain.rpc("anvil_setCode", serde_json::json!([account.to_string(), code])).await.unwrap();
    }
    let demand = challenge.read::<TempoCharge>().unwrap();
    let payload = Payload::Proof { signature: "0xc0ffee".into() };
    for (account, proven) in [(wallet, true), (says_no, false), (Address::repeat_byte(0x63), false)]
    {
        let source = Source::new(format!("did:pkh:eip155:42431:{account}"));
        let credential = Credential::answer(&demand, Some(source), &payload).unwrap();
        let known = keys().recognise(credential, &realm()).unwrap();
        let claim = known.admit(&now()).unwrap().claim().unwrap();
        assert_eq!(shop.check(&claim).await.is_ok(), proven, "{account}");
    }
    chain.stop().await;
}
