//! What a verifier makes of a hash: the chain's word, and the chain's only.

use mpp_core::{
    fate::Fate,
    problem::{Reason, Rejection},
};

use super::{
    super::{Evidence, Mode, reason},
    *,
};

type Said = fn() -> Found;
type Found = Result<Option<Receipt>, RpcError>;

fn pushed(hash: &str) -> Payload {
    Payload::Hash { hash: hash.into() }
}

fn knowing(receipt: impl Fn() -> Found + Send + Sync + 'static) -> Arc<Scripted> {
    Arc::new(Scripted { receipt: Box::new(move |_| receipt()), ..Scripted::default() })
}

async fn checked(
    node: Arc<Scripted>,
    challenge: &Challenge,
    hash: &str,
    source: Option<&str>,
) -> Result<Evidence, Rejection> {
    verifier_at(node).check(&claim(challenge, &pushed(hash), source)).await
}

#[tokio::test]
async fn s1_a_hash_is_one_proof_however_it_is_spelled() {
    let challenge = challenge(&request());
    let receipt = mined(&signed(&challenge).await.encode());
    let hash = receipt.hash;
    let node = knowing(move || Ok(Some(receipt.clone())));
    let lower = format!("{hash:#x}");
    let upper = format!("0x{}", lower[2..].to_uppercase());
    let mut marks = Vec::new();
    for spelled in [&lower, &upper] {
        let evidence = checked(node.clone(), &challenge, spelled, None).await.unwrap();
        let verifier = verifier_at(node.clone());
        assert!(verifier.has_moved(&evidence));
        let mark = verifier.spends(&evidence).unwrap();
        assert!(mark.until.unwrap().unix_seconds() > NOW + 300 + 3600);
        marks.push(mark.proof.into_owned());
        let Fate::Settled(settled) = verifier.settle(&evidence).await else { panic!("{spelled}") };
        assert_eq!(settled.reference, lower);
        let stored = serde_json::to_string(&evidence).unwrap();
        let read: Evidence = serde_json::from_str(&stored).unwrap();
        assert!(matches!(verifier.reconcile(&read).await, Fate::Settled(_)));
        assert_eq!(serde_json::to_string(&read).unwrap(), stored);
    }
    assert_eq!(marks, [lower.clone(), lower.clone()]);
    for bad in ["", "0x", &lower[2..], &lower[..65], &format!("{lower}0"), &format!("0x{lower}")] {
        let refused = checked(node.clone(), &challenge, bad, None).await.unwrap_err();
        assert_eq!(refused.reason, Reason::UNREADABLE, "{bad}");
    }
}

#[tokio::test]
async fn what_the_receipt_does_not_show_was_not_paid_and_what_the_node_does_not_say_is_unknown() {
    let first = challenge(&request());
    let good = mined(&signed(&first).await.encode());
    let other_challenge = {
        let mut named = request();
        named.terms.external_id = Some("order-2".into());
        challenge(&named)
    };
    let conflicting = mined(&signed(&other_challenge).await.encode());
    let from_another = {
        let mut receipt = good.clone();
        receipt.from = Address::repeat_byte(5);
        receipt
    };
    let hash = format!("{:#x}", good.hash);
    let with = |edit: fn(&mut Receipt)| {
        let mut receipt = good.clone();
        edit(&mut receipt);
        receipt
    };
    let cases: Vec<(&str, Receipt, Reason)> = vec![
        ("failed", with(|r| r.success = false), reason::REVERTED),
        ("no logs", with(|r| r.logs.clear()), reason::NOT_TRANSFERRED),
        ("no memo", with(|r| drop(r.logs.pop())), reason::NOT_TRANSFERRED),
        ("another token", with(|r| r.logs[1].address = Address::ZERO), reason::NOT_TRANSFERRED),
        ("less", with(|r| r.logs[1].data = vec![0; 32].into()), reason::NOT_TRANSFERRED),
        ("somebody else's transfer", from_another, reason::NOT_TRANSFERRED),
        (
            "s7: another challenge's",
            Receipt { hash: good.hash, ..conflicting },
            reason::NOT_TRANSFERRED,
        ),
        ("another transaction", with(|r| r.hash = B256::ZERO), reason::RAIL_UNAVAILABLE),
    ];
    for (name, receipt, expected) in cases {
        let node = knowing(move || Ok(Some(receipt.clone())));
        let refused = checked(node, &first, &hash, None).await.unwrap_err();
        assert_eq!(refused.reason, expected, "{name}");
    }
    let unknown: [(&str, Said, Reason); 3] = [
        ("not mined yet", || Ok(None), reason::NOT_MINED),
        ("silent", || Err(RpcError::Unanswered(gone())), reason::RAIL_UNAVAILABLE),
        ("limited", || Err(refused(-32005)), reason::RAIL_UNAVAILABLE),
    ];
    for (name, receipt, expected) in unknown {
        let refused = checked(knowing(receipt), &first, &hash, None).await.unwrap_err();
        assert_eq!(refused.reason, expected, "{name}");
        assert!(!refused.kind.fresh && refused.retry_after.is_some(), "{name}");
    }
    let node = knowing(move || Ok(Some(good.clone())));
    let fake = format!("did:pkh:eip155:42431:{SHOP}");
    let refused = checked(node.clone(), &first, &hash, Some(&fake)).await.unwrap_err();
    assert_eq!(refused.reason, reason::WRONG_SOURCE, "s3: a fake source");
    let own = format!("did:pkh:eip155:42431:{}", key().address());
    assert!(checked(node, &first, &hash, Some(&own)).await.is_ok());
}

