//! The protocol in HTTP headers: `WWW-Authenticate`, `Authorization`, `Payment-Receipt`, `Accept-Payment`.

mod authorization;
mod challenge;
mod idempotency;

use ::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header, request::Parts};
use serde::Serialize;

use super::{Answer, Call, Refusal, Resource, Transport, Wants};
use crate::{
    accept::Accept,
    credential::Credential,
    error::Error,
    name::CredentialHeader,
    problem::{Problem, ProblemType, Rejection},
    receipt::Receipt,
};

pub use self::{
    authorization::{credential_from_field, read_credential},
    challenge::{read_challenges, read_field, write_challenge},
    idempotency::IDEMPOTENCY_KEY,
};

/// What a client would pay with.
pub const ACCEPT_PAYMENT: HeaderName = HeaderName::from_static("accept-payment");
/// The receipt of a success.
pub const PAYMENT_RECEIPT: HeaderName = HeaderName::from_static("payment-receipt");
/// Where credentials go on routes whose `Authorization` belongs to the application.
pub const PAYMENT_AUTHORIZATION: HeaderName = HeaderName::from_static("payment-authorization");

/// The account of a session: in a request the one a client says it has, in an answer the one it is about.
pub const PAYMENT_SESSION: HeaderName = HeaderName::from_static("payment-session");
/// How that account stands, for a client that goes on with it.
pub const PAYMENT_SESSION_SNAPSHOT: HeaderName =
    HeaderName::from_static("payment-session-snapshot");

const LONGEST_HINT: usize = 128;

/// The HTTP codec. Requests are heads; the drivers, which know bodies, add digests themselves.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Http;

impl Http {
    /// The codec.
    pub const fn new() -> Self {
        Self
    }

    /// The scope of a request: its method, the path that was matched with its parameters filled in, its query.
    pub fn scope(request: &Parts) -> String {
        let path = request.uri.path_and_query().map_or(request.uri.path(), |p| p.as_str());
        let mut scope = String::with_capacity(request.method.as_str().len() + 1 + path.len());
        scope.push_str(request.method.as_str());
        scope.push(' ');
        scope.push_str(path);
        scope
    }

    /// Reads a call whose resource the driver knows better, and whose credential is in the header the route names.
    pub fn read_call_to(request: &Parts, at: Resource, header: Option<&CredentialHeader>) -> Call {
        let credential = read_credential(&request.headers, header).map_err(Rejection::from);
        Call {
            credential,
            accept: Self::read_accept(&request.headers),
            wants: Self::wants(request),
            idempotency_key: idempotency::read(request, at.digest.is_some()),
            hint: Self::read_hint(&request.headers),
            is_head: request.method == ::http::Method::HEAD,
            ..Call::to(at)
        }
    }

    /// What a request wants beside its credential's being taken: HEAD, and a POST without query or body, want nothing else.
    pub fn wants(request: &Parts) -> Wants {
        let bodiless = request.headers.get(header::CONTENT_LENGTH).is_none_or(|v| v == "0")
            && !request.headers.contains_key(header::TRANSFER_ENCODING);
        let bare =
            request.method == ::http::Method::POST && request.uri.query().is_none() && bodiless;
        if request.method == ::http::Method::HEAD || bare {
            Wants::Nothing
        } else {
            Wants::Content { units: 1 }
        }
    }

    /// The account that a client says it has: short, and printable.
    fn read_hint(headers: &HeaderMap) -> Option<String> {
        let hint = headers.get(PAYMENT_SESSION)?.to_str().ok()?.trim();
        (!hint.is_empty() && hint.len() <= LONGEST_HINT).then(|| hint.to_owned())
    }

    /// Reads an answer from its head and, where it was read, its body.
    pub fn read_head(status: StatusCode, headers: &HeaderMap, body: Option<&[u8]>) -> Answer {
        let receipt =
            headers.get(PAYMENT_RECEIPT).and_then(|v| Receipt::from_token(v.to_str().ok()?).ok());
        if status.is_success() {
            return match receipt {
                Some(receipt) if status == StatusCode::NO_CONTENT => Answer::Acknowledged(receipt),
                receipt => Answer::Served(receipt),
            };
        }
        let problem = body.and_then(|b| serde_json::from_slice::<Problem>(b).ok());
        let challenges =
            if status.is_client_error() { read_challenges(headers) } else { Vec::new() };
        if challenges.is_empty() {
            return Answer::Troubled { status: status.as_u16(), problem };
        }
        Answer::Required { challenges, problem }
    }

    /// Writes the head and body of a refusal: 402 or what its type says, `no-store`, a problem body, and a
    /// `WWW-Authenticate` per challenge. A challenge that no header can carry is left out.
    pub fn refuse(refusal: &Refusal) -> Response<Vec<u8>> {
        let Refusal { rejection, challenges } = refusal;
        let mut response = Response::new(problem_body(refusal));
        *response.status_mut() = StatusCode::from_u16(rejection.kind.status)
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.reserve(challenges.len() + 4);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(wait) = rejection.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        for challenge in challenges {
            if let Ok(value) = write_challenge(challenge) {
                headers.append(header::WWW_AUTHENTICATE, value);
            }
        }
        response
    }

