//! Every operation by its name: a pure function from an input to a value.

mod challenge;
mod credential;
mod http;
mod problem;
mod receipt;
mod stripe;
mod tempo;
mod text;
mod verification;

use anyhow::{Context, bail};
use serde_json::Value;

/// What an operation does. It fails with words for a person; its row of the table has the type.
type Run = fn(&Value) -> anyhow::Result<Value>;

/// The types of error that the ABI knows and this adapter gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ErrorType {
    Parse,
    Format,
    Encoding,
    Generation,
    Verification,
    UnsupportedOperation,
}

impl ErrorType {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Parse => "parse_error",
            Self::Format => "format_error",
            Self::Encoding => "encoding_error",
            Self::Generation => "generation_error",
            Self::Verification => "verification_error",
            Self::UnsupportedOperation => "unsupported_operation",
        }
    }
}

/// Why there is no value.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) kind: ErrorType,
    pub(super) message: String,
}

/// The operations: those of the public registry, those of deployed peers' vectors, and those that only our vectors use.
const OPS: &[(&str, ErrorType, Run)] = &[
    ("base64url.encode", ErrorType::Encoding, text::encode),
    ("base64url.decode", ErrorType::Encoding, text::decode),
    ("challenge.parse", ErrorType::Parse, challenge::parse),
    ("challenge.parse_list", ErrorType::Parse, challenge::parse_list),
    ("challenge.format", ErrorType::Format, challenge::format),
    ("challenge.id", ErrorType::Generation, challenge::id),
    ("challenge.verify", ErrorType::Verification, verification::challenge),
    ("credential.parse", ErrorType::Parse, credential::parse),
    ("credential.from_authorization", ErrorType::Parse, credential::from_authorization),
    ("credential.format", ErrorType::Format, credential::format),
    ("receipt.parse", ErrorType::Parse, receipt::parse),
    ("receipt.format", ErrorType::Format, receipt::format),
    ("server.verify", ErrorType::Verification, verification::server),
    ("accept_payment.rank", ErrorType::Parse, text::accept_rank),
    ("accept_payment.format", ErrorType::Format, text::accept_format),
    ("body_digest.compute", ErrorType::Encoding, text::digest_compute),
    ("body_digest.verify", ErrorType::Verification, text::digest_verify),
    ("expires.assert", ErrorType::Verification, verification::expires),
    ("expires.syntax", ErrorType::Parse, text::expires_syntax),
    ("http.challenge_response", ErrorType::Format, http::challenge_response),
    ("http.receipt_response", ErrorType::Format, http::receipt_response),
    ("stripe.external_id_binding", ErrorType::Verification, stripe::external_id_binding),
    ("tempo.attribution.encode", ErrorType::Encoding, tempo::attribution_encode),
    ("tempo.attribution.verify", ErrorType::Verification, tempo::attribution_verify),
    ("tempo.channel_id.v1", ErrorType::Encoding, tempo::session::channel_id_v1),
    ("tempo.channel_id.v2", ErrorType::Encoding, tempo::session::channel_id_v2),
    ("tempo.charge.request", ErrorType::Generation, tempo::charge::request),
    ("tempo.charge.transfers", ErrorType::Verification, tempo::charge::legs),
    ("tempo.did.parse", ErrorType::Parse, tempo::did_parse),
    ("tempo.expiring_nonce_hash", ErrorType::Encoding, tempo::signing::expiring_nonce_hash),
    ("tempo.proof.sign", ErrorType::Encoding, tempo::proof::sign),
    ("tempo.receipt.verify", ErrorType::Verification, tempo::receipt_verify),
    ("tempo.session.request", ErrorType::Generation, tempo::session::request),
    ("tempo.transaction.sign", ErrorType::Encoding, tempo::signing::sign),
    ("tempo.transaction.sponsor", ErrorType::Encoding, tempo::signing::sponsor),
    ("tempo.voucher.v1.sign", ErrorType::Encoding, tempo::session::sign_v1),
    ("tempo.voucher.v1.verify", ErrorType::Verification, tempo::session::verify_v1),
    ("tempo.voucher.v2.sign", ErrorType::Encoding, tempo::session::sign_v2),
    ("tempo.voucher.v2.verify", ErrorType::Verification, tempo::session::verify_v2),
    // Of our own vectors.
    ("accept_payment.parse", ErrorType::Parse, text::accept_parse),
    ("amount.parse", ErrorType::Parse, text::amount_parse),
    ("amount.from_display", ErrorType::Format, text::amount_from_display),
    ("amount.to_display", ErrorType::Format, text::amount_to_display),
    ("auth_params.parse", ErrorType::Parse, challenge::auth_params),
    ("body_digest.matches", ErrorType::Parse, text::digest_matches),
    ("http.place_credential", ErrorType::Format, http::place_credential),
    ("http.read_answer", ErrorType::Parse, http::read_answer),
    ("http.read_credential", ErrorType::Parse, http::read_credential),
    ("jcs.format", ErrorType::Format, text::jcs_format),
    ("jcs.number", ErrorType::Format, text::jcs_number),
    ("jcs.unambiguous", ErrorType::Parse, text::jcs_unambiguous),
    ("keys.accept", ErrorType::Generation, verification::keys),
    ("name.parse", ErrorType::Parse, text::name),
    ("opaque.bind", ErrorType::Format, challenge::opaque_bind),
    ("opaque.scope", ErrorType::Parse, challenge::opaque_scope),
    ("problem.describe", ErrorType::Parse, problem::describe),
    ("problem.read", ErrorType::Parse, problem::read),
    ("stripe.charge.call", ErrorType::Verification, stripe::call),
    ("stripe.charge.request", ErrorType::Generation, stripe::request),
    ("stripe.currency", ErrorType::Parse, stripe::currency),
    ("stripe.payload.read", ErrorType::Parse, stripe::payload),
    ("stripe.request.read", ErrorType::Parse, stripe::read),
    ("tempo.proof.verify", ErrorType::Verification, tempo::proof::verify),
    ("tempo.transaction.read", ErrorType::Parse, tempo::transaction_read),
    ("timestamp.parse", ErrorType::Parse, text::timestamp),
];

/// Answers one request. Total: any name and any input give a value or an error.
pub(super) fn answer(op: &str, input: &Value) -> Result<Value, Refused> {
    let Some((_, kind, run)) = OPS.iter().find(|(name, ..)| *name == op) else {
        let message = "no such operation here".into();
        return Err(Refused { kind: ErrorType::UnsupportedOperation, message });
    };
    run(input).map_err(|error| Refused { kind: *kind, message: format!("{error:#}") })
}

#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    OPS.iter().map(|(name, ..)| *name)
}

/// A member that must be there.
fn member<'a>(input: &'a Value, name: &str) -> anyhow::Result<&'a Value> {
    input.get(name).with_context(|| format!("the input has no `{name}`"))
}

/// A member that must be a string.
fn text_of<'a>(input: &'a Value, name: &str) -> anyhow::Result<&'a str> {
    member(input, name)?.as_str().with_context(|| format!("`{name}` is not a string"))
}

/// A member that may be absent, or null, and else must be a string.
fn optional<'a>(input: &'a Value, name: &str) -> anyhow::Result<Option<&'a str>> {
    match input.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => bail!("`{name}` is not a string"),
    }
}

/// A member that must be an array.
fn list<'a>(input: &'a Value, name: &str) -> anyhow::Result<&'a [Value]> {
    let list = member(input, name)?.as_array();
    list.map(Vec::as_slice).with_context(|| format!("`{name}` is not an array"))
}
