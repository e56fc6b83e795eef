//! Activation: what is sent, what is kept, and who can be subscribed.

use mpp_core::{
    fate::Fate,
    problem::{ProblemType, Reason},
    verifier::Verifier,
};

use super::stage::{NETWORK, Stage, VISA, WEEK, failed, is_unknown, recovered, settled};

#[tokio::test]
async fn a_subscription_begins_with_one_call_of_the_drafts_own_parameters() {
    let stage = Stage::new().await;
    let order = stage.checked(VISA, None).await.unwrap();
    let settlement = settled(stage.shop.settle(&order).await);
    let calls = stage.sim.calls();
    let call = calls.iter().find(|c| c.method == "POST" && c.path == "/v1/subscriptions").unwrap();
    let subscription = &stage.sim.objects("subscription")[0];
    for (name, value) in [
        ("collection_method", "charge_automatically"),
        ("payment_behavior", "error_if_incomplete"),
        ("proration_behavior", "none"),
        ("items[0][quantity]", "1"),
        ("metadata[machine_payment]", "true"),
        ("metadata[mpp_intent]", "subscription"),
        ("metadata[mpp_terms]", "999 usd 1 week"),
        ("customer", subscription["customer"].as_str().unwrap()),
        ("default_payment_method", subscription["default_payment_method"].as_str().unwrap()),
    ] {
        assert_eq!(call.field(name), Some(value), "{name}");
    }
    for forbidden in [
        "add_invoice_items",
        "billing_cycle_anchor",
        "backdate_start_date",
        "cancel_at",
        "cancel_at_period_end",
        "pending_invoice_item_interval",
        "trial_end",
        "trial_period_days",
        "discounts",
        "automatic_tax",
        "schedule",
        "items[1]",
    ] {
        assert!(!call.form.iter().any(|(name, _)| name.starts_with(forbidden)), "{forbidden}");
    }
    let challenge = call.field("metadata[mpp_challenge_id]").unwrap();
    let key = format!("mpp_{challenge}_-_{VISA}_999_usd_1_week");
    assert_eq!(call.header("idempotency-key"), Some(&*key));
    let invoice = &stage.sim.objects("invoice")[0];
    assert_eq!(settlement.reference, invoice["id"].as_str().unwrap());
    assert_eq!(settlement.extra["stripeSubscription"], subscription["id"]);
    let began = settlement.began.unwrap();
    assert_eq!(settlement.extra["subscriptionId"], *began.id);
    assert_eq!(
        began.anchor.unix_seconds(),
        invoice["lines"]["data"][0]["period"]["start"].as_i64().unwrap()
    );
    assert_eq!(began.kept["subscription"], subscription["id"]);
    assert_eq!(stage.taken(), 999);
}

#[tokio::test]
async fn one_price_serves_every_subscriber_of_the_same_terms() {
    let stage = Stage::new().await;
    let (one, two) = (stage.subscribed(VISA).await, stage.subscribed(VISA).await);
    assert_ne!(one.began.id, two.began.id);
    assert_eq!(stage.sim.objects("price").len(), 1);
    assert_eq!(stage.sim.objects("subscription").len(), 2);
}

#[tokio::test]
async fn an_order_that_is_run_again_charges_nothing_more() {
    let stage = Stage::new().await;
    let order = stage.checked(VISA, None).await.unwrap();
    let first = settled(stage.shop.settle(&order).await);
    assert_eq!(settled(stage.shop.settle(&order).await), first);
    assert_eq!(settled(recovered(&stage.shop, &order).await), first);
    // Weeks later the first invoice is still the one that began it.
    stage.sim.advance(3 * WEEK);
    assert_eq!(settled(recovered(&stage.shop, &order).await), first);
    assert_eq!(stage.sim.objects("subscription").len(), 1);
}

#[tokio::test]
async fn a_first_decline_leaves_nothing_that_could_charge_later() {
    let stage = Stage::new().await;
    for (card, reason) in [
        ("pm_card_chargeDeclined", Reason::DECLINED),
        ("pm_card_chargeDeclinedInsufficientFunds", Reason::DECLINED),
        ("pm_card_chargeCustomerFail", Reason::DECLINED),
        ("pm_card_authenticationRequired", Reason::ACTION_REQUIRED),
    ] {
        let order = stage.checked(card, None).await.unwrap();
        let Fate::Failed(rejection) = stage.shop.settle(&order).await else { panic!("{card}") };
        assert_eq!(rejection.reason, reason, "{card}");
        assert!(rejection.kind.fresh, "{card}");
        assert!(!rejection.detail.contains("card_declined"));
        // Again it is the same.
        assert_eq!(failed(recovered(&stage.shop, &order).await), reason, "{card}");
    }
    assert_eq!((stage.living(), stage.taken()), (0, 0));
}

