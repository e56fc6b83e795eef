//! The server half: asks for a transfer, checks what promises or shows it, and takes it to the chain.

use std::{borrow::Cow, sync::Arc, time::Duration};

use alloy::primitives::Address;
use mpp_core::{
    Price,
    binding::Claim,
    fate::Fate,
    intent::{ChargeTerms, PriceError},
    method::Nested,
    problem::{ProblemType, Reason, Rejection},
    time::Clock,
    verifier::{Asking, Minted, Spend},
};

use super::{
    Details, Evidence, Mode, Payload, TempoCharge, asked, asked::Asked, evidence::Kind,
    sponsor::Sponsor,
};
use crate::{
    chain::{
        self, AddressError, Chain, DECIMALS, parse_address, parse_token,
        rpc::{Pinned, Rpc},
    },
    clock::SystemClock,
};

pub(crate) mod examine;
pub(crate) mod keys;
mod offer;
mod proof;
pub(crate) mod pull;
mod push;
pub mod reason;
pub(crate) mod settle;
pub(crate) mod sponsored;
pub(crate) mod trial;

use self::offer::Offered;
pub use self::{offer::ShareError, sponsored::OtherChain};

/// Sells for a stablecoin on one Tempo chain: by transactions that payers sign and this server sends, or that payers send
/// themselves.
///
/// A payment is checked without touching the chain's state, and sent once; what became of it is read from the logs
/// of its receipt. The node must be on the configured chain, or nothing is checked and nothing sent.
///
/// One verifier is one way to be paid: clone it for a route with other shares or other modes.
///
/// ```
/// use std::sync::Arc;
///
/// use mpp_tempo::{Chain, HttpRpc, charge::{Mode, Verifier}};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Arc::new(HttpRpc::on(&Chain::MODERATO)?);
/// let shop = Verifier::new(&Chain::MODERATO, "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC", node)?;
/// // Twenty cents of each payment go to a partner, and payers send it themselves.
/// let shared = shop.clone().share("0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65", "0.20")?.modes([Mode::Push]);
/// # let _ = shared;
/// # Ok(())
/// # }
/// ```
///
/// Keeps its deadline by tokio's timer: settle within a runtime that has one.
#[derive(Clone, Debug)]
pub struct Verifier {
    chain: Chain,
    token: Address,
    recipient: Address,
    node: Pinned,
    offered: Offered,
    sponsor: Option<Sponsor>,
    settle_deadline: Duration,
    longest_validity: Duration,
    optimistic: bool,
    clock: Arc<dyn Clock>,
}

impl Verifier {
    /// Sells on a chain, in its own currency, to an account.
    ///
    /// # Errors
    /// [`AddressError`] for a recipient that is no address.
    pub fn new(chain: &Chain, recipient: &str, rpc: Arc<dyn Rpc>) -> Result<Self, AddressError> {
        Ok(Self {
            chain: chain.clone(),
            token: chain.currency,
            recipient: parse_address(recipient)?,
            node: Pinned::new(rpc, chain.id),
            offered: Offered::default(),
            sponsor: None,
            settle_deadline: Duration::from_secs(20),
            longest_validity: Duration::from_secs(30),
            optimistic: false,
            clock: Arc::new(SystemClock),
        })
    }

    /// Sells in another TIP-20 token.
    ///
    /// # Errors
    /// [`AddressError`] for text that is no address, and for one where no TIP-20 token can be.
    pub fn currency(self, token: &str) -> Result<Self, AddressError> {
        Ok(Self { token: parse_token(token)?, ..self })
    }

    /// Waits so long for a payment to be mined before its fate is called unknown; 20 seconds unless said otherwise.
    pub fn settle_deadline(self, settle_deadline: Duration) -> Self {
        Self { settle_deadline, ..self }
    }

    /// Takes transactions that are valid for so long, give or take two seconds; 30 unless said otherwise, as nodes do.
    ///
    /// A node drops a longer one without a word. Later forks allow 300 seconds; some clients sign for 60.
    pub fn longest_validity(self, longest_validity: Duration) -> Self {
        Self { longest_validity, ..self }
    }

