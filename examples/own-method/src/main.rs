//! Sells a joke for a coupon and buys it, over the gate and the wallet as they are.

use std::sync::Arc;

use anyhow::ensure;
use axum::{Router, routing::get};
use mpp_client::{Limits, ResponseExt, Wallet, paying};
use mpp_core::store::Memory;
use mpp_server::{Gate, Paid};
use own_method::{Booth, Holder};
use tokio::net::TcpListener;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "it is a story")]
async fn main() -> anyhow::Result<()> {
    let booth = Arc::new(Booth("book-7/"));
    let secret = "thirty-two bytes, for an example only";
    let gate = Gate::builder(Memory::volatile()).realm("127.0.0.1").secret(secret).build()?;
    let paywall = gate.charge("1 coupon")?.via(&booth).layer()?;
    let joke = async |paid: Paid| format!("ha ({})", paid.method);
    let app = Router::new().route("/joke", get(joke).route_layer(paywall));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/joke", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, app).await });

    let holder = Holder(vec!["book-7/12".to_owned(), "book-7/13".to_owned()].into());
    let wallet = Wallet::new(Limits::in_unit("coupon", "1")?).payer(holder);
    let client = paying(reqwest::Client::builder(), wallet)?;
    for _ in 0..2 {
        let response = client.get(&url).send().await?;
        ensure!(response.status().is_success(), "not served: {}", response.status());
        println!("receipt: {:?}", response.receipt().map(|r| &r.reference));
        println!("{}", response.text().await?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_coupon_pays_once() {
        let holder = Holder(vec!["book-7/1".to_owned(), "book-7/2".to_owned()].into());
        let ask = "1 coupon".parse().unwrap();
        mpp_testkit::method::suite(&Arc::new(Booth("book-7/")), &holder, ask).await;
    }
}
