//! Transfers on Tempo, as our own halves ask for them and sign them.

use std::{sync::Arc, time::Duration};

use mpp_core::{
    Amount, Challenge, Draft, Encoded, Realm, Request, Timestamp,
    name::{IntentName, MethodName},
    opaque::Opaque,
    payer::{Allowance, Payer as _, Payment, Site},
    transport::Resource,
    verifier::{Asking, Verifier as _},
};
use mpp_tempo::{
    Chain, TempoCharge,
    chain::rpc::Rpc,
    charge::{Mode, Payer, Verifier},
};
use mpp_testkit::devnet::{PAYER, RECIPIENT};

use crate::ours::{PATH, keys};

/// What a charge costs: 10,000 base units.
pub const PRICE: &str = "0.01 usd";
/// The realm of all charges: the host that is asked.
pub const REALM: &str = "127.0.0.1";

/// Sells in pull mode.
pub fn shop(node: Arc<dyn Rpc>) -> Verifier {
    let shop = Verifier::new(&Chain::MODERATO, RECIPIENT.address, node).expect("an address");
    shop.modes([Mode::Pull])
}

/// Pays from the development account that pays.
pub fn payer(node: Arc<dyn Rpc>) -> Payer {
    Payer::new(PAYER.key.hex().parse().expect("a key"), &Chain::MODERATO, node)
}

/// A challenge of the shop's own, like no other of another number.
pub async fn challenge(shop: &Verifier, now: &Timestamp, number: u64) -> Challenge {
    let terms = shop.terms(&PRICE.parse().expect("a price")).expect("the token is a dollar");
    let (at, realm) = (Resource::at(format!("GET {PATH}")), realm());
    let expires = now.plus(Duration::from_secs(300));
    let minted = shop.details(&terms, Asking::new(&at, &realm, &expires)).await;
    let details = minted.expect("nothing has to be asked for them").details;
    let request = Request::<TempoCharge> { terms, details };
    keys().seal(Draft {
        realm,
        method: MethodName::from_static("tempo"),
        intent: IntentName::from_static("charge"),
        request: Encoded::of(&request).expect("a request is an object"),
        expires: Some(expires),
        digest: None,
        description: None,
        header: None,
        opaque: Some(Opaque::bind(&u128::from(number).to_be_bytes(), &format!("GET {PATH}"))),
    })
}

/// A signed transfer that answers a challenge.
pub async fn payment(payer: &Payer, challenge: &Challenge) -> Payment<TempoCharge> {
    let demand = challenge.read().expect("the challenge is ours");
    let to = Site { origin: format!("http://{REALM}"), resource: PATH.into() };
    let within = Allowance { up_to: Amount::new(10_000_000), to };
    payer.pay(&demand, &within).await.expect("the node lets the transfer pass")
}

/// The realm, as it stands in challenges.
pub fn realm() -> Realm {
    Realm::parse(REALM).expect("a realm")
}
