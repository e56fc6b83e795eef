//! Metered server-sent events as a response of axum's.

use axum::response::{IntoResponse, Response};

use crate::sse::Sse;

impl IntoResponse for Sse {
    fn into_response(self) -> Response {
        self.into_http().map(axum::body::Body::new)
    }
}
