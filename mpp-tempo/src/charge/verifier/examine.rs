//! Everything about a transaction that can be judged without asking anybody.

use std::{num::NonZeroU64, time::Duration};

use alloy::primitives::Address;
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
    did::Did,
    signature::SignatureError,
    tip20::{self, NotTransfer, Transfer, Unmatched},
    transaction::{EXPIRING, FeePayer, Signed},
};

/// Seconds of validity that must be left: sending takes time, and nodes refuse transactions about to end.
const LEAST_LEFT: i64 = 3;

/// Seconds beyond the longest validity, for clocks that differ.
const LENIENCE: Duration = Duration::from_secs(2);

/// Seconds that a transaction may outlive its challenge, for clocks that differ.
const SKEW: i64 = 5;

/// When a transaction may be valid.
pub(super) struct Window<'a> {
    pub(super) now: Timestamp,
    pub(super) longest: Duration,
    pub(super) challenge_ends: Option<&'a Timestamp>,
}

/// A transaction beside the transfer it should make.
pub(super) struct Shown<'a> {
    pub(super) asked: &'a Asked,
    pub(super) signed: &'a Signed,
    pub(super) source: Option<&'a Source>,
}

impl Shown<'_> {
    /// The account that pays, once the transaction is this payment and nothing else.
    pub(super) fn payer(&self) -> Result<Address, Rejection> {
        let transaction = &self.signed.transaction;
        if transaction.fee_payer != FeePayer::Sender {
            return Err(refusal(reason::NOT_SPONSORED, "Nobody pays the fee for you here."));
        }
        let payer = self.signed.sender().map_err(bad_signature)?;
        if transaction.chain_id != self.asked.chain_id {
            return Err(refusal(reason::WRONG_CHAIN, "The transaction is for another chain."));
        }
        self.source_is(payer)?;
        if transaction.nonce_key != EXPIRING || transaction.nonce != 0 {
            let detail = "The transaction must have an expiring nonce.";
            return Err(refusal(reason::NOT_EXPIRING, detail));
        }
        let plain = transaction.access_list.is_empty()
            && transaction.authorizations.is_empty()
            && transaction.key_authorization.is_none();
        if !plain {
            let detail = "The transaction does something else beside the payment.";
            return Err(refusal(reason::MORE_THAN_CALLS, detail));
        }
        if payer == self.asked.expected.to {
            return Err(refusal(reason::SELF_PAYMENT, "The payer is the recipient."));
        }
        tip20::match_calls(self.asked.token, &[self.asked.expected], &transaction.calls)
            .map_err(|cause| self.mismatch(cause))?;
        Ok(payer)
    }

    /// Whether it can be mined, from now until soon.
    pub(super) fn in_time(&self, window: &Window<'_>) -> Result<(), Rejection> {
        let seconds = |at: NonZeroU64| i64::try_from(at.get()).unwrap_or(i64::MAX);
        let now = window.now.unix_seconds();
        let latest = window.now.plus(window.longest).plus(LENIENCE).unix_seconds();
        let Some(end) = self.signed.transaction.valid_before.map(seconds) else {
            let detail = "The transaction must name its end.";
            return Err(refusal(reason::NOT_EXPIRING, detail));
        };
        if end < now.saturating_add(LEAST_LEFT) {
            let detail = "The transaction's validity has ended, or is about to.";
            return Err(Rejection::new(ProblemType::PAYMENT_EXPIRED, Reason::EXPIRED, detail));
        }
        let outlives = |limit: &Timestamp| end > limit.unix_seconds().saturating_add(SKEW);
        if end > latest || window.challenge_ends.is_some_and(outlives) {
            let detail = "The transaction is valid for too long: 25 seconds are enough, and no longer than the challenge.";
            return Err(refusal(reason::VALID_TOO_LONG, detail));
        }
        if self.signed.transaction.valid_after.map(seconds).is_some_and(|start| start > now) {
            return Err(refusal(reason::NOT_YET_VALID, "The transaction is not valid yet."));
        }
        Ok(())
    }

    /// A source is anybody's word; one that says something else than the signature is a lie or a mistake (D-32).
    fn source_is(&self, payer: Address) -> Result<(), Rejection> {
        let Some(source) = self.source else { return Ok(()) };
        let signed = Did { chain_id: self.asked.chain_id, address: payer };
        match source.as_str().parse::<Did>() {
            Ok(named) if named == signed => Ok(()),
            _ => {
                let detail = "The source is not the account that signed the transaction.";
                Err(refusal(reason::WRONG_SOURCE, detail))
            }
        }
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

    /// Which member of the one transfer differs.
    fn difference(&self) -> (Reason, &'static str) {
        let [call] = self.signed.transaction.calls.as_slice() else {
            return (reason::WRONG_CALLS, "The transaction must make exactly one transfer.");
        };
        match Transfer::decode(&call.data) {
            Ok(made) if made.to != self.asked.expected.to => {
                (reason::WRONG_RECIPIENT, "The transfer is to another account.")
            }
            Ok(made) if made.amount != self.asked.expected.amount => {
                (reason::WRONG_AMOUNT, "The transfer is not of the amount that is asked.")
            }
            _ => (reason::WRONG_MEMO, "The transfer's memo does not belong to this challenge."),
        }
    }
}

pub(super) fn bad_signature(cause: SignatureError) -> Rejection {
    let (reason, detail) = match cause {
        SignatureError::Unsupported(_) => {
            (reason::SIGNATURE_UNSUPPORTED, "This kind of account signature is not supported yet.")
        }
        _ => (reason::BAD_SIGNATURE, "The transaction's signature is not valid, or not canonical."),
    };
    refusal(reason, detail).because(cause)
}
