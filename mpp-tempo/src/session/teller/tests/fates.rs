//! What became of orders, where the node does not say it plainly: unknown is never failed, and failed is never unknown.

use std::sync::Mutex;

use alloy::primitives::{Bytes, U256};

use super::*;
use crate::chain::{
    parse_hex,
    reserve::{self, Open, topic},
    rpc::{Log, Receipt, RpcError},
    transaction::Signed,
};

/// Everything about a channel in this chapter is its state: absent, or there.
fn state(settled: u64, deposit: u64) -> Bytes {
    let words = [settled, deposit, 0];
    words.iter().flat_map(|word| U256::from(*word).to_be_bytes::<32>()).collect::<Vec<_>>().into()
}

fn having(settled: u64, deposit: u64) -> Scripted {
    Scripted { call: Box::new(move |_| Ok(state(settled, deposit))), ..Scripted::default() }
}

fn unanswered() -> RpcError {
    RpcError::Unanswered("gone".into())
}

/// An order to open a channel, which ends in 25 seconds, and its account.
fn opening() -> (Order, Account<Channel>, B256) {
    let open = Open {
        payee: payee().address(),
        operator: Address::ZERO,
        token: PATH_USD,
        deposit: 10_000,
        salt: B256::repeat_byte(1),
        authorized_signer: payer().address(),
    };
    let transaction = Transaction {
        calls: vec![open.call()],
        gas_limit: 1_000_000,
        max_fee_per_gas: 40_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        valid_before: NonZeroU64::new(NOW as u64 + 25),
        ..Transaction::on(42431)
    };
    let signed = transaction.sign(&payer());
    let hash = signed.hash();
    let (deposit, _) = deposit::Deposit::read(signed, Chain::MODERATO.exchange).unwrap();
    let account = Account::opening(Channel::unseen(deposit.descriptor(), 42431, 10_000));
    (Order::of(Kind::Deposit(Box::new(deposit))), account, hash)
}

/// What an open writes into its receipt.
fn opened(raw: &[u8]) -> Receipt {
    let signed = Signed::decode(raw).unwrap();
    let (deposit, _) = deposit::Deposit::read(signed, Chain::MODERATO.exchange).unwrap();
    let descriptor = deposit.descriptor();
    let words = [
        descriptor.operator.into_word(),
        descriptor.token.into_word(),
        descriptor.authorized_signer.into_word(),
        descriptor.salt,
        descriptor.expiring_nonce_hash,
        U256::from(10_000).into(),
    ];
    receipt(
        deposit.signed.hash(),
        vec![log(topic::CHANNEL_OPENED, &descriptor, words.concat().into())],
    )
}

fn log(topic: B256, of: &Descriptor, data: Bytes) -> Log {
    let id = of.id(CHANNEL_RESERVE, 42431).0;
    let topics = vec![topic, id, of.payer.into_word(), of.payee.into_word()];
    Log { address: CHANNEL_RESERVE, topics, data }
}

fn receipt(hash: B256, logs: Vec<Log>) -> Receipt {
    let (from, block_hash) = (payer().address(), B256::repeat_byte(9));
    Receipt { hash, success: true, from, block_hash, block_number: 9, logs }
}

fn told(fate: &Fate) -> &'static str {
    match fate {
        Fate::Settled(_) => "settled",
        Fate::Failed(_) => "failed",
        Fate::Unknown(_) => "unknown",
        Fate::Absent => "absent",
        _ => "new",
    }
}

#[tokio::test(start_paused = true)]
async fn an_open_is_failed_only_once_it_can_no_longer_be_mined() {
    let silent = || Scripted { send: Some(Box::new(|_| Err(unanswered()))), ..having(0, 0) };
    let end = NOW as u64 + 25;
    let cases = [
        ("may still be mined", NOW as u64, "unknown", "absent"),
        ("has ended just now", end + 29, "unknown", "unknown"),
        ("has ended", end + 30, "failed", "failed"),
        ("ended an hour ago", end + 3_601, "unknown", "unknown"),
    ];
    let (order, account, _) = opening();
    for (name, now, settled, reconciled) in cases {
        let node = || Arc::new(Scripted { block: at(now), ..silent() });
        assert_eq!(told(&teller_at(node()).settle(&order, &account).await), settled, "{name}");
        assert_eq!(
            told(&teller_at(node()).reconcile(&order, &account).await),
            reconciled,
            "{name}"
        );
    }
    let cases: [(&str, Scripted, &str); 5] = [
        ("there is the channel", Scripted { block: at(end), ..having(0, 10_000) }, "settled"),
        (
            "nobody says",
            Scripted { call: Box::new(|_| Err(unanswered())), ..Scripted::default() },
            "unknown",
        ),
        (
            "no block",
            Scripted { block: Box::new(|()| Err(unanswered())), ..having(0, 0) },
            "unknown",
        ),
        (
            "another chain",
            Scripted { chain_id: Box::new(|()| Ok(4217)), ..having(0, 10_000) },
            "unknown",
        ),
        (
            "an answer about nothing",
            Scripted { call: Box::new(|_| Ok(Bytes::new())), ..Scripted::default() },
            "unknown",
        ),
    ];
    for (name, node, expected) in cases {
        assert_eq!(
            told(&teller_at(Arc::new(node)).reconcile(&order, &account).await),
            expected,
            "{name}"
        );
    }
}

