//! What a sponsor pays for, and everything about a transaction that forbids it. Pure.

use std::{num::NonZeroU64, time::Duration};

use alloy::primitives::{Address, B256};
use mpp_core::{
    Amount, Timestamp,
    problem::{ProblemType, Reason, Rejection},
};

use super::reason::{self, refusal};
use crate::{
    chain::{
        Chain, PATH_USD,
        signature::{SignatureError, SignatureKind},
        transaction::{EXPIRING, FeePayer, MAX_CALLS, Signed, Transaction},
    },
    charge::reason as charged,
};

/// Seconds of validity that must be left when a transaction is sent: nodes refuse one that is about to end.
pub(super) const SENDABLE: i64 = 3;

/// What a sponsor pays for. Fees are in attodollars, 10⁻¹⁸ of a dollar, in which the chain prices gas.
///
/// Start from [`Policy::on`], and change what should differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Units of gas of one transaction, at most; 2,000,000.
    pub max_gas: u64,
    /// Attodollars per unit of gas, tip included, at most; 100 × 10⁹.
    pub max_fee_per_gas: u128,
    /// Attodollars of tip per unit of gas, at most; 10 × 10⁹, and 50 × 10⁹ on Moderato.
    pub max_priority_fee_per_gas: u128,
    /// Attodollars of one transaction (gas × fee per gas), at most; 5 × 10¹⁶, five cents.
    pub max_total_fee: u128,
    /// For how long from now a transaction may be valid, at most; 900 seconds. Nodes take less.
    pub max_validity: Duration,
    /// By how much a transaction may outlive its challenge, at most; 60 seconds.
    pub max_outliving: Duration,
    /// For how long from now a transaction must be valid when it is shown, at least; 15 seconds.
    pub least_left: Duration,
    /// Tokens the fee may be paid in, the best first; the chain's own currency, then pathUSD. If there is none, the
    /// chain's own. A payer has no say in it.
    pub fee_tokens: Vec<Address>,
    /// How many payments may be sponsored at once, at most; 100.
    pub max_reservations: usize,
    /// Attodollars that the fees of all of them may come to, at most; ten times the highest fee of one.
    pub budget: u128,
    /// For how long a reservation that nothing was signed for outlives whoever made it; 30 seconds.
    pub lease: Duration,
    /// For how long a payment waits for an earlier one of the same sender, at most; 10 seconds.
    pub patience: Duration,
    /// For how long a signer is waited for, at most; 5 seconds.
    pub signing_deadline: Duration,
    /// Sponsor what access keys sign, off by default: what such a key may spend and call is in no trial, so that a payment
    /// beyond it fails on the chain, at the sponsor's cost, as often as its payer likes.
    pub access_keys: bool,
    /// Refuse what cannot be simulated as the sponsored whole (`tempo_simulateV1`), on by default: a payment that fails
    /// costs the sponsor its fee all the same. Turn it off for nodes without that method, which then run the calls alone.
    pub require_simulation: bool,
}

impl Policy {
    /// What deployed sponsors pay for on a chain.
    pub fn on(chain: &Chain) -> Self {
        let tip: u128 = if chain.id == Chain::MODERATO.id { 50 } else { 10 };
        let max_total_fee = 50_000_000_000_000_000;
        let mut fee_tokens = vec![chain.currency, PATH_USD];
        fee_tokens.dedup();
        Self {
            max_gas: 2_000_000,
            max_fee_per_gas: 100 * GIGA,
            max_priority_fee_per_gas: tip * GIGA,
            max_total_fee,
            max_validity: Duration::from_secs(900),
            max_outliving: Duration::from_secs(60),
            least_left: Duration::from_secs(15),
            fee_tokens,
            max_reservations: 100,
            budget: 10 * max_total_fee,
            lease: Duration::from_secs(30),
            patience: Duration::from_secs(10),
            signing_deadline: Duration::from_secs(5),
            access_keys: false,
            require_simulation: true,
        }
    }

