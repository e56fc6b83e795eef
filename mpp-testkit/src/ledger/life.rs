//! One life of a server: a gate on a runtime of its own, over a handle of the store. It ends at once, as by `kill -9`.

use std::{future::Future, sync::Arc, time::Duration};

use mpp_core::{
    Challenge, Charge, Credential,
    problem::Reason,
    store::Store,
    transport::{Call, Refusal, Resource},
};
use mpp_server::{Admission, Gate, Offers, Permit, Route, gate::GateBuilder};
use tokio::{runtime::Runtime, task::JoinHandle};

use super::Factory;
use crate::{
    clock::Hands,
    rail::{self, Rail},
};

/// How the gate of a life is set apart.
pub(super) type Setting = fn(GateBuilder) -> GateBuilder;

pub(super) struct Life {
    runtime: Option<Runtime>,
    pub(super) gate: Gate,
    clock: Hands,
}

/// What is said of a refusal: status, reason, number of challenges.
pub(super) type Why = (u16, Reason, usize);

pub(super) fn why(refusal: &Refusal) -> Why {
    (refusal.rejection.kind.status, refusal.rejection.reason, refusal.challenges.len())
}

/// What a call asks for.
#[derive(Clone)]
pub(super) struct Ask {
    pub(super) route: Route,
    pub(super) credential: Option<Credential>,
    pub(super) key: Option<&'static str>,
    pub(super) scope: &'static str,
}

impl Ask {
    pub(super) fn of(route: &Route, credential: &Credential) -> Self {
        let credential = Some(credential.clone());
        Self { route: route.clone(), credential, key: None, scope: SCOPE }
    }

    pub(super) fn named(self, key: &'static str) -> Self {
        Self { key: Some(key), ..self }
    }
}

pub(super) const SCOPE: &str = "GET /testkit";

impl Life {
    pub(super) async fn begin<F: Factory>(store: &F, clock: &Hands, setting: Setting) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime can be made");
        // On its own runtime: what connects belongs to it, and ends with it.
        let opened: Arc<dyn Store> = match runtime.spawn(store.open()).await {
            Ok(opened) => opened,
            Err(e) => std::panic::resume_unwind(e.into_panic()),
        };
        let builder = Gate::builder(opened)
            .realm("testkit")
            .secret("a secret of thirty-two bytes and more")
            .clock(clock.clone())
            .recover_by_hand();
        let gate = setting(builder).build().expect("the suite's own gate is well configured");
        Self { runtime: Some(runtime), gate, clock: clock.clone() }
    }

    /// Kills it: every task of it stops where it waits.
    pub(super) async fn die(mut self) {
        let runtime = self.runtime.take();
        tokio::task::spawn_blocking(move || drop(runtime)).await.expect("a runtime ends");
    }

    pub(super) fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.runtime.as_ref().expect("it lives").spawn(task)
    }

    /// Runs something in this life and waits for it.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> T {
        match self.spawn(task).await {
            Ok(done) => done,
            Err(e) => std::panic::resume_unwind(e.into_panic()),
        }
    }

    pub(super) fn start(&self, ask: Ask) -> JoinHandle<Result<Admission, Refusal>> {
        let gate = self.gate.clone();
        let mut call = Call::to(Resource::at(ask.scope));
        call.credential = Ok(ask.credential);
        call.idempotency_key = ask.key.map(str::to_owned);
        self.spawn(async move { gate.judge(&ask.route, call).await })
    }

    pub(super) async fn judge(&self, ask: Ask) -> Result<Admission, Refusal> {
        self.start(ask).await.expect("judging does not panic")
    }

    pub(super) async fn serve(&self, ask: Ask) -> Permit {
        match self.judge(ask).await {
            Ok(Admission::Serve(permit)) => permit,
            Ok(other) => panic!("a payment that is good for a response was answered {other:?}"),
            Err(e) => panic!("a payment that is good for a response was refused: {:?}", why(&e)),
        }
    }

    pub(super) async fn refused(&self, ask: Ask) -> Why {
        match self.judge(ask).await {
            Ok(admitted) => panic!("admitted, and should be refused: {admitted:?}"),
            Err(refusal) => why(&refusal),
        }
    }

    pub(super) async fn challenge(&self, route: &Route) -> Challenge {
        let ask = Ask { route: route.clone(), credential: None, key: None, scope: SCOPE };
        let refusal = self.judge(ask).await.expect_err("nothing is served unpaid");
        refusal.challenges.into_iter().next().expect("a challenge")
    }

    /// A credential with a coupon that no other test, and no other run over the same store, ever shows.
    pub(super) async fn coupon(&self, route: &Route) -> (Credential, String) {
        let challenge = self.challenge(route).await;
        let code = format!("b {}", challenge.id().as_str());
        (rail::answer(&challenge, &code), code)
    }

    /// Longer than every lease, and shorter than a challenge lives.
    pub(super) fn leases_end(&self) {
        self.clock.advance(Duration::from_secs(120));
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        // A test that failed: nothing may be waited for here.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

pub(super) fn route(rail: &Arc<Rail>) -> Route {
    let offers = Offers::<Charge>::of("1 coupon".parse().expect("a price")).via(rail);
    offers.into_vec().expect("coupons are offered in coupons").into()
}

/// Waits until something that runs elsewhere has happened.
pub(super) async fn until(what: &str, happened: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if happened() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("never happened: {what}");
}
