//! A shop that sells by token: a simulator, a gate over a store, and what is needed to pay there.

use std::{sync::Arc, time::Duration};

use mpp_core::{
    Challenge, Charge, Credential, Price, Receipt, Timestamp,
    challenge::Demand,
    problem::Reason,
    store::Memory,
    time::Clock,
    transport::{Call, Refusal, Resource},
};
use mpp_server::{Admission, Gate, Offers, Permit, Route, permit::Ending};
use mpp_stripe::{
    Api, Currency, SecretKey, StripeCharge, TEST_NETWORK,
    charge::{Payload, Verifier},
};
use mpp_testkit::stripe::Simulator;
use serde_json::Value;

pub(super) const SECRET: &str = "a secret of at least thirty-two bytes";
pub(super) const VISA: &str = "pm_card_visa";

/// Status, reason, and to how many challenges a refused payer is invited.
pub(super) type Why = (u16, Reason, usize);
pub(super) const UNKNOWN: Why = (503, Reason::OUTCOME_UNKNOWN, 0);
pub(super) const USED: Why = (402, Reason::ALREADY_USED, 1);
pub(super) const ELSEWHERE: Why = (403, Reason::CREDITED_ELSEWHERE, 0);

/// The simulator's time is everybody's.
#[derive(Clone, Debug)]
pub(super) struct Now(pub(super) Arc<Simulator>);

impl Clock for Now {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(self.0.now(), 0)
    }
}

#[derive(Clone)]
pub(super) struct Stage {
    pub(super) sim: Arc<Simulator>,
    pub(super) store: Arc<Memory>,
}

pub(super) struct Shop {
    pub(super) stage: Stage,
    pub(super) gate: Gate,
    pub(super) route: Route,
}

impl Stage {
    pub(super) async fn new() -> Self {
        let sim = Arc::new(Simulator::start().await.unwrap());
        Self { sim, store: Arc::new(Memory::volatile()) }
    }

    pub(super) fn clock(&self) -> Now {
        Now(self.sim.clone())
    }

    pub(super) fn api(&self) -> Api {
        let key = SecretKey::new(self.sim.secret_key()).unwrap();
        let api = Api::new(&key).unwrap().at(self.sim.url()).unwrap();
        api.patience(Duration::from_secs(5))
    }

    pub(super) fn verifier(&self) -> Verifier {
        let verifier = Verifier::new(self.api(), TEST_NETWORK, Currency::USD).unwrap();
        verifier.clock(Arc::new(self.clock()))
    }

    /// A shop with one thing to sell, for five dollars.
    pub(super) fn shop(&self) -> Shop {
        self.selling("5 usd".parse().unwrap(), self.verifier())
    }

    pub(super) fn selling(&self, price: Price, verifier: Verifier) -> Shop {
        let offers = Offers::<Charge>::of(price).via(&Arc::new(verifier));
        let route: Route = offers.into_vec().unwrap().into();
        let gate = Gate::builder(self.store.clone()).realm("shop").secret(SECRET);
        let gate = gate.clock(self.clock()).recover_by_hand().build().unwrap();
        gate.recovers(&route);
        Shop { stage: self.clone(), gate, route }
    }

    /// The same account and another ledger: one that was lost, or of a seller who does not share it.
    pub(super) fn with_another_ledger(&self) -> Self {
        Self { store: Arc::new(Memory::volatile()), ..self.clone() }
    }

    /// A token for five dollars that ends with the challenges of now.
    pub(super) fn token(&self, payment_method: &str) -> String {
        self.sim.token(payment_method, "usd", 500, self.sim.now() + 300)
    }

    pub(super) fn intents(&self) -> Vec<Value> {
        self.sim.payment_intents()
    }

    pub(super) fn succeeded(&self) -> usize {
        self.intents().iter().filter(|intent| intent["status"] == "succeeded").count()
    }

    /// How often something was to be charged.
    pub(super) fn charges(&self) -> usize {
        let calls = self.sim.calls();
        calls.iter().filter(|c| c.method == "POST" && c.path == "/v1/payment_intents").count()
    }
}

impl Shop {
    /// The next life of this server, over the same books.
    pub(super) fn again(&self, verifier: Verifier) -> Self {
        self.stage.selling("5 usd".parse().unwrap(), verifier)
    }

    pub(super) async fn judge(&self, shown: Option<&Credential>) -> Result<Admission, Refusal> {
        let mut call = Call::to(Resource::at("GET /joke"));
        call.credential = Ok(shown.cloned());
        self.gate.judge(&self.route, call).await
    }

    pub(super) async fn challenge(&self) -> Challenge {
        self.judge(None).await.unwrap_err().challenges.remove(0)
    }

    /// A credential for a new challenge.
    pub(super) async fn answer(&self, spt: &str) -> Credential {
        answer(&self.challenge().await, spt, None)
    }

    /// A credential by a new token for a new challenge.
    pub(super) async fn pay(&self, payment_method: &str) -> Credential {
        self.answer(&self.stage.token(payment_method)).await
    }

    pub(super) async fn refusal(&self, credential: &Credential) -> Refusal {
        self.judge(Some(credential)).await.unwrap_err()
    }

    pub(super) async fn serve(&self, credential: &Credential) -> Result<Permit, Why> {
        match self.judge(Some(credential)).await {
            Ok(Admission::Serve(permit)) => Ok(permit),
            Ok(other) => panic!("{other:?}"),
            Err(refusal) => Err(why(&refusal)),
        }
    }

    /// Serves to the last byte.
    pub(super) async fn delivers(&self, credential: &Credential) -> Receipt {
        let permit = self.serve(credential).await.unwrap();
        let receipt = permit.receipt().unwrap().clone();
        permit.finish(Ending::Delivered).await.unwrap();
        receipt
    }

    pub(super) async fn refused(&self, credential: &Credential) -> Why {
        self.serve(credential).await.unwrap_err()
    }
}

pub(super) fn why(refusal: &Refusal) -> Why {
    (refusal.rejection.kind.status, refusal.rejection.reason, refusal.challenges.len())
}

pub(super) fn answer(challenge: &Challenge, spt: &str, external_id: Option<&str>) -> Credential {
    let demand: Demand<'_, StripeCharge> = challenge.read().unwrap();
    let payload = Payload { spt: spt.to_owned(), external_id: external_id.map(str::to_owned) };
    Credential::answer(&demand, None, &payload).unwrap()
}