#[tokio::test]
async fn a_hash_is_taken_only_where_it_is_offered_and_can_be_told_from_others() {
    let good = mined(&signed(&challenge(&request())).await.encode());
    let hash = format!("{:#x}", good.hash);
    let node = knowing(move || Ok(Some(good.clone())));
    let memo = format!("0x{}", "42".repeat(32));
    let sellers = [
        verifier_at(node.clone()).modes([Mode::Pull]),
        verifier_at(node.clone()).memo(&memo).unwrap(),
        verifier_at(node.clone()).memo(&memo).unwrap().modes([Mode::Pull, Mode::Push]),
    ];
    for seller in sellers {
        let terms = seller.terms(&"0.10 usd".parse().unwrap()).unwrap();
        let method_details = seller.details_of(&terms);
        let challenge = challenge(&Request { terms, details: Nested { method_details } });
        let refused = seller.check(&claim(&challenge, &pushed(&hash), None)).await.unwrap_err();
        assert_eq!(refused.reason, reason::MODE_NOT_OFFERED);
    }
    let push_only = verifier_at(node).modes([Mode::Push]);
    let terms = push_only.terms(&"0.10 usd".parse().unwrap()).unwrap();
    let method_details = push_only.details_of(&terms);
    let challenge = challenge(&Request { terms, details: Nested { method_details } });
    let raw = signed(&super::challenge(&request())).await.encode();
    let refused = push_only.check(&claim(&challenge, &pull(&raw), None)).await.unwrap_err();
    assert_eq!(refused.reason, reason::MODE_NOT_OFFERED);
}

#[tokio::test]
async fn s5_a_hash_shown_after_the_end_is_of_a_payment_made_before() {
    let challenge = challenge(&request());
    let good = mined(&signed(&challenge).await.encode());
    let hash = format!("{:#x}", good.hash);
    let end = NOW + 300;
    let cases = [
        (end, end + 1000, Ok(())),
        (end + 60, end, Ok(())),
        (end + 60, end + 5, Ok(())),
        (end + 60, end + 6, Err(Reason::EXPIRED)),
    ];
    for (now, mined_at, expected) in cases {
        let receipt = good.clone();
        let block =
            move |_| Ok(Some(Block { number: 9, timestamp: mined_at as u64, base_fee: None }));
        let node = Arc::new(Scripted {
            receipt: Box::new(move |_| Ok(Some(receipt.clone()))),
            blocks: Box::new(block),
            ..Scripted::default()
        });
        let shown = claim_at(now, &challenge, &pushed(&hash), None);
        let checked = verifier_at(node).check(&shown).await;
        assert_eq!(
            checked.map(drop).map_err(|refused| refused.reason),
            expected,
            "{now} {mined_at}"
        );
    }
    let node = knowing(move || Ok(Some(good.clone())));
    let late = claim_at(end + 60, &challenge, &pushed(&hash), None);
    let refused = verifier_at(node.clone()).check(&late).await.unwrap_err();
    assert_eq!(refused.reason, reason::RAIL_UNAVAILABLE, "a node that lacks the block");
    let signed = pull(&signed(&challenge).await.encode());
    let refused = verifier_at(node).check(&claim_at(end + 1, &challenge, &signed, None)).await;
    assert_eq!(refused.unwrap_err().reason, Reason::EXPIRED, "nothing has moved");
}

/// The shop's shares were others when the challenge was made: nobody gets what they were not paid, and nobody pays twice.
#[tokio::test]
async fn s7_money_that_went_to_other_shares_than_are_asked_today_buys_nothing_and_invites_nobody() {
    const FRIEND: &str = "0x4444444444444444444444444444444444444444";
    const OTHER: &str = "0x5555555555555555555555555555555555555555";
    let before = verifier_at(Arc::default()).share(FRIEND, "0.01").unwrap();
    let terms = before.terms(&"0.10 usd".parse().unwrap()).unwrap();
    let method_details = before.details_of(&terms);
    let asked = challenge(&Request { terms, details: Nested { method_details } });
    let raw = {
        let demand = asked.read::<TempoCharge>().unwrap();
        let payer = payer_at(Arc::default());
        let payment = payer.pay(&demand, &allowance(200_000)).await.unwrap();
        let Payload::Transaction { signature } = payment.payload else { panic!("pull mode") };
        crate::chain::parse_hex(&signature).unwrap()
    };
    let receipt = mined(&raw);
    let hash = format!("{:#x}", receipt.hash);
    let node = knowing(move || Ok(Some(receipt.clone())));
    let shown = claim(&asked, &pushed(&hash), None);
    let same = verifier_at(node.clone()).share(FRIEND, "0.01").unwrap();
    assert!(same.check(&shown).await.is_ok());
    let moved = [
        verifier_at(node.clone()).share(OTHER, "0.01").unwrap(),
        verifier_at(node.clone()).share(FRIEND, "0.02").unwrap(),
        verifier_at(node),
    ];
    for seller in moved {
        let refused = seller.check(&shown).await.unwrap_err();
        assert_eq!((refused.reason, refused.kind.fresh), (Reason::WRONG_TERMS, false));
    }
}
