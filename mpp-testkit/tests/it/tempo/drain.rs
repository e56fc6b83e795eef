//! S6: what a sponsor pays for, by the chain's own count: one fee for one payment that was made, and none for others.

use std::sync::Arc;

use alloy::primitives::{Address, Bytes, U256};
use mpp_core::Credential;
use mpp_tempo::{
    chain::{
        ALPHA_USD as ALPHA, PATH_USD as PATH,
        rpc::Rpc,
        tip20::Transfer,
        transaction::{Access, Call, Transaction},
    },
    charge::{Mode, Payload},
};
use mpp_testkit::devnet::{ACCOUNTS, PATH_USD, PAYER, SPLIT, SPONSOR};

use super::{
    faulty::{Act, Asked, Faulty},
    shop::{Heard, Shop, details, signed, transaction, with_payload},
    stage::{CENT, Stage, key},
};

/// The same payment, changed and signed again by its payer.
fn changed(credential: &Credential, change: impl FnOnce(&mut Transaction)) -> Credential {
    let mut made = signed(credential).transaction;
    change(&mut made);
    let bytes = made.sign(&key(PAYER.key.hex())).envelope().unwrap();
    with_payload(credential, &transaction(&bytes))
}

/// The payment's envelope with a fee token in it, which no encoder of ours writes.
fn choosing(credential: &Credential, token: Address) -> Vec<u8> {
    let mut bytes = signed(credential).envelope().unwrap();
    let sender = signed(credential).sender().unwrap();
    let slot = [&[0x80, 0x94], sender.as_slice()].concat();
    let at = bytes.windows(slot.len()).position(|window| window == slot).unwrap();
    bytes.splice(at..=at, [&[0x94], token.as_slice()].concat());
    assert_eq!(bytes[1], 0xf9, "a list of less than 64 KiB and more than 255 bytes");
    let length = u16::from_be_bytes([bytes[2], bytes[3]]) + 20;
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    bytes
}

const MEMO: &str = "0x4242424242424242424242424242424242424242424242424242424242424242";

#[tokio::test]
async fn s6_twenty_payments_at_once_from_money_for_one_cost_the_sponsor_one_fee() {
    for memo in [None, Some(MEMO)] {
        let stage = Stage::new().await;
        let till = match memo {
            Some(memo) => stage.sponsoring().memo(memo).unwrap(),
            None => stage.sponsoring(),
        };
        let shop = Arc::new(stage.selling("0.01 usd", till).await);
        let poor = stage.holding(0x51, PATH_USD, CENT).await;
        let account = poor.address().to_string();
        let payer = stage.payer_of(poor);
        let mut signed = Vec::new();
        for _ in 0..20 {
            signed.push(shop.sign(&payer, "/joke").await);
        }
        let (before, mined) = (stage.books_of(&account).await, stage.mined().await);
        let tasks: Vec<_> = signed
            .into_iter()
            .map(|credential| {
                let shop = shop.clone();
                tokio::spawn(async move { shop.show("/joke", &credential).await })
            })
            .collect();
        let mut heard = Vec::new();
        for task in tasks {
            heard.push(task.await.unwrap());
        }
        let (served, refused): (Vec<_>, Vec<_>) =
            heard.iter().partition(|heard| heard.code() == 200);
        assert_eq!((served.len(), shop.served()), (1, 1));
        assert!(refused.iter().all(|heard| matches!(heard.code(), 402 | 503)), "{refused:?}");
        let [paid, got, sponsor, _] = stage.books_of(&account).await.since(before);
        assert_eq!((paid, got), (-10_000, 10_000));
        assert!((-50_000..0).contains(&sponsor), "{sponsor}");
        // Not one that failed was sent.
        assert_eq!(stage.mined().await - mined, 1);
    }
}

