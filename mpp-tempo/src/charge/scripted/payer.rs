//! What a payer pays, what it leaves alone, and what it says when it cannot.

use mpp_core::payer::{Became, Funds, Recall};

use super::{
    super::{Mode, Split},
    *,
};
use crate::chain::{ALPHA_USD, USDC_E};

mod access;
mod proof;
mod push;
mod shares;
mod signer;
mod sponsor;
mod swap;
mod why;

fn exposes(payer: &Payer, request: &Request<TempoCharge>) -> Option<u128> {
    let challenge = challenge(request);
    payer.exposes(&challenge.read().unwrap()).map(|exposed| exposed.amount.get())
}

#[test]
fn the_price_and_the_highest_fee_are_put_at_stake() {
    let challenge = challenge(&request());
    let exposed = payer_at(Arc::default()).exposes(&challenge.read().unwrap()).unwrap();
    assert_eq!((exposed.amount.get(), exposed.unit), (150_000, Some(("usd".into(), 6))));
    assert_eq!(exposed.fees.get(), 50_000);
    let frugal = payer_at(Arc::default()).max_fee(Amount::new(7));
    assert_eq!(exposes(&frugal, &request()), Some(100_007));
}

#[tokio::test]
async fn what_is_not_ours_is_not_paid() {
    type Edit = fn(&mut Request<TempoCharge>);
    let cases: &[(&str, Edit)] = &[
        ("chain", |r| r.details.method_details.chain_id = Some(4217)),
        ("currency", |r| r.terms.currency = "0x20c0000000000000000000000000000000000042".into()),
        ("no address", |r| r.terms.currency = "usd".into()),
        ("checksum", |r| {
            r.terms.recipient = Some("0x3c44CdDdB6a900fa2b585dd299e03d12FA4293BC".into())
        }),
        ("no recipient", |r| r.terms.recipient = None),
        ("self", |r| r.terms.recipient = Some(key().address().to_string())),
        ("overflow", |r| r.terms.amount = Amount::new(u128::MAX)),
        ("memo", |r| r.details.method_details.memo = Some("0x42".into())),
        ("a way nobody knows", |r| {
            r.details.method_details.supported_modes = Some(vec![Mode::Other("teleport".into())])
        }),
        ("push of what a sponsor pays", |r| {
            let details = &mut r.details.method_details;
            (details.fee_payer, details.supported_modes) = (Some(true), Some(vec![Mode::Push]));
        }),
        ("push with a memo that others may have too", |r| {
            let details = &mut r.details.method_details;
            details.memo = Some(format!("0x{}", "42".repeat(32)));
            details.supported_modes = Some(vec![Mode::Push]);
        }),
    ];
    for (name, edit) in cases {
        let mut request = request();
        edit(&mut request);
        let node = Arc::new(Scripted::default());
        let payer = payer_at(node.clone());
        assert_eq!(exposes(&payer, &request), None, "{name}");
        let challenge = challenge(&request);
        let refused = payer.pay(&challenge.read().unwrap(), &allowance(u128::MAX)).await;
        if *name != "overflow" {
            assert_eq!(refused.unwrap_err().funds, Funds::Untouched, "{name}");
            assert!(node.asked().is_empty(), "{name}");
        }
    }
}

#[test]
fn lists_narrow_what_is_paid() {
    let shop_only = payer_at(Arc::default()).only_to([SHOP]).unwrap();
    assert!(exposes(&shop_only, &request()).is_some());
    let nobody = payer_at(Arc::default()).only_to([]).unwrap();
    assert_eq!(exposes(&nobody, &request()), None);
    let alpha = format!("{ALPHA_USD:#x}");
    let alpha_only = payer_at(Arc::default()).only_in([alpha.as_str()]).unwrap();
    assert_eq!(exposes(&alpha_only, &request()), None);
    assert!(payer_at(Arc::default()).only_in([SHOP]).is_err());
    assert!(payer_at(Arc::default()).only_to(["0x22"]).is_err());
    let mut mainnet = request();
    mainnet.terms.currency = format!("{USDC_E:#x}");
    assert!(exposes(&payer_at(Arc::default()), &mainnet).is_some());
}

