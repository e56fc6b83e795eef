//! Tempo: transactions, signatures, calldata, logs and receipts.

use std::sync::LazyLock;

use alloy::primitives::{B256, U256, keccak256};
use mpp_core::{
    Challenge, Draft, Encoded, Realm,
    challenge::ChallengeId,
    name::{IntentName, MethodName},
};
use mpp_tempo::{
    TempoCharge,
    chain::{
        PATH_USD,
        dex::{STABLECOIN_DEX, Swap},
        keychain::SignedAuthorization,
        rpc::Log,
        signature::{Key, Signature},
        tip20::{Expected, MemoRule, Moved, Transfer, find_calls, match_calls, match_logs},
        transaction::{Call, FeePayer, MAX_BYTES, MAX_CALLS, Signed},
    },
    charge::{Payload, verify_receipt},
};

use crate::cursor::Cursor;

/// A transaction in any form: what is accepted has one spelling and one set of hashes.
pub fn transaction(data: &[u8]) -> bool {
    let Ok(signed) = Signed::decode(data) else { return false };
    assert!(data.len() <= MAX_BYTES);
    assert!((1..=MAX_CALLS).contains(&signed.transaction.calls.len()));
    let envelope = data.first() == Some(&0x78);
    let canonical = if envelope { signed.envelope().ok() } else { Some(signed.encode()) };
    let canonical = canonical.expect("an envelope is read only where its sender is known");
    assert_eq!(canonical.len(), data.len(), "another spelling");
    assert_eq!(Signed::decode(&canonical).as_ref(), Ok(&signed));
    assert_eq!(signed.hash(), keccak256(signed.encode()));
    if signed.transaction.fee_payer == FeePayer::Awaited {
        assert_eq!(signed.transaction.fee_token, None, "the sponsor chooses");
        assert_eq!(Signed::decode(&signed.encode()).as_ref(), Ok(&signed));
        sponsored(&signed);
    }
    let _ = signed.sponsor();
    true
}

/// The same bytes as an envelope.
pub fn envelope(data: &[u8]) -> bool {
    let bytes = [&[0x78], data.get(1..).unwrap_or_default()].concat();
    let accepted = transaction(&bytes);
    if accepted {
        let signed = Signed::decode(&bytes).expect("it was just accepted");
        assert_eq!(signed.transaction.fee_payer, FeePayer::Awaited);
        assert!(signed.sender().is_ok(), "an envelope's sender signed");
    }
    accepted
}

/// A sponsor's signature changes nothing that the sender signed.
fn sponsored(signed: &Signed) {
    let Ok(sender) = signed.sender() else { return };
    let identity = signed.transaction.expiring_nonce_hash(sender);
    let done = signed.clone().sponsored(PATH_USD, &SPONSOR).expect("a sponsor is awaited");
    assert_eq!(done.sender(), Ok(sender));
    assert_eq!(done.sponsor(), Ok(Some(SPONSOR.address())));
    assert_eq!(done.transaction.expiring_nonce_hash(sender), identity);
    if done.encode().len() <= MAX_BYTES {
        assert_eq!(Signed::decode(&done.encode()), Ok(done));
    }
}

/// An account signature of the hash in the first 32 bytes.
pub fn signature(data: &[u8]) -> bool {
    let Some((hash, bytes)) = data.split_first_chunk::<32>() else { return false };
    let Ok(signature) = Signature::parse(bytes) else { return false };
    let canonical = signature.to_bytes();
    assert_eq!(canonical.len(), bytes.len(), "another spelling");
    assert_eq!(Signature::parse(&canonical), Ok(signature.clone()));
    let hash = B256::from(*hash);
    let recovered = signature.signer(hash);
    assert_eq!(signature.recover(hash), recovered.map(|recovered| recovered.account));
    true
}

/// An access key's authorisation.
pub fn authorization(data: &[u8]) -> bool {
    let Ok(signed) = SignedAuthorization::decode(data) else { return false };
    let canonical = signed.encode();
    assert_eq!(canonical.len(), data.len(), "another spelling");
    assert_eq!(SignedAuthorization::decode(&canonical).as_ref(), Ok(&signed));
    let _ = signed.signer();
    true
}

/// Calldata by itself, and as the calls of a payment.
pub fn calldata(data: &[u8]) -> bool {
    let read = Transfer::decode(data);
    if let Ok(transfer) = &read {
        assert_eq!(transfer.encode().as_ref(), data, "another spelling");
    }
    let mut cursor = Cursor(data);
    let mut expected = Vec::new();
    for _ in 0..cursor.byte() & 3 {
        expected.push(wanted(&mut cursor));
    }
    let mut calls = Vec::new();
    while !cursor.is_empty() && calls.len() < MAX_CALLS {
        calls.push(call(&mut cursor));
    }
    let whole = match_calls(PATH_USD, &expected, &calls);
    let found = find_calls(PATH_USD, &expected, &calls);
    if whole.is_ok() {
        assert_eq!(expected.len(), calls.len(), "a call for each transfer");
        assert_eq!(found, Ok(()), "what is all of it is among it");
    }
    if let Some((swap, rest)) = Swap::leading(&calls, STABLECOIN_DEX) {
        let written = swap.calls(STABLECOIN_DEX);
        assert_eq!([&written[..], rest].concat(), calls, "another spelling");
    }
    let mut reversed = calls.clone();
    reversed.reverse();
    assert_eq!(match_calls(PATH_USD, &expected, &reversed).is_ok(), whole.is_ok(), "in any order");
    assert_eq!(find_calls(PATH_USD, &expected, &reversed).is_ok(), found.is_ok(), "in any order");
    read.is_ok() || found.is_ok()
}

