//! The local chain is a real Tempo chain, and is gone when it should be.

use std::{net::TcpStream, time::Duration};

use mpp_testkit::devnet::{
    ALPHA_USD, BETA_USD, Devnet, DevnetError, FAUCET, Options, PATH_USD, PAYER, RECIPIENT, SPLIT,
    SPONSOR, THETA_USD,
};
use serde_json::{Value, json};

#[tokio::test]
async fn a_started_chain_knows_its_accounts_and_tokens() {
    let chain = Devnet::start().await.unwrap();
    assert_eq!(chain.rpc("eth_chainId", json!([])).await.unwrap(), json!("0xa5bf"));
    assert_eq!(chain.chain_id(), 42_431);
    let accounts = chain.rpc("eth_accounts", json!([])).await.unwrap();
    let named = [(1, PAYER), (2, RECIPIENT), (3, SPONSOR), (4, SPLIT), (9, FAUCET)];
    for (index, account) in named {
        let theirs = accounts.get(index).and_then(Value::as_str).unwrap();
        assert!(theirs.eq_ignore_ascii_case(account.address), "{theirs}");
    }
    for token in [PATH_USD, ALPHA_USD, BETA_USD, THETA_USD] {
        let rich = chain.balance_of(token, PAYER.address).await.unwrap();
        assert_eq!(rich, u128::from(u64::MAX), "{token}");
    }
    chain.stop().await;
}

#[tokio::test]
async fn funds_arrive_and_a_revert_takes_them_back() {
    let chain = Devnet::start().await.unwrap();
    let fresh = "0x00000000000000000000000000000000000000f5";
    let snapshot = chain.snapshot().await.unwrap();
    chain.fund(PATH_USD, fresh, 10_000).await.unwrap();
    assert_eq!(chain.balance_of(PATH_USD, fresh).await.unwrap(), 10_000);
    chain.revert(snapshot).await.unwrap();
    assert_eq!(chain.balance_of(PATH_USD, fresh).await.unwrap(), 0);
}

#[tokio::test]
async fn a_stopped_or_dropped_chain_no_longer_listens() {
    let (one, two) = (Devnet::start().await.unwrap(), Devnet::start().await.unwrap());
    let addresses = [&one, &two].map(|chain| chain.rpc_url().replace("http://", ""));
    assert_ne!(addresses[0], addresses[1]);
    one.stop().await;
    drop(two);
    for address in addresses {
        assert!(TcpStream::connect(&address).is_err(), "{address} still answers");
    }
}

#[tokio::test]
async fn the_chain_ticks_without_transactions() {
    let options =
        Options { chain_id: 4217, block_time: Duration::from_millis(50), ..Options::default() };
    let chain = Devnet::start_with(options).await.unwrap();
    let before = chain.rpc("eth_blockNumber", json!([])).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_ne!(chain.rpc("eth_blockNumber", json!([])).await.unwrap(), before);
    assert_eq!(chain.rpc("eth_chainId", json!([])).await.unwrap(), json!("0x1079"));
}

#[tokio::test]
async fn errors_carry_the_words_of_the_node() {
    let options = Options { hardfork: "T99".to_owned(), ..Options::default() };
    let refused = Devnet::start_with(options).await.unwrap_err();
    assert!(matches!(&refused, DevnetError::Exited { said } if said.contains("T99")), "{refused}");

    let chain = Devnet::start().await.unwrap();
    let refused = chain.rpc("tempo_nothing", json!([])).await.unwrap_err();
    assert!(matches!(refused, DevnetError::Rpc { code: -32601, .. }), "{refused}");
    let refused = chain.balance_of(PATH_USD, "0x12").await.unwrap_err();
    assert!(matches!(refused, DevnetError::Address { .. }), "{refused}");
}

#[test]
fn a_development_key_does_not_print_itself() {
    let shown = format!("{PAYER:?}");
    assert!(shown.contains(PAYER.address) && !shown.contains(&PAYER.key.hex()[2..10]), "{shown}");
}
