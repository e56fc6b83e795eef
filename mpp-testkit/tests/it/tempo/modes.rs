//! Every way of paying, whole: who ends up with how much, to the base unit.

use alloy::{primitives::U256, sol_types::SolCall};
use mpp_core::Price;
use mpp_tempo::{
    chain::{ALPHA_USD as ALPHA, PATH_USD as PATH, dex::STABLECOIN_DEX, transaction::Call},
    charge::{Mode, Payload},
};
use mpp_testkit::devnet::{
    ACCOUNTS, ALPHA_USD, BETA_USD, FAUCET, PATH_USD, PAYER, RECIPIENT, SPLIT, SPONSOR,
};

use super::{
    shop::{details, payload},
    stage::{CENT, Stage, key},
};

const MEMO: &str = "0x4242424242424242424242424242424242424242424242424242424242424242";

fn did(account: &str) -> String {
    format!("did:pkh:eip155:42431:{account}")
}

#[tokio::test]
async fn pulled_or_pushed_the_price_moves_and_nothing_else() {
    for mode in [Mode::Pull, Mode::Push] {
        let stage = Stage::new().await;
        let shop = stage.selling("0.10 usd", stage.verifier()).await;
        let before = stage.books().await;
        let heard = shop.buy(stage.payer().mode(mode.clone())).await;
        assert_eq!((heard.code(), heard.body.as_str()), (200, &*did(PAYER.address)), "{mode:?}");
        let moved = stage.books().await.since(before);
        assert_eq!(moved, [-100_000, 100_000, 0, 0], "{mode:?}");
        let receipt = heard.receipt();
        assert_eq!(stage.receipt(&receipt.reference).await["status"], "0x1");
        assert_eq!((receipt.method.as_str(), receipt.external_id), ("tempo", None));
        assert_eq!(heard.headers["cache-control"], "private");
        assert_eq!(shop.served(), 1);
    }
}

#[tokio::test]
async fn a_sponsored_payer_needs_the_price_and_nothing_else() {
    let stage = Stage::new().await;
    let shop = stage.selling("0.01 usd", stage.sponsoring()).await;
    let poor = stage.holding(0x21, PATH_USD, CENT).await;
    let account = poor.address().to_string();
    let before = stage.books_of(&account).await;
    let heard = shop.buy(stage.payer_of(poor)).await;
    assert_eq!((heard.code(), heard.body), (200, did(&account)));
    let [payer, recipient, sponsor, split] = stage.books_of(&account).await.since(before);
    assert_eq!((payer, recipient, split), (-10_000, 10_000, 0));
    // The fee, and no more than the policy's five cents.
    assert!((-50_000..0).contains(&sponsor), "{sponsor}");
    assert_eq!(stage.held(PATH_USD, &account).await, 0);
}

#[tokio::test]
async fn shares_reach_everybody_who_has_one_whoever_pays_the_fee() {
    for sponsored in [false, true] {
        let stage = Stage::new().await;
        let till = if sponsored { stage.sponsoring() } else { stage.verifier() };
        let other = ACCOUNTS[5].address;
        let till = till.share(SPLIT.address, "0.05").unwrap();
        let till = till.share_with_memo(other, "0.2", MEMO).unwrap();
        let shop = stage.selling("1 usd", till).await;
        let payer = if sponsored {
            stage.payer_of(stage.holding(0x22, PATH_USD, 100 * CENT).await)
        } else {
            stage.payer()
        };
        let account = payer.address();
        let other_before = stage.held(PATH_USD, other).await;
        let before = stage.books_of(&account).await;
        let heard = shop.buy(payer).await;
        assert_eq!(heard.code(), 200, "{heard:?}");
        let [payer, recipient, sponsor, split] = stage.books_of(&account).await.since(before);
        assert_eq!((payer, recipient, split), (-1_000_000, 750_000, 50_000));
        assert_eq!((sponsor < 0, sponsor > -50_000), (sponsored, true), "{sponsor}");
        assert_eq!(stage.held(PATH_USD, other).await - other_before, 200_000);
        // On the one transfer that has it, beside the memo that names the challenge on the first.
        let receipt = stage.receipt(&heard.receipt().reference).await;
        let logs = receipt["logs"].as_array().unwrap();
        let memos = logs.iter().filter(|log| log["topics"][3] == MEMO).count();
        assert_eq!(memos, 1, "{receipt}");
    }
}

#[tokio::test]
async fn nothing_is_asked_of_an_account_but_its_proof() {
    let stage = Stage::new().await;
    let shop = stage.selling("0 usd", stage.verifier()).await;
    let (before, mined) = (stage.books().await, stage.mined().await);
    // One that holds nothing does as well.
    let nobody = mpp_tempo::Key::new([0x23; 32]).unwrap();
    let account = nobody.address().to_string();
    let credential = shop.sign(&stage.payer_of(nobody), "/joke").await;
    assert!(matches!(payload(&credential), Payload::Proof { .. }));
    let heard = shop.show("/joke", &credential).await;
    assert_eq!((heard.code(), heard.body.as_str()), (200, &*did(&account)));
    assert_eq!(heard.receipt().reference, credential.challenge.id().as_str());
    assert_eq!(stage.books().await.since(before), [0; 4]);
    assert_eq!(stage.mined().await, mined);
}

