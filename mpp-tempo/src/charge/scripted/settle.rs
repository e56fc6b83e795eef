//! What becomes of a payment, for everything a node can say or leave unsaid.

use mpp_core::fate::Fate;

use super::{
    super::{
        Evidence,
        asked::Asked,
        evidence::{Kind, Order},
    },
    *,
};
use crate::chain::rpc::json::Malformed;

async fn evidence() -> Evidence {
    let challenge = challenge(&request());
    let asked = Asked::read(&challenge, &request()).unwrap();
    Evidence::of(Kind::Signed(Box::new(Order::read(signed(&challenge).await, asked).unwrap())))
}

fn order(evidence: &Evidence) -> &Order {
    let Kind::Signed(order) = evidence.kind() else { panic!("pull mode") };
    order
}

fn raw(evidence: &Evidence) -> Bytes {
    order(evidence).raw()
}

const END: u64 = NOW as u64 + 25;

/// A fate in a word.
fn word(fate: &Fate) -> String {
    match fate {
        Fate::Settled(_) => "settled".into(),
        Fate::Failed(rejection) => rejection.reason.as_str().into(),
        Fate::Unknown(_) => "unknown".into(),
        Fate::Absent => "absent".into(),
        _ => "another".into(),
    }
}

#[tokio::test]
async fn a_mined_transfer_is_settled_by_its_logs() {
    let evidence = evidence().await;
    let fate = verifier_at(Arc::default()).settle(&evidence).await;
    let Fate::Settled(settled) = fate else { panic!("{fate:?}") };
    assert_eq!(settled.reference, format!("{:#x}", order(&evidence).signed.hash()));
    assert_eq!(settled.reference, settled.reference.to_lowercase());
    let payer = format!("did:pkh:eip155:42431:{}", key().address());
    assert_eq!(settled.payer.unwrap().as_str(), payer);
}

#[tokio::test]
async fn a_receipt_is_judged_by_its_logs_and_never_by_its_status_alone() {
    type Edit = fn(&mut Receipt);
    let cases: &[(&str, Edit, &str)] = &[
        ("failed", |r| r.success = false, "reverted"),
        (
            "failed without logs",
            |r| {
                r.success = false;
                r.logs.clear();
            },
            "reverted",
        ),
        ("no logs", |r| r.logs.clear(), "not-transferred"),
        (
            "another token",
            |r| r.logs.iter_mut().for_each(|log| log.address = shop()),
            "not-transferred",
        ),
        (
            "another payer",
            |r| r.logs.iter_mut().for_each(|log| log.topics[1] = B256::ZERO),
            "not-transferred",
        ),
        ("no memo", |r| r.logs.truncate(1), "not-transferred"),
        ("another transaction", |r| r.hash = B256::ZERO, "unknown"),
        (
            "a fee beside it",
            |r| r.logs.insert(0, Log { address: shop(), topics: vec![], data: Bytes::new() }),
            "settled",
        ),
    ];
    let evidence = evidence().await;
    for (name, edit, fate) in cases {
        let edit = *edit;
        let raw = order(&evidence).raw();
        let told = move || {
            let mut receipt = mined(&raw);
            edit(&mut receipt);
            receipt
        };
        let found = told.clone();
        let node = Arc::new(Scripted {
            send: Some(Box::new(move |_| Ok(told()))),
            receipt: Box::new(move |_| Ok(Some(found()))),
            ..Scripted::default()
        });
        let verifier = verifier_at(node);
        assert_eq!(word(&verifier.settle(&evidence).await), *fate, "settle: {name}");
        assert_eq!(word(&verifier.reconcile(&evidence).await), *fate, "reconcile: {name}");
    }
}

#[tokio::test]
async fn an_error_is_never_a_failure_unless_the_chain_says_that_it_is_too_late() {
    type Error = fn() -> RpcError;
    let errors: &[Error] = &[
        || RpcError::Unreachable(gone()),
        || RpcError::Unanswered(gone()),
        || RpcError::Status(429),
        || RpcError::Status(502),
        || RpcError::Malformed(Malformed::Response),
        || refused(-32003),
        || refused(-32603),
        || refused(-32602),
        || refused(-32000),
    ];
    let evidence = evidence().await;
    for error in errors {
        let raw = order(&evidence).raw();
        let found: fn(&Bytes) -> Option<Receipt> = |raw| Some(mined(raw));
        let none: fn(&Bytes) -> Option<Receipt> = |_| None;
        let cases = [
            (found, NOW as u64, "settled"),
            (found, END + 100, "settled"),
            (none, NOW as u64, "unknown"),
            (none, END - 1, "unknown"),
            (none, END + 29, "unknown"),
            (none, END + 30, "expired"),
            (none, END + 3600, "expired"),
            (none, END + 3601, "unknown"),
        ];
        for (receipt, now, fate) in cases {
            let raw = raw.clone();
            let node = Scripted {
                send: Some(Box::new(move |_| Err(error()))),
                receipt: Box::new(move |_| Ok(receipt(&raw))),
                block: at(now),
                ..Scripted::default()
            };
            let node = Arc::new(node);
            let settled = verifier_at(node.clone()).settle(&evidence).await;
            assert_eq!(word(&settled), fate, "{} at {now}", error());
            assert_eq!(node.asked().iter().filter(|what| **what == "send").count(), 1);
        }
        let node = Scripted {
            send: Some(Box::new(move |_| Err(error()))),
            receipt: Box::new(move |_| Err(error())),
            block: at(END + 100),
            ..Scripted::default()
        };
        assert_eq!(word(&verifier_at(Arc::new(node)).settle(&evidence).await), "unknown");
    }
}

