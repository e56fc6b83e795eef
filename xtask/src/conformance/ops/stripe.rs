//! Stripe: what a price becomes on the wire, whose name a payment bears, and the one call that takes it.

mod till;

use std::collections::BTreeMap;

use anyhow::{Context, bail, ensure};
use mpp_core::{
    Credential, Encoded, Price, Realm, Request, Timestamp,
    binding::Claim,
    challenge::Draft,
    fate::Fate,
    method::Method,
    payer::Payer as _,
    problem::{ProblemType, Rejection},
    transport::Resource,
    verifier::{Asking, Verifier as _},
};
use mpp_stripe::{
    Api, Currency, SecretKey, StripeCharge, TEST_NETWORK,
    charge::{Options, Payer, Payload, Token, Verifier},
};
use serde_json::{Map, Value, json};

use self::till::{Heard, Till};
use super::{challenge, list, member, optional, text_of, verification::ring};

/// Whose challenges they are, and when they end, where a case does not say.
const SECRET: &str = "a secret of vectors alone, 32 bytes and more";
const REALM: &str = "api.example.com";
const LATE: &str = "2099-01-01T00:00:00Z";
/// When the suite says that its payments were made.
const SETTLED: &str = "2026-01-29T12:00:30Z";
/// No key of anybody's.
const KEY: &str = "sk_test_vectors";

/// The request that a server makes of what it is told in display units.
pub(super) fn request(input: &Value) -> anyhow::Result<Value> {
    let currency = Currency::parse(text_of(input, "currency")?)?;
    if let Some(decimals) = input.get("decimals").and_then(Value::as_u64) {
        let own = currency.decimals();
        ensure!(decimals == u64::from(own), "{currency} has {own} decimals");
    }
    let price = format!("{} {currency}", text_of(input, "amount")?);
    let mut price: Price = price.parse()?;
    price.external_id = optional(input, "externalId")?.map(str::to_owned);
    price.description = optional(input, "description")?.map(str::to_owned);
    let seller = seller(input, currency, None)?;
    let terms = seller.terms(&price)?;
    let (at, realm, until) = (Resource::at("GET /"), Realm::parse(REALM)?, Timestamp::parse(LATE)?);
    let asking = Asking::new(&at, &realm, &until);
    let details = crate::runtime()?.block_on(seller.details(&terms, asking));
    let details = details.map_err(said)?.details;
    let request = Request::<StripeCharge> { terms, details };
    let encoded = Encoded::of(&request)?;
    Ok(json!({ "request": serde_json::to_value(&request)?, "encoded": encoded.as_str() }))
}

/// A request of anybody's, as a payer here understands it; one that it would not pay is refused.
pub(super) fn read(input: &Value) -> anyhow::Result<Value> {
    let draft = json!({
        "realm": REALM, "method": "stripe", "intent": "charge",
        "request": member(input, "request")?, "expires": LATE,
    });
    let challenge = ring(SECRET)?.seal(challenge::draft(&draft)?);
    let demand = challenge.read::<StripeCharge>()?;
    let payer = Payer::asking(async |_| Err::<String, _>("nobody is asked here"));
    let why = || payer.declines(&demand).unwrap_or("it would not be paid".into());
    payer.exposes(&demand).with_context(why)?;
    Ok(json!({ "request": serde_json::to_value(&demand.request)? }))
}

/// A payload, if what it shows can be a token.
pub(super) fn payload(input: &Value) -> anyhow::Result<Value> {
    let payload: Payload = serde_json::from_value(member(input, "payload")?.clone())?;
    Token::parse(&payload.spt)?;
    Ok(json!({ "payload": serde_json::to_value(&payload)? }))
}

/// The decimals of a currency, and the least that a card is charged.
pub(super) fn currency(input: &Value) -> anyhow::Result<Value> {
    let currency = Currency::parse(text_of(input, "code")?)?;
    let least = currency.least().map(|least| least.to_string());
    Ok(json!({ "decimals": currency.decimals(), "least": least }))
}

/// What Stripe is asked for a credential: the headers that decide, and the form in its order.
pub(super) fn call(input: &Value) -> anyhow::Result<Value> {
    let told = json!({ "id": "pi_1", "status": "succeeded" });
    let taken = take(input, &told)?;
    taken.fate.map_err(said)?;
    let mut heard = taken.heard.context("Stripe was not asked")?;
    for (_, sdk) in heard.form.iter_mut().filter(|(name, _)| name == "metadata[mpp_sdk]") {
        // Whose it is, and of no version: that changes.
        sdk.truncate(sdk.find('/').context("the SDK says no version")?);
    }
    let header = |name: &str| heard.header(name);
    Ok(json!({
        "challengeId": taken.claim.challenge.id().as_str(),
        "idempotencyKey": header("idempotency-key"),
        "stripeVersion": header("stripe-version"),
        "stripeAccount": header("stripe-account"),
        "contentType": header("content-type"),
        "authorization": header("authorization"),
        "path": heard.path,
        "form": heard.form,
    }))
}

