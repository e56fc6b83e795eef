//! A paywall as a tower layer: under axum, under hyper, under anything that speaks `tower::Service`.

mod body;
mod identify;
mod kept;
mod menu;
#[cfg(not(feature = "axum"))]
mod original;
pub(crate) mod reading;
mod secure;
mod service;
#[cfg(feature = "ws")]
mod socket;

use std::{
    fmt,
    sync::{Arc, atomic::AtomicBool},
};

use http::request::Parts;
use mpp_core::name::CredentialHeader;
use tower_layer::Layer;

#[cfg(feature = "ws")]
pub use self::socket::{MeteredSocket, SocketService, Ticket};
#[cfg(feature = "axum")]
pub(crate) use self::{
    reading::manages,
    service::{Boxed, is_preflight},
};
#[cfg(feature = "axum")]
use crate::axum::original;
use crate::{gate::Gate, offer::Offer};

pub(crate) use self::menu::Menu;
pub use self::{
    body::PaywallBody,
    identify::Identifying,
    menu::{IntoPrice, IntoRate, Selling},
    reading::{BoundBody, Reading, Unread},
    service::{Client, PaywallService},
};

/// A layer that lets nobody pass who has not paid.
///
/// Made by [`Gate::charge`] and its like; put it on a route with `.layer(paywall)`. The handler finds a
/// [`Paid`](crate::Paid) among the request's extensions.
#[derive(Clone, Debug)]
pub struct Paywall<R = Unread> {
    pub(crate) wall: Arc<Wall>,
    reading: R,
}

/// What every clone of a paywall shares.
#[derive(Debug)]
pub(crate) struct Wall {
    pub(crate) gate: Gate,
    pub(crate) menu: Menu,
    /// Which of its offers are made to whom, where not all are made to everybody.
    pub(crate) may: Option<May>,
    /// Whether it was already said that the challenges of this route are larger than common proxies take.
    pub(crate) warned: AtomicBool,
}

type Allowing = dyn Fn(&Parts, &Offer) -> bool + Send + Sync;

/// Which offers are made to whom.
#[derive(Clone)]
pub(crate) struct May(Arc<Allowing>);

impl May {
    fn both(
        before: Option<Self>,
        then: impl Fn(&Parts, &Offer) -> bool + Send + Sync + 'static,
    ) -> Self {
        match before {
            None => Self(Arc::new(then)),
            Some(first) => {
                Self(Arc::new(move |head, offer| first.allows(head, offer) && then(head, offer)))
            }
        }
    }

    fn allows(&self, head: &Parts, offer: &Offer) -> bool {
        (self.0)(head, offer)
    }
}

impl fmt::Debug for May {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("May(..)")
    }
}

impl Paywall<Unread> {
    pub(crate) fn new(gate: Gate, menu: Menu) -> Self {
        Self {
            wall: Arc::new(Wall { gate, menu, may: None, warned: AtomicBool::new(false) }),
            reading: Unread,
        }
    }

    /// Binds challenges to the request's body, of at most `limit` bytes: what is paid for is what was asked. A larger body
    /// is 413 before any payment.
    pub fn bind_body(self, limit: usize) -> Paywall<BoundBody> {
        self.reading(BoundBody::up_to(limit))
    }
}

impl<R> Paywall<R> {
    /// Reads requests in a way of its own before they are judged: for adapters of other frameworks.
    pub fn reading<Other>(self, reading: Other) -> Paywall<Other> {
        Paywall { wall: self.wall, reading }
    }

    /// Makes an offer only to those callers to whom `may` allows it, by the head of their request. The others see the offers that
    /// are left: as [`Route::offering`](crate::Route::offering). Who may see none is refused with 403.
    ///
    /// ```
    /// # use mpp_server::tower::Paywall;
    /// # fn walled(paywall: Paywall) -> Paywall {
    /// paywall.offer_when(|head, offer| {
    ///     offer.id().method.as_str() != "stripe" || head.headers.contains_key("x-cards-welcome")
    /// })
    /// # }
    /// ```
    ///
    /// It is asked for each request, also for one that shows a credential, and once more where a payer manages its session
    /// account: such a request carries no header of the application. It must not block.
    pub fn offer_when<F>(self, may: F) -> Self
    where
        F: Fn(&Parts, &Offer) -> bool + Send + Sync + 'static,
    {
        let Wall { gate, menu, may: before, .. } = &*self.wall;
        let may = Some(May::both(before.clone(), may));
        let (gate, menu) = (gate.clone(), menu.clone());
        let wall = Arc::new(Wall { gate, menu, may, warned: AtomicBool::new(false) });
        Self { wall, ..self }
    }

    /// The header its credentials come in, where that is not `Authorization`.
    pub fn header(&self) -> Option<&CredentialHeader> {
        self.wall.menu.header()
    }
}

impl<S, R: Clone> Layer<S> for Paywall<R> {
    type Service = PaywallService<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        PaywallService::new(inner, self.wall.clone(), self.reading.clone())
    }
}
