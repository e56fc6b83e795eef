//! A method: how it is paid. Names and shapes, no behaviour.

use std::fmt;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    intent::Intent,
    name::{MethodId, MethodName},
};

/// One rail under one intent: what its challenges and credentials look like.
///
/// Its client half is a [`Payer`](crate::payer::Payer), its server half a [`Verifier`](crate::verifier::Verifier) or a
/// [`Teller`](crate::teller::Teller); either may be absent.
pub trait Method: Send + Sync + 'static {
    /// The rail's name on the wire; a bad literal fails the build.
    const NAME: MethodName;
    /// The shape of payment.
    type Intent: Intent;
    /// The method's own members of a request: [`Nested`], [`NoDetails`], or a flat struct. Must share no member with the terms.
    type Details: Serialize + DeserializeOwned + Send + Sync + 'static;
    /// What a payer sends as proof: a JSON object.
    type Payload: Serialize + DeserializeOwned + Send + Sync + 'static;
}

/// The shared terms of a method's intent.
pub type TermsOf<M> = <<M as Method>::Intent as Intent>::Terms;
/// The method's own members of a request.
pub type DetailsOf<M> = <M as Method>::Details;
/// What a server's author writes for a method's intent.
pub type AskOf<M> = <<M as Method>::Intent as Intent>::Ask;

impl MethodId {
    /// The address of a method.
    pub fn of<M: Method>() -> Self {
        Self { method: M::NAME, intent: M::Intent::NAME }
    }
}

/// A request as a method has it: shared terms and own details, flat in one object.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Request<M: Method> {
    /// The shared members.
    #[serde(flatten)]
    pub terms: TermsOf<M>,
    /// The method's own.
    #[serde(flatten)]
    pub details: M::Details,
}

impl<M: Method> fmt::Debug for Request<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("terms", &self.terms).finish_non_exhaustive()
    }
}

/// Details that live under `methodDetails`, as most drafts have it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Nested<D> {
    /// The method's own members.
    #[serde(default = "D::default", bound(deserialize = "D: Default + Deserialize<'de>"))]
    pub method_details: D,
}

/// The details of a method that has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoDetails {}
