//! The channel reserve: what it answers, what it does, and what it refuses.

use std::{num::NonZeroU64, sync::Arc};

use alloy::{
    primitives::{Address, B256, Bytes, U256, aliases::U96, b256},
    sol_types::SolCall,
};
use mpp_tempo::{
    Key,
    chain::{
        PATH_USD as TOKEN,
        keychain::{KeyAuthorization, KeyKind, Limit},
        signature::P256Key,
        signer::{AccessKey, Signer},
        transaction::{Call, FeePayer, Signed, Transaction},
    },
};
use mpp_testkit::devnet::{CHANNEL_RESERVE as RESERVE, ChannelState, Devnet, DevnetError};
use serde_json::json;

use super::{
    SALT, Stage, account, address as indexed, call, digest_v2, logged, twin, v2, voucher, wide,
};

const OPENED: &str = "0xdebaba36f0e9c7978f536fed432d9360b1f9646d7ca88531c34c3eae43f154a7";
const SETTLED: &str = "0x11c4e4c79ad8802431b44c15047ed1ddb82fbfc1abd452c765f7ee3990df1399";
const TOPPED_UP: &str = "0x2a96f534665f3150977dd4c35d91373c74030288edbb3cf83c527dd25012364f";
const CLOSE_REQUESTED: &str = "0xf5a36fc00a96cbb9cf1f8f59299165e1d8ffffe94396d82904b4da524d16bbce";
const CLOSED: &str = "0x5613aed96d5bf39f928408dbe1d4143490b9bb5957eac2dd8e69b5dc4b2206e6";
const CANCELLED: &str = "0x6bbcbc59913c43e567847487b95410b0b65cf253531b1c6505b21f8359c838fe";

/// A channel that is open.
pub(super) struct Opened {
    pub(super) id: B256,
    descriptor: v2::Descriptor,
}

impl Opened {
    fn settle(&self, amount: u64, signature: Bytes) -> Call {
        let d = self.descriptor.clone();
        call(RESERVE, &v2::settleCall { d, cumulativeAmount: U96::from(amount), signature })
    }

    fn close(&self, amount: u64, capture: u64, signature: Bytes) -> Call {
        let d = self.descriptor.clone();
        let (cumulative, capture) = (U96::from(amount), U96::from(capture));
        let close =
            v2::closeCall { d, cumulativeAmount: cumulative, captureAmount: capture, signature };
        call(RESERVE, &close)
    }

    fn top_up(&self, amount: U96) -> Call {
        call(RESERVE, &v2::topUpCall { d: self.descriptor.clone(), additionalDeposit: amount })
    }

    fn request_close(&self) -> Call {
        call(RESERVE, &v2::requestCloseCall { d: self.descriptor.clone() })
    }

    fn withdraw(&self) -> Call {
        call(RESERVE, &v2::withdrawCall { d: self.descriptor.clone() })
    }

    fn voucher(&self, chain: &Devnet, key: &Key, amount: u64) -> Bytes {
        voucher(key, digest_v2(chain.chain_id(), RESERVE, self.id, amount))
    }
}

/// Arguments of `open` by which the payee is account 2 and vouchers are the payer's.
pub(super) fn terms(deposit: u64) -> v2::openCall {
    v2::openCall {
        payee: account(2).address(),
        operator: Address::ZERO,
        token: TOKEN,
        deposit: U96::from(deposit),
        salt: SALT,
        authorizedSigner: Address::ZERO,
    }
}

/// The channel that a transaction opens.
pub(super) fn opened(signed: &Signed, terms: &v2::openCall) -> Opened {
    let payer = signed.sender().unwrap();
    let descriptor = v2::Descriptor {
        payer,
        payee: terms.payee,
        operator: terms.operator,
        token: terms.token,
        salt: terms.salt,
        authorizedSigner: terms.authorizedSigner,
        expiringNonceHash: signed.transaction.expiring_nonce_hash(payer),
    };
    let encoded = alloy::sol_types::SolValue::abi_encode(&(
        descriptor.clone(),
        RESERVE,
        U256::from(signed.transaction.chain_id),
    ));
    Opened { id: alloy::primitives::keccak256(encoded), descriptor }
}

async fn open(stage: &Stage, terms: v2::openCall) -> Opened {
    let signed = stage.transaction(&[call(RESERVE, &terms)]).await.sign(&stage.payer);
    let receipt = stage.send(&signed).await;
    assert_eq!(receipt["status"], "0x1", "{receipt}");
    let opened = opened(&signed, &terms);
    assert_eq!(B256::from(logged(&receipt, RESERVE, OPENED)[0]), opened.id);
    opened
}

