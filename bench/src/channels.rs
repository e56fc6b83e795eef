//! Payers with channels of their own at one shop, which takes their vouchers and never asks the chain about them again.

use std::sync::Arc;

use alloy::primitives::{Address, B256};
use http::request::Parts;
use mpp_core::{
    Amount, Challenge, Credential,
    intent::Session,
    store::Store,
    transport::{Call, Http, Resource},
};
use mpp_server::{Admission, Gate, Offers, Permit, Route, tower::Paywall};
use mpp_tempo::{
    Chain, Key, TempoSession,
    chain::reserve::CHANNEL_RESERVE,
    session::{ChannelId, Descriptor, DescriptorText, Domain, Payload, Teller},
};
use mpp_testkit::devnet::RECIPIENT;

use crate::{
    node::Counting,
    ours::{PATH, SECRET, unpaid},
};

/// What a unit costs: one base unit, the least there is.
const RATE: &str = "0.000001 usd per request";
/// The same, of a route that counts what it streams.
const METERED: &str = "0.000001 usd per token";
const REALM: &str = "127.0.0.1";

/// A metered route at a gate, over a store.
#[derive(Debug)]
pub struct Shop {
    gate: Gate,
    route: Route,
    node: Arc<Counting>,
}

impl Shop {
    /// Opens, with nothing on the books but what the store has.
    pub fn over(store: impl Store) -> Self {
        let node = Arc::new(Counting::default());
        let teller = teller(&node);
        let offers = Offers::<Session>::of(RATE.parse().expect("a rate"));
        let route = Route::of(offers.via(&teller).into_vec().expect("the token is a dollar"));
        Self { gate: gate(store), route, node }
    }

    /// How often its node was asked.
    pub fn calls(&self) -> u64 {
        self.node.calls()
    }

    /// From the head of a request to leave to serve it.
    pub async fn take(&self, head: &Parts) -> Permit {
        let at = Resource::at(format!("GET {PATH}")).in_place(PATH);
        let call = Http::read_call_to(head, at, None);
        match self.gate.judge(&self.route, call).await {
            Ok(Admission::Serve(permit)) => permit,
            other => panic!("it is paid and wanted: {other:?}"),
        }
    }

    /// What it asks of everybody.
    pub async fn challenge(&self) -> Challenge {
        let call = Call::to(Resource::at(format!("GET {PATH}")).in_place(PATH));
        let refused = self.gate.judge(&self.route, call).await.expect_err("nothing is paid");
        refused.challenges.into_iter().next().expect("a challenge")
    }
}

/// Before a route whose handler streams: it charges nothing by itself.
pub fn metered(store: impl Store) -> Paywall {
    let selling = gate(store).session(METERED).expect("a rate");
    let teller = teller(&Arc::new(Counting::default()));
    selling.via(&teller).metered().layer().expect("the token is a dollar")
}

fn gate(store: impl Store) -> Gate {
    let gate = Gate::builder(store).realm(REALM).secret(SECRET).recover_by_hand().build();
    gate.expect("realm and secret are fit")
}

fn teller(node: &Arc<Counting>) -> Arc<Teller> {
    let key: Key = RECIPIENT.key.hex().parse().expect("a key");
    let teller = Teller::new(&Chain::MODERATO, RECIPIENT.address, Arc::new(key), node.clone());
    Arc::new(teller.expect("an address"))
}

/// A payer's channel.
#[derive(Debug)]
pub struct Payer {
    key: Key,
    descriptor: Descriptor,
    id: ChannelId,
    domain: Domain,
}

impl Payer {
    /// A payer like no other of another number.
    pub fn numbered(number: u64) -> Self {
        let mut secret = [3; 32];
        secret[24..].copy_from_slice(&number.to_be_bytes());
        let key = Key::new(secret).expect("a number below the order");
        let payee: Address = RECIPIENT.address.parse().expect("an address");
        let descriptor = Descriptor {
            payer: key.address(),
            payee,
            operator: Address::ZERO,
            token: Chain::MODERATO.currency,
            salt: B256::with_last_byte(1),
            authorized_signer: Address::ZERO,
            expiring_nonce_hash: B256::repeat_byte(7),
        };
        let chain_id = Chain::MODERATO.id;
        let id = descriptor.id(CHANNEL_RESERVE, chain_id);
        Self { key, descriptor, id, domain: Domain::v2(chain_id) }
    }

    /// Who signs.
    pub fn signer(&self) -> Address {
        self.key.address()
    }

    /// The channel.
    pub fn channel(&self) -> ChannelId {
        self.id
    }

    /// A voucher's signature.
    pub fn sign(&self, total: u128) -> [u8; 65] {
        self.key.sign(self.domain.digest(self.id, Amount::new(total))).to_bytes()
    }

    /// The head of a request that pays by a voucher, as clients write it: the descriptor comes with each.
    pub fn pays(&self, challenge: &Challenge, total: u128) -> Parts {
        let payload = Payload::Voucher {
            channel_id: self.id.to_string(),
            descriptor: Some(DescriptorText::from(&self.descriptor)),
            cumulative_amount: Amount::new(total),
            signature: alloy::hex::encode_prefixed(self.sign(total)),
        };
        let demand = challenge.read::<TempoSession>().expect("the challenge is ours");
        let credential = Credential::answer(&demand, None, &payload).expect("it is an object");
        let mut request = unpaid(PATH);
        Http::put_credential_in(request.headers_mut(), &credential)
            .expect("the challenge names no header");
        request.into_parts().0
    }
}