/// Logs of a receipt against the transfers that were expected.
pub fn logs(data: &[u8]) -> bool {
    let mut cursor = Cursor(data);
    let payer = (cursor.byte() & 1 == 1).then(|| cursor.account());
    let mut expected = Vec::new();
    for _ in 0..cursor.byte() & 3 {
        expected.push(wanted(&mut cursor));
    }
    let mut logs = Vec::new();
    while !cursor.is_empty() && logs.len() < 64 {
        logs.push(log(&mut cursor));
    }
    let told: Vec<Moved> = logs.iter().filter_map(Moved::read).collect();
    let shown = match_logs(PATH_USD, payer, &expected, &logs);
    if shown.is_ok() {
        assert!(told.len() >= expected.len(), "one movement paid twice");
        for wanted in &expected {
            let same = |moved: &&Moved| {
                moved.transfer.to == wanted.to
                    && moved.transfer.amount == wanted.amount
                    && moved.token == PATH_USD
                    && payer.is_none_or(|payer| payer == moved.from)
            };
            assert!(told.iter().any(|moved| same(&moved)), "nothing moved for it");
        }
    }
    logs.reverse();
    expected.reverse();
    let reversed = match_logs(PATH_USD, payer, &expected, &logs);
    assert_eq!(reversed.is_ok(), shown.is_ok(), "in any order");
    shown.is_ok() && !expected.is_empty()
}

/// A node's receipt, as JSON, against one challenge.
pub fn receipt(data: &[u8]) -> bool {
    let Ok(receipt) = serde_json::from_slice(data) else { return false };
    let demand = CHALLENGE.read::<TempoCharge>().expect("the challenge is ours");
    let payload = Payload::Hash { hash: format!("0x{}", "ab".repeat(32)) };
    let Ok(reference) = verify_receipt(&demand, &payload, &receipt) else { return false };
    assert_eq!(reference, format!("0x{}", "ab".repeat(32)));
    true
}

fn wanted(cursor: &mut Cursor<'_>) -> Expected {
    let (to, amount) = (cursor.account(), cursor.amount());
    let memo = match cursor.byte() & 3 {
        0 => MemoRule::Exactly(cursor.memo()),
        _ => MemoRule::Any,
    };
    Expected { to, amount, memo }
}

fn call(cursor: &mut Cursor<'_>) -> Call {
    let swap = || Swap { token_in: PATH_USD, token_out: PATH_USD, amount_out: 1, max_in: 2 };
    match cursor.byte() & 7 {
        0 => Call { to: PATH_USD, value: U256::ZERO, data: cursor.bytes().to_vec().into() },
        1 => Call { to: cursor.account(), value: cursor.amount(), data: Default::default() },
        2 => swap().calls(STABLECOIN_DEX)[0].clone(),
        3 => swap().calls(STABLECOIN_DEX)[1].clone(),
        4 => transfer(cursor, None).call(PATH_USD),
        _ => {
            let memo = cursor.memo();
            transfer(cursor, Some(memo)).call(PATH_USD)
        }
    }
}

fn transfer(cursor: &mut Cursor<'_>, memo: Option<B256>) -> Transfer {
    Transfer { to: cursor.account(), amount: cursor.amount(), memo }
}

fn log(cursor: &mut Cursor<'_>) -> Log {
    let kind = cursor.byte();
    let address = if kind & 8 == 0 { PATH_USD } else { cursor.account() };
    let event = if kind & 1 == 0 { TRANSFER } else { TRANSFER_WITH_MEMO };
    let mut topics = vec![keccak256(event)];
    topics.extend([cursor.account(), cursor.account()].map(|account| account.into_word()));
    if kind & 1 == 1 {
        topics.push(cursor.memo());
    }
    let mut data = cursor.amount().to_be_bytes::<32>().to_vec();
    match kind & 0x70 {
        0x10 => data.push(0),
        0x20 => drop(topics.pop()),
        0x30 => data.clear(),
        0x40 => topics.push(B256::ZERO),
        _ => {}
    }
    Log { address, topics, data: data.into() }
}

const TRANSFER: &str = "Transfer(address,address,uint256)";
const TRANSFER_WITH_MEMO: &str = "TransferWithMemo(address,address,uint256,bytes32)";

static SPONSOR: LazyLock<Key> = LazyLock::new(|| Key::new([2; 32]).expect("a key"));

/// challenge-9 of shop.example, which asks for a thousandth of a dollar.
static CHALLENGE: LazyLock<Challenge> = LazyLock::new(|| {
    let request = serde_json::json!({
        "amount": "1000", "currency": "0x20c0000000000000000000000000000000000001",
        "recipient": "0x4567890123456789012345678901234567890123",
    });
    let draft = Draft {
        realm: Realm::parse("shop.example").expect("a realm"),
        method: MethodName::from_static("tempo"),
        intent: IntentName::from_static("charge"),
        request: Encoded::of(&request).expect("a request"),
        expires: None,
        digest: None,
        description: None,
        header: None,
        opaque: None,
    };
    Challenge::received(ChallengeId::parse("challenge-9").expect("an id"), draft)
});
