//! Tempo transactions as payers and sponsors sign them.

use std::num::NonZeroU64;

use alloy::primitives::keccak256;
use anyhow::Context;
use mpp_tempo::chain::{
    signature::{Ecdsa, Key, Signature},
    transaction::{Access, Call, FeePayer, Signed, Transaction},
};
use serde_json::{Value, json};

use super::{
    super::{member, optional, text_of},
    hex,
};

/// A transaction that its sender pays the fee of.
pub(in super::super) fn sign(input: &Value) -> anyhow::Result<Value> {
    let key: Key = text_of(input, "privateKey")?.parse()?;
    let transaction = transaction(member(input, "transaction")?)?;
    let hash = transaction.signing_hash();
    let unsigned = hex(&transaction.signing_bytes());
    let signed = transaction.sign(&key);
    Ok(json!({
        "sender": key.address().to_string(), "unsigned": unsigned, "signPayload": hash.to_string(),
        "signature": numbers(ecdsa(&signed)?),
        "serialized": hex(&signed.encode()), "hash": signed.hash().to_string(),
    }))
}

/// A transaction from its payer's signature through both forms of it that a sponsor takes to the one that nodes take.
pub(in super::super) fn sponsor(input: &Value) -> anyhow::Result<Value> {
    let key: Key = text_of(input, "privateKey")?.parse()?;
    let sponsor: Key = text_of(input, "feePayerPrivateKey")?.parse()?;
    let fee_token = text_of(input, "feeToken")?.parse()?;
    let transaction = transaction(member(input, "transaction")?)?;
    let transaction = Transaction { fee_payer: FeePayer::Awaited, ..transaction };
    let hash = transaction.signing_hash();
    let awaited = transaction.sign(&key);
    let envelope = awaited.envelope()?;
    let placeholder = awaited.encode();
    // What is sponsored is what was received.
    let received = Signed::decode(&envelope)?;
    let same = received == Signed::decode(&placeholder)?;
    let sponsor_hash = received.sponsor_hash(fee_token)?;
    let cosigned = received.sponsored(fee_token, &sponsor)?;
    let FeePayer::Sponsor(made) = cosigned.transaction.fee_payer else {
        anyhow::bail!("nobody sponsored it");
    };
    Ok(json!({
        "sender": cosigned.sender()?.to_string(),
        "feePayer": cosigned.sponsor()?.map(|sponsor| sponsor.to_string()),
        "senderSignPayload": hash.to_string(),
        "unsigned": hex(&awaited.transaction.signing_bytes()),
        "sponsorEnvelope": hex(&envelope), "sponsorEnvelopeHash": keccak256(&envelope).to_string(),
        "placeholder76": hex(&placeholder), "canonical": if same { "same" } else { "different" },
        "feePayerSignPayload": sponsor_hash.to_string(), "feePayerSignature": numbers(made),
        "cosigned": hex(&cosigned.encode()), "hash": cosigned.hash().to_string(),
    }))
}

/// The identity by which the chain remembers an expiring transaction.
pub(in super::super) fn expiring_nonce_hash(input: &Value) -> anyhow::Result<Value> {
    let transaction = transaction(member(input, "transaction")?)?;
    let sponsored = input.get("feePayer").and_then(Value::as_bool).unwrap_or_default();
    let fee_payer = if sponsored { FeePayer::Awaited } else { FeePayer::Sender };
    let transaction = Transaction { fee_payer, ..transaction };
    let sender = text_of(input, "sender")?.parse()?;
    Ok(json!({
        "encodedForSigning": hex(&transaction.signing_bytes()),
        "expiringNonceHash": transaction.expiring_nonce_hash(sender).to_string(),
    }))
}

fn transaction(data: &Value) -> anyhow::Result<Transaction> {
    let mut calls = Vec::new();
    for call in list(data, "calls") {
        calls.push(Call {
            to: text_of(call, "to")?.parse()?,
            value: digits(call, "value")?.parse()?,
            data: optional(call, "data")?.unwrap_or("0x").parse()?,
        });
    }
    let mut access_list = Vec::new();
    for access in list(data, "accessList") {
        let slots = list(access, "storageKeys")
            .iter()
            .map(|slot| Ok(slot.as_str().context("a slot is 32 bytes of hex")?.parse()?));
        let slots = slots.collect::<anyhow::Result<_>>()?;
        access_list.push(Access { address: text_of(access, "address")?.parse()?, slots });
    }
    Ok(Transaction {
        max_priority_fee_per_gas: digits(data, "maxPriorityFeePerGas")?.parse()?,
        max_fee_per_gas: digits(data, "maxFeePerGas")?.parse()?,
        gas_limit: digits(data, "gas")?.parse()?,
        calls,
        access_list,
        nonce_key: digits(data, "nonceKey")?.parse()?,
        nonce: digits(data, "nonce")?.parse()?,
        valid_before: time(data, "validBefore")?,
        valid_after: time(data, "validAfter")?,
        fee_token: optional(data, "feeToken")?.map(str::parse).transpose()?,
        ..Transaction::on(digits(data, "chainId")?.parse()?)
    })
}

fn list<'a>(data: &'a Value, name: &str) -> &'a [Value] {
    data.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A number as JSON or as a text of digits; absent, it is zero.
fn digits(data: &Value, name: &str) -> anyhow::Result<String> {
    Ok(match data.get(name) {
        None | Some(Value::Null) => "0".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(_) => anyhow::bail!("`{name}` is no number"),
    })
}

fn time(data: &Value, name: &str) -> anyhow::Result<Option<NonZeroU64>> {
    Ok(NonZeroU64::new(digits(data, name)?.parse()?))
}

fn ecdsa(signed: &Signed) -> anyhow::Result<Ecdsa> {
    match &signed.signature {
        Signature::Secp256k1(made) => Ok(*made),
        _ => anyhow::bail!("not a secp256k1 signature"),
    }
}

fn numbers(made: Ecdsa) -> Value {
    json!({
        "r": format!("0x{:064x}", made.r()), "s": format!("0x{:064x}", made.s()),
        "yParity": u8::from(made.odd_y()),
    })
}