#[tokio::test]
async fn the_answers_are_those_that_other_implementations_compute() {
    let moderato = Stage::new().await;
    let mainnet = Stage::on(4217).await;
    let d = v2::computeChannelIdCall {
        payer: Address::repeat_byte(0x11),
        payee: Address::repeat_byte(0x22),
        operator: Address::repeat_byte(0x33),
        token: Address::repeat_byte(0x44),
        salt: U256::ONE.into(),
        authorizedSigner: Address::repeat_byte(0x55),
        expiringNonceHash: B256::repeat_byte(0xaa),
    };
    let cases = [
        (
            &moderato,
            b256!("ba76934166855d51b0af261f57d3cd4bf48397c330f6e4b8804921b2ead973af"),
            b256!("a3aa475070603a80823360e5a4a0d3b4fe2cd4e82a109ee3c21a4640a199688d"),
        ),
        (
            &mainnet,
            b256!("b1f2ecf45e99f0ab9e1c4b8e6c1cbac8c05b1cbf281f313c818e2346978b6eb6"),
            b256!("6465ffa0b0c1e7cfc1a894ba54d79615bc06fd7cc9cfec558f3df82189d17367"),
        ),
    ];
    for (stage, id, separator) in cases {
        assert_eq!(stage.view(RESERVE, d.clone()).await, id);
        assert_eq!(stage.view(RESERVE, v2::domainSeparatorCall {}).await, separator);
    }
    let digest = v2::getVoucherDigestCall {
        channelId: b256!("57e629663a75a0a49f8dc65c9f62ee38ab5dfa9124d7316d160766e4ecbc1227"),
        cumulativeAmount: U96::from(50),
    };
    assert_eq!(
        moderato.view(RESERVE, digest).await,
        b256!("41a23f1573d302acae1dcec60d237f78d2514768faf670ef27458931c38b5db3")
    );
    assert_eq!(moderato.view(RESERVE, v2::CLOSE_GRACE_PERIODCall {}).await, 900);
    assert_eq!(
        moderato.view(RESERVE, v2::VOUCHER_TYPEHASHCall {}).await,
        b256!("4730b4b2fe8de522475e80e010877c5b58ad10eb07fd0436615ee123f743bbe8")
    );
}