    /// Serves as soon as the node has taken a payment, without waiting for a block to hold it.
    ///
    /// Saves a block's time, and risks the price: a node that takes a transaction may drop it without a word, or mine it
    /// failed, and by then the response is out. What is served so may never have been paid. For prices that may be lost.
    /// What a sponsor pays the fee of is waited for all the same, and so is what no trial shows whole: several calls, what an
    /// access key signed, a memo of the server's own.
    pub fn optimistic(self) -> Self {
        Self { optimistic: true, ..self }
    }

    /// Judges validity by another clock than the system's.
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// Holds the claim's request against what this server sells: a challenge of before a change of configuration,
    /// or of another verifier of the same server, is not this one's to settle.
    fn asked(&self, claim: &Claim<TempoCharge>) -> Result<Asked, Rejection> {
        let asked = Asked::read(&claim.challenge, &claim.request)
            .map_err(|cause| foreign().because(cause))?;
        let details = &claim.request.details.method_details;
        // What was sent was sent as the challenge asked, whatever has been configured since.
        let sent = matches!(claim.payload, Payload::Hash { .. })
            && details.chain_id == Some(self.node.chain_id())
            && !details.is_sponsored();
        let ours = (sent || *details == self.details_of(&claim.request.terms))
            && asked.token == self.token
            && asked.legs.first().is_some_and(|leg| leg.to == self.recipient);
        if ours { Ok(asked) } else { Err(foreign()) }
    }

    /// Refuses money that moved to other shares than are asked today: it is known, and nobody is invited to pay again.
    fn shared_as_today(&self, claim: &Claim<TempoCharge>) -> Result<(), Rejection> {
        let paid = &claim.request.details.method_details;
        if paid.splits == self.details_of(&claim.request.terms).splits {
            return Ok(());
        }
        let detail = "The payment is known, and went to other shares than are asked by now. Do not pay again: contact the seller.";
        Err(Rejection::new(ProblemType::DENIED, Reason::WRONG_TERMS, detail))
    }

    /// Refuses what was not offered: a mode, a proof where money is asked, money where none is.
    async fn checked(&self, claim: &Claim<TempoCharge>) -> Result<Kind, Rejection> {
        if claim.request.terms.amount.is_zero() {
            let Payload::Proof { signature } = &claim.payload else {
                let detail = "Nothing is asked but the proof of an account: send no payment.";
                return Err(invalid(reason::WRONG_PAYLOAD, detail));
            };
            return self.check_proof(claim, signature).await.map(Kind::Proven);
        }
        let asked = self.asked(claim)?;
        let details = &claim.request.details.method_details;
        match &claim.payload {
            Payload::Transaction { signature } if details.takes(&Mode::Pull) => {
                let order = self.check_pull(claim, asked, signature).await?;
                Ok(Kind::Signed(Box::new(order)))
            }
            Payload::Hash { hash } if details.takes(&Mode::Push) && !asked.fixed_memo => {
                let sent = self.check_push(claim, asked, hash).await?;
                self.shared_as_today(claim)?;
                Ok(Kind::Sent(sent))
            }
            Payload::Transaction { .. } => {
                let detail =
                    "Send the transaction yourself and show its hash: nothing else is taken here.";
                Err(invalid(reason::MODE_NOT_OFFERED, detail))
            }
            Payload::Hash { .. } => {
                let detail = "Send a signed transaction: payments that were sent already are not taken here.";
                Err(invalid(reason::MODE_NOT_OFFERED, detail))
            }
            Payload::Proof { .. } => {
                let detail = "A proof pays for nothing: send a signed transaction.";
                Err(invalid(reason::WRONG_PAYLOAD, detail))
            }
        }
    }
}

impl mpp_core::verifier::Verifier for Verifier {
    type Method = TempoCharge;
    type Evidence = Evidence;

