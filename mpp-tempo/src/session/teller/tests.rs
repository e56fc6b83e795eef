//! The server half against a node that says what a test tells it to.

use std::{num::NonZeroU64, sync::Arc};

use alloy::primitives::{B256, hex};
use mpp_core::{
    Challenge, Credential, Draft, Encoded, Realm, Request, Timestamp,
    account::Raise,
    binding::Keys,
    name::{IntentName, MethodName},
    problem::{ProblemType, Reason},
    teller::Teller as _,
    transport::Resource,
};

use super::{
    super::{DescriptorText, Payload},
    *,
};
use crate::{
    chain::{
        PATH_USD,
        reserve::CHANNEL_RESERVE,
        signature::{Key, P256Key, Signature},
        transaction::Transaction,
    },
    charge::scripted::{NOW, Scripted, Still, at, refused},
    session::Descriptor,
};

mod fates;
mod looks;
mod offers;
mod vouchers;

fn payer() -> Key {
    Key::new([7; 32]).unwrap()
}

fn payee() -> Key {
    Key::new([8; 32]).unwrap()
}

fn teller_at(node: Arc<Scripted>) -> Teller {
    let recipient = payee().address().to_string();
    let teller = Teller::new(&Chain::MODERATO, &recipient, Arc::new(payee()), node).unwrap();
    teller.settle_deadline(Duration::from_millis(50)).clock(Arc::new(Still(NOW)))
}

fn teller() -> Teller {
    teller_at(Arc::default())
}

fn channel() -> Descriptor {
    Descriptor {
        payer: payer().address(),
        payee: payee().address(),
        operator: Address::ZERO,
        token: PATH_USD,
        salt: B256::repeat_byte(5),
        authorized_signer: payer().address(),
        expiring_nonce_hash: B256::repeat_byte(6),
    }
}

fn kept(descriptor: Descriptor) -> Channel {
    Channel { block: 9, ..Channel::unseen(descriptor, 42431, 10_000) }
}

/// An account of that channel: of 3,000 in credit 2,000 are spent.
fn account_of(descriptor: Descriptor) -> Account<Channel> {
    let mut account = Account::of(kept(descriptor));
    let by = signed(&payer(), &descriptor, 3_000);
    let raise = Raise::proven(Amount::new(3_000), Amount::ZERO, by);
    account.draw(&raise, None, 2, Amount::new(1_000)).unwrap();
    account
}

fn id(descriptor: &Descriptor) -> String {
    descriptor.id(CHANNEL_RESERVE, 42431).to_string()
}

fn digest(descriptor: &Descriptor, cumulative: u128) -> B256 {
    let id = descriptor.id(CHANNEL_RESERVE, 42431);
    Domain::v2(42431).digest(id, Amount::new(cumulative))
}

fn signed(by: &Key, descriptor: &Descriptor, cumulative: u128) -> String {
    hex::encode_prefixed(by.sign(digest(descriptor, cumulative)).to_bytes())
}

fn voucher(descriptor: &Descriptor, cumulative: u128, signature: String) -> Payload {
    Payload::Voucher {
        channel_id: id(descriptor),
        descriptor: Some(DescriptorText::from(descriptor)),
        cumulative_amount: Amount::new(cumulative),
        signature,
    }
}

fn keys() -> Keys {
    Keys::new([1; 32]).unwrap()
}

fn realm() -> Realm {
    Realm::parse("api.example.com").unwrap()
}

fn terms(teller: &Teller) -> SessionTerms {
    teller.terms(&"0.001 usd per token".parse().unwrap()).unwrap()
}

fn challenge(terms: SessionTerms, method_details: Details) -> Challenge {
    let details = Nested { method_details };
    keys().seal(Draft {
        realm: realm(),
        method: MethodName::from_static("tempo"),
        intent: IntentName::from_static("session"),
        request: Encoded::of(&Request::<TempoSession> { terms, details }).unwrap(),
        expires: Some(Timestamp::from_unix(NOW + 300, 0)),
        digest: None,
        description: None,
        header: None,
        opaque: None,
    })
}

/// The claim that a gate would admit, on what a teller asks.
fn claim(teller: &Teller, payload: &Payload) -> Claim<TempoSession> {
    let challenge = challenge(terms(teller), teller.details_of_all());
    claim_on(&challenge, payload, None)
}

fn claim_on(
    challenge: &Challenge,
    payload: &Payload,
    source: Option<String>,
) -> Claim<TempoSession> {
    let demand = challenge.read::<TempoSession>().unwrap();
    let credential = Credential::answer(&demand, source.map(Source::new), payload).unwrap();
    let ours = keys().recognise(credential, &realm()).unwrap();
    ours.admit_metered(&Timestamp::from_unix(NOW, 0)).unwrap().claim().unwrap()
}