#[tokio::test]
async fn reconciling_sends_nothing_and_tells_absence_from_ignorance() {
    let none = || -> Script<B256, Option<Receipt>> { Box::new(|_| Ok(None)) };
    let silent =
        || -> Script<B256, Option<Receipt>> { Box::new(|_| Err(RpcError::Unanswered(gone()))) };
    let lost = || -> Script<(), Block> { Box::new(|()| Err(RpcError::Status(502))) };
    let cases = [
        (none(), at(NOW as u64), "absent"),
        (none(), at(END - 1), "absent"),
        (none(), at(END), "unknown"),
        (none(), at(END + 29), "unknown"),
        (none(), at(END + 30), "expired"),
        (none(), at(END + 3600), "expired"),
        (none(), at(END + 3601), "unknown"),
        (none(), at(u64::MAX), "unknown"),
        (none(), lost(), "unknown"),
        (silent(), at(NOW as u64), "unknown"),
        (silent(), at(END + 100), "unknown"),
    ];
    let evidence = evidence().await;
    for (index, (receipt, block, fate)) in cases.into_iter().enumerate() {
        let node = Arc::new(Scripted { receipt, block, ..Scripted::default() });
        assert_eq!(
            word(&verifier_at(node.clone()).reconcile(&evidence).await),
            fate,
            "case {index}"
        );
        assert!(!node.asked().contains(&"send"));
    }
    let raw = order(&evidence).raw();
    let node = Scripted {
        receipt: Box::new(move |_| Ok(Some(mined(&raw)))),
        block: lost(),
        ..Scripted::default()
    };
    assert_eq!(word(&verifier_at(Arc::new(node)).reconcile(&evidence).await), "settled");
}

#[tokio::test]
async fn a_node_that_never_answers_leaves_the_fate_unknown() {
    let node = Scripted { send: None, ..Scripted::default() };
    assert_eq!(word(&verifier_at(Arc::new(node)).settle(&evidence().await).await), "unknown");
}

#[tokio::test]
async fn a_node_on_another_chain_is_sent_nothing() {
    let node = Arc::new(Scripted { chain_id: Box::new(|()| Ok(4217)), ..Scripted::default() });
    let (verifier, evidence) = (verifier_at(node.clone()), evidence().await);
    assert_eq!(word(&verifier.settle(&evidence).await), "unknown");
    assert_eq!(word(&verifier.reconcile(&evidence).await), "unknown");
    assert_eq!(node.asked(), ["chain_id", "chain_id"]);
}

#[tokio::test]
async fn a_receipt_is_missing_only_once_it_was_missing_twice() {
    type Late = fn(Bytes) -> Result<Option<Receipt>, RpcError>;
    let cases: [(Late, &str); 3] = [
        (|raw| Ok(Some(mined(&raw))), "settled"),
        (|_| Err(RpcError::Unanswered(gone())), "unknown"),
        (|_| Ok(None), "expired"),
    ];
    let evidence = evidence().await;
    for (late, fate) in cases {
        let (raw, first) = (order(&evidence).raw(), Mutex::new(true));
        let node = Arc::new(Scripted {
            receipt: Box::new(move |_| {
                let first = std::mem::take(&mut *first.lock().unwrap());
                if first { Ok(None) } else { late(raw.clone()) }
            }),
            block: at(END + 60),
            ..Scripted::default()
        });
        assert_eq!(word(&verifier_at(node.clone()).reconcile(&evidence).await), fate);
        assert_eq!(node.asked(), ["chain_id", "block", "receipt", "receipt"]);
    }
}

#[tokio::test]
async fn a_payment_on_another_chain_is_not_told_by_this_ones_silence() {
    let evidence = evidence().await;
    let node = Arc::new(Scripted {
        chain_id: Box::new(|()| Ok(4217)),
        block: at(END + 100),
        ..Scripted::default()
    });
    let verifier = Verifier::new(&Chain::MAINNET, SHOP, node.clone()).unwrap();
    assert_eq!(word(&verifier.settle(&evidence).await), "unknown");
    assert_eq!(word(&verifier.reconcile(&evidence).await), "unknown");
    assert!(node.asked().is_empty());
}

#[tokio::test]
async fn evidence_survives_a_store_and_shows_nothing() {
    let evidence = evidence().await;
    let stored = serde_json::to_string(&evidence).unwrap();
    let read: Evidence = serde_json::from_str(&stored).unwrap();
    assert_eq!(
        (raw(&read), read.spends(), order(&read).payer),
        (raw(&evidence), evidence.spends(), order(&evidence).payer)
    );
    assert_eq!(serde_json::to_string(&read).unwrap(), stored);
    let shown = format!("{evidence:?}");
    assert!(!shown.contains(&raw(&evidence).to_string()[2..60]), "{shown}");
    let hex = raw(&evidence).to_string();
    let written = serde_json::to_value(&evidence).unwrap();
    for bad in [String::new(), "0x76c0".into(), hex[..100].into()] {
        let mut json = written.clone();
        json["transaction"] = serde_json::json!(bad);
        assert!(serde_json::from_value::<Evidence>(json).is_err(), "{bad}");
    }
    for member in ["type", "transaction", "chainId", "token", "transfers", "fixedMemo"] {
        let mut json = written.clone();
        json.as_object_mut().unwrap().remove(member);
        assert!(serde_json::from_value::<Evidence>(json).is_err(), "{member}");
    }
}