#[tokio::test]
async fn a_transaction_says_what_the_challenge_asks_and_no_more() {
    let challenge = challenge(&request());
    let transaction = signed(&challenge).await.transaction;
    assert_eq!(transaction.valid_before.unwrap().get(), NOW as u64 + 25);
    assert_eq!((transaction.chain_id, transaction.gas_limit), (42431, 800_000));
    assert_eq!(transaction.max_fee_per_gas, 30_000_000_000);
    assert_eq!(transaction.max_fee(), 24_000);
    assert_eq!(transaction.fee_token, Some(transaction.calls[0].to));
    assert_eq!(transaction.calls.len(), 1);
    let mut fixed = request();
    let memo = format!("0x{}", "42".repeat(32));
    fixed.details.method_details.memo = Some(memo.clone());
    let made = signed(&super::challenge(&fixed)).await.transaction;
    let made = Transfer::decode(&made.calls[0].data).unwrap();
    assert_eq!(made.memo.map(|memo| format!("{memo:#x}")), Some(memo));
}

#[tokio::test]
async fn fees_stay_within_the_cap_and_the_allowance() {
    let challenge = challenge(&request());
    let demand = challenge.read().unwrap();
    // 20 gwei for 800,000 gas are 16,000 base units; half as much again is offered where it is allowed.
    for (allowed, paid) in [
        (124_000, Some(24_000)),
        (150_000, Some(24_000)),
        (118_000, Some(18_000)),
        (116_000, Some(16_000)),
        (115_999, None),
        (99_999, None),
    ] {
        let payment = payer_at(Arc::default()).pay(&demand, &allowance(allowed)).await;
        let fee = payment.ok().map(|payment| payment.exposed.unwrap().get() - 100_000);
        assert_eq!(fee, paid, "{allowed}");
    }
    let dear: [(&str, Scripted); 2] = [
        ("price", Scripted { gas_price: Box::new(|()| Ok(u128::MAX)), ..Scripted::default() }),
        ("gas", Scripted { gas: Box::new(|_| Ok(u64::MAX)), ..Scripted::default() }),
    ];
    for (name, node) in dear {
        let refused = payer_at(Arc::new(node)).pay(&demand, &allowance(u128::MAX)).await;
        assert_eq!(refused.unwrap_err().funds, Funds::Untouched, "{name}");
    }
}

#[tokio::test]
async fn a_node_is_asked_no_more_than_it_takes_and_again_where_its_time_is_another() {
    let block = |timestamp, base_fee| -> Script<(), Block> {
        Box::new(move |()| Ok(Block { number: 9, timestamp, base_fee }))
    };
    let now = NOW as u64;
    let cases = [
        ("no base fee", block(now, None), &["gas", "gas_price"][..], 30_000_000_000),
        ("a base fee", block(now, Some(10_000_000_000)), &["gas"], 15_000_000_000),
        ("one lower than the tip", block(now, Some(7)), &["gas"], 1_500_000_000),
        ("another time", block(now - 60, Some(10_000_000_000)), &["gas", "gas"], 15_000_000_000),
    ];
    for (name, block, asked, offered) in cases {
        let tried = Arc::new(Mutex::new(Vec::new()));
        let gas: Script<Trial, u64> = {
            let tried = tried.clone();
            Box::new(move |trial| {
                tried.lock().unwrap().push(trial.valid_before);
                Ok(60_000)
            })
        };
        let node = Arc::new(Scripted { block, gas, ..Scripted::default() });
        let challenge = challenge(&request());
        let demand = challenge.read().unwrap();
        let payment = payer_at(node.clone()).pay(&demand, &allowance(150_000)).await.unwrap();
        let Payload::Transaction { signature } = payment.payload else { panic!("pull mode") };
        let signed = Signed::decode(&crate::chain::parse_hex(&signature).unwrap()).unwrap();
        let mut questions = node.asked();
        questions.retain(|what| !matches!(*what, "chain_id" | "block"));
        assert_eq!(questions, asked, "{name}");
        assert_eq!(signed.transaction.max_fee_per_gas, offered, "{name}");
        let end = signed.transaction.valid_before.map(std::num::NonZeroU64::get);
        assert_eq!(tried.lock().unwrap().last(), Some(&end), "what is signed was tried: {name}");
    }
}