/// Whose name the receipt of a payment bears: the one in the request that the server bound, and no payer's.
///
/// The suite writes currencies in upper case and leaves the seller's profile out; a server here asks in neither way.
pub(super) fn external_id_binding(input: &Value) -> anyhow::Result<Value> {
    let taken = take(input, member(input, "paymentIntent")?)?;
    let external_id = taken.claim.request.terms.external_id.clone();
    Ok(match taken.fate {
        Ok(Fate::Settled(settlement)) => {
            let mut receipt = json!({
                "status": "success", "method": StripeCharge::NAME.as_str(),
                "timestamp": SETTLED, "reference": settlement.reference,
            });
            if let Some(external_id) = external_id {
                receipt["externalId"] = external_id.into();
            }
            json!({ "ok": true, "receipt": receipt })
        }
        Ok(Fate::Failed(rejection)) | Err(rejection) => {
            let kind = match rejection.kind {
                kind if kind == ProblemType::INVALID_CHALLENGE => "invalid_challenge",
                _ => "verification_failed",
            };
            json!({ "ok": false, "errorType": kind })
        }
        Ok(_) => bail!("what became of the payment is not known"),
    })
}

/// What became of a credential.
struct Taken {
    claim: Claim<StripeCharge>,
    fate: Result<Fate, Rejection>,
    heard: Option<Heard>,
}

/// Checks and settles a credential by a seller whose Stripe answers this.
fn take(input: &Value, told: &Value) -> anyhow::Result<Taken> {
    let claim = claim(input)?;
    let terms = &claim.request.terms;
    let currency = Currency::parse(&terms.currency)?;
    let details = serde_json::to_value(&claim.request.details.method_details)?;
    let till = Till::answering(told, terms.amount.get(), currency.as_str())?;
    let runtime = crate::runtime()?;
    let (fate, heard) = runtime.block_on(async {
        let till = till.open().await?;
        let seller = seller(&details, currency, Some(till.url()))?;
        let seller = match input.get("options") {
            Some(options) => seller.options(options_of(options)?)?,
            None => seller,
        };
        let fate = match seller.check(&claim).await {
            Ok(evidence) => Ok(seller.settle(&evidence).await),
            Err(rejection) => Err(rejection),
        };
        anyhow::Ok((fate, till.close()))
    })?;
    Ok(Taken { claim, fate, heard })
}

fn claim(input: &Value) -> anyhow::Result<Claim<StripeCharge>> {
    let mut request = member(input, "request")?.clone();
    if let Some(code) = request.get_mut("currency") {
        *code = code.as_str().context("a currency is a text")?.to_lowercase().into();
    }
    if let Some(details) = request.get_mut("methodDetails").and_then(Value::as_object_mut) {
        details.entry("networkId").or_insert_with(|| TEST_NETWORK.into());
    }
    let said = |name, otherwise| anyhow::Ok(optional(input, name)?.unwrap_or(otherwise));
    let draft = json!({
        "realm": said("realm", REALM)?, "method": "stripe", "intent": "charge",
        "request": request, "expires": said("expires", LATE)?,
    });
    let draft: Draft = challenge::draft(&draft)?;
    let (keys, realm) = (ring(said("secretKey", SECRET)?)?, draft.realm.clone());
    let payload = serde_json::value::to_raw_value(member(input, "payload")?)?;
    let credential = Credential::from_parts(keys.seal(draft), None, payload)?;
    let now = Timestamp::parse(SETTLED)?;
    let recognised = keys.recognise(credential, &realm).map_err(self::said)?;
    recognised.admit(&now).and_then(|admitted| admitted.claim()).map_err(self::said)
}

/// A seller of these details, at Stripe or at another address.
fn seller(details: &Value, currency: Currency, at: Option<&str>) -> anyhow::Result<Verifier> {
    let api = Api::new(&SecretKey::new(KEY)?)?;
    let api = match at {
        Some(url) => api.at(url)?,
        None => api,
    };
    let types = list(details, "paymentMethodTypes")?.iter().filter_map(Value::as_str);
    let seller = Verifier::new(api, text_of(details, "networkId")?, currency)?;
    let seller = seller.payment_methods(types)?;
    let notes: BTreeMap<String, String> = match details.get("metadata") {
        Some(Value::Null) | None => BTreeMap::new(),
        Some(notes) => serde_json::from_value(notes.clone())?,
    };
    Ok(notes.into_iter().try_fold(seller, |seller, (key, value)| seller.metadata(key, value))?)
}

fn options_of(options: &Value) -> anyhow::Result<Options> {
    let mut made = Options::new();
    if let Some(customer) = optional(options, "customer")? {
        made = made.customer(customer);
    }
    if let Some(address) = optional(options, "receipt_email")? {
        made = made.receipt_email(address);
    }
    if let Some(calculation) = options.pointer("/hooks/inputs/tax/calculation") {
        made = made.tax_calculation(calculation.as_str().context("a calculation has an id")?);
    }
    let notes = options.get("metadata").and_then(Value::as_object);
    for (key, value) in notes.unwrap_or(&Map::new()) {
        made = made.metadata(key, value.as_str().context("a note is a text")?);
    }
    Ok(made)
}

fn said(rejection: Rejection) -> anyhow::Error {
    anyhow::anyhow!("{}: {}", rejection.kind.uri(), rejection.detail)
}
