//! The address as the client sent it, where no router of a framework has cut it.

use http::{Uri, request::Parts};

/// The whole address of a request.
pub(crate) fn uri(head: &Parts) -> &Uri {
    &head.uri
}