#[tokio::test]
async fn another_token_is_paid_and_the_callers_own_name_is_on_the_receipt() {
    let stage = Stage::new().await;
    let price: Price = "0.02 usd".parse().unwrap();
    let price = price.describe("A joke.").external_id("order-7");
    let till = stage.verifier().currency(ALPHA_USD).unwrap();
    let shop = stage.counter().sell("/joke", price, till).open().await;
    let (before, mined) = (stage.books().await, stage.mined().await);
    let paid = stage.held(ALPHA_USD, PAYER.address).await;
    let got = stage.held(ALPHA_USD, RECIPIENT.address).await;
    let heard = shop.buy(stage.payer()).await;
    assert_eq!(heard.receipt().external_id.as_deref(), Some("order-7"));
    assert_eq!(paid - stage.held(ALPHA_USD, PAYER.address).await, 2 * CENT);
    assert_eq!(stage.held(ALPHA_USD, RECIPIENT.address).await - got, 2 * CENT);
    assert_eq!(stage.books().await.since(before), [0; 4]);
    assert_eq!(stage.mined().await - mined, 1);
}

#[tokio::test]
async fn a_memo_of_the_shops_own_is_on_the_transfer_and_only_a_pull_is_taken() {
    let stage = Stage::new().await;
    let shop = stage.selling("0.01 usd", stage.verifier().memo(MEMO).unwrap()).await;
    let asked = details(&shop.ask("/joke").await);
    assert_eq!(
        (asked.memo.as_deref(), asked.supported_modes),
        (Some(MEMO), Some(vec![Mode::Pull]))
    );
    let before = stage.books().await;
    let heard = shop.buy(stage.payer()).await;
    let receipt = stage.receipt(&heard.receipt().reference).await;
    assert!(receipt["logs"].as_array().unwrap().iter().any(|log| log["topics"][3] == MEMO));
    assert_eq!(stage.books().await.since(before), [-10_000, 10_000, 0, 0]);
    let refused = super::shop::client(stage.payer().mode(Mode::Push));
    let refused = refused.get(shop.url("/joke")).send().await;
    assert!(refused.is_err() && shop.served() == 1);
}

mod abi {
    alloy::sol! {
        function createPair(address base) external returns (bytes32 key);
        function place(address token, uint128 amount, bool isBid, int16 tick) external returns (uint128 orderId);
        function approve(address spender, uint256 amount) external returns (bool);
    }
}

#[tokio::test]
async fn who_holds_another_dollar_exchanges_it_on_the_way_sponsored_or_not() {
    for (mode, sponsored) in [(Mode::Pull, false), (Mode::Push, false), (Mode::Pull, true)] {
        let stage = Stage::new().await;
        let to = |to, data: Vec<u8>| vec![Call { to, value: U256::ZERO, data: data.into() }];
        let approve = abi::approveCall { spender: STABLECOIN_DEX, amount: U256::MAX >> 128 };
        let bid = abi::placeCall { token: ALPHA, amount: 200_000_000, isBid: true, tick: -100 };
        let pair = abi::createPairCall { base: ALPHA };
        for call in [
            to(STABLECOIN_DEX, pair.abi_encode()),
            to(PATH, approve.abi_encode()),
            to(STABLECOIN_DEX, bid.abi_encode()),
        ] {
            stage.run(&key(FAUCET.key.hex()), call).await;
        }
        let till = if sponsored { stage.sponsoring() } else { stage.verifier() };
        let shop = stage.selling("0.10 usd", till).await;
        let other = stage.holding(0x24, ALPHA_USD, 1_000_000).await;
        let account = other.address().to_string();
        let payer = stage.payer_of(other).swapping_from([ALPHA_USD], 100).unwrap().mode(mode);
        let before = stage.books_of(&account).await;
        let heard = shop.buy(payer).await;
        assert_eq!(heard.code(), 200, "{heard:?}");
        let [payer, recipient, sponsor, _] = stage.books_of(&account).await.since(before);
        assert_eq!((payer, recipient), (0, 100_000), "nothing is left over");
        assert_eq!(sponsor < 0, sponsored);
        // What was given for it: a little more than one for one, and the fee where nobody else pays it.
        let given = 1_000_000 - stage.held(ALPHA_USD, &account).await;
        let most = if sponsored { 101_000 } else { 171_000 };
        assert!((100_001..=most).contains(&given), "{given}");
    }
}

#[tokio::test]
async fn who_does_not_wait_for_a_block_is_paid_all_the_same() {
    for sponsored in [false, true] {
        let stage = Stage::new().await;
        let till = if sponsored { stage.sponsoring() } else { stage.verifier() };
        let shop = stage.selling("0.10 usd", till.optimistic()).await;
        let before = stage.books().await;
        for bought in 1..=3 {
            let heard = shop.buy(stage.payer()).await;
            assert_eq!((heard.code(), shop.served()), (200, bought), "{heard:?}");
            let hash = heard.receipt().reference;
            for _ in 0..60 {
                if !stage.receipt(&hash).await.is_null() {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
            assert_eq!(stage.receipt(&hash).await["status"], "0x1");
        }
        let [payer, recipient, ..] = stage.books().await.since(before);
        assert_eq!((payer, recipient), (-300_000, 300_000));
    }
}

#[tokio::test]
async fn fees_come_from_the_token_that_was_chosen() {
    let stage = Stage::new().await;
    let shop = stage.selling("0.10 usd", stage.verifier()).await;
    let beta = stage.held(BETA_USD, PAYER.address).await;
    let sponsor = stage.held(PATH_USD, SPONSOR.address).await;
    assert_eq!(shop.buy(stage.payer()).await.code(), 200);
    let fee = beta - stage.held(BETA_USD, PAYER.address).await;
    assert!((1..=50_000).contains(&fee), "{fee}");
    assert_eq!(stage.held(PATH_USD, SPONSOR.address).await, sponsor);
}
