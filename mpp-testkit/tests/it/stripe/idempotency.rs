//! Idempotency keys, as Stripe documents them.

use std::time::Duration;

use mpp_testkit::stripe::Fault;

use super::{Seller, charge};

#[tokio::test]
async fn a_thousand_copies_of_one_request_make_one_payment_intent() {
    let seller = Seller::new().await;
    let token = seller.token("pm_card_visa");
    let form = charge(&token);
    let mut told = Vec::new();
    // By the hundred: so many connections are open at once.
    for _ in 0..10 {
        let copies = (0..100).map(|_| {
            let request = seller.request(reqwest::Method::POST, "payment_intents", &form);
            tokio::spawn(request.header("idempotency-key", "mpp_1").send())
        });
        for copy in Vec::from_iter(copies) {
            let response = copy.await.unwrap().unwrap();
            let replayed = response.headers().contains_key("idempotent-replayed");
            let body: serde_json::Value =
                serde_json::from_str(&response.text().await.unwrap()).unwrap();
            told.push((replayed, body["id"].as_str().unwrap().to_owned()));
        }
    }
    assert_eq!(told.iter().filter(|(replayed, _)| !replayed).count(), 1);
    let (_, id) = &told[0];
    assert!(told.iter().all(|(_, other)| other == id));
    assert_eq!(seller.stripe.payment_intents().len(), 1);
    assert_eq!(seller.stripe.calls().len(), 1_000);
}

#[tokio::test]
async fn the_same_key_with_other_parameters_is_an_idempotency_error() {
    let seller = Seller::new().await;
    let token = seller.token("pm_card_visa");
    let form = charge(&token);
    assert_eq!(seller.keyed("k", "payment_intents", &form).await.unwrap().status, 200);
    let mut reordered = form;
    reordered.reverse();
    assert!(seller.keyed("k", "payment_intents", &reordered).await.unwrap().replayed);
    let mut other = form;
    other[0].1 = "4000";
    for (path, form) in [("payment_intents", &other[..]), ("refunds", &form[..])] {
        let told = seller.keyed("k", path, form).await.unwrap();
        assert_eq!((told.status, told.text("/error/type")), (400, "idempotency_error"));
    }
}

#[tokio::test]
async fn a_result_is_stored_whether_it_is_good_or_bad() {
    let seller = Seller::new().await;
    let declined = seller.token("pm_card_chargeDeclined");
    let spent = seller.token("pm_card_visa");
    seller.post("payment_intents", &charge(&spent)).await;
    for (key, token, status) in [("declined", &declined, 402), ("spent", &spent, 400)] {
        let first = seller.keyed(key, "payment_intents", &charge(token)).await.unwrap();
        let again = seller.keyed(key, "payment_intents", &charge(token)).await.unwrap();
        assert_eq!((first.status, first.replayed, again.replayed), (status, false, true));
        assert_eq!(first.body, again.body);
    }
}

#[tokio::test]
async fn what_never_began_is_not_stored() {
    let seller = Seller::new().await;
    let token = seller.token("pm_card_visa");
    let mut bad = charge(&token);
    bad[0].1 = "1";
    assert_eq!(
        seller.keyed("k", "payment_intents", &bad).await.unwrap().code(),
        "amount_too_small"
    );
    for fault in [Fault::ServerError, Fault::RateLimited, Fault::Garbage(502, "<html>".to_owned())]
    {
        seller.stripe.next(fault);
        assert!(seller.keyed("k", "payment_intents", &charge(&token)).await.unwrap().status >= 429);
    }
    let told = seller.keyed("k", "payment_intents", &charge(&token)).await.unwrap();
    assert_eq!((told.status, told.replayed), (200, false));
}

#[tokio::test]
async fn a_key_whose_request_is_not_answered_yet_is_in_use() {
    let seller = Seller::new().await;
    let token = seller.token("pm_card_visa");
    let form = charge(&token);
    let request = seller
        .request(reqwest::Method::POST, "payment_intents", &form)
        .header("idempotency-key", "k");
    seller.stripe.next(Fault::Slow(Duration::from_millis(1_500)));
    let first = tokio::spawn(request.send());
    while seller.stripe.payment_intents().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let told = seller.keyed("k", "payment_intents", &form).await.unwrap();
    assert_eq!((told.status, told.code()), (409, "idempotency_key_in_use"));
    assert_eq!(first.await.unwrap().unwrap().status(), 200);
    while seller.keyed("k", "payment_intents", &form).await.unwrap().status == 409 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(seller.keyed("k", "payment_intents", &form).await.unwrap().replayed);
    assert_eq!(seller.stripe.payment_intents().len(), 1);
}

#[tokio::test]
async fn keys_are_forgotten_after_a_day() {
    let seller = Seller::new().await;
    let form = [("email", "a@example.com")];
    seller.keyed("k", "customers", &form).await;
    seller.stripe.advance(Duration::from_secs(86_000));
    assert!(seller.keyed("k", "customers", &form).await.unwrap().replayed);
    seller.stripe.advance(Duration::from_secs(401));
    assert!(!seller.keyed("k", "customers", &form).await.unwrap().replayed);
    assert_eq!(seller.stripe.objects("customer").len(), 2);
}

#[tokio::test]
async fn a_key_has_255_characters_at_the_most() {
    let seller = Seller::new().await;
    let form = [("email", "a@example.com")];
    assert_eq!(seller.keyed(&"k".repeat(255), "customers", &form).await.unwrap().status, 200);
    assert_eq!(seller.keyed(&"k".repeat(256), "customers", &form).await.unwrap().status, 400);
}
