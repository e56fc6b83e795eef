//! The one public error: what went wrong, whether money moved, and what to do about it.

use std::fmt;

use mpp_core::{
    Credential, Receipt,
    payer::{Funds, PayError},
    problem::Problem,
};

use crate::{choice::Offered, policy::Denied, unfinished::Unfinished};

type Source = Box<dyn std::error::Error + Send + Sync>;

/// A request that was not paid for, or whose paid answer did not arrive. [`funds`](Self::funds) answers "was I charged?".
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: Kind,
    funds: Funds,
    unfinished: Option<Unfinished>,
    source: Option<Source>,
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Kind {
    /// The policy, the caller's own limit or the wallet's hook said no.
    #[error("the payment was not allowed: {0}")]
    Denied(Denied),
    /// None of the wallet's payers can pay in any of the ways offered, each for its own reasons.
    #[error("no payer for any way offered: {}", list(.0))]
    NoPayer(Vec<Offered>),
    /// Every challenge that could be paid has expired. Ask again.
    #[error("the challenge has expired")]
    Expired,
    /// Payment was asked for over plain HTTP, by a host that is neither loopback nor named in
    /// [`Wallet::allow_plain_http`](crate::Wallet::allow_plain_http).
    #[error("refusing to pay {0} over plain HTTP")]
    InsecureTransport(String),
    /// A redirect led to another origin, which then asked for payment, or would have been shown the credential.
    #[error("refusing to take a payment across a redirect from {from} to {to}")]
    CrossOriginRedirect {
        /// The origin the caller asked.
        from: String,
        /// The origin it led to.
        to: String,
    },
    /// Payment is asked for, and the request's body is a stream that cannot be sent a second time. Buffer it.
    #[error("the request's body cannot be sent again with a payment: give it as bytes")]
    BodyNotCloneable,
    /// The credential belongs in `Authorization`, which the application uses itself. A server that expects both
    /// issues challenges with `header="Payment-Authorization"`.
    #[error(
        "the request already uses Authorization: the server would have to take Payment-Authorization"
    )]
    AuthorizationInUse,
    /// The challenge steers its credential into a header where credentials do not belong (`Cookie`, `Host`).
    #[error("refusing to put a credential into the header {0}")]
    HeaderRefused(String),
    /// The credential belongs in `Payment-Authorization`, and the HTTP client underneath follows redirects by itself
    /// and would carry that header to another origin. Build the client with `paying`.
    #[error("the HTTP client follows redirects by itself and could leak Payment-Authorization")]
    RedirectsFollowed,
    /// The server asked for one more step than any honest payment takes.
    #[error("the server asked for payment too many times")]
    TooManyTurns,
    /// A request failed that carried no credential.
    #[error("the request failed")]
    Transport,
    /// The payer failed.
    #[error("the payment could not be made")]
    Payer,
    /// A credential was sent and its answer was lost. Show the same credential again; do not pay anew.
    #[error("a payment was sent and the answer was lost")]
    Delivery,
    /// The server refused the credential. That is its word: it has what was signed, so [`Error::funds`] is not
    /// [`Funds::Untouched`].
    #[error("the server refused the payment{}", because(.0.as_deref()))]
    Refused(Option<Box<Problem>>),
    /// The server answered the credential with trouble of its own, neither served nor refused, or refused what may have
    /// been taken before.
    #[error("the server could not say what became of the payment{}", because(.0.as_deref()))]
    Unresolved(Option<Box<Problem>>),
    /// The journal could not be written, so nothing was sent. What may have been paid already is kept, and shown once the
    /// journal can be written again.
    #[error("the payment could not be written down, and was not sent")]
    Journal,
    /// What was paid before for the same purpose is not served, and is not provably dead either: it is kept, and nothing is
    /// paid anew. Ask again later, or give it up ([`Wallet::write_off`](crate::Wallet::write_off)).
    #[error("an earlier payment for the same is still open{}", because(.0.as_deref()))]
    StillOpen(Option<Box<Problem>>),
    /// What was paid before for the same purpose was taken, and the server says that it was used up. Said once: the next
    /// request pays anew.
    #[error("an earlier payment for the same was taken, and the server says that it was used up")]
    Consumed(Option<Box<Receipt>>),
    /// The answer is no stream of events.
    #[error("the answer is no stream of events")]
    NotAStream,
    /// A stream says what nobody can go on with: an event or a frame over its limit, or one that cannot be read.
    #[error("the stream cannot be read on: {0}")]
    BadStream(&'static str),
    /// A stream stands still and asks for payment, and either asks for no more than it has, or does not go on once it is
    /// paid, or nobody can pay it.
    #[error("the stream asks for payment and does not go on")]
    Stalled,
    /// A stream said nothing for as long as its reader would wait.
    #[error("the stream said nothing for too long")]
    Idle,
    /// The middleware has no client of its own to manage accounts with. Build the client with `paying`.
    #[error("the middleware has no client to manage accounts with")]
    NoClient,
    /// The address cannot be asked.
    #[error("the address cannot be asked")]
    Address,
    /// A credential of another origin was to be shown.
    #[error("this credential was made for {0}")]
    OtherOrigin(String),
}

