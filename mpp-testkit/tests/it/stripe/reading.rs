//! Lists, searches, refunds, and what was called.

use std::time::Duration;

use super::{PREVIEW, Seller, charge};

#[tokio::test]
async fn a_payment_is_found_by_its_metadata() {
    let seller = Seller::new().await;
    for challenge in ["a", "b"] {
        let token = seller.token("pm_card_visa");
        let mut form = Vec::from(charge(&token));
        form.push(("metadata[mpp_challenge_id]", challenge));
        seller.post("payment_intents", &form).await;
    }
    let search = async |query: &str| {
        let found = seller.get("payment_intents/search", &[("query", query)]).await;
        found.body["data"].as_array().map(Vec::len)
    };
    assert_eq!(search("metadata['mpp_challenge_id']:'a'").await, Some(1));
    assert_eq!(search("metadata['mpp_challenge_id']:'a' AND status:'succeeded'").await, Some(1));
    assert_eq!(search("metadata['mpp_challenge_id']:'a' AND status:'processing'").await, Some(0));
    assert_eq!(search("metadata['machine_payment']:'true'").await, Some(2));
    assert_eq!(search("metadata[mpp_challenge_id]").await, None);
    seller.stripe.set_search_lag(Duration::from_secs(60));
    assert_eq!(search("metadata['mpp_challenge_id']:'a'").await, Some(0));
    seller.stripe.advance(Duration::from_secs(61));
    assert_eq!(search("metadata['mpp_challenge_id']:'a'").await, Some(1));
}

#[tokio::test]
async fn lists_go_from_the_newest_page_by_page() {
    let seller = Seller::new().await;
    let began = seller.stripe.now();
    for _ in 0..5 {
        seller.post("customers", &[]).await;
        seller.stripe.advance(Duration::from_secs(10));
    }
    let mut newest = seller.stripe.objects("customer");
    newest.reverse();
    let page = seller.get("customers", &[("limit", "2")]).await.body;
    assert_eq!((&page["data"][0], &page["has_more"]), (&newest[0], &true.into()));
    let after = newest[1]["id"].as_str().unwrap();
    let page = seller.get("customers", &[("limit", "3"), ("starting_after", after)]).await.body;
    assert_eq!((&page["data"][2], &page["has_more"]), (&newest[4], &false.into()));
    let since = (began + 25).to_string();
    let page = seller.get("customers", &[("created[gte]", &since)]).await.body;
    assert_eq!(page["data"].as_array().unwrap().len(), 2);
    assert_eq!(seller.get("customers", &[("limit", "101")]).await.status, 400);
}

#[tokio::test]
async fn no_more_is_given_back_than_was_taken() {
    let seller = Seller::new().await;
    let paid = seller.post("payment_intents", &charge(&seller.token("pm_card_visa"))).await;
    let id = paid.text("/id");
    let refund = async |amount: &str| {
        seller.post("refunds", &[("payment_intent", id), ("amount", amount)]).await
    };
    assert_eq!(refund("2000").await.body["amount"], 2_000);
    assert_eq!(refund("3001").await.status, 400);
    assert_eq!(refund("0").await.status, 400);
    assert_eq!(seller.post("refunds", &[("payment_intent", id)]).await.body["amount"], 3_000);
    assert_eq!(refund("1").await.code(), "charge_already_refunded");
    let listed = seller.get("refunds", &[("payment_intent", id)]).await;
    assert_eq!(listed.body["data"].as_array().unwrap().len(), 2);
    let processing =
        seller.post("payment_intents", &charge(&seller.token("pm_card_processing"))).await;
    let told = seller.post("refunds", &[("payment_intent", processing.text("/id"))]).await;
    assert_eq!(told.code(), "payment_intent_unexpected_state");
}

#[tokio::test]
async fn calls_are_kept_in_the_order_of_their_members() {
    let seller = Seller::new().await;
    let token = seller.token("pm_card_visa");
    seller.post("payment_intents", &charge(&token)).await;
    let call = seller.stripe.calls().pop().unwrap();
    assert_eq!((call.method.as_str(), call.path.as_str()), ("POST", "/v1/payment_intents"));
    let sent = charge(&token).map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(call.form, sent);
    assert_eq!(call.header("stripe-version"), Some(PREVIEW));
    assert_eq!(call.field("currency"), Some("usd"));
    assert!(!format!("{call:?}").contains(&token));
}

#[tokio::test]
async fn the_test_helper_can_forget_what_newer_descriptions_do_not_have() {
    let seller = Seller::new().await;
    seller.stripe.forget_seller_details();
    let form = [
        ("payment_method", "pm_card_visa"),
        ("usage_limits[currency]", "usd"),
        ("usage_limits[max_amount]", "5000"),
        ("seller_details[network_id]", "internal"),
    ];
    let told = seller.post("test_helpers/shared_payment/granted_tokens", &form).await;
    assert_eq!(told.text("/error/message"), "Received unknown parameter: seller_details");
    assert_eq!(
        seller.post("test_helpers/shared_payment/granted_tokens", &form[..3]).await.status,
        200
    );
}
