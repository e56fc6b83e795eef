//! What can be wrong with a gate or a route when it is built.

use mpp_core::intent::PriceError;

use crate::offer::NotOffered;

/// Why a gate or a route cannot be built. Found when the server starts, never on a request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// No secret was given.
    #[error(
        "no secret: pass one to `secret`, or set MPP_SECRET_KEY (`openssl rand -base64 32` makes one)"
    )]
    NoSecret,
    /// A secret has fewer than 32 bytes.
    #[error(transparent)]
    Secret(mpp_core::Error),
    /// No realm was given.
    #[error(
        "no realm: pass one to `realm` or `hosts`, or set MPP_REALM; it is never taken from the Host header by itself"
    )]
    NoRealm,
    /// A realm that no server should call itself.
    #[error("a realm is 1 to 253 printable ASCII characters other than `|`, `\"` and `\\`")]
    Realm,
    /// A price is none, or the one method of the route cannot take it.
    #[error(transparent)]
    Price(#[from] PriceError),
    /// No method of the route can take its price: why, for each of them. Empty where the route has none.
    #[error("nothing to offer: no method of this route can take its price{}", each(.0))]
    NothingToOffer(Vec<NotOffered>),
    /// A route that only identifies asks for money.
    #[error(
        "a proof that may be shown again must move nothing: an offer of this route asks for more than nothing"
    )]
    NotFree,
    /// A route sells subscriptions, and does not say how its application knows its subscribers.
    #[error(
        "a subscription needs a subscriber: say with `known_by` how the application knows who asks"
    )]
    NoSubscriber,
    /// A route sells subscriptions, and does not name what is subscribed to.
    #[error(
        "a subscription needs a product: name with `product` what is sold, for as long as anybody subscribes to it"
    )]
    NoProduct,
    /// A route sells subscriptions by a method that this gate cannot renew them by.
    #[error(
        "a subscription is sold by a method that this gate does not renew by: say `Gate::renews`"
    )]
    NoRenewer,
    /// Challenges may not live that long, or that short.
    #[error("a challenge lives for 10 seconds to 24 hours")]
    Lifetime,
    /// The system has no randomness: neither a challenge nor a lease could be told from another's.
    #[error("the system gives no random numbers")]
    Randomness(#[source] getrandom::Error),
}

fn each(left_out: &[NotOffered]) -> String {
    let reasons: Vec<String> = left_out.iter().map(NotOffered::to_string).collect();
    if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join("; ")) }
}
