//! Everything about a transaction that can be judged without asking anybody.

use std::{num::NonZeroU64, time::Duration};

use alloy::primitives::{Address, U256};
use mpp_core::{
    Timestamp,
    credential::Source,
    problem::{ProblemType, Reason, Rejection},
};

use super::{
    super::asked::Asked,
    reason::{self, refusal},
};
use crate::chain::{
    self,
    dex::Swap,
    did::Did,
    signature::{Recovered, SignatureError},
    tip20::{self, NotTransfer, Transfer, Unmatched},
    transaction::{EXPIRING, FeePayer, Signed, Signing, Transaction},
};

/// Units of gas with which no transfer with a memo can run, cheap as its accounts may be: the cheapest that was seen
/// used 62,000, and what a node asks before it starts is more than half of that.
const LEAST_GAS: u64 = 50_000;

/// Seconds of validity that must be left: sending takes time, and nodes refuse transactions about to end.
const LEAST_LEFT: i64 = 3;

/// Seconds beyond the longest validity, for clocks that differ.
const LENIENCE: Duration = Duration::from_secs(2);

/// Seconds that a transaction may outlive its challenge, for clocks that differ.
const SKEW: i64 = 5;

/// Seconds after its end for which a mined transaction is still taken; far less than payments are remembered for.
const REMEMBERED: i64 = 600;

/// When a transaction may be valid.
pub(crate) struct Window<'a> {
    pub(crate) now: Timestamp,
    pub(crate) longest: Duration,
    pub(crate) challenge_ends: Option<&'a Timestamp>,
}

impl Window<'_> {
    /// Whether a transaction can be mined, from now until soon.
    pub(crate) fn includes(&self, transaction: &Transaction) -> Result<(), Rejection> {
        let now = self.now.unix_seconds();
        let latest = self.now.plus(self.longest).plus(LENIENCE).unix_seconds();
        // One without an end would be valid for too long.
        let end = transaction.valid_before.map_or(i64::MAX, seconds);
        if end < now.saturating_add(LEAST_LEFT) {
            let detail = "The transaction's validity has ended, or is about to.";
            return Err(Rejection::new(ProblemType::PAYMENT_EXPIRED, Reason::EXPIRED, detail));
        }
        let outlives = |limit: &Timestamp| end > limit.unix_seconds().saturating_add(SKEW);
        if end > latest || self.challenge_ends.is_some_and(outlives) {
            let detail = "The transaction is valid for longer than this server or its challenge allows: 25 seconds are enough anywhere.";
            return Err(refusal(reason::VALID_TOO_LONG, detail));
        }
        if transaction.valid_after.map(seconds).is_some_and(|start| start > now) {
            return Err(refusal(reason::NOT_YET_VALID, "The transaction is not valid yet."));
        }
        Ok(())
    }

    /// Whether a transaction ended so recently, or has yet to, that a payment by it is still remembered if it was ever
    /// taken: the store forgets an hour after the end, and what it forgot must not buy twice.
    pub(super) fn is_remembered(&self, transaction: &Transaction) -> bool {
        let end = transaction.valid_before.map_or(i64::MIN, seconds);
        end.saturating_add(REMEMBERED) >= self.now.unix_seconds()
    }
}

/// Whether any node would run a transfer with this gas at these fees, whatever the chain is like.
pub(crate) fn runs(transaction: &Transaction) -> Result<(), Rejection> {
    if transaction.gas_limit < LEAST_GAS {
        let detail = "The transaction's gas limit is too low for a transfer.";
        return Err(refusal(reason::GAS_TOO_LOW, detail));
    }
    if transaction.max_priority_fee_per_gas > transaction.max_fee_per_gas {
        let detail = "The transaction's tip per gas is higher than its whole fee per gas.";
        return Err(refusal(reason::TIP_TOO_HIGH, detail));
    }
    Ok(())
}

/// A transaction beside the transfers it should make.
pub(super) struct Shown<'a> {
    pub(super) asked: &'a Asked,
    pub(super) signed: &'a Signed,
    /// Of that transaction.
    pub(super) signing: &'a Signing,
    pub(super) source: Option<&'a Source>,
    pub(super) exchange: Address,
    pub(super) sponsored: bool,
}

