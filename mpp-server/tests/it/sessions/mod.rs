//! Sessions: accounts that are opened, drawn on, topped up, collected and closed, by payers who also cheat, and rails that fail.

mod accounts;
mod crashes;
mod interleaved;
mod meters;
mod money;

use std::{sync::Arc, time::Duration};

use mpp_core::{
    Challenge, Receipt,
    intent::{Rate, Session as Intent},
    problem::Reason,
    store::{Memory, Store},
    transport::{Call, Refusal, Resource, Wants},
};
use mpp_server::{Admission, Gate, Offers, Permit, Route, Schedule, gate::GateBuilder};
use mpp_testkit::{
    bank::{self, Bank, Slip},
    clock::Hands,
};

/// A seller at a bank: one route at two coins a unit.
pub(super) struct Stand {
    pub(super) gate: Gate,
    pub(super) bank: Bank,
    pub(super) route: Route,
    pub(super) clock: Hands,
    pub(super) store: Arc<Memory>,
}

impl Stand {
    pub(super) fn new() -> Self {
        Self::with(|gate| gate)
    }

    pub(super) fn with(more: impl Fn(GateBuilder) -> GateBuilder) -> Self {
        let (bank, clock) = (Bank::new(), Hands::new());
        let store = Arc::new(Memory::volatile());
        let gate = gate(&store, &clock, &more);
        let route = route(&bank);
        gate.recovers(&route);
        Self { gate, bank, route, clock, store }
    }

    /// The same seller after a restart: another gate on the same store and the same bank.
    pub(super) fn restarted(&self, more: impl Fn(GateBuilder) -> GateBuilder) -> Self {
        let gate = gate(&self.store, &self.clock, &|gate| more(gate.alone()));
        let (bank, clock) = (self.bank.clone(), self.clock.clone());
        let route = route(&bank);
        gate.recovers(&route);
        Self { gate, bank, route, clock, store: self.store.clone() }
    }

    pub(super) async fn challenge(&self) -> Challenge {
        let refusal = self.gate.judge(&self.route, call()).await.unwrap_err();
        refusal.challenges.into_iter().next().unwrap()
    }

    /// Shows a slip with a request for content.
    pub(super) async fn show(&self, slip: &Slip) -> Result<Admission, Refusal> {
        let challenge = self.challenge().await;
        self.show_under(&challenge, slip, Wants::Content { units: 1 }).await
    }

    /// Shows a slip that asks for nothing.
    pub(super) async fn manage(&self, slip: &Slip) -> Result<Admission, Refusal> {
        let challenge = self.challenge().await;
        self.show_under(&challenge, slip, Wants::Nothing).await
    }

    pub(super) async fn show_under(
        &self,
        challenge: &Challenge,
        slip: &Slip,
        wants: Wants,
    ) -> Result<Admission, Refusal> {
        let mut call = call();
        call.credential = Ok(Some(bank::answer(challenge, slip)));
        call.wants = wants;
        self.gate.judge(&self.route, call).await
    }

    /// Shows a slip that must be served.
    pub(super) async fn served(&self, slip: &Slip) -> Permit {
        match self.show(slip).await.unwrap() {
            Admission::Serve(permit) => permit,
            other => panic!("served was expected, not {other:?}"),
        }
    }

    /// Shows a slip that must be acknowledged.
    pub(super) async fn taken(&self, slip: &Slip) -> Receipt {
        match self.manage(slip).await.unwrap() {
            Admission::Acknowledge(acknowledged) => acknowledged.receipt.unwrap(),
            other => panic!("an acknowledgement was expected, not {other:?}"),
        }
    }

    pub(super) async fn refused(&self, slip: &Slip) -> Reason {
        self.show(slip).await.err().map(|refusal| refusal.rejection.reason).unwrap()
    }
}

fn gate(store: &Arc<Memory>, clock: &Hands, more: &dyn Fn(GateBuilder) -> GateBuilder) -> Gate {
    let store: Arc<dyn Store> = store.clone();
    let gate = Gate::builder(store)
        .realm("bank.example")
        .secret("a secret of at least thirty-two bytes")
        .clock(clock.clone())
        .settle_within(Duration::from_millis(300))
        .recover_by_hand();
    more(gate).build().unwrap()
}

fn route(bank: &Bank) -> Route {
    let rate: Rate = "2 coin per joke".parse().unwrap();
    let bank = Arc::new(bank.clone());
    Route::of(Offers::<Intent>::of(rate).via(&bank))
}

fn call() -> Call {
    Call::to(Resource::at("GET /joke?n=1").in_place("/joke"))
}

/// The figures of a receipt: accepted, spent, units.
pub(super) fn figures(receipt: &Receipt) -> (u128, u128, u64) {
    let amount = |name: &str| receipt.extra[name].as_str().unwrap().parse().unwrap();
    (amount("accepted"), amount("spent"), receipt.extra["units"].as_u64().unwrap())
}

pub(super) fn schedule() -> Schedule {
    Schedule::new()
}
