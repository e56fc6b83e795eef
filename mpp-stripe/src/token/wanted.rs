//! What a token must be good for, derived from a challenge and from nothing else.

use std::{collections::BTreeMap, time::Duration};

use mpp_core::{Amount, Challenge, Timestamp, challenge::Demand};

use super::PaymentMethod;
use crate::{Currency, Details, NotACurrency, StripeCharge};

/// A token that is wanted. Whoever makes it limits it to exactly this.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Wanted {
    /// How much may be taken at most, in base units.
    pub amount: Amount,
    /// In what.
    pub currency: Currency,
    /// By whom: the seller's Business Network Profile.
    pub network_id: String,
    /// Until when, in Unix seconds: the end of the challenge, or an hour from now where it has none.
    pub expires_at: i64,
    /// The seller's notes.
    pub metadata: Option<BTreeMap<String, String>>,
    /// By what to pay, where the payer was told.
    pub payment_method: Option<PaymentMethod>,
    /// The challenge that it answers. Another request may come with the same terms; its id is another.
    pub challenge: Challenge,
    /// The seller's name for the payment.
    pub external_id: Option<String>,
}

/// Why no token can say what a challenge asks for. Holds no text of the server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unaskable {
    /// No seller.
    #[error("it names no seller: its networkId is empty, or too long to be one")]
    Network,
    /// A recipient that is not the seller.
    #[error("its recipient is not the seller that its networkId names")]
    Recipient,
    /// No currency as Stripe has them.
    #[error("its currency is none: {0}")]
    Currency(#[from] NotACurrency),
    /// Nothing is asked.
    #[error("it asks for nothing, and no card is charged that")]
    Nothing,
    /// More than Stripe counts.
    #[error("it asks for more than Stripe charges at once")]
    TooMuch,
    /// No type of payment method that would be taken.
    #[error("it names no type of payment method that would be taken")]
    NoTypes,
    /// Notes under a reserved name.
    #[error("its metadata names externalId, which is reserved")]
    Reserved,
    /// Notes that Stripe does not keep.
    #[error("its metadata is more than Stripe keeps: 50 names of 40 characters, values of 500")]
    Metadata,
}

/// How long a token is good where its challenge names no end, as deployed peers have it.
const UNTIL: Duration = Duration::from_secs(3600);
const LONGEST_NETWORK: usize = 255;
const NOTES: usize = 50;
const LONGEST_NAME: usize = 40;
const LONGEST_NOTE: usize = 500;

impl Wanted {
    /// What token a demand asks for at `now`. Neither a payment method nor a name of the payer's own is in it yet.
    ///
    /// # Errors
    /// [`Unaskable`].
    pub fn of(demand: &Demand<'_, StripeCharge>, now: &Timestamp) -> Result<Self, Unaskable> {
        let currency = examine(demand)?;
        let terms = &demand.request.terms;
        let Details { network_id, metadata, .. } = &demand.request.details.method_details;
        let expires_at = match &demand.challenge.expires {
            Some(end) => end.unix_seconds(),
            None => now.plus(UNTIL).unix_seconds(),
        };
        Ok(Self {
            amount: terms.amount,
            currency,
            network_id: network_id.clone(),
            expires_at,
            metadata: metadata.clone(),
            payment_method: None,
            challenge: demand.challenge.clone(),
            external_id: terms.external_id.clone(),
        })
    }

    /// Says by what to pay.
    pub fn by(self, payment_method: Option<PaymentMethod>) -> Self {
        Self { payment_method, ..self }
    }
}

/// Whether a token can say what a demand asks for; and its currency.
pub(crate) fn examine(demand: &Demand<'_, StripeCharge>) -> Result<Currency, Unaskable> {
    let terms = &demand.request.terms;
    let details = &demand.request.details.method_details;
    let network = details.network_id.as_str();
    let named = !network.is_empty() && network.bytes().all(|c| c.is_ascii_graphic());
    if !named || network.len() > LONGEST_NETWORK {
        return Err(Unaskable::Network);
    }
    // Stripe's own Ruby SDK repeats the seller here. A token can name no other.
    if terms.recipient.as_deref().is_some_and(|recipient| recipient != network) {
        return Err(Unaskable::Recipient);
    }
    let currency = Currency::parse(&terms.currency)?;
    match terms.amount.get() {
        0 => return Err(Unaskable::Nothing),
        more if more > currency.most() => return Err(Unaskable::TooMuch),
        _ => {}
    }
    if details.payment_method_types.is_empty() {
        return Err(Unaskable::NoTypes);
    }
    details.metadata.as_ref().map_or(Ok(()), keepable)?;
    Ok(currency)
}

/// Whether Stripe keeps these notes. A bracket in a name would make it a parameter of another shape.
fn keepable(notes: &BTreeMap<String, String>) -> Result<(), Unaskable> {
    if notes.contains_key("externalId") {
        return Err(Unaskable::Reserved);
    }
    let short = |text: &str, most: usize| text.chars().count() <= most;
    let fits = |(name, note): (&String, &String)| {
        !name.is_empty()
            && !name.contains(['[', ']'])
            && short(name, LONGEST_NAME)
            && short(note, LONGEST_NOTE)
    };
    if notes.len() <= NOTES && notes.iter().all(fits) { Ok(()) } else { Err(Unaskable::Metadata) }
}

#[cfg(test)]
mod tests;