    /// Finds what forbids a transaction, beside what its calls do: that they are the payment is not judged here.
    pub(super) fn judge(
        &self,
        signed: &Signed,
        sponsor: (Address, &Chain),
        now: &Timestamp,
        stage: Stage<'_>,
    ) -> Result<Approved, Rejection> {
        let (sponsor, chain) = sponsor;
        let transaction = &signed.transaction;
        awaits(transaction)?;
        if !self.access_keys && signed.signature.kind() == SignatureKind::Keychain {
            let detail = "The sponsor pays for what an account's own key signs, not an access key.";
            return Err(refusal(reason::ACCESS_KEY, detail));
        }
        if transaction.chain_id != chain.id {
            return Err(refusal(charged::WRONG_CHAIN, "The transaction is for another chain."));
        }
        let valid_before = expiring(transaction)?;
        plain(transaction)?;
        let max_fee = self.affordable(transaction)?;
        self.in_window(transaction, valid_before, now, stage)?;
        let sender = signed.sender().map_err(bad_signature)?;
        if sender == sponsor {
            let detail = "The sponsor cannot sponsor itself.";
            return Err(refusal(reason::SELF_SPONSORED, detail));
        }
        let id = transaction.expiring_nonce_hash(sender);
        let fee_token = self.fee_tokens.first().copied().unwrap_or(chain.currency);
        Ok(Approved { id, sender, max_fee, valid_before, fee_token })
    }

    /// The most the fee can be, in attodollars.
    fn affordable(&self, transaction: &Transaction) -> Result<Amount, Rejection> {
        let (fee, tip) = (transaction.max_fee_per_gas, transaction.max_priority_fee_per_gas);
        if transaction.gas_limit > self.max_gas {
            let detail = "The transaction's gas limit is higher than the sponsor pays for.";
            return Err(refusal(reason::SPONSOR_GAS, detail));
        }
        if fee > self.max_fee_per_gas {
            let detail = "The transaction's fee per gas is higher than the sponsor pays.";
            return Err(refusal(reason::SPONSOR_FEE, detail));
        }
        if tip > self.max_priority_fee_per_gas {
            let detail = "The transaction's tip per gas is higher than the sponsor pays.";
            return Err(refusal(reason::SPONSOR_TIP, detail));
        }
        if tip > fee {
            let detail = "The transaction's tip per gas is higher than its whole fee per gas.";
            return Err(refusal(charged::TIP_TOO_HIGH, detail));
        }
        let total = fee.checked_mul(u128::from(transaction.gas_limit));
        total.filter(|total| *total <= self.max_total_fee).map(Amount::new).ok_or_else(|| {
            let detail = "The transaction's highest fee is more than the sponsor pays.";
            refusal(reason::SPONSOR_TOTAL, detail)
        })
    }

    fn in_window(
        &self,
        transaction: &Transaction,
        valid_before: i64,
        now: &Timestamp,
        stage: Stage<'_>,
    ) -> Result<(), Rejection> {
        let (left, challenge_ends) = match stage {
            Stage::Shown { challenge_ends } => (self.least_left, challenge_ends),
            Stage::Settling => (Duration::from_secs(SENDABLE.unsigned_abs()), None),
        };
        if valid_before < now.plus(left).unix_seconds() {
            let detail = "The transaction's validity has ended, or ends too soon to be sponsored.";
            return Err(Rejection::new(
                ProblemType::PAYMENT_EXPIRED,
                reason::ENDS_TOO_SOON,
                detail,
            ));
        }
        let outlives = |end: &Timestamp| valid_before > end.plus(self.max_outliving).unix_seconds();
        let too_long = valid_before > now.plus(self.max_validity).unix_seconds();
        if too_long || challenge_ends.is_some_and(outlives) {
            let detail = "The transaction is valid for longer than the sponsor goes along with.";
            return Err(refusal(charged::VALID_TOO_LONG, detail));
        }
        if transaction.valid_after.map(seconds).is_some_and(|start| start > now.unix_seconds()) {
            return Err(refusal(charged::NOT_YET_VALID, "The transaction is not valid yet."));
        }
        Ok(())
    }
}