#[tokio::test]
async fn a_node_in_trouble_or_elsewhere_costs_nothing() {
    let nodes = [
        Scripted { chain_id: Box::new(|()| Ok(4217)), ..Scripted::default() },
        Scripted {
            chain_id: Box::new(|()| Err(RpcError::Unreachable(gone()))),
            ..Scripted::default()
        },
        Scripted { gas: Box::new(|_| Err(refused(3))), ..Scripted::default() },
        Scripted { gas_price: Box::new(|()| Err(RpcError::Status(502))), ..Scripted::default() },
        Scripted { block: Box::new(|()| Err(RpcError::Status(502))), ..Scripted::default() },
    ];
    let challenge = challenge(&request());
    for node in nodes {
        let node = Arc::new(node);
        let refused = payer_at(node.clone())
            .pay(&challenge.read().unwrap(), &allowance(150_000))
            .await
            .unwrap_err();
        assert_eq!(refused.funds, Funds::Untouched);
        assert!(refused.source.is_some() && !refused.to_string().contains("have 5"));
        assert!(!node.asked().contains(&"send"));
    }
}

#[tokio::test]
async fn a_transaction_ends_with_its_challenge_and_is_not_made_for_a_moment() {
    for (left, end) in
        [(300, Some(25)), (25, Some(25)), (10, Some(10)), (5, Some(5)), (4, None), (-1, None)]
    {
        let challenge = keys().seal(Draft {
            expires: Some(Timestamp::from_unix(NOW + left, 500)),
            ..challenge(&request()).to_draft()
        });
        let payment =
            payer_at(Arc::default()).pay(&challenge.read().unwrap(), &allowance(150_000)).await;
        let made = payment.ok().map(|payment| {
            let Payload::Transaction { signature } = payment.payload else { panic!("pull mode") };
            let signed = Signed::decode(&crate::chain::parse_hex(&signature).unwrap()).unwrap();
            signed.transaction.valid_before.unwrap().get() as i64 - NOW
        });
        assert_eq!(made, end, "{left} s left");
    }
}

#[tokio::test]
async fn the_clock_that_is_behind_says_when_a_transaction_ends() {
    // The block's time and the challenge's end, both beside the payer's clock.
    for (block, left, end) in [
        (0, 300, Some(25)),
        (-5, 300, Some(25)),
        (5, 300, Some(25)),
        (-6, 300, Some(19)),
        (-300, 300, Some(-275)),
        (-301, 300, None),
        (6, 300, Some(25)),
        (20, 300, Some(25)),
        (21, 300, None),
        (301, 300, None),
        (-60, -40, Some(-40)),
        (-60, -56, None),
    ] {
        let challenge = keys().seal(Draft {
            expires: Some(Timestamp::from_unix(NOW + left, 0)),
            ..challenge(&request()).to_draft()
        });
        let node = Arc::new(Scripted { block: at((NOW + block) as u64), ..Scripted::default() });
        let paid = payer_at(node).pay(&challenge.read().unwrap(), &allowance(150_000)).await;
        let made = match paid {
            Ok(payment) => {
                let transaction = read(&payment.payload).transaction;
                let start = transaction.valid_after.unwrap().get() as i64;
                assert!(start < NOW.min(NOW + block), "{block} s");
                Some(transaction.valid_before.unwrap().get() as i64 - NOW)
            }
            Err(refused) => {
                assert_eq!(refused.funds, Funds::Untouched);
                None
            }
        };
        assert_eq!(made, end, "{block} s, {left} s left");
    }
}

#[tokio::test]
async fn challenges_that_ask_for_the_same_are_paid_by_different_transactions() {
    let mut request = request();
    request.details.method_details.memo = Some(format!("0x{}", "42".repeat(32)));
    let mut made = Vec::new();
    for digit in 0..8 {
        let challenge = keys().seal(Draft {
            expires: Some(Timestamp::from_unix(NOW + 300 + digit, 0)),
            ..challenge(&request).to_draft()
        });
        let (once, again) = (signed(&challenge).await, signed(&challenge).await);
        assert_eq!(once, again, "one challenge is one payment");
        made.push(once);
    }
    let hashes: std::collections::HashSet<_> = made.iter().map(Signed::hash).collect();
    assert_eq!(hashes.len(), made.len());
    assert!(made.windows(2).all(|two| two[0].transaction.calls == two[1].transaction.calls));
}

