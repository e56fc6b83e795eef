//! Tempo sessions: names of channels, vouchers, and what a price becomes on the wire.

use anyhow::{Context, ensure};
use mpp_core::{Amount, Request};
use mpp_tempo::{
    Key, TempoSession,
    chain::reserve::CHANNEL_RESERVE,
    session::{ChannelId, Descriptor, Domain, MOST, Protocol, VoucherKey},
};
use serde_json::{Map, Value, json};

use super::{
    super::{member, optional, text_of},
    bytes, charge, hex,
};

/// The name of a channel of the contract.
pub(in super::super) fn channel_id_v1(input: &Value) -> anyhow::Result<Value> {
    let party = |name| anyhow::Ok(text_of(input, name)?.parse()?);
    let id = ChannelId::v1(
        party("payer")?,
        party("payee")?,
        party("token")?,
        text_of(input, "salt")?.parse()?,
        party("authorizedSigner")?,
        party("escrowContract")?,
        chain_id(input)?,
    );
    Ok(json!({ "channelId": id.to_string() }))
}

/// The name of a channel of the reserve, and whose vouchers are good for it.
pub(in super::super) fn channel_id_v2(input: &Value) -> anyhow::Result<Value> {
    let descriptor: Descriptor = serde_json::from_value(input.clone())?;
    let escrow = optional(input, "escrow")?.map(str::parse).transpose()?;
    let id = descriptor.id(escrow.unwrap_or(CHANNEL_RESERVE), chain_id(input)?);
    let signer = descriptor.signer().to_string().to_lowercase();
    Ok(json!({ "channelId": id.to_string(), "effectiveSigner": signer }))
}

/// A voucher of the contract, signed.
pub(in super::super) fn sign_v1(input: &Value) -> anyhow::Result<Value> {
    sign(input, &Protocol::V1)
}

/// A voucher of the reserve, signed.
pub(in super::super) fn sign_v2(input: &Value) -> anyhow::Result<Value> {
    sign(input, &Protocol::V2)
}

/// Whether a signer made a voucher of the contract, in the one spelling that is taken.
pub(in super::super) fn verify_v1(input: &Value) -> anyhow::Result<Value> {
    verify(input, &Protocol::V1)
}

/// Whether a signer made a voucher of the reserve, in the one spelling that is taken.
pub(in super::super) fn verify_v2(input: &Value) -> anyhow::Result<Value> {
    verify(input, &Protocol::V2)
}

fn sign(input: &Value, protocol: &Protocol) -> anyhow::Result<Value> {
    let key: Key = text_of(input, "privateKey")?.parse()?;
    let voucher = Voucher::read(input, protocol)?;
    let digest = voucher.domain.digest(voucher.channel, voucher.amount);
    Ok(json!({
        "signer": key.address().to_string(), "digest": digest.to_string(),
        "signature": hex(&key.sign(digest).to_bytes()),
    }))
}

fn verify(input: &Value, protocol: &Protocol) -> anyhow::Result<Value> {
    let voucher = Voucher::read(input, protocol)?;
    let digest = voucher.domain.digest(voucher.channel, voucher.amount);
    let signer = VoucherKey::new(text_of(input, "expectedSigner")?.parse()?);
    let signature = bytes(text_of(input, "signature")?)?;
    Ok(json!({ "valid": signer.check(digest, &signature).is_ok() }))
}

struct Voucher {
    domain: Domain,
    channel: ChannelId,
    amount: Amount,
}

impl Voucher {
    fn read(input: &Value, protocol: &Protocol) -> anyhow::Result<Self> {
        let domain = member(input, "domain")?;
        let (name, most) = match protocol {
            Protocol::V2 => ("TIP20 Channel Reserve", MOST),
            _ => ("Tempo Stream Channel", Amount::new(u128::MAX)),
        };
        let named = (text_of(domain, "name")?, text_of(domain, "version")?);
        ensure!(named == (name, "1"), "a domain of another contract");
        let amount: Amount = text_of(input, "cumulativeAmount")?.parse()?;
        ensure!(amount <= most, "more than the contract counts to");
        let contract = text_of(domain, "verifyingContract")?.parse()?;
        let domain = Domain::of(protocol, chain_id(domain)?, contract);
        Ok(Self {
            domain: domain.context("a protocol that nobody knows")?,
            channel: text_of(input, "channelId")?.parse()?,
            amount,
        })
    }
}

/// The request that a server of deployed peers makes of what it is told in display units. Prices round half up, as for charges.
pub(in super::super) fn request(input: &Value) -> anyhow::Result<Value> {
    let decimals = member(input, "decimals")?.as_u64().context("`decimals` is not a number")?;
    let in_base_units = |name| {
        let amount = optional(input, name)?.map(|text| charge::rounded(text, decimals));
        anyhow::Ok(amount.transpose()?.map(|amount| Value::from(amount.to_string())))
    };
    let amount = in_base_units("amount")?.context("no price")?;
    ensure!(amount != "0", "a session is never free");
    let mut details = Map::new();
    for name in ["escrowContract", "chainId", "feePayer", "channelId", "operator"] {
        details.extend(input.get(name).map(|value| (name.to_owned(), value.clone())));
    }
    if let Some(protocol) = optional(input, "sessionProtocol")? {
        ensure!(["v1", "v2"].contains(&protocol), "a protocol that nobody knows");
        details.insert("sessionProtocol".into(), protocol.into());
    }
    details
        .extend(in_base_units("minVoucherDelta")?.map(|least| ("minVoucherDelta".into(), least)));
    let mut request = Map::new();
    for name in ["currency", "recipient", "unitType"] {
        request.extend(optional(input, name)?.map(|text| (name.to_owned(), text.into())));
    }
    request.insert("amount".into(), amount);
    request
        .extend(in_base_units("suggestedDeposit")?.map(|some| ("suggestedDeposit".into(), some)));
    let is_whole = details.contains_key("escrowContract");
    request.insert("methodDetails".into(), details.into());
    let request = Value::Object(request);
    // What names its contract is a request of ours too, and is written again from what it means.
    let request = if is_whole { written_again(request)? } else { request };
    Ok(json!({ "request": request }))
}

fn written_again(request: Value) -> anyhow::Result<Value> {
    let read: Request<TempoSession> = serde_json::from_value(request)?;
    Ok(serde_json::to_value(&read)?)
}

fn chain_id(input: &Value) -> anyhow::Result<u64> {
    member(input, "chainId")?.as_u64().context("`chainId` is not a number")
}