#[tokio::test]
async fn what_is_processing_is_called_off_and_is_no_failure_while_it_may_move() {
    for (succeeds, left) in [(true, 0), (false, 0)] {
        let stage = Stage::new().await;
        let order = stage.checked("pm_card_processing", None).await.unwrap();
        assert!(is_unknown(&stage.shop.settle(&order).await));
        assert_eq!((stage.living(), stage.invoices("open")), (0, 0));
        assert!(is_unknown(&recovered(&stage.shop, &order).await));
        let intent = stage.sim.payment_intents()[0]["id"].as_str().unwrap().to_owned();
        stage.sim.conclude(&intent, succeeds).unwrap();
        assert_eq!(failed(recovered(&stage.shop, &order).await), Reason::BAD_PROOF, "{succeeds}");
        assert_eq!(stage.taken(), left);
        assert_eq!(stage.sim.objects("refund").len(), usize::from(succeeds));
        // What was given back is not taken for a payment later.
        assert_eq!(failed(recovered(&stage.shop, &order).await), Reason::BAD_PROOF);
    }
}

#[tokio::test]
async fn nobody_is_subscribed_as_somebody_elses_customer() {
    let stage = Stage::new().await;
    let (card, customer) = stage.card_of_somebody("tok_visa").await;
    let (other, _) = stage.card_of_somebody("tok_visa").await;
    let free = stage.card("tok_visa").await;
    // Another's customer with a card of one's own, another's card, and another's card without a name.
    for (method, named) in
        [(&free, Some(&customer)), (&other, Some(&customer)), (&other, None), (&card, None)]
    {
        let refusal = stage.checked(method, named.map(|id| &**id)).await.unwrap_err();
        assert_eq!(
            (refusal.kind, refusal.reason),
            (ProblemType::VERIFICATION_FAILED, Reason::BAD_PROOF)
        );
    }
    let order = stage.checked(&card, Some(&customer)).await.unwrap();
    let began = settled(stage.shop.settle(&order).await).began.unwrap();
    assert_eq!(began.kept["customer"], *customer);
    assert_eq!(stage.sim.objects("customer").len(), 2);
}

#[tokio::test]
async fn a_card_that_subscribed_here_before_subscribes_again_as_the_same_customer() {
    let stage = Stage::new().await;
    let card = stage.card("tok_visa").await;
    let (one, two) = (stage.subscribed(&card).await, stage.subscribed(&card).await);
    assert_eq!(one.began.kept["customer"], two.began.kept["customer"]);
    assert_ne!(one.began.id, two.began.id);
    assert_eq!(stage.sim.objects("customer").len(), 1);
}

#[tokio::test]
async fn open_items_of_a_customer_would_be_on_the_invoice_and_are_refused() {
    let stage = Stage::new().await;
    let (card, customer) = stage.card_of_somebody("tok_visa").await;
    let item = [("customer", &*customer), ("amount", "100"), ("currency", "usd")];
    stage.post("/v1/invoiceitems", &item).await;
    let refusal = stage.checked(&card, Some(&customer)).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::BAD_PROOF);
    assert_eq!(stage.sim.objects("subscription").len(), 0);
}

#[tokio::test]
async fn an_order_of_yesterday_is_not_sent_and_one_that_got_through_is_found() {
    let stage = Stage::new().await;
    let never_sent = stage.checked(VISA, None).await.unwrap();
    let with_card = stage.checked(&stage.card("tok_visa").await, None).await.unwrap();
    let sent = stage.checked(VISA, None).await.unwrap();
    let settlement = settled(stage.shop.settle(&sent).await);
    stage.sim.advance(std::time::Duration::from_secs(25 * 3600));
    for order in [&never_sent, &with_card] {
        assert_eq!(failed(recovered(&stage.shop, order).await), Reason::EXPIRED);
    }
    assert_eq!(settled(recovered(&stage.shop, &sent).await), settlement);
    assert_eq!(stage.sim.objects("subscription").len(), 1);
}

#[tokio::test]
async fn a_subscription_that_was_begun_is_settled_at_its_own_place() {
    let stage = Stage::new().await;
    let place = stage.shop.settles_at().into_owned();
    let key = place.strip_prefix(&format!("{NETWORK}/test-")).unwrap();
    assert!(key.len() == 8 && !stage.sim.secret_key().contains(key), "{place}");
    let connected = stage.shop.clone().account("acct_1").unwrap();
    assert_eq!(connected.settles_at(), format!("{NETWORK}/acct_1/test-{key}"));
    // Another account in test mode, on the same network.
    let other = Stage::new().await;
    assert_ne!(other.shop.settles_at(), place);
}
