//! What the application asks for: the terms of one request, and `Idempotency-Key`, one name for every copy of it.

use http::{HeaderName, HeaderValue, header};
use mpp_core::{
    Price,
    accept::Accept,
    transport::{Http, IDEMPOTENCY_KEY},
};
use reqwest::{Method, Request};

use super::{extend::PerRequest, origin};
use crate::{journal::Purpose, random};

/// Fields that choose among answers. Not who asks: tokens and cookies change between two tries of one intent, and what is
/// not known again is paid twice.
const CHOOSING: [HeaderName; 4] =
    [header::ACCEPT, header::ACCEPT_LANGUAGE, header::RANGE, header::CONTENT_TYPE];

/// What the application asks for.
#[derive(Debug)]
pub(super) struct Errand {
    pub(super) accept: Accept,
    pub(super) authorization_in_use: bool,
    pub(super) within: Option<Price>,
    /// What a journal knows it by. `None` without one, and of content that is a stream: nobody can know that again, nor send
    /// it again with a payment.
    pub(super) purpose: Option<Purpose>,
    /// The key that goes with it, where one does.
    pub(super) key: Option<String>,
    /// Whether that is the application's own: its name for one intent.
    pub(super) own_key: bool,
}

impl Errand {
    /// Reads what the application asks. A request that can do harm twice gets a key, that of an earlier try if there was
    /// one; with a journal every request does.
    pub(super) fn of(request: &Request, asked: PerRequest, journaled: bool) -> Self {
        let own = request.headers().get(IDEMPOTENCY_KEY);
        let text = own.and_then(|own| own.to_str().ok().map(str::to_owned));
        let content = request.body().map_or(Some(&[][..]), |body| body.as_bytes());
        let named = own.map(|own| String::from_utf8_lossy(own.as_bytes()));
        let purpose = content.filter(|_| journaled).map(|content| {
            let site = origin::site(request.method(), request.url());
            let purpose = Purpose::of(&site, content, named.as_deref());
            // Each line of a field: they choose together.
            let chosen = |name| request.headers().get_all(name).iter().map(move |v| (name, v));
            CHOOSING.iter().flat_map(chosen).fold(purpose, |purpose, (name, value)| {
                purpose.choosing(name.as_str(), value.as_bytes())
            })
        });
        let wanted = own.is_none() && (journaled || is_unsafe(request.method()));
        // Where the system has no random numbers to give, the request is as good without.
        let fresh = || asked.key.or_else(|| random::name().ok());
        Self {
            accept: Http::read_accept(request.headers()),
            authorization_in_use: request.headers().contains_key(header::AUTHORIZATION),
            within: asked.within,
            purpose,
            own_key: own.is_some(),
            key: if wanted { fresh() } else { text },
        }
    }
}

/// Whether sending it twice may do something twice.
pub(super) fn is_unsafe(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH | Method::DELETE)
}

/// Puts a key on a request, unless it has one.
pub(super) fn put_key(request: &mut Request, key: Option<&str>) {
    if let Some(Ok(value)) = key.map(HeaderValue::try_from)
        && !request.headers().contains_key(IDEMPOTENCY_KEY)
    {
        request.headers_mut().insert(IDEMPOTENCY_KEY, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a GET with these fields is known by.
    fn purpose(fields: &[(&str, &str)]) -> Purpose {
        let client = reqwest::Client::new();
        let get = fields
            .iter()
            .fold(client.get("https://shop/joke"), |get, (name, value)| get.header(*name, *value));
        let request = get.build().unwrap();
        Errand::of(&request, PerRequest::default(), true).purpose.unwrap()
    }

    #[test]
    fn requests_that_choose_among_answers_are_of_different_purposes() {
        let fields: [&[(&str, &str)]; 13] = [
            &[],
            &[("accept", "text/html")],
            &[("accept", "text/plain")],
            &[("accept", "text/html"), ("accept", "text/plain")],
            &[("accept", "text/html"), ("accept", "text/csv")],
            &[("accept-language", "de")],
            &[("accept-language", "text/html")],
            &[("range", "bytes=0-9")],
            &[("range", "bytes=10-19")],
            &[("content-type", "text/html")],
            &[("content-type", "text/plain")],
            &[("accept", "text/html"), ("content-type", "text/html")],
            &[("idempotency-key", "text/html")],
        ];
        for (at, one) in fields.iter().enumerate() {
            for (other, two) in fields.iter().enumerate() {
                assert_eq!(purpose(one) == purpose(two), at == other, "{one:?} {two:?}");
            }
        }
    }

    #[test]
    fn who_asks_and_in_which_order_is_no_part_of_a_purpose() {
        let plain = [("accept", "text/html"), ("range", "bytes=0-9")];
        let mine = [("authorization", "Bearer a"), ("cookie", "a=b"), ("user-agent", "me")];
        let theirs = [("authorization", "Bearer b"), ("cookie", "a=c"), ("x-request-id", "7")];
        for more in [&mine[..], &theirs, &mine[..1], &mine[1..], &[]] {
            let fields: Vec<_> = more.iter().chain(plain.iter().rev()).copied().collect();
            assert_eq!(purpose(&fields), purpose(&plain), "{more:?}");
        }
    }
}
