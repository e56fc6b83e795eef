//! What can befall a request, and what it leaves behind.

use mpp_testkit::stripe::Fault;

use super::{Seller, charge};

#[tokio::test]
async fn a_lost_answer_has_charged_and_is_found_under_its_key() {
    let seller = Seller::new().await;
    let token = seller.token("pm_card_visa");
    seller.stripe.next(Fault::AnswerLost);
    assert!(seller.keyed("k", "payment_intents", &charge(&token)).await.is_none());
    assert_eq!(seller.stripe.payment_intents().len(), 1);
    let told = seller.keyed("k", "payment_intents", &charge(&token)).await.unwrap();
    assert_eq!((told.status, told.replayed, told.text("/status")), (200, true, "succeeded"));
    assert_eq!(seller.stripe.payment_intents().len(), 1);
}

#[tokio::test]
async fn a_lost_connection_has_done_nothing() {
    let seller = Seller::new().await;
    let token = seller.token("pm_card_visa");
    seller.stripe.next(Fault::ConnectionLost);
    assert!(seller.keyed("k", "payment_intents", &charge(&token)).await.is_none());
    assert!(seller.stripe.payment_intents().is_empty());
    let told = seller.keyed("k", "payment_intents", &charge(&token)).await.unwrap();
    assert_eq!((told.status, told.replayed), (200, false));
}

#[tokio::test]
async fn a_stored_server_error_stays_and_has_charged_nothing() {
    let seller = Seller::new().await;
    let token = seller.token("pm_card_visa");
    seller.stripe.next(Fault::ServerErrorStored);
    for replayed in [false, true] {
        let told = seller.keyed("k", "payment_intents", &charge(&token)).await.unwrap();
        assert_eq!(
            (told.status, told.replayed, told.text("/error/type")),
            (500, replayed, "api_error")
        );
    }
    assert!(seller.stripe.payment_intents().is_empty());
    assert_eq!(
        seller.keyed("other", "payment_intents", &charge(&token)).await.unwrap().status,
        200
    );
}

#[tokio::test]
async fn a_simulator_that_was_dropped_answers_nobody() {
    let seller = Seller::new().await;
    let form = [("email", "a@example.com")];
    assert_eq!(seller.post("customers", &form).await.status, 200);
    // The client keeps its connection.
    let request = seller.request(reqwest::Method::POST, "customers", &form);
    drop(seller);
    assert!(request.send().await.is_err());
}

#[tokio::test]
async fn garbage_comes_as_it_was_said() {
    let seller = Seller::new().await;
    for (status, body) in [(500, "<html>"), (400, "[1]"), (402, ""), (200, "{\"error\":7}")] {
        seller.stripe.next(Fault::Garbage(status, body.to_owned()));
        let told = seller.post("customers", &[]).await;
        assert_eq!(told.status, status);
        let said = serde_json::from_str(body).unwrap_or(serde_json::Value::String(body.to_owned()));
        assert_eq!(told.body, said);
    }
    assert!(seller.stripe.objects("customer").is_empty());
}

#[tokio::test]
async fn faults_befall_what_changes_something_and_in_order() {
    let seller = Seller::new().await;
    seller.stripe.next(Fault::RateLimited);
    seller.stripe.next(Fault::ServerError);
    assert_eq!(seller.get("customers", &[]).await.status, 200);
    for status in [429, 500, 200] {
        assert_eq!(seller.post("customers", &[]).await.status, status);
    }
}
