//! The escrow of sessions v1: what it answers, what it does, and what it refuses.

use alloy::primitives::{Address, B256, Bytes, U256, b256};
use mpp_tempo::{
    Key,
    chain::{BETA_USD, PATH_USD as TOKEN, THETA_USD, transaction::Call, transaction::Transaction},
};
use mpp_testkit::devnet::{DevnetError, EscrowState, MAINNET_SESSION_ESCROW, SESSION_ESCROW};
use serde_json::{Value, json};

use super::{
    SALT, Stage, account, address as indexed, approve, call, digest_v1, logged, number, twin, v1,
    voucher, wide, word,
};

const OPENED: &str = "0xcd6e60364f8ee4c2b0d62afc07a1fb04fd267ce94693f93f8f85daaa099b5c94";
const SETTLED: &str = "0xe0b97d7c69d7aa21437d2a75a40b65369532d3f7eb8f64f29c37be14be6c9848";
const TOPPED_UP: &str = "0xe96f4c65929984be10da5cfd4f1b95b417d798f26d5e59e6b1d1077fcd06343e";
const CLOSE_REQUESTED: &str = "0xf5a36fc00a96cbb9cf1f8f59299165e1d8ffffe94396d82904b4da524d16bbce";
const CLOSED: &str = "0x92ed5fe0fe56b3f4185e688efb342e92a4492b9df29ad5de596c44e64d097b51";
const CANCELLED: &str = "0x6bbcbc59913c43e567847487b95410b0b65cf253531b1c6505b21f8359c838fe";

/// A channel that is open, at the escrow of its chain.
struct Opened {
    at: Address,
    id: B256,
    receipt: Value,
}

impl Opened {
    fn settle(&self, amount: u128, signature: Bytes) -> Call {
        let settle = v1::settleCall { channelId: self.id, cumulativeAmount: amount, signature };
        call(self.at, &settle)
    }

    fn close(&self, amount: u128, signature: Bytes) -> Call {
        let close = v1::closeCall { channelId: self.id, cumulativeAmount: amount, signature };
        call(self.at, &close)
    }

    fn top_up(&self, amount: U256) -> Call {
        call(self.at, &v1::topUpCall { channelId: self.id, additionalDeposit: amount })
    }

    fn request_close(&self) -> Call {
        call(self.at, &v1::requestCloseCall { channelId: self.id })
    }

    fn withdraw(&self) -> Call {
        call(self.at, &v1::withdrawCall { channelId: self.id })
    }

    fn voucher(&self, stage: &Stage, key: &Key, amount: u128) -> Bytes {
        voucher(key, digest_v1(stage.chain.chain_id(), self.at, self.id, amount))
    }
}

fn terms(deposit: u128, signer: Address) -> v1::openCall {
    let payee = account(2).address();
    v1::openCall { payee, token: TOKEN, deposit, salt: SALT, authorizedSigner: signer }
}

async fn open(stage: &Stage, deposit: u128, signer: Address) -> Opened {
    let at = stage.chain.session_escrow();
    let calls = [approve(at, deposit), call(at, &terms(deposit, signer))];
    let receipt = run_in(stage, &stage.payer, BETA_USD, &calls).await;
    let id = stage.view(
        at,
        v1::computeChannelIdCall {
            payer: stage.payer.address(),
            payee: stage.payee.address(),
            token: TOKEN,
            salt: SALT,
            authorizedSigner: signer,
        },
    );
    Opened { at, id: id.await, receipt }
}

/// Fees in another token: what is left of the channel's is the channel's doing alone.
async fn run_in(stage: &Stage, key: &Key, fees: Address, calls: &[Call]) -> Value {
    let transaction = stage.transaction(calls).await;
    let receipt = stage.send(&Transaction { fee_token: Some(fees), ..transaction }.sign(key)).await;
    assert_eq!(receipt["status"], "0x1", "{receipt}");
    receipt
}

#[tokio::test]
async fn the_answers_are_those_that_other_implementations_compute() {
    let digest =
        v1::getVoucherDigestCall { channelId: U256::ONE.into(), cumulativeAmount: 1_000_000 };
    let moderato = Stage::new().await;
    let mainnet = Stage::on(4217).await;
    assert_eq!(moderato.chain.session_escrow(), SESSION_ESCROW);
    assert_eq!(mainnet.chain.session_escrow(), MAINNET_SESSION_ESCROW);
    assert_eq!(
        moderato.view(SESSION_ESCROW, digest.clone()).await,
        b256!("09ad77ebcef2ee2ae69706c59e4923560be8ac823755b79afc4190e97e82669f")
    );
    assert_eq!(
        moderato.view(SESSION_ESCROW, v1::domainSeparatorCall {}).await,
        b256!("3271aa2ef112b8493e889b17f852ad8e0a0b30565a62f3c066aa9fb0b7444e0c")
    );
    assert_eq!(
        mainnet.view(MAINNET_SESSION_ESCROW, v1::domainSeparatorCall {}).await,
        b256!("c3eb96493d8b195ca1671190861b10909e09ea4f1662c5a577f2bcc7ecf47eb8")
    );
    assert_eq!(
        mainnet.view(SESSION_ESCROW, digest).await,
        digest_v1(4217, SESSION_ESCROW, U256::ONE.into(), 1_000_000)
    );
}

