//! The small codecs: base64url, canonical JSON, names, amounts, timestamps, digests, preferences.

use anyhow::{Context, bail, ensure};
use mpp_core::{
    Amount, Realm, Timestamp,
    accept::{Accept, Range},
    amount::Decimal,
    digest::Digest,
    encoded, jcs,
    name::{CredentialHeader, IntentName, MethodName},
};
use serde_json::{Value, json};

use super::{list, member, optional, text_of};

pub(super) fn encode(input: &Value) -> anyhow::Result<Value> {
    Ok(json!({ "text": encoded::encode(text_of(input, "text")?.as_bytes()) }))
}

pub(super) fn decode(input: &Value) -> anyhow::Result<Value> {
    Ok(json!({ "text": String::from_utf8(encoded::decode(text_of(input, "text")?)?)? }))
}

pub(super) fn jcs_format(input: &Value) -> anyhow::Result<Value> {
    Ok(json!({ "text": String::from_utf8(jcs::to_vec(member(input, "value")?)?)? }))
}

/// A double, given by its bits, as canonical JSON prints it.
pub(super) fn jcs_number(input: &Value) -> anyhow::Result<Value> {
    let bits = u64::from_str_radix(text_of(input, "bits")?, 16)?;
    Ok(json!({ "text": String::from_utf8(jcs::to_vec(&f64::from_bits(bits))?)? }))
}

pub(super) fn jcs_unambiguous(input: &Value) -> anyhow::Result<Value> {
    jcs::refuse_duplicates(text_of(input, "text")?.as_bytes())?;
    Ok(json!({}))
}

pub(super) fn name(input: &Value) -> anyhow::Result<Value> {
    let text = text_of(input, "text")?;
    let name = match text_of(input, "kind")? {
        "method" => MethodName::parse(text)?.to_string(),
        "intent" => IntentName::parse(text)?.to_string(),
        "realm" => Realm::parse(text)?.to_string(),
        "header" => CredentialHeader::parse(text)?.to_string(),
        _ => bail!("no such kind of name"),
    };
    Ok(json!({ "text": name }))
}

pub(super) fn amount_parse(input: &Value) -> anyhow::Result<Value> {
    Ok(json!({ "baseUnits": Amount::parse(text_of(input, "text")?)? }))
}

pub(super) fn amount_from_display(input: &Value) -> anyhow::Result<Value> {
    let decimal = Decimal::parse(text_of(input, "text")?)?;
    Ok(json!({ "baseUnits": decimal.to_base_units(decimals(input)?)? }))
}

pub(super) fn amount_to_display(input: &Value) -> anyhow::Result<Value> {
    let amount = Amount::parse(text_of(input, "baseUnits")?)?;
    Ok(json!({ "text": amount.to_decimal(decimals(input)?) }))
}

fn decimals(input: &Value) -> anyhow::Result<u8> {
    let decimals = member(input, "decimals")?.as_u64().context("`decimals` is not a number")?;
    Ok(u8::try_from(decimals)?)
}

pub(super) fn timestamp(input: &Value) -> anyhow::Result<Value> {
    Ok(json!({ "unixMillis": Timestamp::parse(text_of(input, "text")?)?.unix_millis() }))
}

pub(super) fn expires_syntax(input: &Value) -> anyhow::Result<Value> {
    Ok(json!({ "valid": Timestamp::parse(text_of(input, "expires")?).is_ok() }))
}

pub(super) fn digest_compute(input: &Value) -> anyhow::Result<Value> {
    Ok(json!({ "digest": Digest::of(text_of(input, "body")?.as_bytes()).as_str() }))
}

/// Whether this is how deployed peers write the digest of a body, to the letter.
///
/// A server of ours reads more spellings than that: `body_digest.matches`.
pub(super) fn digest_verify(input: &Value) -> anyhow::Result<Value> {
    let body = text_of(input, "body")?.as_bytes();
    let digest = text_of(input, "digest")?;
    Ok(json!({ "valid": Digest::of(body).as_str() == digest }))
}

pub(super) fn digest_matches(input: &Value) -> anyhow::Result<Value> {
    let digest = Digest::parse(text_of(input, "digest")?)?;
    Ok(json!({ "matches": digest.matches(text_of(input, "body")?.as_bytes()) }))
}

pub(super) fn accept_parse(input: &Value) -> anyhow::Result<Value> {
    let accept = Accept::parse(text_of(input, "header")?)?;
    let entries = accept.ranges().iter().map(|range| {
        let any = |name: Option<&str>| name.unwrap_or("*").to_owned();
        let (method, intent) = (any(range.method()), any(range.intent()));
        json!({ "method": method, "intent": intent, "thousandths": range.q() })
    });
    Ok(json!({ "entries": Value::from_iter(entries), "header": accept.to_header() }))
}

pub(super) fn accept_rank(input: &Value) -> anyhow::Result<Value> {
    let accept = match optional(input, "header")? {
        Some(header) => Accept::parse(header)?,
        None => Accept::default(),
    };
    let mut offers = Vec::new();
    for offer in list(input, "offers")? {
        offers.push((text_of(offer, "method")?, text_of(offer, "intent")?));
    }
    let order = accept.order(&offers, |offer| *offer);
    let ranked = order.into_iter().filter_map(|index| {
        let (method, intent) = offers.get(index)?;
        Some(json!({ "method": method, "intent": intent, "index": index }))
    });
    Ok(json!({ "ranked": Value::from_iter(ranked) }))
}

pub(super) fn accept_format(input: &Value) -> anyhow::Result<Value> {
    let ranges = list(input, "entries")?.iter().map(range).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(json!({ "header": Accept::from(ranges).to_header() }))
}

fn range(entry: &Value) -> anyhow::Result<Range> {
    let name = |name| Ok::<_, anyhow::Error>(Some(text_of(entry, name)?).filter(|n| *n != "*"));
    let q = match entry.get("q") {
        None => 1000,
        Some(q) => thousandths(q.as_f64().context("`q` is not a number")?)?,
    };
    Ok(Range::new(name("method")?, name("intent")?, q)?)
}

fn thousandths(q: f64) -> anyhow::Result<u16> {
    ensure!((0.0..=1.0).contains(&q), "`q` is not between 0 and 1");
    let nearest = (q * 1000.0).round();
    ensure!((q * 1000.0 - nearest).abs() < 1e-6, "`q` has more than three decimals");
    // Between 0 and 1000, and whole.
    Ok(nearest as u16)
}
