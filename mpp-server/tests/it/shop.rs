//! A shop that sells by coupon over a scripted rail: what the tests of the ledger's edges share.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode},
    routing::any,
};
use mpp_core::{
    Charge, Credential,
    problem::Reason,
    store::{Memory, Store},
    transport::{Call, Refusal, Resource},
};
use mpp_server::{Admission, Gate, Offers, Permit, Route, gate::GateBuilder, tower::Paywall};
use mpp_testkit::{
    clock::Hands,
    rail::{self, Rail},
};
use tower::ServiceExt;

use crate::booth::{Heard, SECRET, with};

/// A gate by itself, over a store that outlives it.
pub(crate) struct Shop {
    pub(crate) store: Arc<Memory>,
    pub(crate) clock: Hands,
    pub(crate) rail: Arc<Rail>,
    pub(crate) route: Route,
    pub(crate) gate: Gate,
}

pub(crate) fn builder(store: impl Store, clock: &Hands) -> GateBuilder {
    Gate::builder(store).realm("shop").secret(SECRET).clock(clock.clone()).recover_by_hand()
}

pub(crate) fn route(rail: &Arc<Rail>) -> Route {
    Offers::<Charge>::of("1 coupon".parse().unwrap()).via(rail).into_vec().unwrap().into()
}

pub(crate) type Why = (u16, Reason, usize);

pub(crate) fn why(refusal: &Refusal) -> Why {
    (refusal.rejection.kind.status, refusal.rejection.reason, refusal.challenges.len())
}

impl Shop {
    pub(crate) fn new() -> Self {
        Self::set(|gate| gate)
    }

    pub(crate) fn on_success() -> Self {
        let shop = Self::new();
        Self { route: shop.route.clone().charge_on_success(), ..shop }
    }

    pub(crate) fn set(setting: impl FnOnce(GateBuilder) -> GateBuilder) -> Self {
        let (store, clock, rail) = (Arc::new(Memory::volatile()), Hands::new(), Rail::new());
        let gate = setting(builder(store.clone(), &clock)).build().unwrap();
        let route = route(&rail);
        gate.recovers(&route);
        Self { store, clock, rail, route, gate }
    }

    /// The next life of its server, or another server beside it: what the first had in hand it knows nothing of.
    pub(crate) fn another(&self) -> Self {
        let gate = builder(self.store.clone(), &self.clock).build().unwrap();
        gate.recovers(&self.route);
        let (store, clock) = (self.store.clone(), self.clock.clone());
        Self { store, clock, rail: self.rail.clone(), route: self.route.clone(), gate }
    }

    pub(crate) async fn judge(
        &self,
        credential: Option<&Credential>,
    ) -> Result<Admission, Refusal> {
        let mut call = Call::to(Resource::at("GET /joke"));
        call.credential = Ok(credential.cloned());
        self.gate.judge(&self.route, call).await
    }

    pub(crate) async fn serve(&self, credential: &Credential) -> Result<Permit, Why> {
        match self.judge(Some(credential)).await {
            Ok(Admission::Serve(permit)) => Ok(permit),
            Ok(other) => panic!("{other:?}"),
            Err(refusal) => Err(why(&refusal)),
        }
    }

    pub(crate) async fn refused(&self, credential: &Credential) -> Why {
        self.serve(credential).await.unwrap_err()
    }

    pub(crate) async fn coupon(&self, code: &str) -> Credential {
        rail::answer(&self.judge(None).await.unwrap_err().challenges[0], code)
    }
}

/// Lets every task run as far as it can without time passing.
pub(crate) async fn everything_runs() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

pub(crate) fn get_(path: &str) -> Request<Body> {
    Request::get(path).header("host", "127.0.0.1").body(Body::empty()).unwrap()
}

pub(crate) fn post_(path: &str, body: &str) -> Request<Body> {
    let request = Request::post(path).header("host", "127.0.0.1");
    request.header("content-length", body.len()).body(Body::from(body.to_owned())).unwrap()
}

pub(crate) fn named<B>(mut request: Request<B>, key: &str) -> Request<B> {
    request.headers_mut().insert("idempotency-key", key.parse().unwrap());
    request
}

pub(crate) async fn send(app: &Router, request: Request<Body>) -> Heard {
    Heard::from(app.clone().oneshot(request).await.unwrap()).await
}

/// Asks, and answers with a coupon; the credential is good for that request.
pub(crate) async fn credential(app: &Router, request: Request<Body>, code: &str) -> Credential {
    rail::answer(&send(app, request).await.challenge(), code)
}

pub(crate) async fn show(app: &Router, request: Request<Body>, credential: &Credential) -> Heard {
    send(app, with(request, credential)).await
}

/// An application with one handler, which answers in turn with these, then with the last; and how often it ran.
pub(crate) fn answering(
    wall: Paywall<impl mpp_server::tower::Reading<Body>>,
    answers: &'static [(u16, &'static str)],
) -> (Router, Arc<AtomicUsize>) {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    let handler = move || async move {
        let run = counted.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
        let (status, body) = answers[run];
        (StatusCode::from_u16(status).unwrap(), [("x-made-by", "the handler")], body)
    };
    (Router::new().route("/{*path}", any(handler).layer(wall)), runs)
}
