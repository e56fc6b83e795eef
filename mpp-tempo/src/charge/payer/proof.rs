//! Proofs of an account, where nothing is to be paid: signed for whoever was asked, and for nobody else.

use std::time::Duration;

use alloy::primitives::hex;
use mpp_core::{
    Amount,
    challenge::Demand,
    payer::{Allowance, PayError, Payment},
};

use super::{super::proof::proof_digest, Payer, Payload, TempoCharge};
use crate::order::sign::sign;

/// The longest that a signer is waited for.
const SIGNING: Duration = Duration::from_secs(60);

/// A realm that the server at one origin may call itself by.
#[derive(Clone, Debug)]
pub(super) struct Trusted {
    pub(super) realm: String,
    pub(super) origin: String,
}

impl Payer {
    /// A server that shows another's challenge would be handed a proof it could use there, in this account's name.
    pub(super) async fn prove(
        &self,
        demand: &Demand<'_, TempoCharge>,
        within: &Allowance,
    ) -> Result<Payment<TempoCharge>, PayError> {
        let (realm, origin) = (demand.challenge.realm.as_str(), within.to.origin.as_str());
        let trusted = |known: &Trusted| {
            known.realm.eq_ignore_ascii_case(realm)
                && known.origin.trim_end_matches('/').eq_ignore_ascii_case(origin)
        };
        if !is_host_of(realm, origin) && !self.trusted.iter().any(trusted) {
            let detail = format!(
                "the challenge is for the realm {realm}, and {origin} was asked: no proof is signed for it unless \
                 `trusting_realm` says so"
            );
            return Err(PayError::untouched(detail));
        }
        let (chain_id, account) = (self.node.chain_id(), self.signer.account());
        let digest = proof_digest(chain_id, account, demand.challenge.id().as_str(), realm);
        let signature = sign(&*self.signer, digest, SIGNING).await?;
        let signature = hex::encode_prefixed(signature.to_bytes());
        Ok(self.paid(Payload::Proof { signature }, Some(Amount::ZERO)))
    }
}

/// Whether a realm is the host of an origin, with or without its port.
fn is_host_of(realm: &str, origin: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let default = match scheme.to_ascii_lowercase().as_str() {
        "https" | "wss" => "443",
        "http" | "ws" => "80",
        _ => return false,
    };
    let (host, port) = split_port(authority);
    let (named, named_port) = split_port(realm);
    let port = port.unwrap_or(default);
    !named.is_empty()
        && named.eq_ignore_ascii_case(host)
        && named_port.is_none_or(|named| named == port)
}

/// Host and port. The colons of an IPv6 address are within brackets.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s14_a_realm_is_the_host_that_was_asked_or_another() {
        let cases = [
            ("api.example.com", "https://api.example.com", true),
            ("API.example.com", "https://api.Example.com", true),
            ("api.example.com", "https://api.example.com:8443", true),
            ("api.example.com:8443", "https://api.example.com:8443", true),
            ("api.example.com:443", "https://api.example.com", true),
            ("127.0.0.1:80", "http://127.0.0.1", true),
            ("[::1]", "http://[::1]:3000", true),
            ("[::1]:3000", "http://[::1]:3000", true),
            ("api.example.com:80", "https://api.example.com", false),
            ("api.example.com:8443", "https://api.example.com:8444", false),
            ("example.com", "https://api.example.com", false),
            ("api.example.com.evil.com", "https://api.example.com", false),
            ("api.example.com", "https://evil.com", false),
            ("api.example.com", "https://evil.com/api.example.com", false),
            ("", "https://", false),
            (":443", "https://:443", false),
            ("api.example.com", "api.example.com", false),
            ("MPP Payment", "https://api.example.com", false),
        ];
        for (realm, origin, expected) in cases {
            assert_eq!(is_host_of(realm, origin), expected, "{realm} at {origin}");
        }
    }
}
