//! Webhook signatures: an HMAC-SHA256 over the time and the body.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// `t=…,v1=…` for this body.
pub(super) fn signature(secret: &str, body: &str, at: i64) -> String {
    let signed = format!("{at}.{body}");
    // An HMAC takes a key of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    mac.update(signed.as_bytes());
    format!("t={at},v1={}", alloy::hex::encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::signature;

    #[test]
    fn the_signature_covers_the_time_and_the_body() {
        let one = signature("whsec_test", "{}", 1_700_000_000);
        assert_eq!(
            one,
            "t=1700000000,v1=35495024f4ef3f94e5a93e22221544c4b75e9a42300cd965ab81cb85cd994e91"
        );
        assert_ne!(one, signature("whsec_test", "{} ", 1_700_000_000));
        assert_ne!(one, signature("whsec_other", "{}", 1_700_000_000));
    }
}