#[tokio::test]
async fn a_channel_is_opened_settled_topped_up_and_closed() {
    let stage = Stage::new().await;
    let (payer, payee) = (stage.payer.address(), stage.payee.address());
    let operator = stage.stranger.address();
    let signer = account(6);
    let (before, paid) = (stage.held(payer).await, stage.held(payee).await);
    let terms = v2::openCall { operator, authorizedSigner: signer.address(), ..terms(10_000) };
    let signed = stage.transaction(&[call(RESERVE, &terms)]).await;
    // Fees in another token: what is left of this one is the channel's doing alone.
    let signed = Transaction { fee_token: Some(mpp_tempo::chain::BETA_USD), ..signed };
    let signed = signed.sign(&stage.payer);
    let receipt = stage.send(&signed).await;
    let opened = opened(&signed, &terms);
    let words = logged(&receipt, RESERVE, OPENED);
    let expected = [
        opened.id.into(),
        indexed(payer),
        indexed(payee),
        indexed(operator),
        indexed(TOKEN),
        indexed(signer.address()),
        SALT.into(),
        opened.descriptor.expiringNonceHash.into(),
        wide(10_000),
    ];
    assert_eq!(words, expected);
    assert_eq!(stage.held(payer).await, before - 10_000);
    assert_eq!(stage.held(RESERVE).await, 10_000);
    let state = |settled, deposit| ChannelState { settled, deposit, close_requested_at: 0 };
    assert_eq!(stage.chain.channel_state(opened.id).await.unwrap(), state(0, 10_000));

    // The operator settles, and the payee is paid.
    let signature = opened.voucher(&stage.chain, &signer, 3_000);
    let receipt = stage.run(&stage.stranger, &[opened.settle(3_000, signature)]).await;
    let words = logged(&receipt, RESERVE, SETTLED);
    let sides = [opened.id.into(), indexed(payer), indexed(payee)];
    assert_eq!(words, [&sides[..], &[wide(3_000), wide(3_000), wide(3_000)]].concat());
    assert_eq!(stage.held(payee).await, paid + 3_000);
    assert_eq!(stage.chain.channel_state(opened.id).await.unwrap(), state(3_000, 10_000));
    let found = stage.view(RESERVE, v2::getChannelCall { d: opened.descriptor.clone() }).await;
    assert_eq!((found.state.settled, found.state.deposit), (U96::from(3_000), U96::from(10_000)));
    assert_eq!(found.descriptor.salt, SALT);
    let batch = v2::getChannelStatesBatchCall { channelIds: vec![B256::ZERO, opened.id] };
    let batch = stage.view(RESERVE, batch).await;
    assert_eq!((batch[0].deposit, batch[1].deposit), (U96::ZERO, U96::from(10_000)));

    // A top-up takes a request to close back; one of nothing does nothing.
    let receipt = stage.run(&stage.payer, &[opened.request_close()]).await;
    let words = logged(&receipt, RESERVE, CLOSE_REQUESTED);
    let requested = stage.chain.channel_state(opened.id).await.unwrap().close_requested_at;
    assert!(requested > 0);
    assert_eq!(words, [&sides[..], &[wide(requested + 900)]].concat());
    let again = stage.run(&stage.payer, &[opened.request_close()]).await;
    assert!(
        again["logs"].as_array().unwrap().iter().all(|log| log["topics"][0] != CLOSE_REQUESTED)
    );
    let receipt = stage.run(&stage.payer, &[opened.top_up(U96::from(5_000))]).await;
    assert_eq!(logged(&receipt, RESERVE, CANCELLED), sides);
    let words = logged(&receipt, RESERVE, TOPPED_UP);
    assert_eq!(words, [&sides[..], &[wide(5_000), wide(15_000)]].concat());
    assert_eq!(stage.chain.channel_state(opened.id).await.unwrap(), state(3_000, 15_000));
    let receipt = stage.run(&stage.payer, &[opened.top_up(U96::ZERO)]).await;
    assert!(receipt["logs"].as_array().unwrap().iter().all(|log| log["topics"][0] != TOPPED_UP));

    // A close captures less than the voucher, which may be above the deposit.
    let signature = opened.voucher(&stage.chain, &signer, 20_000);
    let payee_fee_token = Transaction {
        fee_token: Some(mpp_tempo::chain::THETA_USD),
        ..stage.transaction(&[opened.close(20_000, 4_000, signature)]).await
    };
    let receipt = stage.send(&payee_fee_token.sign(&stage.payee)).await;
    let words = logged(&receipt, RESERVE, CLOSED);
    assert_eq!(words, [&sides[..], &[wide(4_000), wide(11_000)]].concat());
    assert_eq!(stage.held(payee).await, paid + 4_000);
    assert_eq!(stage.held(RESERVE).await, 0);
    assert_eq!(stage.chain.channel_state(opened.id).await.unwrap(), ChannelState::default());
    stage
        .refused(&stage.payee, &[opened.close(4_000, 4_000, Bytes::new())], "ChannelNotFound")
        .await;
}

#[tokio::test]
async fn a_payer_waits_out_the_grace_period_and_withdraws() {
    let stage = Stage::new().await;
    let opened = open(&stage, terms(9_000)).await;
    let signature = opened.voucher(&stage.chain, &stage.payer, 1_000);
    stage.run(&stage.payee, &[opened.settle(1_000, signature)]).await;
    stage.refused(&stage.payer, &[opened.withdraw()], "CloseNotReady").await;
    stage.run(&stage.payer, &[opened.request_close()]).await;
    stage.chain.request_close_long_ago(opened.id, 800).await.unwrap();
    stage.refused(&stage.payer, &[opened.withdraw()], "CloseNotReady").await;
    stage.chain.request_close_long_ago(opened.id, 900).await.unwrap();
    stage.refused(&stage.stranger, &[opened.withdraw()], "NotPayer").await;
    let state = stage.chain.channel_state(opened.id).await.unwrap();
    assert_eq!((state.settled, state.deposit), (1_000, 9_000));
    // Meanwhile the payee may still settle.
    let signature = opened.voucher(&stage.chain, &stage.payer, 2_000);
    stage.run(&stage.payee, &[opened.settle(2_000, signature)]).await;
    let receipt = stage.run(&stage.payer, &[opened.withdraw()]).await;
    let words = logged(&receipt, RESERVE, CLOSED);
    assert_eq!(&words[3..], [wide(2_000), wide(7_000)]);
    assert_eq!(stage.held(RESERVE).await, 0);
    assert_eq!(stage.chain.channel_state(opened.id).await.unwrap(), ChannelState::default());
    let gone = stage.chain.request_close_long_ago(opened.id, 900).await.unwrap_err();
    assert!(matches!(gone, DevnetError::NoChannel { id } if id == opened.id), "{gone}");
}

