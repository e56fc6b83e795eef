//! Tokens, and PaymentIntents that are made with them.

use std::time::Duration;

use reqwest::Method;

use super::{Seller, charge};

#[tokio::test]
async fn a_card_ends_as_its_name_says() {
    let seller = Seller::new().await;
    for (card, status, what) in [
        ("pm_card_visa", 200, "succeeded"),
        ("pm_card_authenticationRequired", 200, "requires_action"),
        ("pm_card_processing", 200, "processing"),
        ("pm_card_chargeDeclined", 402, "generic_decline"),
        ("pm_card_chargeDeclinedInsufficientFunds", 402, "insufficient_funds"),
        ("pm_card_chargeCustomerFail", 402, "generic_decline"),
    ] {
        let told = seller.post("payment_intents", &charge(&seller.token(card))).await;
        assert_eq!(told.status, status, "{card}: {told:?}");
        if status == 200 {
            assert_eq!(told.text("/status"), what, "{card}");
        } else {
            assert_eq!(told.code(), "card_declined");
            assert_eq!(told.text("/error/type"), "card_error");
            assert_eq!(told.text("/error/decline_code"), what, "{card}");
            assert_eq!(told.text("/error/payment_intent/status"), "requires_payment_method");
            assert_eq!(told.text("/error/payment_intent/last_payment_error/decline_code"), what);
        }
    }
}

#[tokio::test]
async fn a_processing_payment_ends_when_it_is_told_to() {
    let seller = Seller::new().await;
    for (succeeds, status, event) in [
        (true, "succeeded", "payment_intent.succeeded"),
        (false, "requires_payment_method", "payment_intent.payment_failed"),
    ] {
        let made =
            seller.post("payment_intents", &charge(&seller.token("pm_card_processing"))).await;
        let id = made.text("/id").to_owned();
        seller.stripe.conclude(&id, succeeds).unwrap();
        let read = seller.get(&format!("payment_intents/{id}"), &[]).await;
        assert_eq!(read.text("/status"), status);
        assert_eq!(seller.stripe.events().last().unwrap()["type"], event);
        assert!(seller.stripe.conclude(&id, succeeds).is_err());
    }
}

#[tokio::test]
async fn a_token_is_charged_once_however_often_it_is_shown() {
    let seller = Seller::new().await;
    let token = seller.token("pm_card_visa");
    let first = seller.post("payment_intents", &charge(&token)).await;
    assert_eq!(first.status, 200);
    let second = seller.post("payment_intents", &charge(&token)).await;
    assert_eq!((second.status, second.code()), (400, "shared_payment_token_consumed"));
    let read = seller.get(&format!("shared_payment/granted_tokens/{token}"), &[]).await;
    assert_eq!(read.text("/deactivated_reason"), "consumed");
    assert_eq!(read.body["usage_details"]["amount_captured"]["value"], 5_000);
    assert_eq!(seller.stripe.payment_intents().len(), 1);
}

#[tokio::test]
async fn a_declined_token_may_be_tried_again() {
    let seller = Seller::new().await;
    let token = seller.token("pm_card_chargeDeclined");
    for _ in 0..2 {
        assert_eq!(seller.post("payment_intents", &charge(&token)).await.code(), "card_declined");
    }
}

