//! The suite that every method must pass, with a payer that mints tokens from the simulator.

use std::sync::Arc;

use mpp_core::{
    challenge::Demand,
    payer::{Allowance, Became, Exposure, PayError, Payer, Payment, Recall},
};
use mpp_stripe::{StripeCharge, charge::Payload};

use super::stage::{Stage, VISA};

struct Mint(Stage);

impl Payer for Mint {
    type Method = StripeCharge;

    fn exposes(&self, demand: &Demand<'_, StripeCharge>) -> Option<Exposure> {
        Some(Exposure::new(demand.request.terms.amount))
    }

    async fn pay(
        &self,
        demand: &Demand<'_, StripeCharge>,
        _: &Allowance,
    ) -> Result<Payment<StripeCharge>, PayError> {
        let external_id = demand.request.terms.external_id.clone();
        Ok(Payment::new(Payload { spt: self.0.token(VISA), external_id }))
    }

    async fn recall(&self, _: &Demand<'_, StripeCharge>) -> Result<Recall<StripeCharge>, PayError> {
        Ok(Recall::Never)
    }

    async fn became(&self, _: &Demand<'_, StripeCharge>, _: &Payload) -> Result<Became, PayError> {
        Ok(Became::Open)
    }
}

#[tokio::test]
async fn the_method_passes_the_suite() {
    let stage = Stage::new().await;
    // The suite's gate goes by the system's clock, as the simulator does until it is moved.
    let verifier = Arc::new(stage.verifier());
    mpp_testkit::method::suite(&verifier, &Mint(stage.clone()), "5 usd".parse().unwrap()).await;
    assert_eq!(stage.succeeded(), 2);
}
