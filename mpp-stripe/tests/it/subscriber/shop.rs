//! Whole subscriptions: a wallet, a shop behind a gate, Stripe's own invoices and webhooks.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use mpp_client::{Limits, ResponseExt, Wallet, paying};
use mpp_core::store::Memory;
use mpp_server::Gate;
use mpp_stripe::{
    subscription::{Payer, Verifier},
    webhook::{Webhook, WebhookSecret},
};
use reqwest_middleware::ClientWithMiddleware;

use super::stage::{DAY, Now, Stage, VISA, WEEK, plan};

const KEY: &str = "x-api-key";

/// What a webhook's route knows.
type Desk = Arc<(Webhook, Gate, Arc<Verifier>)>;

/// A shop for subscribers, at an address of its own.
struct Shop {
    url: String,
    gate: Gate,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn hear(State(desk): State<Desk>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let (webhook, gate, shop) = &*desk;
    let signature = headers.get("stripe-signature").and_then(|v| v.to_str().ok());
    match webhook.read(signature.unwrap_or_default(), &body).await {
        Ok(Some(notice)) => match gate.subscriptions().hear(shop, notice).await {
            Ok(_) => StatusCode::OK,
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
        },
        Ok(None) => StatusCode::OK,
        Err(error) => StatusCode::from_u16(error.status()).unwrap(),
    }
}

impl Shop {
    async fn open(stage: &Stage) -> Self {
        let clock = Now(stage.sim.clone());
        let gate = Gate::builder(Memory::volatile()).realm("shop");
        let gate = gate.secret("a secret of at least thirty-two bytes").clock(clock.clone());
        let gate = gate.recover_by_hand().build().unwrap();
        let shop = Arc::new(stage.shop.clone());
        let pro = gate.subscribe("9.99 usd per week").unwrap().via(&shop).product("pro");
        let pro = pro.known_by(|head| Some(head.headers.get(KEY)?.to_str().ok()?.to_owned()));
        let secret = WebhookSecret::new(stage.sim.webhook_secret()).unwrap();
        let webhook = Webhook::new(secret, stage.shop.clone()).clock(Arc::new(clock));
        let desk: Desk = Arc::new((webhook, gate.clone(), shop));
        let app = Router::new()
            .route("/reports", get(async || "figures").layer(pro.layer().unwrap()))
            .route("/stripe", post(hear).with_state(desk));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, gate, serving }
    }

    /// What a subscriber gets: the status, and the invoice of the receipt.
    async fn asked(&self, client: &ClientWithMiddleware) -> (u16, Option<String>) {
        let request = client.get(format!("{}/reports", self.url)).header(KEY, "alice");
        let answer = request.send().await.unwrap();
        let receipt = answer.receipt().map(|receipt| receipt.reference.clone());
        (answer.status().as_u16(), receipt)
    }

    /// The same without a wallet: nothing can be paid.
    async fn status(&self, who: &str) -> u16 {
        let request = reqwest::Client::new().get(format!("{}/reports", self.url));
        request.header(KEY, who).send().await.unwrap().status().as_u16()
    }

    /// Stripe's events, delivered.
    async fn hears(&self, stage: &Stage) -> usize {
        stage.sim.deliver(&format!("{}/stripe", self.url)).await.unwrap()
    }
}

fn wallet(method: &str) -> ClientWithMiddleware {
    let payer = Payer::new(method.parse().unwrap()).up_to(plan("10 usd per week")).unwrap();
    let wallet = Wallet::new(Limits::usd("10").unwrap()).payer(payer);
    paying(reqwest::Client::builder(), wallet).unwrap()
}

#[tokio::test]
async fn a_subscriber_pays_once_a_period_and_shows_nothing_in_between() {
    let stage = Stage::new().await;
    let (shop, alice) = (Shop::open(&stage).await, wallet(VISA));
    let (status, first) = shop.asked(&alice).await;
    assert_eq!((status, stage.taken()), (200, 999));
    assert_eq!(shop.status("alice").await, 200);
    assert_eq!(shop.status("mallory").await, 402);
    stage.sim.advance(WEEK);
    // The first request of the period collects Stripe's own invoice.
    let (status, second) = shop.asked(&alice).await;
    assert_eq!((status, stage.taken()), (200, 2 * 999));
    assert_ne!(first, second);
    assert_eq!((shop.status("alice").await, stage.taken()), (200, 2 * 999));
    assert_eq!(stage.sim.objects("subscription").len(), 1);
}

#[tokio::test]
async fn what_stripe_collected_and_told_is_served_without_another_charge() {
    let stage = Stage::new().await;
    let (shop, alice) = (Shop::open(&stage).await, wallet(VISA));
    shop.asked(&alice).await;
    for paid in 2..5 {
        stage.sim.advance(if paid == 2 { WEEK + DAY } else { WEEK });
        assert!(shop.hears(&stage).await > 0);
        let calls = stage.sim.calls().len();
        assert_eq!(shop.status("alice").await, 200);
        // The books knew: Stripe was not asked.
        assert_eq!(stage.sim.calls().len(), calls);
        assert_eq!(stage.taken(), paid * 999);
    }
    stage.sim.deliver_again(&format!("{}/stripe", shop.url)).await.unwrap();
    assert_eq!((shop.status("alice").await, stage.taken()), (200, 4 * 999));
}