#[tokio::test]
async fn s6_a_sponsor_pays_for_the_transfers_that_were_asked_and_for_nothing_beside() {
    let stage = Stage::new().await;
    let shop = stage.selling("0.01 usd", stage.sponsoring()).await;
    let (before, mined) = (stage.books().await, stage.mined().await);
    let paid = shop.sign(&stage.payer(), "/joke").await;
    let extra = || {
        let to = SPLIT.address.parse().unwrap();
        Transfer { to, amount: U256::ONE, memo: None }.call(PATH)
    };
    let elsewhere =
        || Call { to: ALPHA, value: U256::ZERO, data: Bytes::from_static(&[1, 2, 3, 4]) };
    type Change = Box<dyn FnOnce(&mut Transaction)>;
    let changes: [(&str, Change, &str); 13] = [
        ("another transfer", Box::new(move |t| t.calls.push(extra())), "wrong-calls"),
        ("before it", Box::new(move |t| t.calls.insert(0, extra())), "wrong-calls"),
        ("another contract", Box::new(move |t| t.calls.push(elsewhere())), "wrong-token"),
        ("the same twice", Box::new(|t| t.calls.push(t.calls[0].clone())), "wrong-calls"),
        (
            "calldata with a tail",
            Box::new(|t| {
                t.calls[0].data = [&t.calls[0].data[..], &[0]].concat().into();
            }),
            "dirty-calldata",
        ),
        (
            "dirty arguments",
            Box::new(|t| {
                let mut data = t.calls[0].data.to_vec();
                data[4] = 1;
                t.calls[0].data = data.into();
            }),
            "dirty-calldata",
        ),
        ("native value", Box::new(|t| t.calls[0].value = U256::ONE), "native-value"),
        (
            "an access list",
            Box::new(|t| {
                t.access_list = vec![Access { address: ALPHA, slots: Vec::new() }];
            }),
            "more-than-calls",
        ),
        ("much gas", Box::new(|t| t.gas_limit = 2_000_001), "sponsor-gas-too-high"),
        ("dear gas", Box::new(|t| t.max_fee_per_gas = 100_000_000_001), "sponsor-fee-too-high"),
        (
            "a high tip",
            Box::new(|t| {
                t.max_priority_fee_per_gas = 50_000_000_001;
                t.max_fee_per_gas = 60_000_000_000;
            }),
            "sponsor-tip-too-high",
        ),
        ("an ordinary nonce", Box::new(|t| t.nonce_key = U256::ZERO), "not-expiring"),
        (
            "a long life",
            Box::new(|t| {
                t.valid_before = std::num::NonZeroU64::new(t.valid_before.unwrap().get() + 60);
            }),
            "valid-too-long",
        ),
    ];
    for (name, change, reason) in changes {
        let heard = shop.show("/joke", &changed(&paid, change)).await;
        let refused = matches!(heard.code(), 402) && !heard.has_receipt();
        assert!(refused, "{name}: {heard:?}");
        assert_eq!(heard.why().1, reason, "{name}: {heard:?}");
    }
    let chosen = with_payload(&paid, &transaction(&choosing(&paid, ALPHA)));
    shop.show("/joke", &chosen).await.is_refused(402, "unreadable");
    // Nor does it pay for itself, for another sponsor, or for what was sent already.
    let own = shop.sign(&stage.payer_of(key(SPONSOR.key.hex())), "/joke").await;
    shop.show("/joke", &own).await.is_refused(402, "self-sponsored");
    let foreign = signed(&paid).sponsored(PATH, &key(ACCOUNTS[5].key.hex())).unwrap().encode();
    let foreign = with_payload(&paid, &transaction(&foreign));
    shop.show("/joke", &foreign).await.is_refused(402, "not-sponsored");
    let hash = Payload::Hash { hash: format!("0x{}", "ab".repeat(32)) };
    shop.show("/joke", &with_payload(&paid, &hash)).await.is_refused(402, "mode-not-offered");
    assert_eq!(details(&paid.challenge).supported_modes, Some(vec![Mode::Pull]));
    assert_eq!((stage.books().await.since(before), stage.mined().await), ([0; 4], mined));
    assert_eq!(shop.show("/joke", &paid).await.code(), 200);
}

#[tokio::test]
async fn s6_what_would_fail_is_not_sponsored_though_it_held_when_it_was_signed() {
    let stage = Stage::new().await;
    let shop = stage.selling("0.01 usd", stage.sponsoring()).await;
    let poor = stage.holding(0x52, PATH_USD, CENT).await;
    let account = poor.address().to_string();
    let payer = stage.payer_of(poor);
    let (one, other) = (shop.sign(&payer, "/joke").await, shop.sign(&payer, "/joke").await);
    assert_eq!(shop.show("/joke", &one).await.code(), 200);
    let (before, mined) = (stage.books_of(&account).await, stage.mined().await);
    shop.show("/joke", &other).await.is_refused(402, "short-of-funds");
    assert_eq!(
        (stage.books_of(&account).await.since(before), stage.mined().await),
        ([0; 4], mined)
    );
    stage.chain.fund(PATH_USD, &account, CENT).await.unwrap();
    assert_eq!(shop.show("/joke", &other).await.code(), 200);
}

