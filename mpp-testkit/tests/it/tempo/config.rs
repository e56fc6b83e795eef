//! S18: what a shop is not able to do it does not offer, and what does not fit together is refused when it is built.

use std::sync::Arc;

use mpp_core::store::Memory;
use mpp_server::{ConfigError, Gate};
use mpp_tempo::{
    Chain,
    charge::{Mode, OtherChain, Verifier, sponsor::Sponsor},
};
use mpp_testkit::devnet::{PAYER, RECIPIENT, SPLIT, SPONSOR};

use super::{
    shop::{details, signed, transaction, with_payload},
    stage::{Stage, key},
};

fn sponsor(chain: &Chain) -> Sponsor {
    Sponsor::new(chain, Arc::new(key(SPONSOR.key.hex())), Arc::new(Memory::volatile())).unwrap()
}

#[tokio::test]
async fn s18_a_sponsor_of_another_chain_is_refused_when_the_shop_is_built() {
    let stage = Stage::new().await;
    for elsewhere in [Chain::MAINNET, Chain::LOCALNET] {
        let refused = stage.verifier().sponsored_by(sponsor(&elsewhere)).unwrap_err();
        assert_eq!(refused, OtherChain);
    }
    assert!(stage.verifier().sponsored_by(sponsor(&Chain::MODERATO)).is_ok());
}

#[tokio::test]
async fn s18_a_fee_is_promised_by_those_who_have_a_sponsor_and_by_nobody_else() {
    let stage = Stage::new().await;
    let counter = stage.counter().sell("/own", "0.01 usd", stage.verifier());
    let counter = counter.sell("/push", "0.01 usd", stage.verifier().modes([Mode::Push]));
    let counter = counter.sell("/sponsored", "0.01 usd", stage.sponsoring());
    let counter = counter.sell("/free", "0 usd", stage.sponsoring());
    let shop = counter.open().await;
    let cases = [
        ("/own", None, None),
        ("/push", None, Some(vec![Mode::Push])),
        ("/sponsored", Some(true), Some(vec![Mode::Pull])),
        // Nothing is sent, so there is no fee to pay.
        ("/free", None, None),
    ];
    for (path, sponsored, modes) in cases {
        let asked = details(&shop.ask(path).await);
        assert_eq!((asked.fee_payer, asked.supported_modes), (sponsored, modes), "{path}");
        assert_eq!(asked.chain_id, Some(42_431));
    }
    // Who leaves the fee to a shop that has no sponsor is refused, and what is not offered is not taken.
    let (before, mined) = (stage.books().await, stage.mined().await);
    let own = shop.sign(&stage.payer(), "/own").await;
    let mut awaiting = signed(&own).transaction;
    awaiting.fee_payer = mpp_tempo::chain::transaction::FeePayer::Awaited;
    awaiting.fee_token = None;
    let awaiting = awaiting.sign(&key(PAYER.key.hex()));
    for bytes in [awaiting.encode(), awaiting.envelope().unwrap()] {
        let shown = with_payload(&own, &transaction(&bytes));
        shop.show("/own", &shown).await.is_refused(402, "not-sponsored");
    }
    let unasked = super::shop::moved_to(&own, &shop.ask("/push").await);
    shop.show("/push", &unasked).await.is_refused(402, "mode-not-offered");
    assert_eq!((stage.books().await.since(before), stage.mined().await), ([0; 4], mined));
}

#[tokio::test]
async fn s18_prices_that_cannot_be_shared_out_and_secrets_that_are_short_build_no_shop() {
    let stage = Stage::new().await;
    let shared = Arc::new(stage.verifier().share(SPLIT.address, "0.01").unwrap());
    let gate = stage.counter().gate;
    for price in ["0.01 usd", "0.001 usd", "0.0100005 usd", "1 eur"] {
        assert!(gate.charge(price).unwrap().via(&shared).layer().is_err(), "{price}");
    }
    assert!(gate.charge("0.010001 usd").unwrap().via(&shared).layer().is_ok());
    let short = Gate::builder(Memory::volatile()).realm("127.0.0.1").secret("short").build();
    assert!(matches!(short, Err(ConfigError::Secret(_))));
    let unnamed = Gate::builder(Memory::volatile()).secret(super::shop::SECRET).build();
    assert!(matches!(unnamed, Err(ConfigError::NoRealm)));
}

#[tokio::test]
async fn s18_a_shop_whose_node_is_on_another_chain_takes_nothing_and_asks_nobody_to_pay_again() {
    let stage = Stage::new().await;
    let mainnet = Chain { currency: Chain::MODERATO.currency, ..Chain::MAINNET };
    let till = Verifier::new(&mainnet, RECIPIENT.address, stage.node.clone()).unwrap();
    let shop = stage.selling("0.01 usd", till).await;
    let here = stage.selling("0.01 usd", stage.verifier()).await;
    let asked = shop.ask("/joke").await;
    let paid = here.sign(&stage.payer(), "/joke").await;
    let (before, mined) = (stage.books().await, stage.mined().await);
    let mut elsewhere = signed(&paid).transaction;
    elsewhere.chain_id = mainnet.id;
    let memo = mpp_tempo::chain::attribution::Attribution::new("127.0.0.1", asked.id().as_str());
    let to = RECIPIENT.address.parse().unwrap();
    let amount = alloy::primitives::U256::from(super::stage::CENT);
    let call = mpp_tempo::chain::tip20::Transfer { to, amount, memo: Some(memo.memo(None)) };
    elsewhere.calls = vec![call.call(mpp_tempo::chain::PATH_USD)];
    let bytes = elsewhere.sign(&key(PAYER.key.hex())).encode();
    let mut shown = super::shop::moved_to(&with_payload(&paid, &transaction(&bytes)), &asked);
    shown.source = None;
    let heard = shop.show("/joke", &shown).await;
    assert_eq!((heard.code(), heard.challenges().len()), (503, 0), "{heard:?}");
    assert_eq!((stage.books().await.since(before), stage.mined().await), ([0; 4], mined));
}
