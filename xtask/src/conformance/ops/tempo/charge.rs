//! Tempo charges: what a price becomes on the wire, and which transfers a request asks for.

use anyhow::{Context, ensure};
use mpp_core::{Amount, Request};
use mpp_tempo::{
    TempoCharge,
    chain::tip20::{Expected, MemoRule},
    charge::{Mode, transfers},
};
use serde_json::{Map, Value, json};

use super::super::{member, optional, text_of};

/// The request that a server of deployed peers makes of what it is told in display units.
///
/// They round half up past the currency's decimals, and so does this. A server here refuses such a price:
/// `amount.from_display`.
pub(in super::super) fn request(input: &Value) -> anyhow::Result<Value> {
    let decimals = member(input, "decimals")?.as_u64().context("`decimals` is not a number")?;
    let mut details = Map::new();
    ensure!(input.get("memo").is_none(), "deployed servers fix no memo");
    for name in ["chainId", "feePayer"] {
        details.extend(input.get(name).map(|value| (name.to_owned(), value.clone())));
    }
    if let Some(modes) = modes(input)? {
        details.insert("supportedModes".into(), modes);
    }
    if let Some(splits) = input.get("splits").and_then(Value::as_array) {
        ensure!(!splits.is_empty(), "no share at all");
        let splits = splits.iter().map(|split| in_base_units(split, decimals));
        details.insert("splits".into(), splits.collect::<anyhow::Result<_>>()?);
    }
    let mut request = Map::new();
    for name in ["currency", "recipient", "description", "externalId"] {
        request.extend(optional(input, name)?.map(|text| (name.to_owned(), text.into())));
    }
    request
        .insert("amount".into(), rounded(text_of(input, "amount")?, decimals)?.to_string().into());
    let is_shared = details.contains_key("splits");
    if !details.is_empty() {
        request.insert("methodDetails".into(), details.into());
    }
    if is_shared {
        legs(&Value::Object(request.clone()))?;
    }
    Ok(json!({ "request": request }))
}

/// The transfers of a request, the recipient's first.
pub(in super::super) fn legs(input: &Value) -> anyhow::Result<Value> {
    let mut wire = input.clone();
    let members = wire.as_object_mut().context("the input is no request")?;
    for name in ["currency", "recipient"] {
        members.entry(name).or_insert_with(|| ANYBODY.into());
    }
    let request: Request<TempoCharge> = serde_json::from_value(wire)?;
    let legs = transfers(&request)?;
    Ok(json!({ "transfers": Value::from_iter(legs.iter().map(leg)) }))
}

fn leg(leg: &Expected) -> Value {
    let mut shown = Map::new();
    shown.insert("amount".into(), leg.amount.to_string().into());
    shown.insert("recipient".into(), leg.to.to_string().to_lowercase().into());
    if let MemoRule::Exactly(memo) = leg.memo {
        shown.insert("memo".into(), memo.to_string().into());
    }
    shown.into()
}

fn in_base_units(split: &Value, decimals: u64) -> anyhow::Result<Value> {
    let mut split = split.clone();
    let amount = rounded(text_of(&split, "amount")?, decimals)?;
    if let Some(member) = split.get_mut("amount") {
        *member = amount.to_string().into();
    }
    Ok(split)
}

fn modes(input: &Value) -> anyhow::Result<Option<Value>> {
    let Some(value) = input.get("supportedModes") else { return Ok(None) };
    let modes: Vec<Mode> = serde_json::from_value(value.clone())?;
    ensure!(!modes.is_empty(), "no mode at all");
    let known = modes.iter().all(|mode| matches!(mode, Mode::Pull | Mode::Push));
    ensure!(known, "a mode that nobody knows");
    Ok(Some(value.clone()))
}

/// Display units in base units, rounded half up.
pub(super) fn rounded(text: &str, decimals: u64) -> anyhow::Result<Amount> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    ensure!(!whole.is_empty() && !fraction.is_empty(), "half a number");
    ensure!(fraction.bytes().all(|digit| digit.is_ascii_digit()), "not a digit");
    let decimals = usize::try_from(decimals)?;
    let kept = fraction.chars().chain(std::iter::repeat('0')).take(decimals);
    let digits = whole.chars().chain(kept.take(LONGEST)).collect::<String>();
    let up = fraction.as_bytes().get(decimals).is_some_and(|digit| *digit >= b'5');
    Amount::parse(&digits)?.checked_add(Amount::new(up.into())).context("too large")
}

/// More digits than any amount has.
const LONGEST: usize = 100;
const ANYBODY: &str = "0x20c0000000000000000000000000000000000000";
