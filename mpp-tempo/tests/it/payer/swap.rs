//! An exchange on the way, on the chain's own exchange.

use alloy::{
    primitives::{Address, U256},
    sol_types::SolCall,
};
use mpp_core::payer::Funds;
use mpp_tempo::chain::{
    ALPHA_USD as ALPHA, PATH_USD as PATH, dex::STABLECOIN_DEX, transaction::Call,
};
use mpp_testkit::devnet::{ALPHA_USD, FAUCET};

use super::*;

mod abi {
    alloy::sol! {
        function createPair(address base) external returns (bytes32 key);
        function place(address token, uint128 amount, bool isBid, int16 tick) external returns (uint128 orderId);
        function approve(address spender, uint256 amount) external returns (bool);
    }
}

/// Somebody who gives pathUSD for AlphaUSD, at a price a little off one for one, in hundred-thousandths.
async fn market(chain: &Devnet, tick: i16) {
    let call = |to: Address, data: Vec<u8>| Call { to, value: U256::ZERO, data: data.into() };
    let approve = abi::approveCall { spender: STABLECOIN_DEX, amount: U256::MAX >> 128 };
    let place = abi::placeCall { token: ALPHA, amount: 200_000_000, isBid: true, tick };
    for made in [
        call(STABLECOIN_DEX, abi::createPairCall { base: ALPHA }.abi_encode()),
        call(PATH, approve.abi_encode()),
        call(STABLECOIN_DEX, place.abi_encode()),
    ] {
        let transaction = mpp_tempo::chain::transaction::Transaction {
            max_fee_per_gas: 41_000_000_000,
            gas_limit: 8_000_000,
            calls: vec![made],
            valid_before: std::num::NonZeroU64::new(seconds() + 20),
            fee_token: Some(PATH),
            ..mpp_tempo::chain::transaction::Transaction::on(42431)
        };
        let signed = transaction.sign(&key(FAUCET.key.hex()));
        assert!(node(chain).send(signed.encode().into()).await.unwrap().success);
    }
}

fn swapper(chain: &Devnet, byte: &str) -> Payer {
    let key = key(&format!("0x{}", byte.repeat(32)));
    Payer::new(key, &Chain::MODERATO, node(chain)).swapping_from([ALPHA_USD], 100).unwrap()
}

#[tokio::test]
async fn another_dollar_is_exchanged_and_paid_in_one_transaction() {
    exchange(Devnet::start().await.unwrap()).await;
    exchange(Devnet::start_complete().await.unwrap()).await;
}

async fn exchange(chain: Devnet) {
    market(&chain, -100).await;
    let payer = swapper(&chain, "5f");
    chain.fund(ALPHA_USD, &payer.address(), 1_000_000).await.unwrap();
    let before = held(&chain, RECIPIENT.address).await;
    let payment = pay(&payer, &challenge("order-1", json!({}))).await.unwrap();
    let receipt = send(&chain, &payment).await;
    assert!(receipt.success, "{:?}", signed(&payment).transaction.gas_limit);
    assert_eq!(held(&chain, RECIPIENT.address).await - before, PRICE);
    let left = chain.balance_of(ALPHA_USD, &payer.address()).await.unwrap();
    let exposed = amount(payment.exposed);
    assert!((PRICE..=exposed).contains(&(1_000_000 - left)), "{left} left, {exposed} exposed");
    chain.stop().await;
}

#[tokio::test]
async fn s14_an_exchange_that_asks_more_than_the_cap_is_not_made() {
    let chain = Devnet::start().await.unwrap();
    let payer = swapper(&chain, "60");
    chain.fund(ALPHA_USD, &payer.address(), 1_000_000).await.unwrap();
    let asked = challenge("order-1", json!({}));
    // Nobody trades.
    assert_eq!(pay(&payer, &asked).await.unwrap_err().funds, Funds::Untouched);
    market(&chain, -1500).await;
    assert_eq!(pay(&payer, &asked).await.unwrap_err().funds, Funds::Untouched);
    chain.stop().await;
}
