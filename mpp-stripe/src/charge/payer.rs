//! The client half: has a token made for what a challenge asks, and for no more.

use std::{
    borrow::Cow, collections::HashSet, error::Error, fmt, future::Future, sync::Arc, time::Duration,
};

use mpp_core::{
    Challenge,
    challenge::Demand,
    payer::{Allowance, Became, Exposure, PayError, Payment, Recall},
    time::Clock,
};

use super::{Payload, StripeCharge, Token};
use crate::{
    clock::SystemClock,
    token::{Asking, IssueError, Issuer, Issues, PaymentMethod, Wanted, examine},
};

mod why;

use self::why::Why;

/// Which payment method answers a challenge.
type Choice = Arc<dyn Fn(&Challenge) -> Option<PaymentMethod> + Send + Sync>;

/// Pays by Shared Payment Tokens, each made for one challenge: for its amount and currency, to its seller, until its end.
///
/// A token is money from the moment its seller has it. Until then, and without it, nothing was put at stake.
///
/// Caps on what is paid are set in display units, on the wallet: see `Limits` of `mpp-client`.
///
/// ```
/// use mpp_stripe::{Api, SecretKey, charge::Payer, token::ApiTokens};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let key: SecretKey = "sk_test_yours".parse()?;
/// let payer = Payer::new(ApiTokens::new(Api::new(&key)?))
///     .paying_with("pm_card_visa".parse()?)
///     .only_by(["card"])
///     .only_to(["profile_1MqDcVKA5fEO2tZvKQm9g8Yj"]);
/// # let _ = payer;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Payer {
    issuer: Arc<dyn Issues>,
    payment_method: Option<PaymentMethod>,
    choice: Option<Choice>,
    types: Option<HashSet<String>>,
    sellers: Option<HashSet<String>>,
    external_id: Option<String>,
    longest: Option<Duration>,
    clock: Arc<dyn Clock>,
}

impl Payer {
    /// Pays by what an issuer makes.
    pub fn new(issuer: impl Issuer) -> Self {
        Self {
            issuer: Arc::new(issuer),
            payment_method: None,
            choice: None,
            types: None,
            sellers: None,
            external_id: None,
            longest: None,
            clock: Arc::new(SystemClock),
        }
    }

