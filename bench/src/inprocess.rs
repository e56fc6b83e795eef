//! Requests through a router in this process, without a socket.

use std::time::Instant;

use axum::{Router, body::Body, routing::get};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use tokio::runtime::Runtime;
use tower::ServiceExt;

use crate::interleaved::{Effort, Side, per_call};

/// The path of the free route.
pub const FREE: &str = "/free";

/// The application that every ratio is held against: the same handler, for nothing.
pub fn free() -> Router {
    Router::new().route(FREE, get(|| async { "ok" }))
}

/// A runtime of one thread, so that what is measured is work and not its handing around.
pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts")
}

/// A side that sends requests one after the other. They are made before the clock runs.
pub fn sending<'a>(
    effort: Effort,
    runtime: &'a Runtime,
    app: &'a Router,
    expected: StatusCode,
    mut request: impl FnMut() -> Request<Body> + 'a,
) -> Side<'a> {
    Box::new(move || {
        let requests = Vec::from_iter((0..effort.requests).map(|_| request()));
        runtime.block_on(async {
            let began = Instant::now();
            for request in requests {
                assert_eq!(send(app, request).await, expected);
            }
            rest().await;
            per_call(began.elapsed(), effort.requests)
        })
    })
}

/// Lets run what the requests set off in tasks of their own: the last of them, that is, since each lets the earlier run.
pub async fn rest() {
    for _ in 0..16 {
        tokio::task::yield_now().await;
    }
}

/// Sends one request and reads its response to the end.
pub async fn send(app: &Router, request: Request<Body>) -> StatusCode {
    let response = app.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
    let status = response.status();
    let mut body = response.into_body();
    while let Some(Ok(_)) = body.frame().await {}
    status
}
