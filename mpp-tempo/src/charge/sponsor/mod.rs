//! The sponsor: pays the fee of a payment that its payer signed, within a policy, and within a budget that is kept in a
//! store and shared by all who name it.

mod book;
mod error;
mod keeper;
mod policy;
pub mod reason;
mod record;
mod run;
mod stored;

use std::{fmt, sync::Arc};

use alloy::primitives::Address;
use mpp_core::{Timestamp, problem::Rejection, store::Store, time::Clock};

use self::keeper::Keeper;
pub use self::policy::Policy;
pub(crate) use self::{
    error::Unsponsored,
    policy::{Approved, Stage},
    run::{Cosigned, Reserved},
};
use crate::{
    chain::{Chain, keychain::KeyKind, signer::Signer, transaction::Signed},
    clock::SystemClock,
};

/// Pays the fees of payments on one chain, from one account.
///
/// What it may lose to payers who sign what fails is bounded: by the [`Policy`] for one payment, and for all that are
/// under way by a budget in the store. A sender's payments are sponsored one after the other. A signature is on record
/// before it can leave, and a payment that is on record is never signed again.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use mpp_core::store::{Memory, Store};
/// use mpp_tempo::{Chain, HttpRpc, Key, charge::{Verifier, sponsor::Sponsor}};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Arc::new(HttpRpc::on(&Chain::MODERATO)?);
/// let store: Arc<dyn Store> = Arc::new(Memory::volatile()); // one that lasts, outside of an example
/// let key = Arc::new(std::env::var("SPONSOR_KEY")?.parse::<Key>()?);
/// let sponsor = Sponsor::new(&Chain::MODERATO, key, store)?;
/// let seller = Verifier::new(&Chain::MODERATO, "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC", node)?;
/// let seller = Arc::new(seller.sponsored_by(sponsor)?); // hand it to a gate: `gate.charge("0.10 usd")?.via(&seller)`
/// # let _ = seller;
/// # Ok(())
/// # }
/// ```
///
/// A trial shows what the chain will do only where the node has seen the sender's payment before. Behind a balancer whose nodes
/// are not equally far, a payment that fails may cost a fee now and then, within the budget.
///
/// Clones share all. Put several processes on one store, and they share the budget. Waits by tokio's timer.
#[derive(Clone)]
pub struct Sponsor {
    signer: Arc<dyn Signer>,
    keeper: Keeper,
    chain: Chain,
    policy: Arc<Policy>,
    clock: Arc<dyn Clock>,
}

impl Sponsor {
    /// Sponsors payments on a chain, by [`Policy::on`] that chain.
    ///
    /// The store should be durable: one that forgets lets what is under way be promised twice.
    ///
    /// # Errors
    /// [`CannotSponsor`] for the signer of an access key, and for one of another kind than secp256k1.
    pub fn new(
        chain: &Chain,
        signer: Arc<dyn Signer>,
        store: Arc<dyn Store>,
    ) -> Result<Self, CannotSponsor> {
        if signer.key() != signer.account() || signer.kind() != KeyKind::Secp256k1 {
            return Err(CannotSponsor);
        }
        Ok(Self {
            signer,
            keeper: Keeper::new(store, chain.id),
            chain: chain.clone(),
            policy: Arc::new(Policy::on(chain)),
            clock: Arc::new(SystemClock),
        })
    }

    /// Pays for more, or for less.
    pub fn policy(self, policy: Policy) -> Self {
        Self { policy: Arc::new(policy), ..self }
    }

    /// Judges by another clock than the system's. Processes that share a store should agree on the time.
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// The account that pays the fees.
    pub fn address(&self) -> Address {
        self.signer.account()
    }

    /// The chain it pays on.
    pub(crate) fn chain_id(&self) -> u64 {
        self.chain.id
    }

    /// Whether a payment that cannot be simulated as a whole is refused.
    pub(crate) fn requires_simulation(&self) -> bool {
        self.policy.require_simulation
    }

    /// Finds what forbids a payment, beside what its calls do: that they are the payment is not judged here. Pure.
    pub(crate) fn judge(
        &self,
        signed: &Signed,
        now: &Timestamp,
        stage: Stage<'_>,
    ) -> Result<Approved, Rejection> {
        self.policy.judge(signed, (self.address(), &self.chain), now, stage)
    }

    /// The tokens it pays in, the best first, and never none.
    pub(crate) fn fee_tokens(&self) -> &[Address] {
        match self.policy.fee_tokens.as_slice() {
            [] => std::slice::from_ref(&self.chain.currency),
            tokens => tokens,
        }
    }

    /// Has a payment's fee paid in another of [`Sponsor::fee_tokens`]; `None` for any other token.
    pub(crate) fn pay_in(&self, approved: Approved, fee_token: Address) -> Option<Approved> {
        self.fee_tokens().contains(&fee_token).then_some(Approved { fee_token, ..approved })
    }

    /// Whether the budget has room right now: a refusal before anything is written, by which the same credential stays
    /// good. What counts is [`Sponsor::reserve`].
    pub(crate) async fn has_room(&self, approved: &Approved) -> Result<(), Rejection> {
        let book = self.keeper.book(self.address()).await.map_err(Unsponsored::Books)?;
        if book.has_room(approved, &self.policy, self.now().unix_millis()) {
            Ok(())
        } else {
            Err(Unsponsored::Full.into())
        }
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl fmt::Debug for Sponsor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sponsor").field("address", &self.address()).finish_non_exhaustive()
    }
}

/// A signer that cannot be a sponsor: the chain takes a sponsor's signature from an account's own secp256k1 key alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("only an account's own secp256k1 key can pay the fees of others")]
pub struct CannotSponsor;

#[cfg(test)]
mod tests;
