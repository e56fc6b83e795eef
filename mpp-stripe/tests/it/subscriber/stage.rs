//! A seller of subscriptions at a simulator, and what an engine would do with it.

use std::{
    num::NonZeroU64,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use mpp_core::{
    Challenge, Credential, Draft, Encoded, Method, Receipt, Request, Timestamp,
    agreement::{Agreement, Cadence, Period},
    binding::{Claim, Keys},
    challenge::Demand,
    fate::{Fate, Settlement},
    intent::{Intent, PeriodUnit, Plan, Subscription, SubscriptionTerms},
    method::Nested,
    name::MethodId,
    problem::{Reason, Rejection},
    receipt::Status,
    renewer::Renewer,
    time::Clock,
    verifier::Verifier as _,
};
use mpp_stripe::{
    Api, Currency, Details, SecretKey, StripeSubscription,
    subscription::{Customer, Evidence, Payload, Verifier},
};
use mpp_testkit::stripe::Simulator;
use serde_json::Value;

pub(super) const VISA: &str = "pm_card_visa";
pub(super) const NETWORK: &str = "profile_1MqDcVKA5fEO2tZvKQm9g8Yj";
pub(super) const DAY: Duration = Duration::from_secs(86_400);
pub(super) const WEEK: Duration = Duration::from_secs(7 * 86_400);

/// The simulator's time is everybody's.
#[derive(Clone, Debug)]
pub(super) struct Now(pub(super) Arc<Simulator>);

impl Clock for Now {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(self.0.now(), 0)
    }
}

pub(super) struct Stage {
    pub(super) sim: Arc<Simulator>,
    pub(super) shop: Verifier,
    keys: Keys,
    /// No two challenges are the same.
    challenges: AtomicU16,
}

impl Stage {
    pub(super) async fn new() -> Self {
        let sim = Arc::new(Simulator::start().await.unwrap());
        let shop = Verifier::new(api(&sim), NETWORK, Currency::USD).unwrap();
        let shop = shop.clock(Arc::new(Now(sim.clone())));
        let keys = Keys::new("a secret of at least thirty-two bytes").unwrap();
        Self { sim, shop, keys, challenges: AtomicU16::new(1) }
    }

    /// A challenge for a dollar and more a week, changed before it is sealed.
    pub(super) fn challenge(
        &self,
        change: impl FnOnce(&mut SubscriptionTerms, &mut Details),
    ) -> Challenge {
        let mut terms = self.shop.terms(&plan("9.99 usd per week")).unwrap();
        let mut details = Details {
            network_id: NETWORK.to_owned(),
            payment_method_types: vec!["card".to_owned()],
            metadata: None,
        };
        change(&mut terms, &mut details);
        let nonce = self.challenges.fetch_add(1, Ordering::Relaxed);
        let details = Nested { method_details: details };
        let request: Request<StripeSubscription> = Request { terms, details };
        self.keys.seal(Draft {
            realm: "shop".parse().unwrap(),
            method: StripeSubscription::NAME,
            intent: Subscription::NAME,
            request: Encoded::of(&request).unwrap(),
            expires: Some(Timestamp::from_unix(self.sim.now() + 300, nonce)),
            digest: None,
            header: None,
            description: None,
            opaque: None,
        })
    }

    pub(super) fn claim(
        &self,
        challenge: &Challenge,
        method: &str,
        customer: Option<&str>,
    ) -> Claim<StripeSubscription> {
        let demand: Demand<'_, StripeSubscription> = challenge.read().unwrap();
        let customer = customer.map(|id| Customer::parse(id).unwrap());
        let payload = Payload { payment_method: method.to_owned(), customer };
        let credential = Credential::answer(&demand, None, &payload).unwrap();
        let ours = self.keys.recognise(credential, &"shop".parse().unwrap()).unwrap();
        ours.admit(&Timestamp::from_unix(self.sim.now(), 0)).unwrap().claim().unwrap()
    }

    /// What a payer's credential for a new challenge is worth.
    pub(super) async fn checked(
        &self,
        method: &str,
        customer: Option<&str>,
    ) -> Result<Evidence, Rejection> {
        let challenge = self.challenge(|_, _| ());
        self.shop.check(&self.claim(&challenge, method, customer)).await
    }

    /// Subscribes, as an engine books it.
    pub(super) async fn subscribed(&self, method: &str) -> Agreement {
        let order = self.checked(method, None).await.unwrap();
        self.booked(&settled(self.shop.settle(&order).await))
    }