#[tokio::test]
async fn a_cancelled_subscription_serves_to_its_end_and_charges_no_more() {
    let stage = Stage::new().await;
    let (shop, alice) = (Shop::open(&stage).await, wallet(VISA));
    shop.asked(&alice).await;
    let state = shop.gate.subscriptions().cancel("pro", "alice").await.unwrap().unwrap();
    assert!(state.is_paid && !state.rail_untold);
    assert_eq!(shop.status("alice").await, 200);
    stage.sim.advance(WEEK + DAY);
    assert!(shop.hears(&stage).await > 0);
    assert_eq!(shop.status("alice").await, 402);
    assert_eq!((stage.living(), stage.taken()), (0, 999));
    // Who comes back subscribes anew, and pays.
    let (status, _) = shop.asked(&wallet(VISA)).await;
    assert_eq!((status, stage.living(), stage.taken()), (200, 1, 2 * 999));
}

#[tokio::test]
async fn a_declined_period_is_not_served_and_a_first_decline_subscribes_nobody() {
    let stage = Stage::new().await;
    let (shop, alice) = (Shop::open(&stage).await, wallet(VISA));
    let declined = wallet("pm_card_chargeCustomerFail");
    let request = declined.get(format!("{}/reports", shop.url)).header(KEY, "bob");
    let refused = request.send().await;
    assert!(refused.is_err() || refused.is_ok_and(|answer| answer.status() == 402));
    assert_eq!((shop.status("bob").await, stage.taken()), (402, 0));
    shop.asked(&alice).await;
    let subscription = &stage.sim.objects("subscription")[0];
    let bad = stage.card("tok_chargeCustomerFail").await;
    let customer = subscription["customer"].as_str().unwrap();
    stage.post(&format!("/v1/payment_methods/{bad}/attach"), &[("customer", customer)]).await;
    let path = format!("/v1/subscriptions/{}", subscription["id"].as_str().unwrap());
    stage.post(&path, &[("default_payment_method", &bad)]).await;
    stage.sim.advance(WEEK);
    assert_eq!(shop.status("alice").await, 402);
    stage.sim.advance(4 * WEEK);
    assert_eq!((stage.living(), stage.taken(), stage.invoices("open")), (0, 999, 0));
}

#[tokio::test]
async fn who_cancels_in_a_period_that_stripe_collected_unheard_is_served_in_it() {
    let stage = Stage::new().await;
    let (shop, alice) = (Shop::open(&stage).await, wallet(VISA));
    shop.asked(&alice).await;
    // Stripe collects, and its webhook is still on its way.
    stage.sim.advance(WEEK + DAY);
    assert_eq!(stage.taken(), 2 * 999);
    shop.gate.subscriptions().cancel("pro", "alice").await.unwrap().unwrap();
    assert_eq!((shop.status("alice").await, stage.taken()), (200, 2 * 999));
    shop.hears(&stage).await;
    stage.sim.advance(WEEK);
    assert_eq!((shop.status("alice").await, stage.living(), stage.taken()), (402, 0, 2 * 999));
}

#[tokio::test]
async fn a_cancellation_that_was_taken_back_at_stripe_does_not_charge_who_is_not_served() {
    let stage = Stage::new().await;
    let (shop, alice) = (Shop::open(&stage).await, wallet(VISA));
    shop.asked(&alice).await;
    shop.gate.subscriptions().cancel("pro", "alice").await.unwrap().unwrap();
    let id = stage.sim.objects("subscription")[0]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/subscriptions/{id}");
    stage.post(&path, &[("cancel_at_period_end", "false")]).await;
    stage.sim.advance(WEEK + DAY);
    shop.hears(&stage).await;
    assert_eq!(shop.status("alice").await, 402);
    shop.gate.recover().await.unwrap();
    assert_eq!(stage.living(), 0, "it goes on charging");
    assert_eq!(stage.taken(), 999);
}

#[tokio::test]
async fn an_end_that_was_taken_back_in_stripes_own_portal_charges_nobody_unserved() {
    let stage = Stage::new().await;
    let (shop, alice) = (Shop::open(&stage).await, wallet(VISA));
    shop.asked(&alice).await;
    let id = stage.sim.objects("subscription")[0]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/subscriptions/{id}");
    for ending in ["true", "false"] {
        stage.post(&path, &[("cancel_at_period_end", ending)]).await;
        shop.hears(&stage).await;
    }
    assert_eq!(shop.status("alice").await, 200);
    stage.sim.advance(WEEK + DAY);
    shop.hears(&stage).await;
    let status = shop.status("alice").await;
    shop.gate.recover().await.unwrap();
    let charged = stage.taken() > 999;
    assert!((status == 200) == charged, "{status}, and {} taken", stage.taken());
    assert_eq!(stage.living() > 0, charged);
}

#[tokio::test]
async fn a_change_of_price_leaves_nobody_with_two_subscriptions() {
    let stage = Stage::new().await;
    let (shop, alice) = (Shop::open(&stage).await, wallet(VISA));
    let seller = Arc::new(stage.shop.clone());
    let sells = |price: &str| {
        let layer = shop.gate.subscribe(price).unwrap().via(&seller).product("pro");
        let layer = layer.known_by(|head| Some(head.headers.get(KEY)?.to_str().ok()?.to_owned()));
        layer.layer().unwrap()
    };
    // The same server, as it is before and after its next release.
    for price in ["9.99 usd per week", "8.99 usd per week"] {
        let app = Router::new().route("/", get(async || "figures").layer(sells(price)));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let answer = alice.get(url).header(KEY, "alice").send().await.unwrap();
        assert_eq!(answer.status(), 200);
        serving.abort();
        if price == "9.99 usd per week" {
            stage.sim.advance(WEEK);
        }
    }
    // The old one is told to stop with nobody waiting.
    shop.gate.recover().await.unwrap();
    assert_eq!(stage.sim.objects("subscription").len(), 2);
    assert_eq!((stage.living(), stage.taken()), (1, 999 + 899));
    stage.sim.advance(WEEK + DAY);
    assert_eq!((stage.living(), stage.taken()), (1, 999 + 2 * 899));
}