impl Error {
    /// Fails, and nothing was put at stake.
    pub(crate) fn untouched(kind: Kind) -> Self {
        Self(Box::new(Inner { kind, funds: Funds::Untouched, unfinished: None, source: None }))
    }

    /// Fails after a credential was sent.
    pub(crate) fn sent(kind: Kind, funds: Funds, unfinished: Unfinished) -> Self {
        Self(Box::new(Inner { kind, funds, unfinished: Some(unfinished), source: None }))
    }

    /// Fails, and the money may have moved though nothing was sent.
    pub(crate) fn in_doubt(kind: Kind, funds: Funds, unfinished: Option<Unfinished>) -> Self {
        Self(Box::new(Inner { kind, funds, unfinished, source: None }))
    }

    pub(crate) fn because(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Earlier steps of the same request left the money like this: a later one that cost nothing does not undo that.
    pub(crate) fn after(mut self, earlier: Funds, unfinished: Option<&Unfinished>) -> Self {
        if self.0.funds == Funds::Untouched {
            self.0.funds = earlier;
        }
        if self.0.unfinished.is_none() {
            self.0.unfinished = unfinished.cloned();
        }
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> &Kind {
        &self.0.kind
    }

    /// Was I charged?
    pub fn funds(&self) -> Funds {
        self.0.funds
    }

    /// The credential that was sent and not redeemed, if one was. Worth money: keep it out of logs.
    pub fn credential(&self) -> Option<&Credential> {
        self.0.unfinished.as_ref().map(Unfinished::credential)
    }

    /// What to show again, instead of paying again.
    pub fn unfinished(&self) -> Option<&Unfinished> {
        self.0.unfinished.as_ref()
    }

    /// What the server said, where it said it in the protocol's form.
    pub fn problem(&self) -> Option<&Problem> {
        match &self.0.kind {
            Kind::Refused(problem) | Kind::Unresolved(problem) | Kind::StillOpen(problem) => {
                problem.as_deref()
            }
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.0.kind, self.0.funds)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|e| e as _)
    }
}

impl From<PayError> for Error {
    fn from(e: PayError) -> Self {
        let inner =
            Inner { kind: Kind::Payer, funds: e.funds, unfinished: None, source: Some(e.into()) };
        Self(Box::new(inner))
    }
}

fn list(offered: &[Offered]) -> String {
    let way = |Offered { id, declined }: &Offered| {
        let why: Vec<String> = declined.iter().map(|why| shown(why)).collect();
        if why.is_empty() { id.to_string() } else { format!("{id} ({})", why.join("; ")) }
    };
    offered.iter().map(way).collect::<Vec<_>>().join(", ")
}

fn because(problem: Option<&Problem>) -> String {
    let Some(problem) = problem.filter(|p| !p.detail.is_empty()) else { return String::new() };
    format!(": {}", shown(&problem.detail))
}

/// What a server says may be anything: shown without control characters, and not at length.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}