    pub(super) fn booked(&self, settlement: &Settlement) -> Agreement {
        let began = settlement.began.clone().unwrap();
        Agreement {
            method: MethodId::of::<StripeSubscription>(),
            place: self.shop.settles_at().into_owned(),
            began: *began,
            amount: mpp_core::Amount::new(999),
            currency: "usd".to_owned(),
            cadence: weekly(),
            expires: None,
            paid: 0,
            receipt: self.receipt(settlement),
            cancelled: None,
        }
    }

    pub(super) fn receipt(&self, settlement: &Settlement) -> Receipt {
        Receipt {
            method: StripeSubscription::NAME,
            reference: settlement.reference.clone(),
            status: Status::Success,
            timestamp: Timestamp::from_unix(self.sim.now(), 0),
            external_id: None,
            extra: settlement.extra.clone(),
        }
    }

    pub(super) async fn renewed(&self, agreement: &Agreement, period: &Period) -> Fate {
        let order = self.shop.renewal(agreement, period).unwrap();
        self.shop.settle(&order).await
    }

    /// Calls Stripe as the seller does by hand.
    pub(super) async fn post(&self, path: &str, form: &[(&str, &str)]) -> Value {
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = reqwest::Client::new().post(format!("{}{path}", self.sim.url()));
        let request = request.basic_auth(self.sim.secret_key(), Some(""));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = request.body(form).send().await.unwrap().text().await.unwrap();
        serde_json::from_str(&answer).unwrap()
    }

    /// Ends something at Stripe by hand.
    pub(super) async fn delete(&self, path: &str) {
        let request = reqwest::Client::new().delete(format!("{}{path}", self.sim.url()));
        let request = request.basic_auth(self.sim.secret_key(), Some(""));
        assert!(request.send().await.unwrap().status().is_success());
    }

    /// A card that exists, and belongs to nobody.
    pub(super) async fn card(&self, token: &str) -> String {
        let form = [("type", "card"), ("card[token]", token)];
        self.post("/v1/payment_methods", &form).await["id"].as_str().unwrap().to_owned()
    }

    /// A card, and the customer it belongs to.
    pub(super) async fn card_of_somebody(&self, token: &str) -> (String, String) {
        let card = self.card(token).await;
        let customer = self.post("/v1/customers", &[]).await["id"].as_str().unwrap().to_owned();
        let path = format!("/v1/payment_methods/{card}/attach");
        self.post(&path, &[("customer", &customer)]).await;
        (card, customer)
    }

    /// How many subscriptions can still charge.
    pub(super) fn living(&self) -> usize {
        let all = self.sim.objects("subscription");
        all.iter().filter(|one| one["ended_at"].is_null()).count()
    }

    /// What was taken and not given back, in cents.
    pub(super) fn taken(&self) -> i64 {
        let sum = |kind: &str, member: &str| {
            let all = self.sim.objects(kind);
            all.iter().filter_map(|one| one[member].as_i64()).sum::<i64>()
        };
        sum("payment_intent", "amount_received") - sum("refund", "amount")
    }

    /// How often a call was made.
    pub(super) fn calls(&self, method: &str, path: &str) -> usize {
        let calls = self.sim.calls();
        calls.iter().filter(|call| call.method == method && call.path == path).count()
    }

    pub(super) fn invoices(&self, status: &str) -> usize {
        self.sim.objects("invoice").iter().filter(|one| one["status"] == status).count()
    }
}

pub(super) fn api(sim: &Simulator) -> Api {
    let key = SecretKey::new(sim.secret_key()).unwrap();
    Api::new(&key).unwrap().at(sim.url()).unwrap().patience(Duration::from_secs(5))
}

pub(super) fn plan(text: &str) -> Plan {
    text.parse().unwrap()
}

pub(super) fn weekly() -> Cadence {
    Cadence { unit: PeriodUnit::Week, count: NonZeroU64::MIN }
}

pub(super) fn period(agreement: &Agreement, index: u64) -> Period {
    agreement.cadence.period(&agreement.began.anchor, index).unwrap()
}

pub(super) fn settled(fate: Fate) -> Settlement {
    match fate {
        Fate::Settled(settlement) => settlement,
        other => panic!("{other:?}"),
    }
}

pub(super) fn failed(fate: Fate) -> Reason {
    match fate {
        Fate::Failed(rejection) => rejection.reason,
        other => panic!("{other:?}"),
    }
}

pub(super) fn is_unknown(fate: &Fate) -> bool {
    matches!(fate, Fate::Unknown(_))
}

/// What an engine does with an open order: it asks, and goes on where it may.
pub(super) async fn recovered(shop: &Verifier, order: &Evidence) -> Fate {
    match shop.reconcile(order).await {
        Fate::Absent => shop.settle(order).await,
        known => known,
    }
}