#[tokio::test]
async fn an_open_that_is_on_the_books_is_the_same_order_however_late_it_is_shown() {
    let (order, account, _) = opening();
    let Kind::Deposit(deposit) = &order.kind else { panic!("a deposit") };
    let descriptor = deposit.descriptor();
    let payload = Payload::Open {
        channel_id: id(&descriptor),
        transaction: deposit.raw().to_string(),
        signature: signed(&payer(), &descriptor, 1_000),
        cumulative_amount: Amount::new(1_000),
        descriptor: Some(DescriptorText::from(&descriptor)),
        authorized_signer: None,
    };
    let node = Arc::new(Scripted::default());
    let late = teller_at(node.clone()).clock(Arc::new(Still(NOW + 3_600)));
    let shown = claim(&late, &payload);
    let act = late.check(&shown, Some(&account)).await.unwrap();
    let Act::Open { order: again, kept, .. } = act else { panic!("{act:?}") };
    assert_eq!((again.name(), kept), (order.name(), account.kept));
    assert!(node.asked().is_empty());
    let refused = late.check(&shown, None).await.unwrap_err();
    assert_eq!(refused.reason, Reason::EXPIRED, "of nobody else's");
    // Less than this seller opens channels for.
    let wary = teller().min_deposit("1.00").unwrap();
    let refused = wary.check(&claim(&wary, &payload), None).await.unwrap_err();
    assert_eq!(refused.reason, reason::SMALL_DEPOSIT);
}

#[tokio::test]
async fn only_the_channels_own_log_proves_that_it_was_opened() {
    let (order, account, hash) = opening();
    type Edit = fn(&mut Receipt);
    let cases: [(&str, Edit, &str); 6] = [
        ("as it should be", |_| {}, "settled"),
        ("mined in vain", |r| r.success = false, "failed"),
        ("no log", |r| r.logs.clear(), "failed"),
        ("of another contract", |r| r.logs[0].address = PATH_USD, "failed"),
        ("of another channel", |r| r.logs[0].topics[1] = B256::ZERO, "failed"),
        ("another transaction's", |r| r.hash = B256::ZERO, "unknown"),
    ];
    for (name, edit, expected) in cases {
        let node = Scripted {
            send: Some(Box::new(move |raw| {
                let mut receipt = opened(&raw);
                edit(&mut receipt);
                Ok(receipt)
            })),
            ..having(0, 0)
        };
        let fate = teller_at(Arc::new(node)).settle(&order, &account).await;
        assert_eq!(told(&fate), expected, "{name}");
    }
    // A lost answer is found by asking.
    let node = Scripted {
        send: None,
        receipt: Box::new(move |asked| {
            assert_eq!(asked, hash);
            let (order, ..) = opening();
            let Kind::Deposit(deposit) = &order.kind else { panic!("a deposit") };
            Ok(Some(opened(&deposit.raw())))
        }),
        ..having(0, 0)
    };
    assert_eq!(told(&teller_at(Arc::new(node)).settle(&order, &account).await), "settled");
}

#[tokio::test]
async fn s10_a_close_is_never_failed_and_captures_what_was_spent() {
    let sent: Arc<Mutex<Vec<Signed>>> = Arc::default();
    let (account, heard) = (account_of(channel()), sent.clone());
    let node = Scripted {
        send: Some(Box::new(move |raw| {
            let signed = Signed::decode(&raw).unwrap();
            let hash = signed.hash();
            heard.lock().unwrap().push(signed);
            Ok(Receipt { success: false, ..receipt(hash, Vec::new()) })
        })),
        ..having(1_000, 10_000)
    };
    let teller = teller_at(Arc::new(node));
    let order = teller.close(&account).unwrap();
    assert_eq!(told(&teller.settle(&order, &account).await), "unknown", "mined in vain");
    let sent = sent.lock().unwrap().remove(0);
    let proof = parse_hex(&account.proof.as_ref().unwrap().text).unwrap();
    let expected = reserve::close(&channel(), 3_000, 2_000, &proof);
    assert_eq!(sent.transaction.calls, [expected]);
    assert_eq!(sent.sender().unwrap(), payee().address());
    assert_eq!(sent.transaction.valid_before.unwrap().get(), NOW as u64 + 25);

    for (name, node) in [
        (
            "dropped",
            Scripted { send: Some(Box::new(|_| Err(refused(-32003)))), ..having(0, 10_000) },
        ),
        ("never answered", Scripted { send: None, ..having(0, 10_000) }),
        ("would fail", Scripted { gas: Box::new(|_| Err(refused(3))), ..having(0, 10_000) }),
        ("gone, and not heard of", having(0, 0)),
    ] {
        let fate = teller_at(Arc::new(node)).settle(&order, &account).await;
        assert_eq!(told(&fate), "unknown", "{name}");
    }
    assert_eq!(
        told(&teller_at(Arc::new(having(0, 10_000))).reconcile(&order, &account).await),
        "absent"
    );
}

