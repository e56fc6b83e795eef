//! Version 1: the same payer, on a contract that keeps the channels.

use mpp_core::payer::{Became, Wish};
use mpp_tempo::chain::escrow;

use super::*;

fn contract(shop: &Shop) -> Address {
    shop.chain.session_escrow()
}

fn asked(shop: &Shop, protocol: Value) -> Challenge {
    let escrow = contract(shop).to_string();
    challenge("contract", json!({"escrowContract": escrow, "sessionProtocol": protocol}))
}

#[tokio::test]
async fn a_contracts_channel_is_opened_drawn_on_topped_up_and_closed_for_exactly_what_was_spent() {
    let shop = Shop::new().await;
    let payer = shop.payer().deposit("0.003").unwrap();
    // Where the request does not say, it is version 1.
    let asked = asked(&shop, Value::Null);
    assert_eq!(exposed(&payer, &asked), (3 * PRICE, 150_000));
    let opening = pay(&payer, &asked).await.unwrap();
    let Payload::Open { transaction, descriptor, authorized_signer, .. } = &opening.payload else {
        panic!()
    };
    assert!(descriptor.is_none());
    assert_eq!(authorized_signer.as_deref(), Some(PAYER.address.to_lowercase().as_str()));
    let transaction = Signed::decode(&hex::decode(transaction).unwrap()).unwrap().transaction;
    assert!(transaction.calls.len() == 2 && transaction.gas_limit >= 2_000_000);
    let channel: ChannelId = opening.payload.channel_id().parse().unwrap();
    let demand = asked.read().unwrap();
    let receipt = shop.serve(&opening).await;
    assert_eq!(payer.became(&demand, &opening.payload).await.unwrap(), Became::Paid);
    accept(opening, receipt);
    let state = shop.chain.escrow_state(channel.0).await.unwrap();
    assert_eq!((state.deposit, state.payer), (3 * PRICE, payer_address()));
    assert_eq!(state.authorized_signer, payer_address());
    for n in [2, 3] {
        let voucher = pay(&payer, &asked).await.unwrap();
        assert!(voucher.payload.descriptor().is_none());
        let (amount, signature) = voucher.payload.voucher().unwrap();
        assert_eq!(amount.get(), n * PRICE);
        let digest = Domain::v1(42431, contract(&shop)).digest(channel, amount);
        VoucherKey::new(payer_address()).check(digest, &hex::decode(signature).unwrap()).unwrap();
        let receipt = shop.serve(&voucher).await;
        accept(voucher, receipt);
    }
    let more = pay(&payer, &asked).await.unwrap();
    assert_eq!((more.step, more.payload.action()), (Step::Manage, "topUp"));
    let receipt = shop.serve(&more).await;
    accept(more, receipt);
    assert_eq!(shop.chain.escrow_state(channel.0).await.unwrap().deposit, 6 * PRICE);
    // One more is signed for, and never served: the contract pays out all that a close is signed for.
    let unserved = pay(&payer, &asked).await.unwrap();
    let kept = unserved.payload.clone();
    refuse(unserved, "verification-failed", json!({}));
    let within = Allowance { up_to: Amount::ZERO, to: site() };
    let close = payer.grant(&demand, &Wish::Close, &within).await.unwrap().unwrap();
    let spent = close.payload.voucher().unwrap().0.get();
    assert_eq!(spent, 3 * PRICE);
    let (before, signed) = (shop.held(PAYER.address).await, signature(&close.payload));
    let call = escrow::close(contract(&shop), channel, spent, &signed);
    let closed = shop.as_payee(call).await;
    assert!(closed.success);
    assert_eq!(shop.held(PAYER.address).await - before, 3 * PRICE);
    assert_eq!(payer.became(&demand, &kept).await.unwrap(), Became::Dead);
    assert_eq!(payer.became(&demand, &close.payload).await.unwrap(), Became::Paid);
    // A server of this kind says no more than the transaction's hash: the chain says the rest.
    accept(close, super::receipt(&format!("{:#x}", closed.hash), serde_json::Map::new()));
    assert!(payer.grant(&demand, &Wish::Close, &within).await.unwrap().is_none());
    let anew = pay(&payer, &asked).await.unwrap();
    assert_eq!(anew.payload.action(), "open");
    assert_ne!(anew.payload.channel_id(), channel.to_string());
}

#[tokio::test]
async fn receipts_that_say_only_that_all_is_well_count_all_the_same() {
    let shop = Shop::new().await;
    let payer = shop.payer();
    let asked = asked(&shop, json!("v1"));
    let opening = pay(&payer, &asked).await.unwrap();
    let hash = shop.broadcast(&opening.payload).await;
    accept(opening, receipt(&hash, serde_json::Map::new()));
    for n in 2..=4 {
        let voucher = pay(&payer, &asked).await.unwrap();
        assert_eq!(voucher.payload.voucher().unwrap().0.get(), n * PRICE);
        let channel = voucher.payload.channel_id().to_owned();
        accept(voucher, receipt(&channel, serde_json::Map::new()));
    }
    let demand = asked.read().unwrap();
    let within = Allowance { up_to: Amount::ZERO, to: site() };
    let close = payer.grant(&demand, &Wish::Close, &within).await.unwrap().unwrap();
    assert_eq!(close.payload.voucher().unwrap().0.get(), 4 * PRICE);
}

#[tokio::test]
async fn a_contracts_channel_is_found_by_its_name_and_left_without_its_server() {
    let shop = Shop::new().await;
    let asked = asked(&shop, json!("v1"));
    buy(&shop, &shop.payer(), &asked).await;
    let payer = shop.payer();
    let found = payer.orphans(0).await.unwrap();
    assert_eq!((found.len(), found[0].deposit.get()), (1, 10 * PRICE));
    let channel = found[0].id.clone();
    // A server that names it has it drawn on: the contract says whose it is.
    let named = challenge(
        "named",
        json!({
            "escrowContract": contract(&shop).to_string(), "sessionProtocol": "v1", "channelId": channel,
        }),
    );
    let returning = shop.payer();
    let voucher = pay(&returning, &named).await.unwrap();
    assert_eq!((voucher.payload.action(), voucher.payload.channel_id()), ("voucher", &*channel));
    payer.request_close(&channel).await.unwrap();
    let id: ChannelId = channel.parse().unwrap();
    assert_ne!(shop.chain.escrow_state(id.0).await.unwrap().close_requested_at, 0);
    shop.chain.request_close_long_ago(id.0, 1000).await.unwrap();
    payer.withdraw(&channel).await.unwrap();
    assert!(shop.chain.escrow_state(id.0).await.unwrap().finalized);
}

#[tokio::test]
async fn only_a_contract_that_was_named_here_keeps_money_beside_the_known_one() {
    let shop = Shop::new().await;
    let other = "0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65";
    let elsewhere = challenge("other", json!({"escrowContract": other, "sessionProtocol": "v1"}));
    let known = asked(&shop, json!("v1"));
    let exposes =
        |payer: &Payer, asked: &Challenge| payer.exposes(&asked.read().unwrap()).is_some();
    assert!(!exposes(&shop.payer(), &elsewhere) && exposes(&shop.payer(), &known));
    let pinned = shop.payer().escrow(other).unwrap();
    assert!(exposes(&pinned, &elsewhere) && !exposes(&pinned, &known));
}