    /// Chain, token and recipient; and the sponsor, since only its books tell what became of what it signed.
    fn settles_at(&self) -> Cow<'_, str> {
        let place = format!("{}/{:#x}/{:#x}", self.node.chain_id(), self.token, self.recipient);
        Cow::Owned(match &self.sponsor {
            Some(sponsor) => format!("{place}/{:#x}", sponsor.address()),
            // Whoever waits for a block must not have a payment gone on with by somebody who does not.
            None if self.optimistic => format!("{place}/optimistic"),
            None => place,
        })
    }

    /// Takes prices in `usd` for dollar tokens, and prices in display units of the token, named by its address.
    /// Nothing at all is a price too: it asks for the proof of an account. No other is less than is shared out of it.
    fn terms(&self, ask: &Price) -> Result<ChargeTerms, PriceError> {
        let named = parse_address(ask.unit()).is_ok_and(|token| token == self.token);
        let amount = match ask.in_unit("usd", DECIMALS) {
            Err(PriceError::Unit) if named => ask.amount().to_base_units(DECIMALS)?,
            Ok(_) if !chain::is_dollar(self.token) => return Err(PriceError::Unit),
            amount => amount?,
        };
        if !amount.is_zero() {
            asked::rest(amount, self.offered.splits()).map_err(|_| PriceError::Shares)?;
            self.is_payable()?;
        }
        let currency = format!("{:#x}", self.token);
        Ok(ChargeTerms::of(ask, amount, currency).to(self.recipient.to_string()))
    }

    fn covering(&self, ask: &Price) -> Option<ChargeTerms> {
        let named = parse_address(ask.unit()).is_ok_and(|token| token == self.token);
        let dollars = chain::is_dollar(self.token).then_some("usd");
        let unit = if named { ask.unit() } else { dollars? };
        let amount = ask.in_unit_up(unit, DECIMALS).ok()?;
        let currency = format!("{:#x}", self.token);
        Some(ChargeTerms::of(ask, amount, currency).to(self.recipient.to_string()))
    }

    async fn details(
        &self,
        terms: &ChargeTerms,
        _: Asking<'_>,
    ) -> Result<Minted<Nested<Details>>, Rejection> {
        Ok(Minted::lasting(Nested { method_details: self.details_of(terms) }))
    }

    async fn check(&self, claim: &Claim<TempoCharge>) -> Result<Evidence, Rejection> {
        self.checked(claim).await.map(Evidence::of)
    }

    /// Whoever showed a hash has sent it; whoever showed a transaction has not, unless it was found in a block: settling does.
    fn has_moved(&self, evidence: &Evidence) -> bool {
        match evidence.kind() {
            Kind::Sent(_) => true,
            Kind::Signed(order) => order.mined,
            Kind::Proven(_) => false,
        }
    }

    fn spends<'e>(&self, evidence: &'e Evidence) -> Option<Spend<'e>> {
        evidence.spends()
    }

    async fn settle(&self, evidence: &Evidence) -> Fate {
        settle::settle(self, evidence).await
    }

    async fn reconcile(&self, evidence: &Evidence) -> Fate {
        settle::reconcile(self, evidence).await
    }
}

fn foreign() -> Rejection {
    let detail = "This challenge does not ask what is asked here.";
    Rejection::new(ProblemType::INVALID_CHALLENGE, Reason::WRONG_TERMS, detail)
}

fn invalid(reason: Reason, detail: &'static str) -> Rejection {
    Rejection::new(ProblemType::INVALID_PAYLOAD, reason, detail)
}

/// Nothing was sent: the node cannot be asked, or is on the wrong chain. No one is invited to pay again.
pub(crate) fn unavailable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Rejection {
    let detail = "The payment cannot be checked right now and was not taken. Repeat this request with the same credential.";
    Rejection::new(ProblemType::OUTCOME_UNKNOWN, reason::RAIL_UNAVAILABLE, detail)
        .because(cause)
        .retry_after(Duration::from_secs(2))
}