#[tokio::test]
async fn s10_nothing_is_signed_for_a_close_that_no_voucher_covers() {
    let mut account = account_of(channel());
    account.proof = None;
    let node = Arc::new(having(1_000, 10_000));
    let teller = teller_at(node.clone());
    let order = teller.close(&account).unwrap();
    assert_eq!(told(&teller.settle(&order, &account).await), "unknown");
    assert!(!node.asked().contains(&"send"));
    // What was settled already needs none.
    account.spent = Amount::new(1_000);
    let node = Arc::new(having(1_000, 10_000));
    teller_at(node.clone()).settle(&order, &account).await;
    assert!(node.asked().contains(&"send"));
}

#[tokio::test]
async fn a_collection_that_the_chain_refuses_has_failed_and_one_that_is_lost_has_not() {
    let mut account = account_of(channel());
    account.spend(1, Amount::new(1_000)).unwrap();
    let cases: [(&str, Scripted, &str); 5] = [
        (
            "would fail",
            Scripted { gas: Box::new(|_| Err(refused(3))), ..having(0, 10_000) },
            "failed",
        ),
        (
            "not taken",
            Scripted { send: Some(Box::new(|_| Err(refused(-32003)))), ..having(0, 10_000) },
            "unknown",
        ),
        ("never answered", Scripted { send: None, ..having(0, 10_000) }, "unknown"),
        ("done before", having(3_000, 10_000), "settled"),
        (
            "silent",
            Scripted { call: Box::new(|_| Err(unanswered())), ..Scripted::default() },
            "unknown",
        ),
    ];
    let order = teller().collect(&account).unwrap();
    for (name, node, expected) in cases {
        let fate = teller_at(Arc::new(node)).settle(&order, &account).await;
        assert_eq!(told(&fate), expected, "{name}");
    }
    assert_eq!(
        told(&teller_at(Arc::new(having(0, 10_000))).reconcile(&order, &account).await),
        "absent"
    );
    assert_eq!(teller().collect(&account_of(channel())).map(drop), None, "not earned to its end");
}

#[tokio::test]
async fn a_fee_above_what_is_allowed_is_not_paid() {
    let account = account_of(channel());
    let node =
        Arc::new(Scripted { gas_price: Box::new(|()| Ok(2_000_000_000_000)), ..having(0, 10_000) });
    let teller = teller_at(node.clone());
    let order = teller.close(&account).unwrap();
    assert_eq!(told(&teller.settle(&order, &account).await), "unknown");
    assert!(!node.asked().contains(&"send"));
    let teller = teller.max_fee("1.00").unwrap();
    teller.settle(&order, &account).await;
    assert!(node.asked().contains(&"send"));
}

#[test]
fn an_order_is_read_as_it_was_written_and_shows_nothing() {
    let (order, ..) = opening();
    let (proof, close) =
        (Proof { amount: Amount::new(5), text: "0xab".into() }, Order::of(Kind::Close(None)));
    for order in
        [order, close, Order::of(Kind::Close(Some(proof.clone()))), Order::of(Kind::Collect(proof))]
    {
        let written = serde_json::to_string(&order).unwrap();
        let read: Order = serde_json::from_str(&written).unwrap();
        assert_eq!((read.name(), serde_json::to_string(&read).unwrap()), (order.name(), written));
        assert_eq!(format!("{order:?}"), format!("Order {{ name: {:?}, .. }}", order.name()));
    }
    for broken in [r#"{"type":"deposit","transaction":"0x76c0"}"#, r#"{"type":"bribe"}"#, "{}"] {
        assert!(serde_json::from_str::<Order>(broken).is_err(), "{broken}");
    }
}

/// An order to add 5,000 to the channel, which ends in 25 seconds.
fn adding() -> Order {
    let top_up = reserve::TopUp { descriptor: channel(), additional_deposit: 5_000 };
    let transaction = Transaction {
        calls: vec![top_up.call()],
        gas_limit: 1_000_000,
        max_fee_per_gas: 40_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        valid_before: NonZeroU64::new(NOW as u64 + 25),
        ..Transaction::on(42431)
    };
    let signed = transaction.sign(&payer());
    let (deposit, _) = deposit::Deposit::read(signed, Chain::MODERATO.exchange).unwrap();
    Order::of(Kind::Deposit(Box::new(deposit)))
}