const GIGA: u128 = 1_000_000_000;

/// At which point of its way a payment is judged.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stage<'a> {
    /// It was shown for a challenge: there must be time for all that follows.
    Shown {
        /// When the challenge ends.
        challenge_ends: Option<&'a Timestamp>,
    },
    /// It was shown in time and accepted: there must be time to send it.
    Settling,
}

/// A payment that the policy lets pass, by what the books know it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Approved {
    /// What the chain remembers the payment by, however it is signed and whoever sponsors it.
    pub(super) id: B256,
    pub(super) sender: Address,
    /// Attodollars, at most.
    pub(super) max_fee: Amount,
    /// Unix seconds.
    pub(super) valid_before: i64,
    pub(super) fee_token: Address,
}

impl Approved {
    /// The token that the sponsor will pay in.
    pub(crate) fn fee_token(&self) -> Address {
        self.fee_token
    }

    /// The most its fee can be, in attodollars.
    pub(crate) fn max_fee(&self) -> Amount {
        self.max_fee
    }

    /// Whether it can still be sent.
    pub(super) fn is_sendable(&self, now: &Timestamp) -> bool {
        self.valid_before >= now.unix_seconds().saturating_add(SENDABLE)
    }
}

fn awaits(transaction: &Transaction) -> Result<(), Rejection> {
    if transaction.fee_payer != FeePayer::Awaited {
        let detail = "The transaction does not leave its fee to the sponsor.";
        return Err(refusal(reason::NO_SPONSOR_AWAITED, detail));
    }
    if transaction.fee_token.is_some() {
        let detail = "The transaction names a fee token; that is the sponsor's choice.";
        return Err(refusal(reason::FEE_TOKEN_CHOSEN, detail));
    }
    Ok(())
}

/// The end of a transaction that the chain takes once and not after it.
fn expiring(transaction: &Transaction) -> Result<i64, Rejection> {
    match transaction.valid_before {
        Some(end) if transaction.nonce_key == EXPIRING && transaction.nonce == 0 => {
            Ok(seconds(end))
        }
        _ => {
            let detail = "The transaction must have an expiring nonce, and name its end.";
            Err(refusal(charged::NOT_EXPIRING, detail))
        }
    }
}

/// Whether it is calls and nothing else. Each of the others costs gas, and outlives the payment.
fn plain(transaction: &Transaction) -> Result<(), Rejection> {
    let Transaction { access_list, authorizations, key_authorization, calls, .. } = transaction;
    let foreign = if !access_list.is_empty() {
        Some("The sponsor pays for no access list.")
    } else if !authorizations.is_empty() {
        Some("The sponsor pays for no account delegation.")
    } else if key_authorization.is_some() {
        Some("The sponsor pays for no authorisation of a key.")
    } else {
        None
    };
    if let Some(detail) = foreign {
        return Err(refusal(charged::MORE_THAN_CALLS, detail));
    }
    if calls.is_empty() || calls.len() > MAX_CALLS {
        let detail = "The transaction makes no call, or more than nodes take.";
        return Err(refusal(charged::WRONG_CALLS, detail));
    }
    if calls.iter().any(|call| !call.value.is_zero()) {
        return Err(refusal(charged::NATIVE_VALUE, "The transaction sends native value."));
    }
    Ok(())
}

fn bad_signature(cause: SignatureError) -> Rejection {
    let (reason, detail): (Reason, _) = match cause {
        SignatureError::Unsupported(_) => {
            let detail = "This kind of account signature is no longer valid on the chain.";
            (charged::SIGNATURE_UNSUPPORTED, detail)
        }
        _ => (charged::BAD_SIGNATURE, "The transaction's signature is not valid."),
    };
    refusal(reason, detail).because(cause)
}

fn seconds(at: NonZeroU64) -> i64 {
    i64::try_from(at.get()).unwrap_or(i64::MAX)
}