    /// Puts a receipt on the head of a success, and keeps shared caches away from it (C-61).
    pub fn put_receipt_in(headers: &mut HeaderMap, receipt: &Receipt) {
        let Some(mut value) = receipt.to_token().ok().and_then(|t| HeaderValue::try_from(t).ok())
        else {
            return;
        };
        value.set_sensitive(true);
        headers.insert(PAYMENT_RECEIPT, value);
        let private = |v: &HeaderValue| {
            v.to_str().is_ok_and(|v| v.split(',').any(|d| d.trim().eq_ignore_ascii_case("private")))
        };
        if headers.get_all(header::CACHE_CONTROL).iter().any(private) {
            return;
        }
        let mut fields = headers.get_all(header::CACHE_CONTROL).iter();
        match (fields.next().and_then(|v| v.to_str().ok()), fields.next()) {
            (Some(one), None) if !one.trim().is_empty() => {
                if let Ok(merged) = HeaderValue::try_from(format!("{one}, private")) {
                    headers.insert(header::CACHE_CONTROL, merged);
                }
            }
            // Several fields are one list: it grows by one, and loses none.
            (_, Some(_)) => {
                headers.append(header::CACHE_CONTROL, HeaderValue::from_static("private"));
            }
            _ => {
                headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private"));
            }
        }
    }

    /// Puts a credential into the header its challenge names: `Authorization`, or `Payment-Authorization` and no other.
    ///
    /// # Errors
    /// A challenge that steers its credential into any other header (S14).
    pub fn put_credential_in(
        headers: &mut HeaderMap,
        credential: &Credential,
    ) -> Result<(), Error> {
        let name = match &credential.challenge.header {
            None => header::AUTHORIZATION,
            Some(h) if h.is_default() => header::AUTHORIZATION,
            Some(h) if h.is_payment_authorization() => PAYMENT_AUTHORIZATION,
            Some(_) => return Err(Error::HeaderValue),
        };
        let mut value = HeaderValue::try_from(format!("Payment {}", credential.to_token()?))
            .map_err(|_| Error::HeaderValue)?;
        value.set_sensitive(true);
        headers.insert(name, value);
        Ok(())
    }

    /// Reads `Accept-Payment`; several fields are one list, and a malformed one asks for everything (C-41, C-42).
    pub fn read_accept(headers: &HeaderMap) -> Accept {
        let mut fields = headers.get_all(ACCEPT_PAYMENT).iter().filter_map(|v| v.to_str().ok());
        let Some(first) = fields.next() else { return Accept::default() };
        let mut list = first.to_owned();
        for field in fields {
            list.push(',');
            list.push_str(field);
        }
        Accept::parse(&list).unwrap_or_default()
    }
}

impl Transport for Http {
    type Request = Parts;
    type Response = Response<Vec<u8>>;

    fn put_credential(&self, request: &mut Parts, credential: &Credential) -> Result<(), Error> {
        Self::put_credential_in(&mut request.headers, credential)
    }

    fn read_answer(&self, response: &Response<Vec<u8>>) -> Answer {
        Self::read_head(response.status(), response.headers(), Some(response.body()))
    }

    fn read_call(&self, request: &Parts) -> Call {
        Self::read_call_to(request, Resource::at(Self::scope(request)), None)
    }

    fn write_refusal(&self, _: &Parts, refusal: &Refusal) -> Response<Vec<u8>> {
        Self::refuse(refusal)
    }

    fn acknowledge(&self, _: &Parts, receipt: &Receipt) -> Response<Vec<u8>> {
        let mut response = Response::new(Vec::new());
        *response.status_mut() = StatusCode::NO_CONTENT;
        Self::put_receipt_in(response.headers_mut(), receipt);
        response
    }

    fn put_receipt(&self, response: &mut Response<Vec<u8>>, receipt: &Receipt) {
        Self::put_receipt_in(response.headers_mut(), receipt);
    }
}

fn problem_body(refusal: &Refusal) -> Vec<u8> {
    struct Uri<'a>(&'a ProblemType);

    impl Serialize for Uri<'_> {
        fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
            s.collect_str(&format_args!("{}{}", crate::problem::BASE, self.0.suffix()))
        }
    }

    #[derive(Serialize)]
    struct Body<'a> {
        #[serde(rename = "type")]
        kind: Uri<'a>,
        title: &'a str,
        status: u16,
        detail: &'a str,
        reason: &'a str,
        #[serde(rename = "challengeId", skip_serializing_if = "Option::is_none")]
        challenge_id: Option<&'a str>,
        #[serde(flatten, skip_serializing_if = "serde_json::Map::is_empty")]
        extra: &'a serde_json::Map<String, serde_json::Value>,
    }
    let Refusal { rejection: r, challenges } = refusal;
    let body = Body {
        kind: Uri(&r.kind),
        title: r.kind.title(),
        status: r.kind.status,
        detail: &r.detail,
        reason: r.reason.as_str(),
        challenge_id: challenges.first().map(|c| c.id().as_str()),
        extra: &r.extra,
    };
    let mut out = Vec::with_capacity(320);
    let _ = serde_json::to_writer(&mut out, &body);
    out
}

/// Where a route of ours looks for credentials.
pub(crate) fn looks_in(header: Option<&CredentialHeader>) -> HeaderName {
    match header {
        Some(h) if h.is_payment_authorization() => PAYMENT_AUTHORIZATION,
        _ => header::AUTHORIZATION,
    }
}

#[cfg(test)]
mod tests;
