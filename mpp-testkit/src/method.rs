//! What every once-only method must do, run over the real gate.

use std::{collections::BTreeSet, sync::Arc};

use mpp_core::{
    Challenge, Credential, Intent, Method, Realm, Timestamp,
    challenge::Demand,
    intent::Once,
    method::AskOf,
    payer::{Allowance, Became, Payer, Site},
    problem::Reason,
    store::Memory,
    transport::{Call, Refusal, Resource},
    verifier::{Asking, Verifier},
};
use mpp_server::{Admission, Gate, Offers, Permit, Route, permit::Ending};

/// Runs both halves of a method through one payment and the ways to cheat with it. The payer must be able to pay twice.
///
/// # Panics
/// Where the method misbehaves; the message says how.
pub async fn suite<V, P>(verifier: &Arc<V>, payer: &P, ask: AskOf<V::Method>)
where
    V: Verifier,
    P: Payer<Method = V::Method>,
    <V::Method as Method>::Intent: Intent<Reuse = Once>,
{
    halves_share_no_member(&**verifier, &ask).await;
    let offers = Offers::<<V::Method as Method>::Intent>::of(ask)
        .via(verifier)
        .into_vec()
        .expect("the method says this ask exactly");
    assert_eq!(offers.len(), 1, "the method does not offer itself at this ask");
    let shop = Shop { gate: gate(), route: offers.into() };

    let challenge = shop.challenge().await;
    let credential = pay(payer, &challenge).await;
    let refused = shop
        .show_at("GET /elsewhere", &credential)
        .await
        .expect_err("a credential of one route bought another");
    assert_eq!(refused.rejection.reason, Reason::WRONG_SCOPE);

    let permit = shop.show(&credential).await.expect("a good payment is taken");
    assert!(
        !permit.receipt().is_some_and(|r| r.reference.is_empty()),
        "a receipt needs a reference"
    );
    permit.finish(Ending::NotDelivered).await.expect("a turn can be given back");
    let permit = shop.show(&credential).await.expect("paid and not delivered is served again");
    permit.finish(Ending::Delivered).await.expect("a turn can be ended");
    let became = became(payer, &credential).await;
    assert!(matches!(became, None | Some(Became::Paid | Became::Open)), "{became:?}: it was paid");
    let refused = shop.show(&credential).await.expect_err("a delivered payment was served again");
    assert_eq!(
        (refused.rejection.kind.status, refused.rejection.reason),
        (402, Reason::ALREADY_USED)
    );

    // The same proof under a challenge of its own: refused by the check, or by the ledger's mark.
    let other = shop.challenge().await;
    let payload = serde_json::value::RawValue::from_string(credential.payload_json().to_owned())
        .expect("a payload is JSON");
    let stolen = Credential::from_parts(other, credential.source.clone(), payload)
        .expect("a payload is an object");
    assert!(shop.show(&stolen).await.is_err(), "one proof paid for two challenges");

    let second = pay(payer, &shop.challenge().await).await;
    shop.show(&second)
        .await
        .expect("a second payment is a payment")
        .finish(Ending::Delivered)
        .await
        .expect("a turn can be ended");
}

/// Terms and details are flat in one object; a member of both would be written twice.
async fn halves_share_no_member<V: Verifier>(verifier: &V, ask: &AskOf<V::Method>) {
    let terms = verifier.terms(ask).expect("the method can say this ask");
    let at = Resource::at("GET /testkit");
    let realm = Realm::parse("testkit").expect("a realm");
    let until = Timestamp::from_unix(i64::from(i32::MAX), 0);
    let asking = Asking::new(&at, &realm, &until);
    let minted = verifier.details(&terms, asking).await.expect("details can be made");
    let members = |v: serde_json::Value| -> BTreeSet<String> {
        v.as_object().expect("terms and details are objects").keys().cloned().collect()
    };
    let terms = members(serde_json::to_value(&terms).expect("terms serialize"));
    let details = members(serde_json::to_value(&minted.details).expect("details serialize"));
    let shared: Vec<_> = terms.intersection(&details).collect();
    assert!(shared.is_empty(), "terms and details share {shared:?}");
}

fn gate() -> Gate {
    Gate::builder(Memory::volatile())
        .realm("testkit")
        .secret("a secret of thirty-two bytes and more")
        .build()
        .expect("the suite's own gate is well configured")
}

struct Shop {
    gate: Gate,
    route: Route,
}

impl Shop {
    async fn challenge(&self) -> Challenge {
        let refusal = self.judge("GET /testkit", None).await.expect_err("nothing is served unpaid");
        refusal.challenges.into_iter().next().expect("a challenge")
    }
    async fn show(&self, credential: &Credential) -> Result<Permit, Refusal> {
        self.show_at("GET /testkit", credential).await
    }
    async fn show_at(&self, scope: &str, credential: &Credential) -> Result<Permit, Refusal> {
        self.judge(scope, Some(credential.clone())).await
    }
    async fn judge(&self, scope: &str, credential: Option<Credential>) -> Result<Permit, Refusal> {
        let mut call = Call::to(Resource::at(scope));
        call.credential = Ok(credential);
        match self.gate.judge(&self.route, call).await? {
            Admission::Serve(permit) => Ok(permit),
            other => panic!("a charge was {other:?}"),
        }
    }
}

async fn pay<P: Payer>(payer: &P, challenge: &Challenge) -> Credential {
    let demand: Demand<'_, P::Method> =
        challenge.read().expect("the payer reads what the verifier wrote");
    let exposes = payer.exposes(&demand).expect("the payer takes this demand");
    let to = Site { origin: "https://testkit".into(), resource: "/testkit".into() };
    let within = Allowance { up_to: exposes.amount, to };
    let payment =
        payer.pay(&demand, &within).await.expect("the payer pays within what it said it exposes");
    Credential::answer(&demand, payment.source, &payment.payload).expect("a payload is an object")
}

/// What the payer says became of its own payment; an error tells nothing.
async fn became<P: Payer>(payer: &P, credential: &Credential) -> Option<Became> {
    let demand: Demand<'_, P::Method> = credential.challenge.read().expect("it was read before");
    let payload = credential.payload::<P::Method>().expect("the payer reads its own payload");
    payer.became(&demand, &payload).await.ok()
}
