//! What a verifier offers, and every reason for which it refuses a transaction.

use std::num::NonZeroU64;

use alloy::primitives::uint;
use mpp_core::{
    Price,
    problem::{Reason, Rejection},
    transport::Resource,
    verifier::Asking,
};

use proptest::prelude::*;

use super::{
    super::{Mode, reason},
    *,
};
use crate::chain::{
    ALPHA_USD,
    transaction::{Access, Call, FeePayer},
};

async fn check(challenge: &Challenge, payload: &Payload) -> Result<(), Reason> {
    let checked = verifier_at(Arc::default()).check(&claim(challenge, payload, None)).await;
    checked.map(drop).map_err(|rejection| rejection.reason)
}

#[tokio::test]
async fn what_a_payer_signs_is_taken_whole() {
    let challenge = challenge(&request());
    let demand = challenge.read().unwrap();
    let payment = payer_at(Arc::default()).pay(&demand, &allowance(150_000)).await.unwrap();
    let source = payment.source.unwrap();
    let claim = claim(&challenge, &payment.payload, Some(source.as_str()));
    let verifier = verifier_at(Arc::default());
    let evidence = verifier.check(&claim).await.unwrap();
    let signed = signed(&challenge).await;
    let spends = format!("{:#x}", signed.hash());
    let spent = verifier.spends(&evidence).unwrap();
    assert_eq!(spent.proof, spends);
    assert!(
        spent.until.is_some_and(|until| claim.challenge.expires.clone().unwrap().is_before(&until))
    );
}

