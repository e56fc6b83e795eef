//! Our side: a method whose rail does nothing, a gate over the store in memory, a route.

use std::{borrow::Cow, sync::Arc};

use axum::{Router, body::Body, routing::get};
use http::{HeaderValue, Request};
use mpp_core::{
    Challenge, Charge, Credential, Method, Price,
    binding::{Claim, Keys},
    fate::{Fate, Settlement},
    intent::{ChargeTerms, PriceError},
    method::Nested,
    name::MethodName,
    problem::Rejection,
    store::{Memory, Store},
    transport::Http,
    verifier::{Asking, Minted, Spend, Verifier},
};
use mpp_server::{Gate, Paid};
use serde::{Deserialize, Serialize};

use crate::answer::Proof;

/// The secret of both sides.
pub const SECRET: &str = "a secret of at least thirty-two bytes";
/// The realm of both sides.
pub const REALM: &str = "api.example.com";
/// The path of the paid route.
pub const PATH: &str = "/paid";

/// A method whose request has the members of the peer's.
#[derive(Debug)]
pub struct NoOp;

impl Method for NoOp {
    const NAME: MethodName = MethodName::from_static("stripe");
    type Intent = Charge;
    type Details = Nested<Details>;
    type Payload = Proof;
}

/// The method's own members of a request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Details {
    /// Whom to pay.
    pub network_id: String,
    /// With what.
    pub payment_method_types: Vec<String>,
}

impl Verifier for NoOp {
    type Method = Self;
    type Evidence = String;

    fn settles_at(&self) -> Cow<'_, str> {
        "nowhere".into()
    }
    fn terms(&self, price: &Price) -> Result<ChargeTerms, PriceError> {
        Ok(ChargeTerms::of(price, price.in_unit("usd", 2)?, "usd"))
    }
    async fn details(
        &self,
        _: &ChargeTerms,
        _: Asking<'_>,
    ) -> Result<Minted<Nested<Details>>, Rejection> {
        let details =
            Details { network_id: "internal".into(), payment_method_types: vec!["card".into()] };
        Ok(Minted::lasting(Nested { method_details: details }))
    }
    async fn check(&self, claim: &Claim<Self>) -> Result<String, Rejection> {
        Ok(claim.payload.signature.clone())
    }
    fn spends<'e>(&self, transaction: &'e String) -> Option<Spend<'e>> {
        Some(Spend::of(Proof::reference(transaction)))
    }
    fn has_moved(&self, _: &String) -> bool {
        false
    }
    async fn settle(&self, transaction: &String) -> Fate {
        Fate::Settled(Settlement::new(Proof::reference(transaction)))
    }
    async fn reconcile(&self, transaction: &String) -> Fate {
        self.settle(transaction).await
    }
}

/// The keys of our gate.
pub fn keys() -> Keys {
    Keys::new(SECRET).expect("the secret is long enough")
}

/// An application with one route that costs a dime, over a store in memory.
pub fn app() -> Router {
    app_over(Memory::volatile())
}

/// The same, over any store.
pub fn app_over(store: impl Store) -> Router {
    let gate = Gate::builder(store).realm(REALM).secret(SECRET).build();
    let gate = gate.expect("realm and secret are fit");
    let selling = gate.charge("0.10 usd").expect("this is a price");
    let paywall = selling.via(&Arc::new(NoOp)).layer().expect("the method takes dollars");
    Router::new().route(PATH, get(|_: Paid| async { "ok" }).layer(paywall))
}

/// Answers a challenge with a proof.
pub fn credential(challenge: &Challenge, proof: &Proof) -> Credential {
    let demand = challenge.read::<NoOp>().expect("the challenge is ours");
    Credential::answer(&demand, None, proof).expect("a proof is an object")
}

/// A paid request.
pub fn paid(challenge: &Challenge, proof: &Proof) -> Request<Body> {
    let mut request = unpaid(PATH);
    Http::put_credential_in(request.headers_mut(), &credential(challenge, proof))
        .expect("the challenge names no header");
    request
}

/// A request from this machine without a credential.
pub fn unpaid(path: &str) -> Request<Body> {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = path.parse().expect("a path");
    request.headers_mut().insert(http::header::HOST, HeaderValue::from_static("127.0.0.1"));
    request
}
