//! What deployed peers write for the same sale: challenges, requests, and the call to Stripe.

use std::sync::Arc;

use mpp_core::{
    Challenge, Credential, Price, Realm, Timestamp,
    binding::{Claim, Keys, challenge_id},
    challenge::Draft,
    encoded::Encoded,
    method::{Method, Request},
    transport::Resource,
    verifier::{Asking, Verifier as _},
};
use mpp_stripe::{
    Api, Currency, SecretKey, StripeCharge,
    charge::{Options, Verifier},
};
use mpp_testkit::clock::Hands;
use serde_json::Value;

use super::stage::answer;

const SECRET: &[u8] = b"test-secret-key-test-secret-key-32";
const NETWORK: &str = "profile_1MqDcVKA5fEO2tZvKQm9g8Yj";
const LATER: &str = "2099-01-01T00:00:00.000Z";

fn verifier() -> Verifier {
    let api = Api::new(&SecretKey::new("sk_test_x").unwrap()).unwrap();
    let verifier = Verifier::new(api, NETWORK, Currency::USD).unwrap();
    verifier.payment_methods(["card"]).unwrap().clock(Arc::new(Hands::new()))
}

async fn draft(verifier: &Verifier, price: &Price, expires: &str) -> Draft {
    let (at, realm) = (Resource::at("GET /"), Realm::parse("api.example.com").unwrap());
    let end = Timestamp::parse(expires).unwrap();
    let terms = verifier.terms(price).unwrap();
    let minted = verifier.details(&terms, Asking::new(&at, &realm, &end)).await.unwrap();
    let request = Request::<StripeCharge> { terms, details: minted.details };
    Draft {
        realm,
        method: StripeCharge::NAME,
        intent: <<StripeCharge as Method>::Intent as mpp_core::Intent>::NAME,
        request: Encoded::of(&request).unwrap(),
        expires: Some(end),
        digest: None,
        description: None,
        header: None,
        opaque: None,
    }
}

fn price(text: &str) -> Price {
    text.parse().unwrap()
}

#[tokio::test]
async fn challenges_are_those_of_deployed_peers() {
    let ordered = || price("50 usd").external_id("order-1");
    let (fifty, pro) = (verifier(), verifier().metadata("plan", "pro").unwrap());
    for (verifier, price, expires, secret, id) in [
        (
            &fifty,
            ordered(),
            "2025-01-01T00:00:00.000Z",
            SECRET,
            "o1NC-25QqdYF3haZkTvXKfmnQyX1AaqnlK4hdsxR11c",
        ),
        (
            &fifty,
            price("50 usd"),
            "2025-01-01T00:00:00.000Z",
            SECRET,
            "kCwjETjZx5nzCUY15CjNyU7NYuUpFCEY0YyDSICO9ik",
        ),
        (&fifty, price("50 USD"), LATER, SECRET, "TghARaMBizaLaf20RDz1CytDtm4KqroiGJPI7AM6GkM"),
        (&fifty, price("60 usd"), LATER, SECRET, "zY09P29Lmjl04xP-_izkpPTbP89yD59ZWQZ66sF59lA"),
        (&pro, ordered(), LATER, SECRET, "wFSguGfZ9Fe7Tc6UyDIJ3ILOaDPmW1kNPA8jZC6s85E"),
        (
            &fifty,
            ordered(),
            "2025-01-15T12:05:00Z",
            b"test-vector-secret",
            "TMtxkpq3mjEDEKkX1QwYyghf0JFOQVhUKTRKZxTaZaU",
        ),
    ] {
        let draft = draft(verifier, &price, expires).await;
        assert_eq!(challenge_id(secret, &draft).as_str(), id, "{price:?} {expires}");
    }
}