#[tokio::test]
async fn a_token_is_held_to_its_limits() {
    let seller = Seller::new().await;
    let grant = |name: &'static str, value: &str| {
        let expires = (seller.stripe.now() + 600).to_string();
        let mut form = vec![
            ("payment_method", "pm_card_visa".to_owned()),
            ("usage_limits[currency]", "usd".to_owned()),
            ("usage_limits[max_amount]", "5000".to_owned()),
            ("usage_limits[expires_at]", expires),
        ];
        form.retain(|(known, _)| *known != name);
        form.push((name, value.to_owned()));
        form
    };
    let own = seller.stripe.network_id().to_owned();
    for (name, value, code) in [
        ("seller_details[network_id]", "internal", None),
        ("seller_details[network_id]", own.as_str(), None),
        ("seller_details[network_id]", "profile_other", Some("shared_payment_token_wrong_seller")),
        ("usage_limits[currency]", "eur", Some("shared_payment_token_currency_mismatch")),
        ("usage_limits[max_amount]", "4999", Some("shared_payment_token_amount_exceeded")),
        ("metadata[k]", "v", None),
    ] {
        let form = grant(name, value);
        let form = Vec::from_iter(form.iter().map(|(name, value)| (*name, value.as_str())));
        let granted = seller.post("test_helpers/shared_payment/granted_tokens", &form).await;
        assert_eq!(granted.status, 200, "{granted:?}");
        let told = seller.post("payment_intents", &charge(granted.text("/id"))).await;
        assert_eq!(told.body["error"]["code"].as_str(), code, "{name}={value}");
    }
    let token = seller.token("pm_card_visa");
    seller.stripe.advance(Duration::from_secs(601));
    let told = seller.post("payment_intents", &charge(&token)).await;
    assert_eq!(told.code(), "shared_payment_token_expired");
    let told = seller.post("payment_intents", &charge("spt_none")).await;
    assert_eq!(told.code(), "resource_missing");
}

#[tokio::test]
async fn a_revoked_token_is_worth_nothing() {
    let seller = Seller::new().await;
    let token = seller.token("pm_card_visa");
    let path = format!("test_helpers/shared_payment/granted_tokens/{token}/revoke");
    assert_eq!(seller.post(&path, &[]).await.text("/deactivated_reason"), "revoked");
    let told = seller.post("payment_intents", &charge(&token)).await;
    assert_eq!(told.code(), "shared_payment_token_revoked");

    let form = [
        ("payment_method", "pm_card_visa"),
        ("usage_limits[currency]", "usd"),
        ("usage_limits[max_amount]", "5000"),
        ("seller_details[network_business_profile]", seller.stripe.network_id()),
    ];
    let issued = seller.post("shared_payment/issued_tokens", &form).await;
    let id = issued.text("/id");
    let revoked = seller.post(&format!("shared_payment/issued_tokens/{id}/revoke"), &[]).await;
    assert_eq!(revoked.text("/status"), "deactivated");
    let told = seller.post("payment_intents", &charge(id)).await;
    assert_eq!(told.code(), "shared_payment_token_revoked");
}

#[tokio::test]
async fn an_issued_token_is_charged_by_its_seller() {
    let seller = Seller::new().await;
    let form = [
        ("payment_method", "pm_card_visa"),
        ("usage_limits[currency]", "usd"),
        ("usage_limits[max_amount]", "5000"),
        ("seller_details[network_business_profile]", seller.stripe.network_id()),
    ];
    let issued = seller.post("shared_payment/issued_tokens", &form).await;
    let form = [
        ("amount", "5000"),
        ("currency", "usd"),
        ("confirm", "true"),
        ("payment_method_types[]", "card"),
        ("payment_method_data[shared_payment_granted_token]", issued.text("/id")),
    ];
    assert_eq!(seller.post("payment_intents", &form).await.text("/status"), "succeeded");
    let path = format!("shared_payment/issued_tokens/{}", issued.text("/id"));
    assert_eq!(seller.get(&path, &[]).await.text("/deactivated_reason"), "consumed");
}