/// Review: a top-up whose channel is there without it has an end, however late it is asked after.
#[tokio::test(start_paused = true)]
async fn a_top_up_that_was_never_mined_is_failed_however_late() {
    let (order, account) = (adding(), account_of(channel()));
    for after in [60, 3_700, 86_400, 365 * 86_400] {
        let node = Scripted { block: at(NOW as u64 + 25 + after), ..having(0, 10_000) };
        let fate = teller_at(Arc::new(node)).reconcile(&order, &account).await;
        assert_eq!(
            told(&fate),
            "failed",
            "after {after} s; until then nothing is closed or collected"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_top_up_of_long_ago_is_what_its_channel_shows_and_no_guess() {
    let (order, mut account) = (adding(), account_of(channel()));
    let long_after = || at(NOW as u64 + 86_400);
    let grown = Scripted { block: long_after(), ..having(0, 15_000) };
    assert_eq!(told(&teller_at(Arc::new(grown)).reconcile(&order, &account).await), "settled");
    let patient = |node| teller_at(Arc::new(node)).settle_deadline(Duration::from_secs(20));
    // It was last seen at the very height: the node may not have heard of it.
    let unheard = Scripted { block: long_after(), ..having(0, 0) };
    assert_eq!(told(&patient(unheard).reconcile(&order, &account).await), "unknown");
    account.kept.block = 1;
    let block = |()| {
        Ok(crate::chain::rpc::Block { number: 100, timestamp: NOW as u64 + 86_400, base_fee: None })
    };
    let gone = Scripted { block: Box::new(block), ..having(0, 0) };
    assert_eq!(told(&patient(gone).reconcile(&order, &account).await), "failed");
}

/// A node on which every close is mined in vain, and settlements are mined: their calls, in order.
fn refunding_nothing(account: &Account<Channel>) -> (Scripted, Arc<Mutex<Vec<Bytes>>>) {
    let sent: Arc<Mutex<Vec<Bytes>>> = Arc::default();
    let (heard, closes) = (sent.clone(), account.kept.descriptor);
    let node = Scripted {
        send: Some(Box::new(move |raw| {
            let signed = Signed::decode(&raw).unwrap();
            let data = signed.transaction.calls[0].data.clone();
            let close = reserve::close(&closes, 0, 0, &[]).data;
            let success = data[..4] != close[..4];
            heard.lock().unwrap().push(data);
            Ok(Receipt { success, ..receipt(signed.hash(), Vec::new()) })
        })),
        ..having(0, 10_000)
    };
    (node, sent)
}

#[tokio::test]
async fn what_was_earned_is_taken_where_the_token_refuses_the_refund_of_a_close() {
    let mut account = account_of(channel());
    let last = signed(&payer(), &channel(), 4_000);
    let raise = Raise::proven(Amount::new(4_000), Amount::ZERO, last);
    account.draw(&raise, None, 1, Amount::new(1_500)).unwrap();
    assert_eq!(account.spent.get(), 3_500);
    let earlier = parse_hex(&signed(&payer(), &channel(), 3_000)).unwrap();
    let settlement = reserve::settle(&channel(), 3_000, &earlier).data;

    let (node, sent) = refunding_nothing(&account);
    let teller = teller_at(Arc::new(node));
    let order = teller.close(&account).unwrap();
    // It may be closed another time, so it has not failed for good.
    assert_eq!(told(&teller.settle(&order, &account).await), "unknown", "mined in vain");
    let sent = std::mem::take(&mut *sent.lock().unwrap());
    assert_eq!(sent.len(), 2, "a close, and a settlement of no more than was spent");
    assert_eq!(sent[1], settlement);

    // So it is where a trial says so already, which costs no fee.
    let (node, sent) = refunding_nothing(&account);
    let gas = |trial: crate::chain::rpc::Trial| {
        let close = reserve::close(&channel(), 0, 0, &[]).data;
        if trial.calls[0].data[..4] == close[..4] { Err(refused(3)) } else { Ok(60_000) }
    };
    let teller = teller_at(Arc::new(Scripted { gas: Box::new(gas), ..node }));
    assert_eq!(told(&teller.settle(&order, &account).await), "unknown", "would fail");
    assert_eq!(*sent.lock().unwrap(), [settlement]);

    // What was taken before is not taken again, and nothing above what was spent ever is.
    let (node, sent) = refunding_nothing(&account);
    let teller = teller_at(Arc::new(Scripted { call: having(3_000, 10_000).call, ..node }));
    teller.settle(&order, &account).await;
    assert_eq!(sent.lock().unwrap().len(), 1, "the close alone");
}