#[tokio::test]
async fn a_transaction_that_is_not_this_payment_is_refused_with_its_reason() {
    type Edit = fn(&mut Transaction);
    fn transfer(transaction: &mut Transaction, edit: impl FnOnce(&mut Transfer)) {
        let mut made = Transfer::decode(&transaction.calls[0].data).unwrap();
        edit(&mut made);
        transaction.calls = vec![made.call(transaction.calls[0].to)];
    }
    fn end(seconds: i64) -> Option<NonZeroU64> {
        NonZeroU64::new((NOW + seconds) as u64)
    }
    let cases: &[(&str, Edit, Reason)] = &[
        ("chain", |t| t.chain_id = 4217, reason::WRONG_CHAIN),
        ("token", |t| t.calls[0].to = ALPHA_USD, reason::WRONG_TOKEN),
        ("value", |t| t.calls[0].value = U256::from(1), reason::NATIVE_VALUE),
        ("function", |t| t.calls[0].data = vec![1, 2, 3, 4].into(), reason::NOT_A_TRANSFER),
        (
            "dirty",
            |t| {
                let mut data = t.calls[0].data.to_vec();
                data[4] = 1;
                t.calls[0].data = data.into();
            },
            reason::DIRTY_CALLDATA,
        ),
        (
            "trailing",
            |t| t.calls[0].data = [&t.calls[0].data[..], &[0]].concat().into(),
            reason::DIRTY_CALLDATA,
        ),
        (
            "recipient",
            |t| transfer(t, |made| made.to = Address::repeat_byte(3)),
            reason::WRONG_RECIPIENT,
        ),
        ("less", |t| transfer(t, |made| made.amount = U256::from(99_999)), reason::WRONG_AMOUNT),
        ("more", |t| transfer(t, |made| made.amount = U256::from(100_001)), reason::WRONG_AMOUNT),
        ("no memo", |t| transfer(t, |made| made.memo = None), reason::WRONG_MEMO),
        ("memo", |t| transfer(t, |made| made.memo = Some(B256::ZERO)), reason::WRONG_MEMO),
        ("two calls", |t| t.calls.push(t.calls[0].clone()), reason::WRONG_CALLS),
        (
            "a call with value",
            |t| t.calls.push(Call { to: ALPHA_USD, value: U256::from(1), ..t.calls[0].clone() }),
            reason::NATIVE_VALUE,
        ),
        (
            "access",
            |t| t.access_list = vec![Access { address: shop(), slots: vec![] }],
            reason::MORE_THAN_CALLS,
        ),
        ("delegation", |t| t.authorizations = vec![delegation()], reason::MORE_THAN_CALLS),
        ("nonce key", |t| t.nonce_key = U256::ZERO, reason::NOT_EXPIRING),
        ("nonce", |t| t.nonce = 1, reason::NOT_EXPIRING),
        ("no end", |t| t.valid_before = None, reason::NOT_EXPIRING),
        ("ended", |t| t.valid_before = end(-1), Reason::EXPIRED),
        ("ends now", |t| t.valid_before = end(2), Reason::EXPIRED),
        ("too long", |t| t.valid_before = end(33), reason::VALID_TOO_LONG),
        ("for ever", |t| t.valid_before = NonZeroU64::new(u64::MAX), reason::VALID_TOO_LONG),
        ("later", |t| t.valid_after = end(1), reason::NOT_YET_VALID),
        ("no gas", |t| t.gas_limit = 0, reason::GAS_TOO_LOW),
        ("a call's gas", |t| t.gas_limit = 21_000, reason::GAS_TOO_LOW),
        ("little gas", |t| t.gas_limit = 49_999, reason::GAS_TOO_LOW),
        ("tip", |t| t.max_priority_fee_per_gas = t.max_fee_per_gas + 1, reason::TIP_TOO_HIGH),
        (
            "no fee",
            |t| {
                t.max_fee_per_gas = 0;
                t.max_priority_fee_per_gas = 0;
            },
            reason::FEE_TOO_LOW,
        ),
        (
            "sponsored",
            |t| {
                t.fee_payer = FeePayer::Awaited;
                t.fee_token = None;
            },
            reason::NOT_SPONSORED,
        ),
    ];
    let challenge = challenge(&request());
    let signed = signed(&challenge).await;
    for (name, edit, reason) in cases {
        let raw = resigned(&signed, edit).encode();
        assert_eq!(check(&challenge, &pull(&raw)).await, Err(*reason), "{name}");
    }
    for seconds in [3, 32] {
        let raw = resigned(&signed, |t| t.valid_before = end(seconds)).encode();
        assert_eq!(check(&challenge, &pull(&raw)).await, Ok(()), "{seconds} s left");
    }
    let patient = verifier_at(Arc::default()).longest_validity(Duration::from_secs(600));
    for (seconds, taken) in [(60, true), (305, true), (306, false)] {
        // The challenge itself ends in 300 seconds.
        let raw = resigned(&signed, |t| t.valid_before = end(seconds)).encode();
        let checked = patient.check(&claim(&challenge, &pull(&raw), None)).await;
        assert_eq!(checked.is_ok(), taken, "{seconds} s left");
    }
}

#[tokio::test]
async fn other_forms_and_signatures_are_refused() {
    let challenge = challenge(&request());
    let signed = signed(&challenge).await;
    let raw = signed.encode();
    let sponsored = resigned(&signed, |t| {
        t.fee_payer = FeePayer::Awaited;
        t.fee_token = None;
    });
    let envelope = sponsored.envelope().unwrap();
    assert_eq!(check(&challenge, &pull(&envelope)).await, Err(reason::NOT_SPONSORED));

    let order = uint!(0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141_U256);
    let mut high = raw.clone();
    let (at, last) = (raw.len() - 33, raw.len() - 1);
    let s = order - U256::from_be_slice(&raw[at..last]);
    high[at..last].copy_from_slice(&s.to_be_bytes::<32>());
    high[last] = 55 - raw[last];
    assert_eq!(check(&challenge, &pull(&high)).await, Err(reason::BAD_SIGNATURE));

    let text = |signature: &str| Payload::Transaction { signature: signature.into() };
    let hex = alloy::primitives::hex::encode(&raw);
    for bad in [
        String::new(),
        "0x".into(),
        hex.clone(),
        format!("0x0x{hex}"),
        format!("0x{hex}0"),
        format!("0x{hex}00"),
        "0x02c0".into(),
    ] {
        assert_eq!(check(&challenge, &text(&bad)).await, Err(Reason::UNREADABLE), "{bad}");
    }
    let proof = Payload::Proof { signature: "0x00".into() };
    assert_eq!(check(&challenge, &proof).await, Err(reason::WRONG_PAYLOAD));
}

