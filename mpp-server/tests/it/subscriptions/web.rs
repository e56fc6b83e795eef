//! The layer: who is known by what, and what caches may do.

use axum::{Router, body::Body, http::Request, routing::get};
use mpp_core::{Credential, store::Memory};
use mpp_testkit::{
    clock::Hands,
    club::{self, Club},
};

use super::builder;
use crate::{booth::with, shop::send};

fn app() -> (Router, std::sync::Arc<Club>) {
    let clock = Hands::new();
    let (gate, club) = (builder(Memory::volatile(), &clock).build().unwrap(), Club::new(&clock));
    let key = |head: &axum::http::request::Parts| {
        Some(head.headers.get("x-api-key")?.to_str().ok()?.to_owned())
    };
    let wall = |product: &str| {
        let plan = gate.subscribe("5 coupon per month").unwrap();
        plan.via(&club).product(product).known_by(key).layer().unwrap()
    };
    let handler = || async { "figures" };
    let app = Router::new()
        .route("/a", get(handler).layer(wall("pro")))
        .route("/b", get(handler).layer(wall("pro")))
        .route("/c", get(handler).layer(wall("other")));
    (app, club)
}

fn ask(path: &str, key: Option<&str>) -> Request<Body> {
    let request = Request::get(path).header("host", "127.0.0.1");
    let request = match key {
        Some(key) => request.header("x-api-key", key),
        None => request,
    };
    request.body(Body::empty()).unwrap()
}

async fn card(app: &Router, path: &str) -> Credential {
    club::answer(&send(app, ask(path, None)).await.challenge(), "b1")
}

#[tokio::test]
async fn a_subscriber_is_served_on_every_route_of_the_product_and_no_cache_shares_it() {
    let (app, club) = app();
    let first = send(&app, ask("/a", Some("k1"))).await;
    assert_eq!((first.code(), first.headers["cache-control"].to_str().unwrap()), (402, "no-store"));
    let card = card(&app, "/a").await;
    let served = send(&app, with(ask("/a", Some("k1")), &card)).await;
    assert_eq!((served.code(), served.body.as_str(), served.has_receipt()), (200, "figures", true));
    for path in ["/a", "/b"] {
        let served = send(&app, ask(path, Some("k1"))).await;
        assert_eq!((served.code(), served.has_receipt()), (200, true));
        assert!(served.headers["cache-control"].to_str().unwrap().contains("private"));
        assert_eq!(send(&app, ask(path, Some("k2"))).await.code(), 402);
        assert_eq!(send(&app, ask(path, None)).await.code(), 402);
    }
    assert_eq!(send(&app, ask("/c", Some("k1"))).await.code(), 402);
    assert_eq!(club.charges(), 1);
}

#[tokio::test]
async fn a_credential_of_nobody_is_told_to_sign_in() {
    let (app, club) = app();
    let card = card(&app, "/a").await;
    let refused = send(&app, with(ask("/a", None), &card)).await;
    assert_eq!((refused.code(), refused.reason().as_str()), (400, "no-subscriber"));
    assert!(refused.challenges().is_empty());
    assert_eq!(club.charges(), 0);
}
