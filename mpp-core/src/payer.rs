//! The client seam: who can pay a demand, and what a payment leaves behind.

use std::{borrow::Cow, fmt, future::Future};

use crate::{
    Amount, Method, challenge::Demand, credential::Source, error::Error, name::MethodId,
    problem::Problem, receipt::Receipt,
};

/// The client half of a method.
pub trait Payer: Send + Sync + 'static {
    /// The method it pays.
    type Method: Method;

    /// What [`Payer::pay`] would newly put at stake: the amount and the most that fees may cost, a deposit, nothing for a
    /// voucher inside one. `None`: not mine to pay. Pure; a policy decides on it before anything is signed.
    fn exposes(&self, demand: &Demand<'_, Self::Method>) -> Option<Exposure>;

    /// Why [`Payer::exposes`] says no, for a person: what is asked, what this payer would do instead, and how to change that.
    /// `None`: it says yes, or there is nothing to say. Pure; holds no secret, and decides nothing.
    fn declines(&self, demand: &Demand<'_, Self::Method>) -> Option<Cow<'static, str>> {
        let _ = demand;
        None
    }

    /// Makes the proof, within what was allowed.
    ///
    /// # Errors
    /// Every error says what became of the money ([`PayError::funds`]).
    fn pay(
        &self,
        demand: &Demand<'_, Self::Method>,
        within: &Allowance,
    ) -> impl Future<Output = Result<Payment<Self::Method>, PayError>> + Send;

    /// Says, after a crash inside [`Payer::pay`] and from the demand alone, what became of it.
    fn recall(
        &self,
        demand: &Demand<'_, Self::Method>,
    ) -> impl Future<Output = Result<Recall<Self::Method>, PayError>> + Send;

    /// Asks the rail what became of a proof that was made before, by this payer or another of its method. Reads, and sends
    /// nothing. Required: no default is a truth.
    ///
    /// Whoever hears [`Became::Dead`] or [`Became::Failed`] may pay anew, so these are said of what can never move again, and
    /// of nothing else.
    ///
    /// # Errors
    /// The rail was not reached, or the proof is not one of this method's. As good as [`Became::Open`].
    fn became(
        &self,
        demand: &Demand<'_, Self::Method>,
        payload: &<Self::Method as Method>::Payload,
    ) -> impl Future<Output = Result<Became, PayError>> + Send;

    /// What granting a wish would newly put at stake; `None`: it is not this payer's to grant, or there is nothing to do. Pure.
    /// What has no accounts has none.
    fn exposes_for(&self, demand: &Demand<'_, Self::Method>, wish: &Wish) -> Option<Exposure> {
        let _ = (demand, wish);
        None
    }

    /// Makes the next credential towards a wish, to be sent as a managed step. Once that is acknowledged it is asked again,
    /// until there is none: a need may take a top-up and then a voucher.
    ///
    /// # Errors
    /// As for [`Payer::pay`].
    fn grant(
        &self,
        demand: &Demand<'_, Self::Method>,
        wish: &Wish,
        within: &Allowance,
    ) -> impl Future<Output = Result<Option<Payment<Self::Method>>, PayError>> + Send {
        let _ = (demand, wish, within);
        std::future::ready(Ok(None))
    }

    /// What it would rather do before it must, now that a demand was paid: add to a deposit that is running low. Pure.
    fn wishes(&self, demand: &Demand<'_, Self::Method>) -> Option<Wish> {
        let _ = demand;
        None
    }

    /// Hears a receipt that came outside an answer: at the end of a stream. It may say less than is known already.
    fn hear(&self, receipt: &Receipt) {
        let _ = receipt;
    }

    /// Hears that a stream delivered something of what was paid for: what a stream may have signed ahead counts from here.
    fn delivered(&self, demand: &Demand<'_, Self::Method>) {
        let _ = demand;
    }

    /// The account it has with somebody, to be named in a request before anything is demanded: the server's demand can then be
    /// made out to it. Pure.
    fn hint(&self, to: &Site) -> Option<String> {
        let _ = to;
        None
    }

    /// Hears what a server says of an account that this payer has there and may have forgotten: a snapshot. Nothing in it is
    /// believed that is not proven by a signature of its own, or by the rail.
    ///
    /// # Errors
    /// It is nothing that this payer can go on with.
    fn remember(
        &self,
        to: &Site,
        snapshot: &str,
    ) -> impl Future<Output = Result<(), PayError>> + Send {
        let _ = (to, snapshot);
        std::future::ready(Err(PayError::untouched("this method has no accounts")))
    }
}

/// What is wanted of an account, beside paying for a request.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Wish {
    /// A stream stands still, and says what it needs: the data of its event, as it came.
    Need(serde_json::Value),
    /// So much more deposit, in base units.
    TopUp(Amount),
    /// Its end: the server takes what was spent, and the rest comes back.
    Close,
}

/// What is put at stake, and what its units are to a person.
#[derive(Clone, Debug, PartialEq)]
pub struct Exposure {
    /// Base units of the demanded currency.
    pub amount: Amount,
    /// How much of the amount is the most that fees may take, an exchange's loss among them: what stands between it and the
    /// price. For people; limits are held to the whole.
    pub fees: Amount,
    /// The display unit of that currency and its decimals, where the payer knows it: `("usd", 6)`.
    pub unit: Option<(Cow<'static, str>, u8)>,
}

impl Exposure {
    /// So much of the demanded currency, of which no display unit is known.
    pub fn new(amount: Amount) -> Self {
        Self { amount, fees: Amount::ZERO, unit: None }
    }

    /// Says how much of the amount is for fees at most.
    pub fn of_which_fees(mut self, fees: Amount) -> Self {
        self.fees = fees;
        self
    }