impl Shown<'_> {
    /// The account that pays, and the key it signed with, once the transaction is this payment.
    pub(super) fn payer(&self) -> Result<Recovered, Rejection> {
        let transaction = &self.signed.transaction;
        let awaited = match transaction.fee_payer {
            FeePayer::Sender => false,
            FeePayer::Awaited if self.sponsored => true,
            _ => return Err(refusal(reason::NOT_SPONSORED, "Nobody pays the fee for you here.")),
        };
        let hash = self.signing.hash();
        let recovered = self.signed.signature.signer(hash).map_err(bad_signature)?;
        let payer = recovered.account;
        if transaction.chain_id != self.asked.chain_id {
            return Err(refusal(reason::WRONG_CHAIN, "The transaction is for another chain."));
        }
        source_is(self.source, self.asked.chain_id, payer)?;
        let expiring = transaction.nonce_key == EXPIRING && transaction.nonce == 0;
        if !expiring || transaction.valid_before.is_none() {
            let detail = "The transaction must have an expiring nonce, and name its end.";
            return Err(refusal(reason::NOT_EXPIRING, detail));
        }
        let plain = transaction.access_list.is_empty()
            && transaction.authorizations.is_empty()
            && (transaction.key_authorization.is_none() || !awaited);
        if !plain {
            let detail = "The transaction does something else beside the payment.";
            return Err(refusal(reason::MORE_THAN_CALLS, detail));
        }
        if self.asked.pays(payer) {
            return Err(refusal(reason::SELF_PAYMENT, "The payer is a recipient."));
        }
        let calls = if awaited { self.sponsored_calls() } else { self.own_calls() };
        calls.map_err(|cause| self.mismatch(cause))?;
        Ok(recovered)
    }

    /// Whoever pays the fee may call what they like beside the transfers (D-28).
    fn own_calls(&self) -> Result<(), Unmatched> {
        tip20::find_calls(self.asked.token, &self.asked.legs, &self.signed.transaction.calls)
    }

    /// A sponsor pays for the transfers that are asked and for an exchange that brings no more than they need (S6). A share
    /// that asks no memo may bear one: some payers put theirs on every transfer.
    fn sponsored_calls(&self) -> Result<(), Unmatched> {
        let calls = self.signed.transaction.calls.as_slice();
        let transfers = match Swap::leading(calls, self.exchange) {
            Some((swap, rest)) => {
                let fits = swap.token_out == self.asked.token
                    && swap.token_in != swap.token_out
                    && chain::is_tip20(swap.token_in)
                    && U256::from(swap.amount_out) <= self.asked.total();
                if fits { rest } else { return Err(Unmatched::Extra) }
            }
            None => calls,
        };
        tip20::match_calls(self.asked.token, &self.asked.legs, transfers)
    }

    fn mismatch(&self, cause: Unmatched) -> Rejection {
        let (reason, detail) = match cause {
            Unmatched::Token => {
                (reason::WRONG_TOKEN, "The transaction calls another contract than the token.")
            }
            Unmatched::Value => (reason::NATIVE_VALUE, "The transaction sends native value."),
            Unmatched::Call(NotTransfer::Arguments) => {
                (reason::DIRTY_CALLDATA, "The transfer's arguments are not canonical.")
            }
            Unmatched::Call(_) => {
                (reason::NOT_A_TRANSFER, "The transaction's call is no transfer.")
            }
            _ => self.difference(),
        };
        refusal(reason, detail).because(cause)
    }

    /// Which member of the transfer differs, where there is one to be made and one call.
    fn difference(&self) -> (Reason, &'static str) {
        let ([call], [leg]) =
            (self.signed.transaction.calls.as_slice(), self.asked.legs.as_slice())
        else {
            let detail = "The transaction's calls are not the transfers that are asked.";
            return (reason::WRONG_CALLS, detail);
        };
        match Transfer::decode(&call.data) {
            _ if call.to != self.asked.token => {
                (reason::WRONG_TOKEN, "The transaction calls another contract than the token.")
            }
            Err(_) => (reason::NOT_A_TRANSFER, "The transaction's call is no transfer."),
            Ok(made) if made.to != leg.to => {
                (reason::WRONG_RECIPIENT, "The transfer is to another account.")
            }
            Ok(made) if made.amount != leg.amount => {
                (reason::WRONG_AMOUNT, "The transfer is not of the amount that is asked.")
            }
            _ => (reason::WRONG_MEMO, "The transfer's memo does not belong to this challenge."),
        }
    }
}

/// A source is anybody's word; one that says something else than the chain does is a lie or a mistake (D-32).
pub(super) fn source_is(
    source: Option<&Source>,
    chain_id: u64,
    address: Address,
) -> Result<(), Rejection> {
    let Some(source) = source else { return Ok(()) };
    match source.as_str().parse::<Did>() {
        Ok(named) if named == (Did { chain_id, address }) => Ok(()),
        _ => {
            let detail = "The source is not the account that signed the transaction.";
            Err(refusal(reason::WRONG_SOURCE, detail))
        }
    }
}

fn seconds(at: NonZeroU64) -> i64 {
    i64::try_from(at.get()).unwrap_or(i64::MAX)
}

pub(crate) fn bad_signature(cause: SignatureError) -> Rejection {
    let (reason, detail) = match cause {
        SignatureError::Unsupported(_) => (
            reason::SIGNATURE_UNSUPPORTED,
            "This kind of account signature is no longer valid on the chain.",
        ),
        _ => (reason::BAD_SIGNATURE, "The transaction's signature is not valid, or not canonical."),
    };
    refusal(reason, detail).because(cause)
}
