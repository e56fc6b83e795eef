//! The peer's side: its own issuing, its own extractor, and a method whose rail does nothing.

use std::{future::Future, pin::Pin, sync::Arc};

use axum::{Router, body::Body, routing::get};
use http::{HeaderValue, Request, header};
use peer::{
    ChargeMethod, ChargeRequest, MemoryStore, MppError, PaymentChallenge, PaymentCredential,
    Receipt, Store, VerificationError, format_authorization, parse_authorization,
    server::{
        Mpp, StripeChargeMethod, StripeChargeOptions, StripeConfig,
        axum::{ChallengeOptions, ChargeChallenger, ChargeConfig, MppCharge, WithReceipt},
        stripe,
    },
};
use serde_json::Value;

use crate::{
    answer::Proof,
    ours::{PATH, REALM, SECRET, unpaid},
};

/// The price of the route.
#[derive(Debug)]
pub struct Dime;

impl ChargeConfig for Dime {
    fn amount() -> &'static str {
        "0.10"
    }
}

/// A method that asks nobody, and marks a proof as used where it has a store, as the peer's own do.
#[derive(Clone)]
pub struct NoOp(Option<Arc<MemoryStore>>);

impl ChargeMethod for NoOp {
    fn method(&self) -> &str {
        "stripe"
    }

    async fn verify(
        &self,
        credential: &PaymentCredential,
        _: &ChargeRequest,
    ) -> Result<Receipt, VerificationError> {
        let refused = |e: &dyn std::fmt::Display| VerificationError::new(e.to_string());
        let proof: Proof = credential.payload_as().map_err(|e| refused(&e))?;
        let reference = Proof::reference(&proof.signature);
        let marked = match &self.0 {
            Some(store) => store.put_if_absent(reference, Value::Bool(true)).await,
            None => Ok(true),
        };
        match marked {
            Ok(true) => Ok(Receipt::success("stripe", reference)),
            Ok(false) => Err(refused(&"already used")),
            Err(e) => Err(refused(&e)),
        }
    }
}

/// Issues by the peer's code for Stripe, and takes by its code for any method.
#[derive(Clone)]
pub struct Challenger {
    issuer: Mpp<StripeChargeMethod>,
    taker: Mpp<NoOp>,
}

impl Challenger {
    /// One that takes a proof once.
    pub fn with_memory() -> Self {
        Self::over(Some(Arc::default()))
    }

    /// One that takes a proof again and again.
    pub fn forgetful() -> Self {
        Self::over(None)
    }

    fn over(store: Option<Arc<MemoryStore>>) -> Self {
        let config = StripeConfig {
            secret_key: "sk_test",
            network_id: "internal",
            payment_method_types: &["card"],
            currency: "usd",
            decimals: 2,
        };
        let issuer = Mpp::create_stripe(stripe(config).realm(REALM).secret_key(SECRET));
        Self {
            issuer: issuer.expect("the secret is long enough"),
            taker: Mpp::new(NoOp(store), REALM, SECRET),
        }
    }

    /// The challenge of a route.
    pub fn issue(&self, scope: Option<&Value>) -> PaymentChallenge {
        let options = StripeChargeOptions { mppx_scope: scope, ..Default::default() };
        self.issuer.stripe_charge_with_options("0.10", options).expect("a dime can be charged")
    }

    /// Takes a credential that was parsed, for what its route expects.
    pub async fn take(
        &self,
        credential: &PaymentCredential,
        expected: &ChargeRequest,
    ) -> Result<Receipt, VerificationError> {
        self.taker.verify_credential_with_expected_request(credential, expected).await
    }
}

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl ChargeChallenger for Challenger {
    fn challenge(&self, amount: &str, it: ChallengeOptions) -> Result<PaymentChallenge, String> {
        self.issuer.challenge(amount, it)
    }

    fn verify_payment(&self, _: &str) -> Boxed<Result<Receipt, String>> {
        Box::pin(std::future::ready(Err("its extractor verifies for a route".into())))
    }

    // As the peer does it for its own methods: what is expected is what would be issued.
    fn verify_payment_for_route_with_realm(
        &self,
        credential: &str,
        amount: &str,
        scope: Option<Value>,
        _: Option<&[u8]>,
        _: Option<&str>,
    ) -> Boxed<Result<Receipt, MppError>> {
        let options = StripeChargeOptions { mppx_scope: scope.as_ref(), ..Default::default() };
        let expected = self.issuer.stripe_charge_with_options(amount, options);
        let prepared = parse_authorization(credential)
            .and_then(|credential| Ok((credential, expected?.request.decode()?)));
        let me = self.clone();
        Box::pin(async move {
            let (credential, expected) = prepared?;
            Ok(me.take(&credential, &expected).await?)
        })
    }
}

/// An application with one route that costs a dime.
pub fn app() -> Router {
    let state: Arc<dyn ChargeChallenger> = Arc::new(Challenger::with_memory());
    let handler =
        |charge: MppCharge<Dime>| async { WithReceipt { receipt: charge.receipt, body: "ok" } };
    Router::new().route(PATH, get(handler)).with_state(state)
}

/// Answers a challenge with a proof, as the value of `Authorization`.
pub fn credential(challenge: &PaymentChallenge, proof: &Proof) -> String {
    let credential = PaymentCredential::new(challenge.to_echo(), proof);
    format_authorization(&credential).expect("a proof is JSON")
}

/// A paid request.
pub fn paid(challenge: &PaymentChallenge, proof: &Proof) -> Request<Body> {
    let mut request = unpaid(PATH);
    let value = HeaderValue::try_from(credential(challenge, proof)).expect("base64url");
    request.headers_mut().insert(header::AUTHORIZATION, value);
    request
}
