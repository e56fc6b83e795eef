//! A charge, from its credential to the evidence that it is settled by, before a node that answers at once.

use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use alloy::primitives::{B256, Bytes, U256};
use http::HeaderMap;
use mpp_core::{
    Credential, Timestamp,
    binding::{Claim, Keys},
    time::Clock,
    transport::{Http, Resource, read_credential},
    verifier::Verifier as _,
};
use mpp_tempo::{
    TempoCharge,
    chain::rpc::{
        Answer, Block, NodeError, Receipt, Rpc, RpcError, Search, Told, Trial, not_offered,
    },
    charge::{Evidence, Verifier},
};
use secp256k1::Secp256k1;

use super::payer;
use crate::{
    inprocess::runtime,
    interleaved::{Effort, calling, least},
    ours::{PATH, keys},
    row::{Goal, Row},
    tempo,
};

/// Measures: with and without what every method's credentials go through first.
pub fn rows(effort: Effort) -> Vec<Row> {
    let (shop, bytes) = (Shop::open(), payer::signature());
    let (claim, curve) = (shop.claim(), Secp256k1::verification_only());
    let [whole, check, floor] = least(
        effort,
        [
            calling(effort, || shop.check(&shop.claim())),
            calling(effort, || shop.check(&claim)),
            calling(effort, || payer::bare(&curve, &bytes)),
        ],
    );
    vec![
        Row::alone("decode and check of a charge", check, floor)
            // A quarter more than one recovery is the most.
            .to_reach(Goal::Ratio(0.8)),
        Row::alone("the same, from its header", whole, floor),
    ]
}

/// One that was shown a credential.
#[derive(Debug)]
pub struct Shop {
    keys: Keys,
    at: Resource,
    verifier: Verifier,
    headers: HeaderMap,
    now: Timestamp,
}

impl Shop {
    /// Has a payment made.
    pub fn open() -> Self {
        let now = Timestamp::from_unix(1_795_000_000, 0);
        let (node, clock) = (Arc::new(Ready), Arc::new(Still(now.clone())));
        let verifier = tempo::shop(node.clone()).clock(clock.clone());
        let payer = tempo::payer(node).clock(clock);
        let credential = runtime().block_on(async {
            let challenge = tempo::challenge(&verifier, &now, 1).await;
            let payment = tempo::payment(&payer, &challenge).await;
            let demand = challenge.read::<TempoCharge>().expect("the challenge is ours");
            Credential::answer(&demand, payment.source, &payment.payload)
        });
        let mut headers = HeaderMap::new();
        Http::put_credential_in(&mut headers, &credential.expect("a payload is an object"))
            .expect("the challenge names no header");
        Self { keys: keys(), at: Resource::at(format!("GET {PATH}")), verifier, headers, now }
    }

    /// From a header to a claim, by the steps of the gate.
    pub fn claim(&self) -> Claim<TempoCharge> {
        let credential = read_credential(&self.headers, None).expect("it can be read");
        let credential = credential.expect("there is one");
        let known = self.keys.recognise(credential, &tempo::realm()).expect("it is ours");
        known.fits(&self.at).expect("it is for this route");
        known.admit(&self.now).expect("in time").claim().expect("of this method")
    }

    /// From a claim to evidence.
    pub fn check(&self, claim: &Claim<TempoCharge>) -> Evidence {
        let mut checked = pin!(self.verifier.check(claim));
        // The node answers at once, so no runtime is needed, whose cost would not be ours.
        match checked.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(evidence) => evidence.expect("it pays"),
            Poll::Pending => panic!("nobody is waited for"),
        }
    }
}

/// A clock that stands still: what was signed does not end while it is looked at.
#[derive(Debug)]
struct Still(Timestamp);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        self.0.clone()
    }
}

/// A node that answers at once: everybody is rich, and everything passes.
#[derive(Debug)]
struct Ready;

fn at_once<'a, T: Send + 'a>(answer: T) -> Answer<'a, T> {
    Box::pin(std::future::ready(Ok(answer)))
}

impl Rpc for Ready {
    fn chain_id(&self) -> Answer<'_, u64> {
        at_once(42_431)
    }
    fn gas_price(&self) -> Answer<'_, u128> {
        at_once(20_000_000_000)
    }
    fn latest_block(&self) -> Answer<'_, Block> {
        at_once(Block { number: 9, timestamp: 1_795_000_000, base_fee: Some(20_000_000_000) })
    }
    fn estimate_gas(&self, _: Trial) -> Answer<'_, u64> {
        at_once(60_000)
    }
    fn call(&self, _: Trial) -> Answer<'_, Bytes> {
        at_once(Bytes::copy_from_slice(&U256::from(1_000_000_000).to_be_bytes::<32>()))
    }
    fn send(&self, _: Bytes) -> Answer<'_, Receipt> {
        let error = NodeError::new(-32_601, "nothing is sent here");
        Box::pin(std::future::ready(Err(RpcError::Refused(error))))
    }
    fn receipt(&self, _: B256) -> Answer<'_, Option<Receipt>> {
        at_once(None)
    }
    fn broadcast(&self, _: Bytes) -> Answer<'_, B256> {
        not_offered()
    }
    fn block(&self, _: u64) -> Answer<'_, Option<Block>> {
        not_offered()
    }
    fn logs(&self, _: Search) -> Answer<'_, Vec<Told>> {
        not_offered()
    }
    fn simulate(&self, _: Trial) -> Answer<'_, ()> {
        not_offered()
    }
}
