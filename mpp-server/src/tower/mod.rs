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
mod subscribe;

use std::sync::{Arc, atomic::AtomicBool};

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
use crate::gate::Gate;

pub(crate) use self::menu::Menu;
pub use self::{
    body::PaywallBody,
    identify::Identifying,
    menu::{IntoPrice, IntoRate, Selling},
    reading::{BoundBody, Reading, Unread},
    service::{Client, PaywallService},
    subscribe::{IntoPlan, Subscribing},
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
    /// Whether it was already said that the challenges of this route are larger than common proxies take.
    pub(crate) warned: AtomicBool,
}

impl Paywall<Unread> {
    pub(crate) fn new(gate: Gate, menu: Menu) -> Self {
        Self {
            wall: Arc::new(Wall { gate, menu, warned: AtomicBool::new(false) }),
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