#[tokio::test]
async fn a_close_that_captures_nothing_new_needs_no_voucher() {
    let stage = Stage::new().await;
    let opened = open(&stage, terms(1_000)).await;
    let receipt = stage.run(&stage.payee, &[opened.close(0, 0, Bytes::new())]).await;
    assert_eq!(&logged(&receipt, RESERVE, CLOSED)[3..], [wide(0), wide(1_000)]);
}

#[tokio::test]
async fn every_wrong_open_is_refused_by_name() {
    let stage = Stage::new().await;
    let to_token = v2::openCall { payee: TOKEN, ..terms(5) };
    let to_nobody = v2::openCall { payee: Address::ZERO, ..terms(5) };
    let no_token = v2::openCall { token: stage.payee.address(), ..terms(5) };
    let cases = [
        (to_token, "InvalidPayee"),
        (to_nobody, "InvalidPayee"),
        (no_token, "InvalidToken"),
        (terms(0), "ZeroDeposit"),
    ];
    for (terms, name) in cases {
        stage.refused(&stage.payer, &[call(RESERVE, &terms)], name).await;
    }
    let twice = [call(RESERVE, &terms(5)), call(RESERVE, &terms(5))];
    stage.fails(&stage.payer, &twice, "ChannelAlreadyExists").await;
    assert_eq!(stage.held(RESERVE).await, 0);
    // Two channels of one transaction are told apart by what else is in them.
    let other = v2::openCall { salt: B256::repeat_byte(7), ..terms(5) };
    stage.run(&stage.payer, &[call(RESERVE, &terms(5)), call(RESERVE, &other)]).await;
    assert_eq!(stage.held(RESERVE).await, 10);
    // And those of two transactions by the transactions.
    open(&stage, terms(5)).await;
    assert_eq!(stage.held(RESERVE).await, 15);
    // Who has nothing opens nothing.
    let broke = Key::new([0x77; 32]).unwrap();
    let asked = stage.request(broke.address(), &[call(RESERVE, &terms(5))]).await;
    assert_eq!(stage.ask("eth_call", json!([asked, "latest"])).await.unwrap_err().0, 3);
}

#[tokio::test]
async fn every_wrong_use_of_a_channel_is_refused_by_name() {
    let stage = Stage::new().await;
    let Stage { chain, payer, payee, stranger, .. } = &stage;
    let open = open(&stage, terms(1_000)).await;
    let good = |amount| open.voucher(chain, payer, amount);
    stage.run(payee, &[open.settle(100, good(100))]).await;
    let mut unknown = Opened { id: open.id, descriptor: open.descriptor.clone() };
    unknown.descriptor.salt = B256::ZERO;
    let other_chain = voucher(payer, digest_v2(1, RESERVE, open.id, 200));
    let short = Bytes::copy_from_slice(&good(200)[..64]);
    let cases: [(&Key, Call, &str); 22] = [
        (payee, unknown.settle(200, good(200)), "ChannelNotFound"),
        (payee, unknown.close(200, 200, good(200)), "ChannelNotFound"),
        (payer, unknown.top_up(U96::ONE), "ChannelNotFound"),
        (payer, unknown.request_close(), "ChannelNotFound"),
        (payer, unknown.withdraw(), "ChannelNotFound"),
        (payer, open.settle(200, good(200)), "NotPayeeOrOperator"),
        (stranger, open.close(200, 200, good(200)), "NotPayeeOrOperator"),
        (payee, open.top_up(U96::ONE), "NotPayer"),
        (payee, open.request_close(), "NotPayer"),
        (stranger, open.withdraw(), "NotPayer"),
        (payee, open.settle(1_001, good(1_001)), "AmountExceedsDeposit"),
        (payee, open.settle(100, good(100)), "AmountNotIncreasing"),
        (payee, open.settle(200, good(201)), "InvalidSignature"),
        (payee, open.settle(200, open.voucher(chain, stranger, 200)), "InvalidSignature"),
        (payee, open.settle(200, twin(&good(200))), "InvalidSignature"),
        (payee, open.settle(200, other_chain), "InvalidSignature"),
        (payee, open.settle(200, short), "InvalidSignature"),
        (payee, open.close(200, 150, Bytes::new()), "InvalidSignature"),
        (payee, open.close(200, 99, good(200)), "CaptureAmountInvalid"),
        (payee, open.close(200, 201, good(200)), "CaptureAmountInvalid"),
        (payee, open.close(1_001, 1_001, good(1_001)), "AmountExceedsDeposit"),
        (payer, open.top_up(U96::MAX), "DepositOverflow"),
    ];
    for (key, call, name) in cases {
        stage.refused(key, &[call], name).await;
    }
    let state = chain.channel_state(open.id).await.unwrap();
    assert_eq!(state, ChannelState { settled: 100, deposit: 1_000, close_requested_at: 0 });
}