#[tokio::test]
async fn two_spellings_of_one_signature_spend_the_same() {
    let challenge = challenge(&request());
    let raw = signed(&challenge).await.encode();
    let mut other = raw.clone();
    *other.last_mut().unwrap() -= 27;
    let upper = Payload::Transaction {
        signature: format!("0x{}", alloy::primitives::hex::encode_upper(&raw)),
    };
    let verifier = verifier_at(Arc::default());
    let mut spent = Vec::new();
    for payload in [pull(&raw), pull(&other), upper] {
        let evidence = verifier.check(&claim(&challenge, &payload, None)).await.unwrap();
        let written = serde_json::to_string(&evidence).unwrap();
        spent.push((verifier.spends(&evidence).unwrap().proof.into_owned(), written));
    }
    assert!(spent.windows(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test]
async fn a_source_must_be_the_signer_on_this_chain() {
    let challenge = challenge(&request());
    let payload = pull(&signed(&challenge).await.encode());
    let signer = key().address();
    let cases = [
        (format!("did:pkh:eip155:42431:{signer}"), true),
        (format!("did:pkh:eip155:42431:{signer:#x}"), true),
        (format!("did:pkh:eip155:4217:{signer}"), false),
        (format!("did:pkh:eip155:42431:{SHOP}"), false),
        ("somebody".into(), false),
    ];
    for (source, taken) in cases {
        let checked =
            verifier_at(Arc::default()).check(&claim(&challenge, &payload, Some(&source))).await;
        assert_eq!(
            checked.map(drop).map_err(|r| r.reason),
            if taken { Ok(()) } else { Err(reason::WRONG_SOURCE) },
            "{source}"
        );
    }
}

#[tokio::test]
async fn a_challenge_that_this_verifier_would_not_make_is_refused() {
    type Edit = fn(&mut Request<TempoCharge>);
    let cases: &[(&str, Edit)] = &[
        ("chain", |r| r.details.method_details.chain_id = Some(4217)),
        ("no chain", |r| r.details.method_details.chain_id = None),
        ("sponsor", |r| r.details.method_details.fee_payer = Some(true)),
        ("memo", |r| r.details.method_details.memo = Some(format!("0x{}", "42".repeat(32)))),
        ("modes", |r| r.details.method_details.supported_modes = Some(vec![])),
        ("shares", |r| r.details.method_details.splits = Some(vec![])),
        ("unknown", |r| {
            r.details.method_details.extra.insert("x".into(), 1.into());
        }),
        ("currency", |r| r.terms.currency = format!("{ALPHA_USD:#x}")),
        ("recipient", |r| r.terms.recipient = Some(format!("0x{}", "33".repeat(20)))),
        ("no recipient", |r| r.terms.recipient = None),
    ];
    let payload = pull(&signed(&challenge(&request())).await.encode());
    for (name, edit) in cases {
        let mut request = request();
        edit(&mut request);
        assert_eq!(check(&challenge(&request), &payload).await, Err(Reason::WRONG_TERMS), "{name}");
    }
    // The same terms under another challenge: the memo names the first.
    let mut named = request();
    named.terms.external_id = Some("order-2".into());
    assert_eq!(check(&challenge(&named), &payload).await, Err(reason::WRONG_MEMO));
}

#[tokio::test]
async fn a_payer_is_not_paid_by_itself() {
    let mut request = request();
    let own = key().address().to_string();
    request.terms.recipient = Some(own.clone());
    let challenge = challenge(&request);
    let signed = resigned(&signed(&super::challenge(&super::request())).await, |t| {
        let made = Transfer::decode(&t.calls[0].data).unwrap();
        t.calls = vec![Transfer { to: key().address(), ..made }.call(t.calls[0].to)];
    });
    let verifier = Verifier::new(&Chain::MODERATO, &own, Arc::new(Scripted::default())).unwrap();
    let verifier = verifier.clock(Arc::new(Still(NOW)));
    let refused = verifier.check(&claim(&challenge, &pull(&signed.encode()), None)).await;
    assert_eq!(refused.unwrap_err().reason, reason::SELF_PAYMENT);
}

#[tokio::test]
async fn what_the_node_says_of_the_payer_is_believed_and_its_silence_is_our_fault() {
    let word = |held: u128| move |_: Trial| Ok(U256::from(held).to_be_bytes_vec().into());
    let reverting = |trial: Trial| match trial.from {
        Some(_) => Err(refused(3)),
        None => Ok(U256::from(1_000_000).to_be_bytes_vec().into()),
    };
    let node = |call: Script<Trial, Bytes>| Scripted { call, ..Scripted::default() };
    let cases: Vec<(&str, Scripted, Reason)> = vec![
        ("nothing", node(Box::new(word(0))), reason::SHORT_OF_FUNDS),
        ("no fee", node(Box::new(word(100_000))), reason::SHORT_OF_FUNDS),
        ("refused", node(Box::new(reverting)), reason::WOULD_FAIL),
        ("silent", node(Box::new(|_| Err(RpcError::Unanswered(gone())))), reason::RAIL_UNAVAILABLE),
        ("limited", node(Box::new(|_| Err(refused(-32005)))), reason::RAIL_UNAVAILABLE),
        ("no token", node(Box::new(|_| Ok(Bytes::new()))), reason::RAIL_UNAVAILABLE),
        (
            "wrong chain",
            Scripted { chain_id: Box::new(|()| Ok(1)), ..Scripted::default() },
            reason::RAIL_UNAVAILABLE,
        ),
    ];
    let challenge = challenge(&request());
    let payload = pull(&signed(&challenge).await.encode());
    for (name, node, reason) in cases {
        let node = Arc::new(node);
        let refused: Rejection =
            verifier_at(node.clone()).check(&claim(&challenge, &payload, None)).await.unwrap_err();
        assert_eq!(refused.reason, reason, "{name}");
        if reason == reason::RAIL_UNAVAILABLE {
            assert!(
                !refused.kind.fresh && refused.kind.status == 503 && refused.retry_after.is_some()
            );
        }
        assert!(!refused.to_string().contains("have 5"));
        assert!(!node.asked().contains(&"send"), "{name}");
    }
    let once = Arc::new(Scripted::default());
    let verifier = verifier_at(once.clone());
    for _ in 0..2 {
        verifier.check(&claim(&challenge, &payload, None)).await.unwrap();
    }
    let each = ["block", "gas_price", "call", "call"];
    assert_eq!(once.asked(), [&["chain_id"][..], &each, &each].concat());
}

#[tokio::test]
async fn a_fee_is_held_against_the_base_fee_or_else_the_price() {
    let challenge = challenge(&request());
    let made = signed(&challenge).await;
    let price = 20_000_000_000;
    for (base_fee, offered, taken) in [
        (Some(7), 7, true),
        (Some(7), 6, false),
        (Some(price + 1), price, false),
        (None, price, true),
        (None, price - 1, false),
    ] {
        let block = move |()| Ok(Block { number: 9, timestamp: NOW as u64, base_fee });
        let node = Arc::new(Scripted { block: Box::new(block), ..Scripted::default() });
        let raw = resigned(&made, |t| {
            t.max_fee_per_gas = offered;
            t.max_priority_fee_per_gas = 0;
        });
        let checked = verifier_at(node).check(&claim(&challenge, &pull(&raw.encode()), None)).await;
        let expected = if taken { Ok(()) } else { Err(reason::FEE_TOO_LOW) };
        assert_eq!(checked.map(drop).map_err(|r| r.reason), expected, "{base_fee:?} {offered}");
    }
    for block in [Err(502), Ok(None)] {
        let node = Arc::new(Scripted {
            block: Box::new(move |()| match block {
                Err(status) => Err(RpcError::Status(status)),
                Ok(base_fee) => Ok(Block { number: 9, timestamp: NOW as u64, base_fee }),
            }),
            gas_price: Box::new(|()| Err(RpcError::Status(502))),
            ..Scripted::default()
        });
        let payload = pull(&made.encode());
        let refused = verifier_at(node).check(&claim(&challenge, &payload, None)).await;
        assert_eq!(refused.unwrap_err().reason, reason::RAIL_UNAVAILABLE);
    }
}

#[tokio::test]
async fn a_payment_that_was_mined_already_is_taken_while_it_is_remembered() {
    type Found = fn(&[u8]) -> Result<Option<Receipt>, RpcError>;
    let found: Found = |raw| Ok(Some(mined(raw)));
    let failed: Found = |raw| Ok(Some(Receipt { success: false, ..mined(raw) }));
    let other: Found = |raw| Ok(Some(Receipt { hash: B256::ZERO, ..mined(raw) }));
    let none: Found = |_| Ok(None);
    let silent: Found = |_| Err(RpcError::Status(502));
    let cases = [
        ("spent", 25, found, None),
        ("failed, for the settlement to say", 25, failed, None),
        ("ended", -1, found, None),
        ("ended ten minutes ago", -600, found, None),
        ("ended longer ago", -601, found, Some(Reason::EXPIRED)),
        ("spent elsewhere", 25, none, Some(reason::SHORT_OF_FUNDS)),
        ("ended, never mined", -1, none, Some(Reason::EXPIRED)),
        ("another's receipt", 25, other, Some(reason::SHORT_OF_FUNDS)),
        ("cannot say", 25, silent, Some(reason::RAIL_UNAVAILABLE)),
        ("ended, cannot say", -1, silent, Some(reason::RAIL_UNAVAILABLE)),
    ];
    let challenge = challenge(&request());
    let made = signed(&challenge).await;
    for (name, end, receipt, refusal) in cases {
        let end = NonZeroU64::new((NOW + end) as u64);
        let raw = resigned(&made, |t| t.valid_before = end).encode();
        let sent = raw.clone();
        let node = Arc::new(Scripted {
            call: Box::new(|_| Ok(U256::ZERO.to_be_bytes_vec().into())),
            receipt: Box::new(move |_| receipt(&sent)),
            ..Scripted::default()
        });
        let checked = verifier_at(node).check(&claim(&challenge, &pull(&raw), None)).await;
        assert_eq!(checked.err().map(|refused| refused.reason), refusal, "{name}");
    }
    // One that is not this payment is refused all the same, mined or not.
    let raw = resigned(&made, |t| t.calls[0].to = ALPHA_USD).encode();
    let sent = raw.clone();
    let receipt: Script<_, _> = Box::new(move |_| Ok(Some(mined(&sent))));
    let node = Arc::new(Scripted { receipt, ..Scripted::default() });
    let refused = verifier_at(node.clone()).check(&claim(&challenge, &pull(&raw), None)).await;
    assert_eq!(refused.unwrap_err().reason, reason::WRONG_TOKEN);
    assert!(node.asked().is_empty());
}

#[tokio::test]
async fn prices_are_said_exactly_or_not_at_all_and_details_last() {
    let usd = verifier_at(Arc::default());
    let alpha = usd.clone().currency(&format!("{ALPHA_USD:#x}")).unwrap();
    let other = usd.clone().currency("0x20c0000000000000000000000000000000000042").unwrap();
    let cases = [
        (&usd, "0.10 usd", Some(100_000)),
        (&usd, "0.0000001 usd", None),
        (&usd, "0 usd", Some(0)),
        (&usd, "1 eur", None),
        (&usd, "1 0x20c0000000000000000000000000000000000000", Some(1_000_000)),
        (&usd, "1 0x20c0000000000000000000000000000000000001", None),
        (&alpha, "0.5 USD", Some(500_000)),
        (&other, "1 usd", None),
        (&other, "1.5 0x20c0000000000000000000000000000000000042", Some(1_500_000)),
    ];
    for (verifier, price, amount) in cases {
        let terms = verifier.terms(&price.parse().unwrap());
        assert_eq!(terms.ok().map(|terms| terms.amount.get()), amount, "{price}");
    }
    // What would pay for a price, exact or not, is in the same token and to the same recipient.
    for (verifier, price, amount) in [
        (&usd, "0.10 usd", Some(100_000)),
        (&usd, "0.0000001 usd", Some(1)),
        (&usd, "1 eur", None),
        (&usd, "1.0000001 0x20c0000000000000000000000000000000000000", Some(1_000_001)),
        (&usd, "1 0x20c0000000000000000000000000000000000001", None),
        (&other, "1 usd", None),
        (&other, "0.0000015 0x20c0000000000000000000000000000000000042", Some(2)),
    ] {
        let price: Price = price.parse().unwrap();
        let covering = verifier.covering(&price);
        assert_eq!(covering.as_ref().map(|terms| terms.amount.get()), amount, "{price:?}");
        if let (Ok(terms), Some(covering)) = (verifier.terms(&price), covering) {
            assert_eq!(covering, terms);
        }
    }
    assert!(usd.clone().currency(SHOP).is_err());
    assert!(Verifier::new(&Chain::MODERATO, "0x22", Arc::new(Scripted::default())).is_err());
    let at = Resource::at("GET /");
    let realm = mpp_core::Realm::parse("shop").unwrap();
    let until = mpp_core::Timestamp::from_unix(0, 0);
    let asking = Asking::new(&at, &realm, &until);
    let minted = usd.details(&request().terms, asking).await.unwrap();
    assert!(minted.lasting && minted.details == request().details);
    assert_eq!(minted.details.method_details.supported_modes, None);
    let pull = usd.modes([Mode::Pull]);
    let minted = pull.details(&request().terms, asking).await.unwrap();
    assert_eq!(minted.details.method_details.supported_modes, Some(vec![Mode::Pull]));
}

/// Runs a check that never waits.
fn checked_now(payload: &Payload) -> Result<(), Reason> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let source = format!("did:pkh:eip155:42431:{}", key().address());
    let claim = claim(&challenge(&request()), payload, Some(&source));
    let checked = runtime.block_on(verifier_at(Arc::default()).check(&claim));
    checked.map(drop).map_err(|rejection| rejection.reason)
}

fn signed_now() -> Vec<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(signed(&challenge(&request()))).encode()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_byte_of_a_payment_can_be_changed(at: proptest::sample::Index, change in 1u8..) {
        let mut raw = signed_now();
        prop_assert_eq!(checked_now(&pull(&raw)), Ok(()));
        // All but the last, whose two spellings mean the same.
        let at = at.index(raw.len() - 1);
        raw[at] ^= change;
        prop_assert!(checked_now(&pull(&raw)).is_err(), "byte {}", at);
    }

    #[test]
    fn any_text_is_refused(signature in "(0x)?(76|78)?[0-9a-f]{0,200}|.{0,60}") {
        let payload = Payload::Transaction { signature };
        prop_assert!(checked_now(&payload).is_err());
    }
}
