//! `WWW-Authenticate: Payment …`: a challenge as auth-params, both ways.

use ::http::{HeaderMap, HeaderValue, header};

use crate::{
    challenge::{Challenge, ChallengeId, Draft},
    digest::Digest,
    encoded::Encoded,
    error::Error,
    name::{CredentialHeader, IntentName, MethodName, Realm},
    opaque::Opaque,
    time::Timestamp,
    transport::grammar::{self, AuthParams},
};

/// Reads every challenge of a response that can be read, in order. A field or a challenge that cannot be read costs the
/// others nothing: a client pays by what it understands.
pub fn read_challenges(headers: &HeaderMap) -> Vec<Challenge> {
    let mut challenges = Vec::new();
    for field in headers.get_all(header::WWW_AUTHENTICATE) {
        for params in grammar::challenges(field.as_bytes()).unwrap_or_default() {
            challenges.extend(from_params(&params));
        }
    }
    challenges
}

/// Reads every challenge of one field value, given as text.
///
/// # Errors
/// The first one that cannot be read.
pub fn read_field(field: &str) -> Result<Vec<Challenge>, Error> {
    grammar::challenges_in_text(field)?.iter().map(from_params).collect()
}

fn from_params(params: &AuthParams<'_>) -> Result<Challenge, Error> {
    let required = |name| params.get(name).ok_or(Error::Missing(name));
    let optional = |name| params.get(name).filter(|v| !v.is_empty());
    let id = ChallengeId::parse(required("id")?)?;
    let body = Draft {
        realm: Realm::parse(required("realm")?)?,
        method: MethodName::parse(required("method")?)?,
        intent: IntentName::parse(required("intent")?)?,
        request: Encoded::parse(required("request")?)?,
        expires: optional("expires").map(Timestamp::parse).transpose()?,
        digest: optional("digest").map(Digest::parse).transpose()?,
        description: optional("description").map(Into::into),
        // Naming the default is not naming one.
        header: optional("header")
            .map(CredentialHeader::parse)
            .transpose()?
            .filter(|h| !h.is_default()),
        opaque: optional("opaque").map(Opaque::parse).transpose()?,
    };
    Ok(Challenge::received(id, body))
}

/// Writes a challenge, every value quoted, in the order of deployed peers.
///
/// # Errors
/// CR or LF in a value, which no quoted-string can carry.
pub fn write_challenge(c: &Challenge) -> Result<HeaderValue, Error> {
    let mut out = String::with_capacity(
        220 + c.request.as_str().len() + c.opaque.as_ref().map_or(0, |o| o.as_str().len()),
    );
    out.push_str("Payment ");
    let mut param = |name: &str, value: &str| {
        if out.len() > "Payment ".len() {
            out.push_str(", ");
        }
        out.push_str(name);
        out.push('=');
        grammar::quote_into(&mut out, value)
    };
    param("id", c.id().as_str())?;
    param("realm", c.realm.as_str())?;
    param("method", c.method.as_str())?;
    param("intent", c.intent.as_str())?;
    param("request", c.request.as_str())?;
    if let Some(description) = &c.description {
        param("description", description)?;
    }
    if let Some(digest) = &c.digest {
        param("digest", digest.as_str())?;
    }
    if let Some(expires) = &c.expires {
        param("expires", expires.as_str())?;
    }
    if let Some(header) = c.header.as_ref().filter(|h| !h.is_default()) {
        param("header", header.as_str())?;
    }
    if let Some(opaque) = &c.opaque {
        param("opaque", opaque.as_str())?;
    }
    HeaderValue::try_from(out).map_err(|_| Error::HeaderValue)
}
