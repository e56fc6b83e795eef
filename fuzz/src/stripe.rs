//! What comes from Stripe and from those who pay by it: webhooks, error bodies, tokens, and details of challenges.

use std::{
    pin::pin,
    sync::{Arc, LazyLock},
    task::{Context, Poll, Waker},
};

use hmac::{Hmac, KeyInit, Mac};
use mpp_core::{Timestamp, time::Clock};
use mpp_stripe::{
    Api, Currency, Details, SecretKey, TEST_NETWORK,
    api::Refused,
    charge::{Payload, Token},
    subscription::Verifier,
    webhook::{BadSignature, Webhook, WebhookError, WebhookSecret},
};
use serde_json::Value;
use sha2::Sha256;

const SECRET: &str = "whsec_of_the_fuzz_targets";
const NOW: i64 = 1_800_000_000;
/// What no secret of Stripe's that is money may be shown by.
const SECRETS: [&str; 5] = ["spt_", "sk_", "rk_", "whsec_", "_secret_"];

static ENDPOINT: LazyLock<Webhook> = LazyLock::new(|| {
    let key = SecretKey::new("sk_test_fuzz").expect("a key");
    let api = Api::new(&key).expect("a client");
    let shop = Verifier::new(api, TEST_NETWORK, Currency::USD).expect("a seller");
    // An account that no event names: of one that did, Stripe would be asked.
    let shop = shop.account("acct_thatNoEventOfTheseTargetsNames").expect("an account");
    let secret = WebhookSecret::new(SECRET).expect("a secret");
    Webhook::new(secret, shop).clock(Arc::new(Still))
});

/// A moment that does not pass.
#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(NOW, 0)
    }
}

/// A webhook: the length of its signature in one byte, the signature, the body. Whatever the signature, nobody else's is
/// taken; and the body is judged once more under one of ours.
pub fn webhook(data: &[u8]) -> bool {
    let Some((length, rest)) = data.split_first() else { return false };
    let (header, body) = rest.split_at(usize::from(*length).min(rest.len()));
    let signed = signature(body);
    let secret = WebhookSecret::new(SECRET).expect("a secret");
    let now = Timestamp::from_unix(NOW, 0);
    assert_eq!(secret.check(&signed, body, &now), Ok(()));
    if let Ok(header) = std::str::from_utf8(header) {
        let of_this_body = header.to_ascii_lowercase().contains(&signed[signed.len() - 64..]);
        let judged = secret.check(header, body, &now);
        assert!(judged.is_err() || of_this_body, "{header}");
        if !of_this_body {
            let read = read(header, body);
            assert!(matches!(read, Err(WebhookError::Signature(_))), "{read:?}");
        }
        let other = WebhookSecret::new("whsec_of_somebody_else").expect("a secret");
        assert!(matches!(
            other.check(header, body, &now),
            Err(BadSignature::Unreadable | BadSignature::Forged)
        ));
    }
    match read(&signed, body) {
        Ok(notice) => {
            assert!(notice.is_none(), "it is of an account that is not ours");
            true
        }
        Err(e) => {
            assert!(matches!(e, WebhookError::Unreadable), "{e:?}");
            false
        }
    }
}

fn read(header: &str, body: &[u8]) -> Result<Option<mpp_core::renewer::Notice>, WebhookError> {
    let reading = pin!(ENDPOINT.read(header, body));
    match reading.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(read) => read,
        Poll::Pending => panic!("nobody is asked about another account"),
    }
}

/// A signature of a body, made just now.
pub(crate) fn signature(body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("a key of any length");
    mac.update(format!("{NOW}.").as_bytes());
    mac.update(body);
    let hex: String = mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect();
    format!("t={NOW},v1={hex}")
}

/// A token's id, or a payload that has one: what is a token means nothing in a URL, a form or a header, and is not shown.
pub fn token(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let Ok(payload) = serde_json::from_str::<Payload>(text) else { return is_token(text) };
    assert_eq!(format!("{payload:?}"), "Payload(..)");
    let again = serde_json::to_string(&payload).expect("a payload is written");
    assert!(serde_json::from_str::<Payload>(&again).expect("what is written is read") == payload);
    is_token(&payload.spt)
}

fn is_token(text: &str) -> bool {
    let Ok(token) = Token::parse(text) else { return false };
    assert_eq!(token.expose(), text);
    assert!(text.len() <= 184 && text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_'));
    assert_eq!(format!("{token:?}"), "Token(..)");
    true
}

/// An error body: what is read of it shows no secret.
pub fn refusal(data: &[u8]) -> bool {
    let Ok(body) = serde_json::from_slice::<Value>(data) else { return false };
    let Some(refused) = Refused::read(402, &body) else { return false };
    let shown = format!("{refused} {refused:?} {}", refused.word());
    assert!(!SECRETS.iter().any(|secret| shown.contains(secret)), "{shown}");
    let named = refused.payment_intent.is_some();
    assert!(!(named && refused.intent_unnamed), "{shown}");
    true
}

/// Details of a challenge, under either name of the types that are taken: what is read is written so that it reads the same.
pub fn details(data: &[u8]) -> bool {
    let Ok(details) = serde_json::from_slice::<Details>(data) else { return false };
    let written = serde_json::to_string(&details).expect("details are written");
    let again: Details = serde_json::from_str(&written).expect("what is written is read");
    assert_eq!(again, details);
    let aliased = serde_json::to_value(&details).map(|mut value| {
        if let Some(types) = value.as_object_mut().and_then(|it| it.remove("paymentMethodTypes")) {
            value["paymentMethods"] = types;
        }
        value
    });
    let aliased: Details = serde_json::from_value(aliased.expect("details are written"))
        .expect("deployed clients call it paymentMethods");
    assert_eq!(aliased, details);
    true
}
