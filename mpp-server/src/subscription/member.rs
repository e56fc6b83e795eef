//! Who subscribes, and to what: names that only the application can give.

use std::{fmt, sync::Arc};

use http::request::Parts;
use mpp_core::{problem::Rejection, store::Key};

type KnownBy = Arc<dyn Fn(&Parts) -> Option<String> + Send + Sync>;

/// What a route's subscriptions are to, and how its application knows who asks.
#[derive(Clone)]
pub struct Members {
    product: Arc<str>,
    known_by: KnownBy,
}

impl Members {
    /// Subscribers of a product. Routes that name the same product share its subscriptions.
    ///
    /// `known_by` says who asks by what the application itself has proven: the account behind a session cookie, the owner of
    /// an API key. It decides who is served and who is charged, so it must not repeat what a caller merely claims. Who is
    /// told `None`, or an empty name, can look at the offers and cannot subscribe.
    pub fn of(
        product: impl Into<String>,
        known_by: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        Self { product: product.into().into(), known_by: Arc::new(known_by) }
    }

    /// The product.
    pub fn product(&self) -> &str {
        &self.product
    }

    /// Who asks, by a request's head.
    pub fn subscriber(&self, head: &Parts) -> Option<String> {
        (self.known_by)(head).filter(|name| !name.is_empty())
    }

    pub(crate) fn member(&self, subscriber: Option<&str>) -> Result<Option<Member>, Rejection> {
        let known = subscriber.filter(|name| !name.is_empty());
        known.map(|name| Member::of(&self.product, name)).transpose()
    }
}

impl fmt::Debug for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Members").field(&self.product).finish()
    }
}

/// One subscriber of one product.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// The key of its entry. Of the names only their hash: a subscriber's may be an API key.
    pub(crate) key: Key,
    pub(crate) product: String,
}

impl Member {
    pub(crate) fn of(product: &str, subscriber: &str) -> Result<Self, Rejection> {
        // The length keeps two pairs of names apart whose texts run together.
        let names = format!("{} {product}{subscriber}", product.len());
        let key = Key::of_hash(&["subscription"], &names).map_err(Rejection::internal)?;
        Ok(Self { key, product: product.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_names_never_run_together() {
        let key = |product, subscriber| Member::of(product, subscriber).unwrap().key;
        assert_ne!(key("pro", "alice"), key("proa", "lice"));
        assert_ne!(key("pro", "alice"), key("pro", "bob"));
        assert_ne!(key("1 a", "b"), key("1", " ab"));
    }

    #[test]
    fn an_empty_name_is_nobody() {
        let members = Members::of("pro", |_| Some(String::new()));
        let (head, ()) = http::Request::new(()).into_parts();
        assert_eq!(members.subscriber(&head), None);
        assert!(members.member(Some("")).unwrap().is_none());
        assert!(members.member(None).unwrap().is_none());
    }
}
