//! How the messages of the protocol travel, whatever carries them.

pub mod grammar;
mod http;

use crate::{
    accept::Accept,
    challenge::Challenge,
    credential::Credential,
    digest::Digest,
    error::Error,
    problem::{Problem, Rejection},
    receipt::Receipt,
};

pub use self::http::{
    ACCEPT_PAYMENT, Http, IDEMPOTENCY_KEY, PAYMENT_AUTHORIZATION, PAYMENT_RECEIPT, PAYMENT_SESSION,
    PAYMENT_SESSION_SNAPSHOT, credential_from_field, read_challenges, read_credential, read_field,
    write_challenge,
};

/// How one transport carries the messages, both ways. Pure.
///
/// One generic consumer proves a codec: the round-trip suite of `mpp-testkit`. Drivers call their codec by name.
pub trait Transport {
    /// A request, as far as the codec needs it.
    type Request;
    /// A response, as far as the codec needs it.
    type Response;

    /// Puts a credential where the server looks for it.
    ///
    /// # Errors
    /// A credential that this transport cannot carry, or whose challenge wants it somewhere we put none.
    fn put_credential(
        &self,
        request: &mut Self::Request,
        credential: &Credential,
    ) -> Result<(), Error>;
    /// Reads what a server answered.
    fn read_answer(&self, response: &Self::Response) -> Answer;
    /// Reads a call: its credential, its wishes, and what it asks for.
    fn read_call(&self, request: &Self::Request) -> Call;
    /// Writes a refusal in answer to a request.
    fn write_refusal(&self, to: &Self::Request, refusal: &Refusal) -> Self::Response;
    /// Writes that something was booked and nothing is served: 204, or a result that is only a receipt.
    fn acknowledge(&self, to: &Self::Request, receipt: &Receipt) -> Self::Response;
    /// Puts a receipt on a success.
    fn put_receipt(&self, response: &mut Self::Response, receipt: &Receipt);
}

/// Everything a gate must know of one call, from any transport.
#[derive(Debug)]
#[non_exhaustive]
pub struct Call {
    /// The credential, if one came, or why it cannot be read.
    pub credential: Result<Option<Credential>, Rejection>,
    /// What the client would pay with.
    pub accept: Accept,
    /// What is asked for.
    pub at: Resource,
    /// Whether content is wanted.
    pub wants: Wants,
    /// Who asks, where the adapter can tell: what limits count by.
    pub client: Option<String>,
    /// The host the call names, for gates that serve several.
    pub host: Option<String>,
    /// The client's own name for this request (`Idempotency-Key`, C-55). Only where the whole request is known by its
    /// resource: there is no body, or the route binds it.
    pub idempotency_key: Option<String>,
    /// The account of a session that the client says it has (`Payment-Session`): unproven.
    pub hint: Option<String>,
    /// Whether only the head of an answer is wanted: where a payer may prove who it is, and go on with its account.
    pub is_head: bool,
    /// Who asks, as the application proved it by its own means: whose subscription serves this call. Nothing of the payment
    /// protocol says so, and a name that the caller only claims must not stand here.
    pub subscriber: Option<String>,
}

impl Call {
    /// A call for a resource, without a credential, by someone unknown.
    pub fn to(at: Resource) -> Self {
        let wants = Wants::Content { units: 1 };
        Self {
            credential: Ok(None),
            accept: Accept::default(),
            at,
            wants,
            client: None,
            host: None,
            idempotency_key: None,
            hint: None,
            is_head: false,
            subscriber: None,
        }
    }
}

/// What a call asks for, as challenges are bound to it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resource {
    /// For HTTP: method, matched path and query. For JSON-RPC: method and tool. A credential is good for one scope.
    pub scope: String,
    /// The digest of the body, where the route binds bodies and there is one.
    pub digest: Option<Digest>,
    /// Where that is, whatever one request asks of it: for HTTP the path. `None`: the same as the scope. A session is good
    /// for a place.
    pub place: Option<String>,
}

impl Resource {
    /// A resource without a body.
    pub fn at(scope: impl Into<String>) -> Self {
        Self { scope: scope.into(), digest: None, place: None }
    }

    /// Says where it is, whatever one request asks of it.
    pub fn in_place(self, place: impl Into<String>) -> Self {
        Self { place: Some(place.into()), ..self }
    }

    /// What a session is good for.
    pub fn place(&self) -> &str {
        self.place.as_deref().unwrap_or(&self.scope)
    }

    /// Binds it to a body.
    pub fn with_body(self, digest: Option<Digest>) -> Self {
        Self { digest, ..self }
    }
}

/// What a call wants beside the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wants {
    /// The resource, and so many units of it charged before the handler runs (0: the stream meters itself).
    Content {
        /// Units of a metered offer.
        units: u64,
    },
    /// Only that its credential is taken: HEAD, or a POST without query or body.
    Nothing,
}

/// A refusal, with every challenge that could be made.
#[derive(Debug)]
pub struct Refusal {
    /// What was refused, and why.
    pub rejection: Rejection,
    /// Ways to pay; none where the rejection invites none.
    pub challenges: Vec<Challenge>,
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        Self { rejection, challenges: Vec::new() }
    }
}

/// What a server answered, as a client hears it. What invites payment is a challenge, not a status.
#[derive(Debug)]
#[non_exhaustive]
pub enum Answer {
    /// The resource, and the receipt if one came.
    Served(Option<Receipt>),
    /// Booked, and nothing served.
    Acknowledged(Receipt),
    /// Payment is asked for.
    Required {
        /// The ways to pay that could be read, in the server's order.
        challenges: Vec<Challenge>,
        /// What was refused.
        problem: Option<Problem>,
    },
    /// Neither served nor payable.
    Troubled {
        /// The HTTP status.
        status: u16,
        /// What the server said, where it said it in the protocol's form.
        problem: Option<Problem>,
    },
}
