//! Tempo: attribution memos, accounts, transactions, sessions.

pub(super) mod charge;
pub(super) mod proof;
pub(super) mod session;
pub(super) mod signing;

use anyhow::{Context, ensure};
use mpp_tempo::{
    TempoCharge,
    chain::{
        attribution::{Attribution, is_attribution},
        did::Did,
        transaction::{FeePayer, Signed},
    },
    charge::verify_receipt,
};
use serde_json::{Value, json};

use super::{credential, member, optional, text_of};

/// Where a memo names the server, and where the challenge.
const SERVER: std::ops::Range<usize> = 5..15;
const CHALLENGE: std::ops::Range<usize> = 25..32;

pub(super) fn attribution_encode(input: &Value) -> anyhow::Result<Value> {
    let memo = attribution(input)?.memo(optional(input, "clientId")?);
    Ok(json!({ "memo": memo.to_string() }))
}

pub(super) fn attribution_verify(input: &Value) -> anyhow::Result<Value> {
    let wanted = attribution(input)?.memo(None);
    let memo = text_of(input, "memo")?.parse().ok().filter(is_attribution);
    let same = |part: std::ops::Range<usize>| {
        memo.is_some_and(|memo| memo.get(part.clone()) == wanted.get(part))
    };
    Ok(json!({ "isMpp": memo.is_some(), "server": same(SERVER), "challenge": same(CHALLENGE) }))
}

fn attribution(input: &Value) -> anyhow::Result<Attribution> {
    Ok(Attribution::new(text_of(input, "serverId")?, text_of(input, "challengeId")?))
}

pub(super) fn did_parse(input: &Value) -> anyhow::Result<Value> {
    let Did { chain_id, address } = text_of(input, "source")?.parse()?;
    Ok(json!({ "address": address.to_string(), "chainId": chain_id }))
}

/// Whether a node's receipt proves that a credential's challenge was paid.
pub(super) fn receipt_verify(input: &Value) -> anyhow::Result<Value> {
    let credential = credential::read(member(input, "credential")?)?;
    let demand = credential.challenge.read::<TempoCharge>()?;
    let payload = credential.payload::<TempoCharge>()?;
    let reference = verify_receipt(&demand, &payload, member(input, "receipt")?)?;
    Ok(json!({ "status": "success", "reference": reference }))
}

/// What a serialized transaction says, its signatures checked.
pub(super) fn transaction_read(input: &Value) -> anyhow::Result<Value> {
    let signed = Signed::decode(&bytes(text_of(input, "serialized")?)?)?;
    let transaction = &signed.transaction;
    let sender = signed.sender()?;
    let sponsor = signed.sponsor()?.map(|address| address.to_string());
    let awaited = transaction.fee_payer == FeePayer::Awaited;
    let lower = |text: String| text.to_lowercase();
    Ok(json!({
        "chainId": transaction.chain_id,
        "calls": transaction.calls.len(),
        "sender": lower(sender.to_string()),
        "signHash": transaction.signing_hash().to_string(),
        "expiringNonceHash": transaction.expiring_nonce_hash(sender).to_string(),
        "hash": signed.hash().to_string(),
        "awaitsSponsor": awaited,
        "sponsor": sponsor.map(lower),
    }))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("0x".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

fn bytes(hex: &str) -> anyhow::Result<Vec<u8>> {
    let digits = hex.strip_prefix("0x").context("hex starts with 0x")?.as_bytes();
    ensure!(digits.len().is_multiple_of(2), "hex has two digits a byte");
    let digit = |&digit: &u8| char::from(digit).to_digit(16).context("not a hex digit");
    let byte = |pair: &[u8]| {
        let value = pair.iter().map(digit).try_fold(0, |sum, d| anyhow::Ok(sum * 16 + d?))?;
        Ok(u8::try_from(value)?)
    };
    digits.chunks(2).map(byte).collect()
}