#[tokio::test]
async fn a_request_is_written_as_deployed_peers_write_it() {
    let draft = draft(&verifier(), &price("50 usd").external_id("order-1"), LATER).await;
    assert_eq!(
        draft.request.as_str(),
        "eyJhbW91bnQiOiI1MDAwIiwiY3VycmVuY3kiOiJ1c2QiLCJleHRlcm5hbElkIjoib3JkZXItMSIsIm1ldGhvZERldGFpbHMiOnsibmV0d29ya0lkIjoicHJvZmlsZV8xTXFEY1ZLQTVmRU8ydFp2S1FtOWc4WWoiLCJwYXltZW50TWV0aG9kVHlwZXMiOlsiY2FyZCJdfX0"
    );
}

/// A credential as it is shown at a time (Unix seconds), late or not.
fn claim(challenge: &Challenge, credential: Credential, now: i64) -> Claim<StripeCharge> {
    let recognised = Keys::new(SECRET).unwrap().recognise(credential, &challenge.realm).unwrap();
    recognised.admit_late(&Timestamp::from_unix(now, 0)).unwrap().claim().unwrap()
}

async fn order(verifier: &Verifier, challenge: Challenge, credential: Credential) -> Value {
    let evidence = verifier.check(&claim(&challenge, credential, 1_800_000_000)).await.unwrap();
    serde_json::to_value(&evidence).unwrap()
}

#[tokio::test]
async fn a_token_that_is_shown_late_is_an_order_that_is_not_sent() {
    let verifier = verifier();
    let draft = draft(&verifier, &price("50 usd"), "2027-01-15T08:00:00Z").await;
    let challenge = Keys::new(SECRET).unwrap().seal(draft);
    let end = challenge.expires.as_ref().unwrap().unix_seconds();
    for (now, taken) in [(end, true), (end + 1, false)] {
        let checked =
            verifier.check(&claim(&challenge, answer(&challenge, "spt_1", None), now)).await;
        let reason = checked.err().map(|rejection| rejection.reason);
        assert_eq!(reason, (!taken).then_some(mpp_core::problem::Reason::EXPIRED));
    }
}

#[tokio::test]
async fn the_call_that_charges_is_that_of_deployed_peers_but_for_our_name() {
    let options = Options::new()
        .customer("cus_1")
        .receipt_email("a@b.c")
        .metadata("x", "y")
        .tax_calculation("taxcalc_1");
    let verifier = verifier().metadata("plan", "pro").unwrap().options(options).unwrap();
    let draft = draft(&verifier, &price("50 usd").external_id("order-1"), LATER).await;
    let challenge = Keys::new(SECRET).unwrap().seal(draft);
    let shown = answer(&challenge, "spt_test", Some("order-1"));
    let order = order(&verifier, challenge, shown).await;
    let pairs =
        order["form"].as_array().unwrap().iter().map(|pair| {
            (pair[0].as_str().unwrap().to_owned(), pair[1].as_str().unwrap().to_owned())
        });
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let theirs = "amount=5000&automatic_payment_methods%5Ballow_redirects%5D=never&automatic_payment_methods%5Benabled%5D=true&confirm=true&currency=usd&customer=cus_1&receipt_email=a%40b.c&shared_payment_granted_token=spt_test&metadata%5Bmachine_payment%5D=true&metadata%5Bmpp_sdk%5D=mppx%2F0.11.0&metadata%5Bmpp_intent%5D=charge&metadata%5Bmpp_challenge_id%5D=wFSguGfZ9Fe7Tc6UyDIJ3ILOaDPmW1kNPA8jZC6s85E&metadata%5Bplan%5D=pro&metadata%5Bx%5D=y&hooks%5Binputs%5D%5Btax%5D%5Bcalculation%5D=taxcalc_1";
    let ours = concat!("mpp-rust%2F", env!("CARGO_PKG_VERSION"));
    assert_eq!(body, theirs.replace("mppx%2F0.11.0", ours));
    assert_eq!(order["key"], "mpp_wFSguGfZ9Fe7Tc6UyDIJ3ILOaDPmW1kNPA8jZC6s85E_spt_test");
    assert_eq!(order["version"], "2026-07-29.preview");
    assert_eq!(order["checked"], 1_800_000_000_i64);
}