    /// Pays by the tokens that an application gets from elsewhere: it holds no secret, and asks somebody who does. It answers
    /// with the id of a token that is limited to what is wanted.
    ///
    /// ```
    /// use mpp_stripe::charge::Payer;
    ///
    /// # async fn my_backend(_: String, _: i64) -> Result<String, std::io::Error> { Ok("spt_1".to_owned()) }
    /// let payer = Payer::asking(async |wanted| my_backend(wanted.network_id, wanted.expires_at).await);
    /// # let _ = payer;
    /// ```
    pub fn asking<F, Answer, E>(create_token: F) -> Self
    where
        F: Fn(Wanted) -> Answer + Send + Sync + 'static,
        Answer: Future<Output = Result<String, E>> + Send,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        Self::new(Asking(create_token))
    }

    /// Pays by this payment method, unless another is [chosen](Self::choosing) for a challenge.
    pub fn paying_with(self, payment_method: PaymentMethod) -> Self {
        Self { payment_method: Some(payment_method), ..self }
    }

    /// Chooses a payment method for each challenge; where it names none, the one of [`paying_with`](Self::paying_with) is used.
    /// It is asked more than once, and must answer the same.
    pub fn choosing(
        self,
        choice: impl Fn(&Challenge) -> Option<PaymentMethod> + Send + Sync + 'static,
    ) -> Self {
        Self { choice: Some(Arc::new(choice)), ..self }
    }

    /// Pays only sellers that take one of these types of payment method (`card`, `link`); any seller unless said otherwise.
    pub fn only_by<'a>(self, types: impl IntoIterator<Item = &'a str>) -> Self {
        Self { types: Some(types.into_iter().map(str::to_owned).collect()), ..self }
    }

    /// Pays only these sellers, by their Business Network Profiles; any unless said otherwise.
    pub fn only_to<'a>(self, networks: impl IntoIterator<Item = &'a str>) -> Self {
        Self { sellers: Some(networks.into_iter().map(str::to_owned).collect()), ..self }
    }

    /// Names payments to sellers that name them not themselves.
    pub fn external_id(self, id: impl Into<String>) -> Self {
        Self { external_id: Some(id.into()), ..self }
    }

    /// Has tokens end after so long, in whole seconds, where their challenge ends later: a seller that says how long its challenges
    /// live would otherwise say how long it may charge. As long as the challenge unless said otherwise.
    ///
    /// A seller charges once it is shown a token, so a minute is enough for most; one that charges only where it delivered takes
    /// as long as its handler.
    pub fn lasting_at_most(self, longest: Duration) -> Self {
        Self { longest: Some(longest), ..self }
    }

    /// Reads the time from another clock than the system's.
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// What may be taken for a challenge, or why it is not paid.
    fn stakes(&self, demand: &Demand<'_, StripeCharge>) -> Result<Exposure, Why> {
        let currency = examine(demand)?;
        let details = &demand.request.details.method_details;
        if self.sellers.as_ref().is_some_and(|ours| !ours.contains(&details.network_id)) {
            return Err(Why::Seller);
        }
        let taken = |ours: &HashSet<String>| {
            details.payment_method_types.iter().any(|kind| ours.contains(kind))
        };
        if self.types.as_ref().is_some_and(|ours| !taken(ours)) {
            return Err(Why::Types);
        }
        if self.issuer.needs_payment_method() && self.payment_method(demand).is_none() {
            return Err(Why::NoPaymentMethod);
        }
        let unit = currency.as_str().to_owned();
        Ok(Exposure::new(demand.request.terms.amount).in_unit(unit, currency.decimals()))
    }

    fn payment_method(&self, demand: &Demand<'_, StripeCharge>) -> Option<PaymentMethod> {
        let chosen = self.choice.as_ref().and_then(|choice| choice(demand.challenge));
        chosen.or_else(|| self.payment_method.clone())
    }

    /// What to have made, within what was allowed.
    fn wanted(
        &self,
        demand: &Demand<'_, StripeCharge>,
        within: &Allowance,
    ) -> Result<Wanted, PayError> {
        self.stakes(demand).map_err(|why| {
            let detail = "the challenge asks for something that this payer does not pay";
            PayError::untouched(detail).because(why)
        })?;
        if within.up_to < demand.request.terms.amount {
            return Err(PayError::untouched("the price is higher than allowed"));
        }
        let now = self.clock.now();
        if demand.challenge.expires.as_ref().is_some_and(|end| end.expired_at(&now)) {
            return Err(PayError::untouched("the challenge has ended"));
        }
        let wanted = Wanted::of(demand, &now).map_err(|why| {
            PayError::untouched("no token can say what the challenge asks for").because(why)
        })?;
        let cap = self.longest.map(|longest| now.plus(longest).unix_seconds());
        let expires_at = cap.map_or(wanted.expires_at, |cap| cap.min(wanted.expires_at));
        Ok(Wanted { expires_at, ..wanted }.by(self.payment_method(demand)))
    }
}

impl mpp_core::payer::Payer for Payer {
    type Method = StripeCharge;

    fn exposes(&self, demand: &Demand<'_, StripeCharge>) -> Option<Exposure> {
        self.stakes(demand).ok()
    }

    fn declines(&self, demand: &Demand<'_, StripeCharge>) -> Option<Cow<'static, str>> {
        self.stakes(demand).err().map(|why| why.to_string().into())
    }

    /// No error puts anything at stake. A token whose making was not answered may exist; only its issuer has its id, so that
    /// nobody can take anything by it, and it ends with the challenge.
    async fn pay(
        &self,
        demand: &Demand<'_, StripeCharge>,
        within: &Allowance,
    ) -> Result<Payment<StripeCharge>, PayError> {
        let wanted = self.wanted(demand, within)?;
        // A crash up to here, and until the wallet has written the token down, leaves a token that nobody shows.
        let token = self.issuer.create_token(wanted).await.map_err(unissued)?;
        let named = demand.request.terms.external_id.clone();
        let external_id = named.or_else(|| self.external_id.clone());
        Ok(Payment::new(Payload { spt: token.expose().to_owned(), external_id }))
    }

    /// Never: a token that was not written down was not shown, and what is not shown takes nothing.
    async fn recall(
        &self,
        _demand: &Demand<'_, StripeCharge>,
    ) -> Result<Recall<StripeCharge>, PayError> {
        Ok(Recall::Never)
    }

    /// As its issuer has it; open, where that cannot tell.
    async fn became(
        &self,
        _demand: &Demand<'_, StripeCharge>,
        payload: &Payload,
    ) -> Result<Became, PayError> {
        let token = Token::parse(&payload.spt)
            .map_err(|why| PayError::unknown("the proof holds no token").because(why))?;
        self.issuer.became(&token).await.map_err(|why| {
            PayError::unknown("what became of the token could not be asked").because(why)
        })
    }
}

fn unissued(why: IssueError) -> PayError {
    PayError::untouched("no token was made for this payment").because(why)
}

impl fmt::Debug for Payer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payer")
            .field("payment_method", &self.payment_method)
            .field("types", &self.types)
            .field("sellers", &self.sellers)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
