//! Payers of every method behind one object trait; the typed seam is [`mpp_core::payer::Payer`].

use std::borrow::Cow;

use mpp_core::{
    Amount, Challenge, Credential, Method, Receipt,
    challenge::Demand,
    intent::Terms,
    name::MethodId,
    payer::{
        Allowance, Became, Exposure, Hold, PayError, Payer, Payment, Quote, Recall, Site, Step,
        Wish,
    },
    store::BoxFuture,
};

/// A payer whose method is known to itself alone.
pub(crate) trait ErasedPayer: Send + Sync {
    /// Which challenges it answers.
    fn id(&self) -> MethodId;
    /// What paying would expose, or that it is not this one's to pay.
    fn quote(&self, challenge: &Challenge, to: &Site) -> Result<Quote, Declined>;
    /// Makes the credential.
    fn pay<'a>(
        &'a self,
        challenge: &'a Challenge,
        within: &'a Allowance,
    ) -> BoxFuture<'a, Result<Signed, PayError>>;
    /// What became of a payment that died before its proof was written down.
    fn recall<'a>(&'a self, challenge: &'a Challenge) -> BoxFuture<'a, Result<Recalled, PayError>>;
    /// What became of a credential on its rail.
    fn became<'a>(&'a self, credential: &'a Credential) -> BoxFuture<'a, Result<Became, PayError>>;
    /// What granting a wish would expose; `None`: there is nothing to do, or it is another's to grant.
    fn quote_for(&self, challenge: &Challenge, wish: &Wish, to: &Site) -> Option<Quote>;
    /// Makes the next credential towards a wish, to be sent as a managed step whatever it says itself.
    fn grant<'a>(
        &'a self,
        challenge: &'a Challenge,
        wish: &'a Wish,
        within: &'a Allowance,
    ) -> BoxFuture<'a, Result<Option<Signed>, PayError>>;
    /// What it would rather do before it must.
    fn wishes(&self, challenge: &Challenge) -> Option<Wish>;
    /// Hears a receipt that came outside an answer.
    fn hear(&self, receipt: &Receipt);
    /// Hears that a stream delivered something of what was paid for.
    fn delivered(&self, challenge: &Challenge);
    /// The account it has with somebody.
    fn hint(&self, to: &Site) -> Option<String>;
    /// Hears what a server says of an account.
    fn remember<'a>(
        &'a self,
        to: &'a Site,
        snapshot: &'a str,
    ) -> BoxFuture<'a, Result<(), PayError>>;
}

/// Why a payer does not pay a challenge, where it says so.
pub(crate) struct Declined(pub(crate) Option<Cow<'static, str>>);

/// [`Recall`], its method forgotten.
pub(crate) enum Recalled {
    Never,
    Paid(Box<Signed>),
    Unknown,
}

/// A payment whose method is forgotten.
pub(crate) struct Signed {
    pub(crate) credential: Credential,
    pub(crate) hold: Option<Hold>,
    pub(crate) step: Step,
    pub(crate) exposed: Option<Amount>,
}

impl<P: Payer> ErasedPayer for P {
    fn id(&self) -> MethodId {
        MethodId::of::<P::Method>()
    }

    fn quote(&self, challenge: &Challenge, to: &Site) -> Result<Quote, Declined> {
        // A request that its own method cannot read is no way to pay; another challenge may be.
        let unread = |e| Declined(Some(format!("the challenge cannot be read: {e}").into()));
        let demand = challenge.read::<P::Method>().map_err(unread)?;
        let exposes = self.exposes(&demand).ok_or_else(|| Declined(self.declines(&demand)))?;
        Ok(quoted(&demand, exposes, to))
    }

    fn pay<'a>(
        &'a self,
        challenge: &'a Challenge,
        within: &'a Allowance,
    ) -> BoxFuture<'a, Result<Signed, PayError>> {
        Box::pin(async move {
            let demand = challenge.read::<P::Method>()?;
            let payment = Payer::pay(self, &demand, within).await?;
            signed(&demand, payment)
        })
    }

    fn recall<'a>(&'a self, challenge: &'a Challenge) -> BoxFuture<'a, Result<Recalled, PayError>> {
        Box::pin(async move {
            let demand = challenge.read::<P::Method>()?;
            Ok(match Payer::recall(self, &demand).await? {
                Recall::Never => Recalled::Never,
                Recall::Paid(payment) => Recalled::Paid(Box::new(signed(&demand, payment)?)),
                _ => Recalled::Unknown,
            })
        })
    }

    fn became<'a>(&'a self, credential: &'a Credential) -> BoxFuture<'a, Result<Became, PayError>> {
        Box::pin(async move {
            let demand = credential.challenge.read::<P::Method>()?;
            let payload = credential.payload::<P::Method>()?;
            Payer::became(self, &demand, &payload).await
        })
    }

    fn quote_for(&self, challenge: &Challenge, wish: &Wish, to: &Site) -> Option<Quote> {
        let demand = challenge.read::<P::Method>().ok()?;
        let exposes = self.exposes_for(&demand, wish)?;
        Some(quoted(&demand, exposes, to))
    }

    fn grant<'a>(
        &'a self,
        challenge: &'a Challenge,
        wish: &'a Wish,
        within: &'a Allowance,
    ) -> BoxFuture<'a, Result<Option<Signed>, PayError>> {
        Box::pin(async move {
            let demand = challenge.read::<P::Method>()?;
            let granted = Payer::grant(self, &demand, wish, within).await?;
            let managed = |payment| Payment { step: Step::Manage, ..payment };
            granted.map(|payment| signed(&demand, managed(payment))).transpose()
        })
    }

    fn wishes(&self, challenge: &Challenge) -> Option<Wish> {
        Payer::wishes(self, &challenge.read::<P::Method>().ok()?)
    }

    fn hear(&self, receipt: &Receipt) {
        if receipt.method == P::Method::NAME {
            Payer::hear(self, receipt);
        }
    }

    fn delivered(&self, challenge: &Challenge) {
        if let Ok(demand) = challenge.read::<P::Method>() {
            Payer::delivered(self, &demand);
        }
    }

    fn hint(&self, to: &Site) -> Option<String> {
        Payer::hint(self, to)
    }

    fn remember<'a>(
        &'a self,
        to: &'a Site,
        snapshot: &'a str,
    ) -> BoxFuture<'a, Result<(), PayError>> {
        Box::pin(Payer::remember(self, to, snapshot))
    }
}

fn quoted<M: Method>(demand: &Demand<'_, M>, exposes: Exposure, to: &Site) -> Quote {
    let terms = &demand.request.terms;
    Quote {
        id: MethodId::of::<M>(),
        exposes,
        currency: terms.currency().to_owned(),
        recipient: terms.recipient().map(Into::into),
        to: to.clone(),
    }
}

fn signed<M: Method>(demand: &Demand<'_, M>, payment: Payment<M>) -> Result<Signed, PayError> {
    let Payment { payload, source, hold, step, exposed } = payment;
    // The payer has paid by now: a proof that cannot be written leaves the money in doubt.
    let credential = Credential::answer(demand, source, &payload)
        .map_err(|e| PayError::unknown("the payment's proof cannot be written").because(e))?;
    Ok(Signed { credential, hold, step, exposed })
}