#[tokio::test]
async fn what_makes_no_sense_is_named_by_its_parameter() {
    let seller = Seller::new().await;
    let long = "v".repeat(501);
    for (name, value, code, param) in [
        ("amount", "", "parameter_missing", "amount"),
        ("amount", "5.5", "parameter_invalid_integer", "amount"),
        ("amount", "49", "amount_too_small", "amount"),
        ("amount", "100000000", "amount_too_large", "amount"),
        ("currency", "", "parameter_missing", "currency"),
        ("currency", "xyz", "", "currency"),
        ("metadata[k]", long.as_str(), "", "metadata[k]"),
        ("nonsense", "1", "parameter_unknown", "nonsense"),
        ("nonsense[deep]", "1", "parameter_unknown", "nonsense"),
        ("application_fee_amount", "5001", "", "application_fee_amount"),
        ("customer", "cus_none", "resource_missing", "customer"),
        ("payment_method", "pm_card_visa", "", "payment_method"),
    ] {
        let token = seller.token("pm_card_visa");
        let mut form = Vec::from(charge(&token));
        form.retain(|(known, _)| *known != name);
        form.push((name, value));
        let told = seller.post("payment_intents", &form).await;
        assert_eq!(told.status, 400, "{name}={value}: {told:?}");
        assert_eq!(told.text("/error/type"), "invalid_request_error");
        assert_eq!(told.body["error"]["code"].as_str().unwrap_or_default(), code, "{name}={value}");
        assert_eq!(told.text("/error/param"), param, "{name}={value}");
    }
    assert!(seller.stripe.payment_intents().is_empty());
}

#[tokio::test]
async fn a_currency_in_upper_case_is_answered_in_lower_case() {
    let seller = Seller::new().await;
    let token = seller.token("pm_card_visa");
    let mut form = charge(&token);
    form[4].1 = "USD";
    assert_eq!(seller.post("payment_intents", &form).await.text("/currency"), "usd");
}

#[tokio::test]
async fn a_version_that_does_not_know_tokens_refuses_them_as_unknown() {
    let seller = Seller::new().await;
    let token = seller.token("pm_card_visa");
    let request = |version: Option<&str>| {
        let request =
            seller.request(Method::POST, "payment_intents", &charge(&token)).build().unwrap();
        let mut request = request;
        request.headers_mut().remove("stripe-version");
        if let Some(version) = version {
            request.headers_mut().insert("stripe-version", version.parse().unwrap());
        }
        reqwest::RequestBuilder::from_parts(reqwest::Client::new(), request)
    };
    for version in [None, Some("2026-07-29.dahlia"), Some("2025-12-15.preview")] {
        let told = seller.send(request(version)).await;
        let said = "Received unknown parameter: shared_payment_granted_token";
        assert_eq!(
            (told.code(), told.text("/error/message")),
            ("parameter_unknown", said),
            "{version:?}"
        );
    }
    assert_eq!(seller.send(request(Some("newest"))).await.status, 400);
    seller.stripe.set_default_version("2026-04-22.preview");
    assert_eq!(seller.send(request(None)).await.text("/status"), "succeeded");
}

#[tokio::test]
async fn only_the_accounts_own_key_is_taken() {
    let seller = Seller::new().await;
    let http = reqwest::Client::new();
    let url = format!("{}/v1/payment_intents", seller.stripe.url());
    let key = seller.stripe.secret_key();
    for (request, status) in [
        (http.get(&url), 401),
        (http.get(&url).bearer_auth("sk_test_other"), 401),
        (http.get(&url).basic_auth(key, Some("password")), 401),
        (http.get(&url).bearer_auth(key), 200),
        (http.get(&url).basic_auth(key, Some("")), 200),
        (http.get(&url).bearer_auth(key).header("stripe-account", "acct_1"), 200),
        (http.get(&url).bearer_auth(key).header("stripe-account", "somebody"), 403),
    ] {
        assert_eq!(seller.send(request).await.status, status);
    }
    let calls = seller.stripe.calls();
    assert_eq!(calls.len(), 7);
    assert!(calls.iter().all(|call| call.header("authorization").is_none()));
}

#[tokio::test]
async fn what_a_connected_account_sold_is_found_under_it_alone() {
    let seller = Seller::new().await;
    let token = seller.token("pm_card_visa");
    let sold = seller.request(Method::POST, "payment_intents", &charge(&token));
    let sold = seller.send(sold.header("stripe-account", "acct_shop")).await;
    let path = format!("payment_intents/{}", sold.text("/id"));
    assert_eq!(seller.get(&path, &[]).await.status, 404);
    let read = seller.request(Method::GET, &path, &[]).header("stripe-account", "acct_shop");
    assert_eq!(seller.send(read).await.status, 200);
}