fn read(payload: &Payload) -> Signed {
    let Payload::Transaction { signature } = payload else { panic!("pull mode") };
    Signed::decode(&crate::chain::parse_hex(signature).unwrap()).unwrap()
}

#[tokio::test]
async fn what_died_before_it_was_written_down_was_never_sent() {
    let challenge = challenge(&request());
    let recalled = payer_at(Arc::default()).recall(&challenge.read().unwrap()).await;
    assert!(matches!(recalled, Ok(Recall::Never)));
}

#[tokio::test]
async fn neither_payer_nor_payment_shows_a_secret() {
    let payer = payer_at(Arc::default());
    let challenge = challenge(&request());
    let payment = payer.pay(&challenge.read().unwrap(), &allowance(150_000)).await.unwrap();
    let shown = format!("{payer:?} {payment:?} {:?}", payment.payload);
    let Payload::Transaction { signature } = &payment.payload else { panic!("pull mode") };
    assert!(!shown.contains("07070707") && !shown.contains(&signature[4..60]), "{shown}");
}

/// What the payer says of its own transaction, over a node.
async fn became(node: Scripted) -> (Option<Became>, Arc<Scripted>) {
    let challenge = challenge(&request());
    let payload = pull(&signed(&challenge).await.encode());
    let node = Arc::new(node);
    let said = payer_at(node.clone()).became(&challenge.read().unwrap(), &payload).await;
    assert!(!node.asked().contains(&"send"));
    (said.ok(), node)
}

#[tokio::test(start_paused = true)]
async fn the_chain_says_what_became_of_a_payment_and_silence_says_it_only_for_a_while() {
    const END: u64 = NOW as u64 + 25;
    type Edit = fn(&mut Receipt);
    let raw = signed(&challenge(&request())).await.encode();
    let found = |edit: Edit| {
        let mut receipt = mined(&raw);
        edit(&mut receipt);
        let receipt = Some(receipt);
        move |_| Ok(receipt.clone())
    };
    type Found = Script<B256, Option<Receipt>>;
    let none = || -> Found { Box::new(|_| Ok(None)) };
    let cases: Vec<(Found, u64, Option<Became>)> = vec![
        (Box::new(found(|_| {})), NOW as u64, Some(Became::Paid)),
        (Box::new(found(|_| {})), END + 9_999, Some(Became::Paid)),
        (Box::new(found(|r| r.success = false)), NOW as u64, Some(Became::Failed)),
        // Believed in neither sense.
        (Box::new(found(|r| r.logs.clear())), NOW as u64, Some(Became::Open)),
        (Box::new(found(|r| r.hash = B256::ZERO)), END + 100, None),
        (none(), NOW as u64, Some(Became::Open)),
        (none(), END - 1, Some(Became::Open)),
        (none(), END, None),
        (none(), END + 29, None),
        (none(), END + 30, Some(Became::Dead)),
        (none(), END + 3600, Some(Became::Dead)),
        (none(), END + 3601, None),
        (Box::new(|_| Err(RpcError::Status(502))), END + 100, None),
    ];
    for (index, (receipt, time, expected)) in cases.into_iter().enumerate() {
        let node = Scripted { receipt, block: at(time), ..Scripted::default() };
        assert_eq!(became(node).await.0, expected, "case {index}");
    }
    let (_, node) = became(Scripted { block: at(END + 100), ..Scripted::default() }).await;
    assert_eq!(node.asked(), ["chain_id", "block", "receipt", "receipt"]);
}

#[tokio::test]
async fn a_payment_of_another_chain_or_kind_is_not_this_payers_to_call_dead() {
    let node = Arc::new(Scripted { block: at(NOW as u64 + 100), ..Scripted::default() });
    let challenge = challenge(&request());
    let signed = signed(&challenge).await;
    let elsewhere = resigned(&signed, |transaction| transaction.chain_id = 4217);
    let payer = payer_at(node.clone());
    let demand = challenge.read().unwrap();
    let said = payer.became(&demand, &pull(&elsewhere.encode())).await;
    assert!(matches!(said, Ok(Became::Open)));
    let damaged = Payload::Transaction { signature: "0x76".into() };
    assert_eq!(payer.became(&demand, &damaged).await.unwrap_err().funds, Funds::Unknown);
    assert!(node.asked().is_empty());
}