#[tokio::test]
async fn a_channel_is_opened_settled_topped_up_and_closed_for_ever() {
    for chain_id in [42_431, 4217] {
        let stage = Stage::on(chain_id).await;
        let (payer, payee, signer) = (stage.payer.address(), stage.payee.address(), account(6));
        let (before, paid) = (stage.held(payer).await, stage.held(payee).await);
        let open = open(&stage, 10_000, signer.address()).await;
        let sides = [open.id.into(), indexed(payer), indexed(payee)];
        let words = logged(&open.receipt, open.at, OPENED);
        let rest = [indexed(TOKEN), indexed(signer.address()), SALT.into(), wide(10_000)];
        assert_eq!(words, [&sides[..], &rest].concat());
        let mut expected = EscrowState {
            payer,
            payee,
            token: TOKEN,
            authorized_signer: signer.address(),
            deposit: 10_000,
            ..EscrowState::default()
        };
        assert_eq!(stage.chain.escrow_state(open.id).await.unwrap(), expected);

        let settle = open.settle(3_000, open.voucher(&stage, &signer, 3_000));
        let receipt = run_in(&stage, &stage.payee, THETA_USD, &[settle]).await;
        let words = logged(&receipt, open.at, SETTLED);
        assert_eq!(words, [&sides[..], &[wide(3_000), wide(3_000), wide(3_000)]].concat());

        let receipt = run_in(&stage, &stage.payer, BETA_USD, &[open.request_close()]).await;
        let requested = stage.chain.escrow_state(open.id).await.unwrap().close_requested_at;
        let words = logged(&receipt, open.at, CLOSE_REQUESTED);
        assert_eq!(words, [&sides[..], &[wide(requested + 900)]].concat());
        let more = [approve(open.at, 5_000), open.top_up(U256::from(5_000))];
        let receipt = run_in(&stage, &stage.payer, BETA_USD, &more).await;
        assert_eq!(logged(&receipt, open.at, CANCELLED), sides);
        let words = logged(&receipt, open.at, TOPPED_UP);
        assert_eq!(words, [&sides[..], &[wide(5_000), wide(15_000)]].concat());

        // All of the voucher is taken.
        let close = open.close(4_000, open.voucher(&stage, &signer, 4_000));
        let receipt = run_in(&stage, &stage.payee, THETA_USD, std::slice::from_ref(&close)).await;
        let words = logged(&receipt, open.at, CLOSED);
        assert_eq!(words, [&sides[..], &[wide(4_000), wide(11_000)]].concat());
        assert_eq!(stage.held(payer).await, before - 4_000);
        assert_eq!(stage.held(payee).await, paid + 4_000);
        assert_eq!(stage.held(open.at).await, 0);

        expected = EscrowState { finalized: true, deposit: 15_000, settled: 4_000, ..expected };
        assert_eq!(stage.chain.escrow_state(open.id).await.unwrap(), expected);
        let listed = stage.view(open.at, v1::channelsCall { channelId: open.id }).await;
        assert!(listed.finalized && listed.settled == 4_000 && listed.payer == payer);
        let batch = v1::getChannelsBatchCall { channelIds: vec![open.id, B256::ZERO] };
        let batch = stage.view(open.at, batch).await;
        assert!(batch[0].finalized && batch[1].payer == Address::ZERO);
        let one = stage.view(open.at, v1::getChannelCall { channelId: open.id }).await;
        assert_eq!((one.deposit, one.authorizedSigner), (15_000, signer.address()));
        // What has ended stays ended, and is not opened again.
        for (key, call, name) in [
            (&stage.payee, close, "ChannelFinalized"),
            (&stage.payee, open.settle(5_000, Bytes::new()), "ChannelFinalized"),
            (&stage.payer, open.top_up(U256::ONE), "ChannelFinalized"),
            (&stage.payer, open.request_close(), "ChannelFinalized"),
            (&stage.payer, open.withdraw(), "ChannelFinalized"),
            (&stage.payer, call(open.at, &terms(10_000, signer.address())), "ChannelAlreadyExists"),
        ] {
            stage.refused(key, &[call], name).await;
        }
        let gone = stage.chain.request_close_long_ago(open.id, 900).await.unwrap_err();
        assert!(matches!(gone, DevnetError::NoChannel { .. }), "{gone}");
    }
}

