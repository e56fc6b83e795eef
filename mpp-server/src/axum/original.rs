//! The address as the client sent it: nested routers cut theirs, and two nests must not share a scope (S2).

use axum::extract::OriginalUri;
use http::{Uri, request::Parts};

/// The whole address of a request.
pub(crate) fn uri(head: &Parts) -> &Uri {
    head.extensions.get::<OriginalUri>().map_or(&head.uri, |original| &original.0)
}
