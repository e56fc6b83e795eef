//! What a payer signs and sends, against a real chain: all of it is mined as it was meant, or nothing of it is.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use mpp_core::{
    Amount, Challenge, Draft, Encoded, Realm, Request, Timestamp,
    binding::Keys,
    name::{IntentName, MethodName},
    payer::{Allowance, Payer as _, Payment, Site},
};
use mpp_tempo::{
    Chain, HttpRpc, Key, TempoCharge,
    chain::{
        rpc::{Receipt, Rpc, http::Patience},
        transaction::Signed,
    },
    charge::{Payer, Payload},
};
use mpp_testkit::devnet::{Devnet, PATH_USD, PAYER, RECIPIENT};
use serde_json::{Value, json};

mod access;
mod afterwards;
mod forms;
mod swap;

const PRICE: u128 = 100_000;

fn node(chain: &Devnet) -> Arc<HttpRpc> {
    let patience = Patience { ask: Duration::from_secs(3), send: Duration::from_secs(3) };
    Arc::new(HttpRpc::new(chain.rpc_url()).unwrap().patience(patience))
}

fn key(text: &str) -> Key {
    text.parse().unwrap()
}

fn payer(chain: &Devnet) -> Payer {
    Payer::new(key(PAYER.key.hex()), &Chain::MODERATO, node(chain))
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A challenge for ten cents of pathUSD, with these details, that no other is equal to.
fn challenge(name: &str, details: Value) -> Challenge {
    challenge_in(PATH_USD, name, details)
}

fn challenge_in(token: &str, name: &str, mut details: Value) -> Challenge {
    details["chainId"] = json!(42431);
    let request: Request<TempoCharge> = serde_json::from_value(json!({
        "amount": PRICE.to_string(), "currency": token, "recipient": RECIPIENT.address,
        "externalId": name, "methodDetails": details,
    }))
    .unwrap();
    let in_five_minutes = i64::try_from(seconds()).unwrap() + 300;
    Keys::new([1; 32]).unwrap().seal(Draft {
        realm: Realm::parse("api.example.com").unwrap(),
        method: MethodName::from_static("tempo"),
        intent: IntentName::from_static("charge"),
        request: Encoded::of(&request).unwrap(),
        expires: Some(Timestamp::from_unix(in_five_minutes, 0)),
        digest: None,
        description: None,
        header: None,
        opaque: None,
    })
}

async fn pay(
    payer: &Payer,
    challenge: &Challenge,
) -> Result<Payment<TempoCharge>, mpp_core::payer::PayError> {
    let demand = challenge.read().unwrap();
    let up_to = payer.exposes(&demand).unwrap().amount;
    let to = Site { origin: "https://api.example.com".into(), resource: "/".into() };
    payer.pay(&demand, &Allowance { up_to, to }).await
}

fn signed(payment: &Payment<TempoCharge>) -> Signed {
    let Payload::Transaction { signature } = &payment.payload else { panic!("pull mode") };
    Signed::decode(&alloy::primitives::hex::decode(signature).unwrap()).unwrap()
}

/// Does what a server does with a payment in pull mode, without looking.
async fn send(chain: &Devnet, payment: &Payment<TempoCharge>) -> Receipt {
    node(chain).send(signed(payment).encode().into()).await.unwrap()
}

async fn held(chain: &Devnet, account: &str) -> u128 {
    chain.balance_of(PATH_USD, account).await.unwrap()
}

fn amount(of: Option<Amount>) -> u128 {
    of.unwrap().get()
}
