//! The routes of the interop servers: what each asks, and in which terms.

use mpp_core::Price;
use mpp_tempo::charge::Mode;
use mpp_testkit::devnet::{ALPHA_USD, PATH_USD, SPLIT};
use serde_json::{Value, json};

use crate::accounts;

/// A route, as it is charged and as it is described.
pub(super) struct Route {
    pub(super) path: &'static str,
    pub(super) price: Price,
    /// The price in base units.
    pub(super) units: u128,
    pub(super) token: &'static str,
    /// The ways it may be paid in; empty for all.
    pub(super) modes: &'static [Mode],
    pub(super) shares: Vec<Share>,
    pub(super) sponsored: bool,
}

/// A share of the price, for somebody else than the recipient.
pub(super) struct Share {
    pub(super) to: &'static str,
    /// In dollars.
    pub(super) amount: &'static str,
    pub(super) memo: Option<String>,
}

/// All of them.
pub(super) fn routes() -> anyhow::Result<Vec<Route>> {
    let half = "0.5 usd".parse::<Price>()?.describe("pay in AlphaUSD").external_id("order-1");
    Ok(vec![
        Route::at("/charge", "0.01 usd", 10_000)?,
        Route { modes: &[Mode::Pull], ..Route::at("/pull", "0.01 usd", 10_000)? },
        Route { modes: &[Mode::Push], ..Route::at("/push", "0.01 usd", 10_000)? },
        Route { sponsored: true, ..Route::at("/sponsored", "0.01 usd", 10_000)? },
        Route {
            shares: vec![Share::of_partner(), Share::of_shareholder()],
            ..Route::at("/splits", "1 usd", 1_000_000)?
        },
        Route {
            shares: vec![Share::of_partner()],
            sponsored: true,
            ..Route::at("/splits-sponsored", "1 usd", 1_000_000)?
        },
        Route::at("/zero", "0 usd", 0)?,
        Route { price: half, token: ALPHA_USD, ..Route::at("/alpha", "0.5 usd", 500_000)? },
    ])
}

impl Route {
    fn at(path: &'static str, price: &str, units: u128) -> anyhow::Result<Self> {
        Ok(Self {
            path,
            price: price.parse()?,
            units,
            token: PATH_USD,
            modes: &[],
            shares: Vec::new(),
            sponsored: false,
        })
    }
}

impl Share {
    const fn of_partner() -> Self {
        Self { to: SPLIT.address, amount: "0.2", memo: None }
    }

    fn of_shareholder() -> Self {
        let memo = Some(format!("0x{}", "42".repeat(32)));
        Self { to: accounts::SHAREHOLDER, amount: "0.05", memo }
    }
}

/// What the routes cost, for crawlers; the 402 itself is what counts.
pub(super) fn described<'a>(routes: impl IntoIterator<Item = &'a Route>) -> Value {
    let operation = |route: &Route| {
        let mut offer = json!({
            "method": "tempo", "intent": "charge", "amount": route.units.to_string(), "currency": route.token,
        });
        if let Some(description) = &route.price.description {
            offer["description"] = json!(description);
        }
        json!({ "get": {
            "x-payment-info": { "offers": [offer] },
            "responses": { "200": { "description": "Paid" }, "402": { "description": "Payment Required" } },
        } })
    };
    let paths: serde_json::Map<_, _> =
        routes.into_iter().map(|r| (r.path.to_owned(), operation(r))).collect();
    json!({ "openapi": "3.1.0", "info": { "title": "Interop", "version": "1.0.0" }, "paths": paths })
}
