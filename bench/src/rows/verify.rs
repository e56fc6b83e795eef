//! A credential, from its header to a receipt nobody has booked: whose, where, until when, for what. No store on either side.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use http::{HeaderMap, HeaderValue, header};
use mpp_core::{
    Method, Price, Realm, Receipt, Timestamp,
    binding::Keys,
    intent::ChargeTerms,
    receipt::Status,
    time::Clock,
    transport::{Resource, read_credential},
    verifier::Verifier,
};
use mpp_server::clock::SystemClock;
use peer::{ChargeRequest, PaymentCredential, parse_authorization};
use serde_json::json;

use crate::{
    answer::Proof,
    interleaved::{Effort, calling, least},
    ours::{NoOp, PATH, REALM},
    peers::Challenger,
    row::{Goal, Row},
};

/// Measures.
pub fn row(effort: Effort) -> Row {
    let (ours, peers) = (Ours::default(), Peers::default());
    let [ours, peer] =
        least(effort, [calling(effort, || ours.take()), calling(effort, || peers.take())]);
    Row::cost("parse and verify a credential", "ns", ours, peer).to_reach(Goal::Ratio(2.5))
}

/// Our side of it.
#[derive(Debug)]
pub struct Ours {
    keys: Keys,
    realm: Realm,
    at: Resource,
    terms: ChargeTerms,
    headers: HeaderMap,
}

impl Default for Ours {
    fn default() -> Self {
        let price: Price = "0.10 usd".parse().expect("a price");
        let request = crate::ours::paid(&super::parse::challenge(), &Proof::numbered(1));
        Self {
            keys: crate::ours::keys(),
            realm: Realm::parse(REALM).expect("a realm"),
            at: Resource::at(format!("GET {PATH}")),
            terms: NoOp.terms(&price).expect("a dime can be charged"),
            headers: request.headers().clone(),
        }
    }
}

impl Ours {
    /// Header to receipt, by the steps of the gate.
    pub fn take(&self) -> Receipt {
        let credential = read_credential(&self.headers, None).expect("it can be read");
        let credential = credential.expect("there is one");
        let known = self.keys.recognise(credential, &self.realm).expect("it is ours");
        known.fits(&self.at).expect("it is for this route");
        let now: Timestamp = SystemClock::new().now();
        let claim = known.admit(&now).expect("in time").claim::<NoOp>().expect("of this method");
        assert!(claim.request.terms == self.terms, "it is at this price");
        Receipt {
            method: NoOp::NAME,
            reference: Proof::reference(&claim.payload.signature).to_owned(),
            status: Status::Success,
            timestamp: now,
            external_id: None,
            extra: Default::default(),
        }
    }
}

/// The peer's side of it.
pub struct Peers {
    challenger: Challenger,
    expected: ChargeRequest,
    header: HeaderValue,
}

impl Default for Peers {
    fn default() -> Self {
        let challenger = Challenger::forgetful();
        let scope = json!({ "route": PATH, "resource": PATH });
        let challenge = challenger.issue(Some(&scope));
        let expected = challenge.request.decode().expect("the peer's own request");
        let request = crate::peers::paid(&challenge, &Proof::numbered(1));
        let header = request.headers()[header::AUTHORIZATION].clone();
        Self { challenger, expected, header }
    }
}

impl Peers {
    /// Header to receipt. What the route expects is given: the peer's own extractor makes it anew each time.
    pub fn take(&self) -> peer::Receipt {
        let credential: PaymentCredential =
            parse_authorization(self.header.to_str().expect("base64url")).expect("it can be read");
        let mut taken = pin!(self.challenger.take(&credential, &self.expected));
        // Nothing here waits, so no runtime is needed, whose cost would not be the peer's.
        match taken.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(taken) => taken.expect("ours, in time, as expected"),
            Poll::Pending => panic!("a method that asks nobody waits for nobody"),
        }
    }
}
