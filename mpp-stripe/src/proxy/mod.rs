//! A token proxy for axum: makes tokens for browsers and programs that hold no secret, on the terms of sealed challenges alone.

mod leave;
mod posted;
mod refuse;

use std::{fmt, future::Future, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderValue, header, request::Parts},
    response::Response,
    routing::post,
};
use mpp_core::{
    Credential, Realm,
    binding::Keys,
    problem::Rejection,
    time::Clock,
    transport::{Http, Refusal},
};

use self::{leave::Leave, posted::Posted};
use crate::{
    StripeCharge,
    charge::Token,
    clock::SystemClock,
    token::{Issuer, Issues, NotAPaymentMethod, PaymentMethod, Wanted},
};

/// Makes a token for whoever posts a challenge and a payment method: the `createTokenUrl` of payment pages.
///
/// The body is `{"challenge": …, "paymentMethod": "pm_…"}`, as JSON. The challenge is the value of a `WWW-Authenticate` field,
/// or an object as credentials echo it, or one with its request decoded, as mppx's pages post it. The answer is
/// `{"spt": "spt_…"}`; a refusal is a problem body.
///
/// Amount, currency, seller, end and notes are read from the challenge, which must be sealed by the given keys, for the given
/// realm, and not be over. Whatever else the caller says is not read.
///
/// **It spends payment methods of the issuer's account.** Put your own authentication and rate limit in front of it. Until
/// [`allowing`](Self::allowing) or [`authorizing`](Self::authorizing) says which payment methods may be used, none may.
/// A body has ten seconds to arrive, and who is slower is told so (408); how many may be slow at once is yours to limit.
/// It takes `application/json` alone and answers no preflight, so that pages of other origins cannot post to it.
///
/// ```
/// use mpp_core::{Amount, Realm, binding::Keys};
/// use mpp_stripe::{Api, Currency, SecretKey, proxy::TokenProxy, token::ApiTokens};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let secret = "the secret that seals your challenges";
/// let key: SecretKey = "sk_test_yours".parse()?;
/// let issuer = ApiTokens::new(Api::new(&key)?);
/// let proxy = TokenProxy::new(issuer, Keys::new(secret)?, Realm::parse("api.example.com")?)
///     .authorizing(async |head, payment_method, wanted| {
///         // Whose session is it, is this card theirs, and may they spend so much?
///         let theirs = head.headers.contains_key("cookie") && payment_method.as_str() == "pm_card_visa";
///         theirs && wanted.currency == Currency::USD && wanted.amount <= Amount::new(500)
///     });
/// let app = proxy.router("/create-spt");
/// # let _: axum::Router = app;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TokenProxy {
    issuer: Arc<dyn Issues>,
    keys: Keys,
    realm: Realm,
    leave: Leave,
    clock: Arc<dyn Clock>,
}

impl TokenProxy {
    /// Makes tokens by an issuer, for challenges that these keys sealed for this realm.
    pub fn new(issuer: impl Issuer, keys: Keys, realm: Realm) -> Self {
        Self {
            issuer: Arc::new(issuer),
            keys,
            realm,
            leave: Leave::default(),
            clock: Arc::new(SystemClock),
        }
    }

    /// Lets whoever reaches the proxy pay by these payment methods, and by no other.
    ///
    /// # Errors
    /// [`NotAPaymentMethod`].
    pub fn allowing<'a>(
        self,
        payment_methods: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, NotAPaymentMethod> {
        let list =
            payment_methods.into_iter().map(PaymentMethod::parse).collect::<Result<_, _>>()?;
        Ok(Self { leave: self.leave.listed(list), ..self })
    }

    /// Lets a caller pay by a payment method where this says so, from the head of the request and what the token would be good
    /// for: the amount in base units, its currency, the seller, the challenge. Where there is a [list](Self::allowing) too, both
    /// must.
    ///
    /// This is the place to bound what a user spends. The same challenge may be posted again, and is then good for the same
    /// token: count it once, by its [id](mpp_core::Challenge::id).
    pub fn authorizing<F, Answer>(self, authorize: F) -> Self
    where
        F: Fn(Parts, PaymentMethod, Wanted) -> Answer + Send + Sync + 'static,
        Answer: Future<Output = bool> + Send + 'static,
    {
        let hook =
            Arc::new(move |head, method, wanted| Box::pin(authorize(head, method, wanted)) as _);
        Self { leave: self.leave.asking(hook), ..self }
    }

    /// Reads the time from another clock than the system's.
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// The proxy as a route of its own: `POST` to `path`.
    pub fn router(self, path: &str) -> Router {
        let answer = move |request: Request| async move { self.answer(request).await };
        Router::new().route(path, post(answer))
    }

    /// Answers one request. Its method and address are not looked at.
    pub async fn answer(&self, request: Request) -> Response {
        match self.token(request).await {
            Ok(token) => given(&token),
            Err(rejection) => {
                let refusal = Refusal { rejection, challenges: Vec::new() };
                Http::refuse(&refusal).map(Body::from)
            }
        }
    }

    async fn token(&self, request: Request) -> Result<Token, Rejection> {
        let (head, body) = request.into_parts();
        let Posted { credential, payment_method } = Posted::read(&head, body).await?;
        let wanted = self.wanted(credential)?.by(Some(payment_method.clone()));
        if !self.leave.is_given(head, &payment_method, &wanted).await {
            return Err(refuse::payment_method());
        }
        // A crash from here on leaves a token of which nobody has the id: nothing can be taken by it.
        self.issuer.create_token(wanted).await.map_err(refuse::unissued)
    }

    /// What the challenge asks for, once it is known to be ours and not over.
    fn wanted(&self, credential: Credential) -> Result<Wanted, Rejection> {
        let now = self.clock.now();
        let ours = self.keys.recognise(credential, &self.realm)?.admit(&now)?;
        let demand = ours.challenge().read::<StripeCharge>().map_err(refuse::unread)?;
        Wanted::of(&demand, &now).map_err(refuse::unaskable)
    }
}

/// The token, for its asker alone.
fn given(token: &Token) -> Response {
    // Letters, digits and `_`, by construction.
    let body = format!(r#"{{"spt":"{}"}}"#, token.expose());
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl fmt::Debug for TokenProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenProxy").field("realm", &self.realm).finish_non_exhaustive()
    }
}