    /// Says what the base units are to a person.
    pub fn in_unit(mut self, unit: impl Into<Cow<'static, str>>, decimals: u8) -> Self {
        self.unit = Some((unit.into(), decimals));
        self
    }
}

/// A call that may cost: who is asked, and for what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Site {
    /// Scheme, host and port, for HTTP; the name of a server, elsewhere. What caps per host count by.
    pub origin: String,
    /// What is asked of it; for people and journals.
    pub resource: String,
}

/// A payment that a policy is asked about, before anything is signed.
#[derive(Clone, Debug)]
pub struct Quote {
    /// How it would be paid.
    pub id: MethodId,
    /// What would be put at stake.
    pub exposes: Exposure,
    /// In what, as the method has it.
    pub currency: String,
    /// To whom, where the demand says so.
    pub recipient: Option<String>,
    /// Who asks, and for what.
    pub to: Site,
}

/// What a policy granted: [`Payer::pay`] may expose no more, and to nobody else.
#[derive(Clone, Debug)]
pub struct Allowance {
    /// The most that may be put at stake, in base units.
    pub up_to: Amount,
    /// Who asked.
    pub to: Site,
}

/// A proof, ready to be sent.
pub struct Payment<M: Method> {
    /// The proof.
    pub payload: M::Payload,
    /// Who paid.
    pub source: Option<Source>,
    /// Told what became of it.
    pub hold: Option<Hold>,
    /// How to send it.
    pub step: Step,
    /// What was put at stake, where it is less than was allowed.
    pub exposed: Option<Amount>,
}

impl<M: Method> Payment<M> {
    /// A proof that pays for the request itself.
    pub fn new(payload: M::Payload) -> Self {
        Self { payload, source: None, hold: None, step: Step::Pay, exposed: None }
    }

    /// A proof that only manages an account (opens a channel, tops it up); the request is paid by the next.
    pub fn manage(payload: M::Payload) -> Self {
        Self { step: Step::Manage, ..Self::new(payload) }
    }

    /// Says who paid.
    pub fn from(mut self, source: Source) -> Self {
        self.source = Some(source);
        self
    }

    /// Asks to be told what became of it.
    pub fn held(mut self, hold: Hold) -> Self {
        self.hold = Some(hold);
        self
    }
}

impl<M: Method> fmt::Debug for Payment<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payment")
            .field("step", &self.step)
            .field("exposed", &self.exposed)
            .finish_non_exhaustive()
    }
}

/// How a proof is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// With the request it pays for.
    Pay,
    /// Without content, to the same place; then the same demand is asked again.
    Manage,
}

/// What became of a proof that was sent.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// The server took it.
    Accepted(Box<Receipt>),
    /// The server refused it, and says nothing moved; why, where it said so. Its word: what it was sent, it can still use.
    Refused(Option<Box<Problem>>),
    /// No answer, or one that tells neither.
    Unknown,
}

/// A payer's claim on its own state, told once what became of the proof. Dropped untold, it hears [`Outcome::Unknown`].
pub struct Hold(Option<Box<dyn FnOnce(Outcome) + Send + Sync>>);

impl Hold {
    /// Calls `told` with what became of the proof.
    pub fn new(told: impl FnOnce(Outcome) + Send + Sync + 'static) -> Self {
        Self(Some(Box::new(told)))
    }

    /// Tells it.
    pub fn resolve(mut self, outcome: Outcome) {
        if let Some(told) = self.0.take() {
            told(outcome);
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(told) = self.0.take() {
            told(Outcome::Unknown);
        }
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hold(..)")
    }
}

/// What a payer knows of a payment that died before its proof was written down.
#[derive(Debug)]
#[non_exhaustive]
pub enum Recall<M: Method> {
    /// Nothing was put at stake.
    Never,
    /// It was paid; here is the proof.
    Paid(Payment<M>),
    /// It cannot be told.
    Unknown,
}

/// What became of a proof, as its rail has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Became {
    /// The money moved.
    Paid,
    /// It did not move, and never can from this proof.
    Dead,
    /// It did not move and never can, but trying cost something: a fee of the rail.
    Failed,
    /// It can still move, or it cannot be told: also of a proof whose rail this payer does not see.
    Open,
}

/// The payer's one question: was I charged?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Funds {
    /// Nothing left, and nothing can be taken.
    Untouched,
    /// Money moved, or is signed away.
    Committed,
    /// It cannot be told yet: do not pay again before it can. Where a proof was sent, a refusal alone does not tell.
    Unknown,
}

impl fmt::Display for Funds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Untouched => "nothing was paid",
            Self::Committed => "money was paid",
            Self::Unknown => "it is not known whether money was paid",
        })
    }
}

/// A failure to pay.
#[derive(Debug, thiserror::Error)]
#[error("{detail} ({funds})")]
pub struct PayError {
    /// Was I charged?
    pub funds: Funds,
    /// What went wrong, for a person. Holds no secret.
    pub detail: Cow<'static, str>,
    /// The cause.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl PayError {
    /// Fails, and nothing was put at stake.
    pub fn untouched(detail: impl Into<Cow<'static, str>>) -> Self {
        Self { funds: Funds::Untouched, detail: detail.into(), source: None }
    }

    /// Fails, and it cannot be told what became of the money.
    pub fn unknown(detail: impl Into<Cow<'static, str>>) -> Self {
        Self { funds: Funds::Unknown, detail: detail.into(), source: None }
    }

    /// Adds the cause.
    pub fn because(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(cause.into());
        self
    }
}

/// A demand that cannot be read was not paid.
impl From<Error> for PayError {
    fn from(e: Error) -> Self {
        Self::untouched("the challenge cannot be read").because(e)
    }
}