#[tokio::test]
async fn a_payer_waits_out_the_grace_period_and_withdraws() {
    let stage = Stage::new().await;
    let open = open(&stage, 9_000, Address::ZERO).await;
    stage.run(&stage.payee, &[open.settle(1_000, open.voucher(&stage, &stage.payer, 1_000))]).await;
    stage.refused(&stage.payer, &[open.withdraw()], "CloseNotReady").await;
    stage.run(&stage.payer, &[open.request_close()]).await;
    stage.refused(&stage.payer, &[open.withdraw()], "CloseNotReady").await;
    let known = stage.chain.escrow_state(open.id).await.unwrap();
    stage.chain.request_close_long_ago(open.id, 900).await.unwrap();
    let since = stage.chain.escrow_state(open.id).await.unwrap();
    assert!(since.close_requested_at < known.close_requested_at);
    let expected = EscrowState { close_requested_at: since.close_requested_at, ..known };
    assert_eq!(since, expected, "nothing else has changed");
    let receipt = stage.run(&stage.payer, &[open.withdraw()]).await;
    assert_eq!(&logged(&receipt, open.at, CLOSED)[3..], [wide(1_000), wide(8_000)]);
    assert_eq!(stage.held(open.at).await, 0);
    assert!(stage.chain.escrow_state(open.id).await.unwrap().finalized);
}

#[tokio::test]
async fn every_wrong_use_of_a_channel_is_refused_by_name() {
    let stage = Stage::new().await;
    let Stage { payer, payee, stranger, .. } = &stage;
    let open = open(&stage, 1_000, Address::ZERO).await;
    let good = |amount| open.voucher(&stage, payer, amount);
    stage.run(payee, &[open.settle(100, good(100))]).await;
    let unknown = Opened { id: B256::repeat_byte(1), at: open.at, receipt: json!(null) };
    let nobody = v1::openCall { payee: Address::ZERO, ..terms(5, Address::ZERO) };
    let short = Bytes::copy_from_slice(&good(200)[..64]);
    let cases: [(&Key, Call, &str); 18] = [
        (payer, call(open.at, &nobody), "InvalidPayee"),
        (payer, call(open.at, &terms(1_000, Address::ZERO)), "ChannelAlreadyExists"),
        (payee, unknown.settle(200, good(200)), "ChannelNotFound"),
        (payee, unknown.close(200, good(200)), "ChannelNotFound"),
        (payer, unknown.top_up(U256::ONE), "ChannelNotFound"),
        (payer, unknown.request_close(), "ChannelNotFound"),
        (payer, unknown.withdraw(), "ChannelNotFound"),
        (stranger, open.settle(200, good(200)), "NotPayee"),
        (payer, open.close(200, good(200)), "NotPayee"),
        (payee, open.top_up(U256::ONE), "NotPayer"),
        (stranger, open.request_close(), "NotPayer"),
        (payee, open.settle(1_001, good(1_001)), "AmountExceedsDeposit"),
        (payee, open.close(1_001, good(1_001)), "AmountExceedsDeposit"),
        (payee, open.settle(100, good(100)), "AmountNotIncreasing"),
        (payee, open.settle(200, good(201)), "InvalidSignature"),
        (payee, open.settle(200, twin(&good(200))), "InvalidSignature"),
        (payee, open.close(200, short), "InvalidSignature"),
        (payer, open.top_up(U256::from(u128::MAX)), "DepositOverflow"),
    ];
    for (key, call, name) in cases {
        stage.refused(key, &[call], name).await;
    }
    // A close with nothing new needs no voucher, and takes nothing back.
    let receipt = stage.run(payee, &[open.close(0, Bytes::new())]).await;
    assert_eq!(&logged(&receipt, open.at, CLOSED)[3..], [wide(100), wide(900)]);
}

#[tokio::test]
async fn an_open_is_mined_with_the_gas_that_was_estimated() {
    let stage = Stage::new().await;
    let at = stage.chain.session_escrow();
    let calls = [approve(at, 10_000), call(at, &terms(10_000, account(6).address()))];
    let asked = stage.request(stage.payer.address(), &calls).await;
    let estimate = number(&stage.ask("eth_estimateGas", json!([asked])).await.unwrap());
    let filled = stage.ask("eth_fillTransaction", json!([asked])).await.unwrap();
    assert_eq!(number(&filled["tx"]["gas"]), estimate);
    assert!(estimate > 1_500_000, "{estimate}");
    let transaction = Transaction { gas_limit: estimate, ..stage.transaction(&calls).await };
    let receipt = stage.send(&transaction.sign(&stage.payer)).await;
    assert_eq!(receipt["status"], "0x1", "{receipt}");
    let used = number(&receipt["gasUsed"]);
    assert!(used <= estimate && estimate < used * 2, "{used} of {estimate}");
    assert_ne!(word(&receipt["transactionHash"]), B256::ZERO);
}