/// The payment as a stranger sponsors it.
fn taken_over(credential: &Credential) -> Bytes {
    signed(credential).sponsored(PATH, &key(ACCOUNTS[5].key.hex())).unwrap().encode().into()
}

/// Shows it until the shop knows; at no time is anybody invited to pay again.
async fn until_known(shop: &Shop, credential: &Credential) -> Heard {
    for _ in 0..60 {
        let heard = shop.show("/joke", credential).await;
        if heard.code() == 200 {
            return heard;
        }
        assert_eq!(
            (heard.code() >= 500 || heard.code() == 403, heard.challenges().len()),
            (true, 0),
            "{heard:?}"
        );
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("never known")
}

#[tokio::test]
async fn s6_a_payment_that_a_stranger_sponsored_first_is_found_and_never_asked_for_again() {
    // Before it was shown; between the check and our signature; after our signature.
    for moment in [None, Some(Asked::Simulate), Some(Asked::Send)] {
        let stage = Stage::new().await;
        let line = Faulty::new(&stage.node);
        let till = stage.verifier_at(line.clone()).sponsored_by(stage.sponsor()).unwrap();
        let shop = stage.selling("0.01 usd", till).await;
        let (before, mined) = (stage.books().await, stage.mined().await);
        let paid = shop.sign(&stage.payer(), "/joke").await;
        match moment {
            None => assert!(stage.node.send(taken_over(&paid)).await.unwrap().success),
            Some(asked) => line.next(asked, Act::Overtaken(taken_over(&paid))),
        }
        let first = shop.show("/joke", &paid).await;
        if first.code() != 200 {
            assert_eq!((first.code(), first.challenges().len()), (503, 0), "{moment:?} {first:?}");
            stage.wait(60).await;
            until_known(&shop, &paid).await;
        }
        assert_eq!((shop.served(), stage.mined().await - mined), (1, 1), "{moment:?}");
        // The stranger paid the fee.
        assert_eq!(stage.books().await.since(before), [-10_000, 10_000, 0, 0], "{moment:?}");
    }
}

#[tokio::test]
async fn s6_nor_is_one_whose_payer_has_nothing_left() {
    for moment in [None, Some(Asked::Simulate), Some(Asked::Send)] {
        let stage = Stage::new().await;
        let line = Faulty::new(&stage.node);
        let till = stage.verifier_at(line.clone()).sponsored_by(stage.sponsor()).unwrap();
        let shop = stage.selling("0.01 usd", till).await;
        let poor = stage.holding(0x53, PATH_USD, CENT).await;
        let account = poor.address().to_string();
        let before = stage.books_of(&account).await;
        let paid = shop.sign(&stage.payer_of(poor), "/joke").await;
        match moment {
            None => assert!(stage.node.send(taken_over(&paid)).await.unwrap().success),
            Some(asked) => line.next(asked, Act::Overtaken(taken_over(&paid))),
        }
        let first = shop.show("/joke", &paid).await;
        if first.code() != 200 {
            assert_eq!((first.code(), first.challenges().len()), (503, 0), "{moment:?} {first:?}");
            stage.wait(60).await;
            until_known(&shop, &paid).await;
        }
        assert_eq!(shop.served(), 1, "{moment:?}");
        assert_eq!(
            stage.books_of(&account).await.since(before),
            [-10_000, 10_000, 0, 0],
            "{moment:?}"
        );
    }
}

#[tokio::test]
async fn s6_where_a_memo_does_not_tell_whose_payment_a_stranger_sponsored_it_stays_unknown() {
    for moment in [Asked::Simulate, Asked::Send] {
        let stage = Stage::new().await;
        let line = Faulty::new(&stage.node);
        let till = stage.verifier_at(line.clone()).sponsored_by(stage.sponsor()).unwrap();
        let shop = stage.selling("0.01 usd", till.memo(MEMO).unwrap()).await;
        let (before, mined) = (stage.books().await, stage.mined().await);
        let paid = shop.sign(&stage.payer(), "/joke").await;
        line.next(moment, Act::Overtaken(taken_over(&paid)));
        for seconds in [0, 60, 600] {
            stage.wait(seconds).await;
            let heard = shop.show("/joke", &paid).await;
            let invited = heard.challenges().len();
            assert!(matches!(heard.code(), 403 | 503) && invited == 0, "{moment:?} {heard:?}");
        }
        assert_eq!((shop.served(), stage.mined().await - mined), (0, 1));
        assert_eq!(stage.books().await.since(before), [-10_000, 10_000, 0, 0]);
    }
}