#[tokio::test]
async fn vouchers_may_be_signed_by_keys_of_other_curves_but_in_nobody_elses_name() {
    let stage = Stage::new().await;
    let agent = Arc::new(P256Key::new([0x36; 32]).unwrap());
    let open =
        open(&stage, v2::openCall { authorizedSigner: agent.account(), ..terms(1_000) }).await;
    let digest = |amount| digest_v2(stage.chain.chain_id(), RESERVE, open.id, amount);
    let signature = agent.sign(digest(300)).await.unwrap().to_bytes();
    stage.run(&stage.payee, &[open.settle(300, signature)]).await;
    // The payer's own key does not stand in for the signer that was named.
    let own = open.voucher(&stage.chain, &stage.payer, 400);
    stage.refused(&stage.payee, &[open.settle(400, own)], "InvalidSignature").await;
    // Nor does the form in which an access key signs for its account.
    let wrapped = AccessKey::new(stage.payer.address(), agent.clone());
    let wrapped = wrapped.sign(digest(400)).await.unwrap().to_bytes();
    stage.refused(&stage.payee, &[open.settle(400, wrapped)], "InvalidSignature").await;
    assert_eq!(stage.chain.channel_state(open.id).await.unwrap().settled, 300);
}

#[tokio::test]
async fn an_access_key_opens_a_channel_of_its_account() {
    let stage = Stage::new().await;
    let agent = Arc::new(P256Key::new([0x37; 32]).unwrap());
    let hour = NonZeroU64::new(stage.now().await + 3600).unwrap();
    let authorization = KeyAuthorization::new(42_431, KeyKind::P256, agent.account(), hour)
        .limit(Limit { token: TOKEN, amount: U256::from(5_000_000), period: None });
    let by_root = stage.payer.sign(authorization.signing_hash());
    let signer = AccessKey::new(stage.payer.address(), agent.clone());
    let authorization = authorization.signed(by_root).unwrap();
    let terms = v2::openCall { authorizedSigner: agent.account(), ..terms(800) };
    let unsigned = Transaction {
        key_authorization: Some(authorization.encode()),
        ..stage.transaction(&[call(RESERVE, &terms)]).await
    };
    let signature = signer.sign(unsigned.signing_hash()).await.unwrap();
    let signed = unsigned.signed(signature);
    let receipt = stage.send(&signed).await;
    assert_eq!(receipt["status"], "0x1", "{receipt}");
    let channel = opened(&signed, &terms);
    assert_eq!(channel.descriptor.payer, stage.payer.address());
    assert_eq!(B256::from(logged(&receipt, RESERVE, OPENED)[0]), channel.id);
}

#[tokio::test]
async fn a_sponsored_open_has_the_id_that_its_sender_signed() {
    let stage = Stage::new().await;
    // Exactly the deposit, and nothing for fees.
    let payer = Key::new([0x31; 32]).unwrap();
    let text = payer.address().to_string();
    stage.chain.fund(mpp_testkit::devnet::PATH_USD, &text, 7_000).await.unwrap();
    let terms = terms(7_000);
    let unsigned = stage.transaction(&[call(RESERVE, &terms)]).await;
    let awaited = Transaction { fee_token: None, fee_payer: FeePayer::Awaited, ..unsigned };
    let awaited = awaited.sign(&payer);
    let channel = opened(&awaited, &terms);
    let sponsored = awaited.sponsored(TOKEN, &account(3)).unwrap();
    let receipt = stage.send(&sponsored).await;
    assert_eq!(receipt["status"], "0x1", "{receipt}");
    assert_eq!(B256::from(logged(&receipt, RESERVE, OPENED)[0]), channel.id);
    assert_eq!(stage.held(payer.address()).await, 0);
    assert_eq!(stage.chain.channel_state(channel.id).await.unwrap().deposit, 7_000);
}

#[tokio::test]
async fn a_node_that_nobody_stands_before_opens_nothing() {
    let chain = Devnet::start().await.unwrap();
    let open = terms(5).abi_encode();
    let payer = account(1).address().to_string();
    let call = json!({ "from": payer, "to": RESERVE.to_string(), "data": alloy::primitives::hex::encode_prefixed(open) });
    let refused = chain.rpc("eth_call", json!([call, "latest"])).await.unwrap_err();
    let not_set = alloy::primitives::keccak256("ExpiringNonceHashNotSet()");
    let selector = alloy::primitives::hex::encode(&not_set[..4]);
    assert!(
        matches!(&refused, DevnetError::Rpc { code: 3, message, .. } if message.contains(&selector)),
        "{refused}"
    );
}
