//! A transaction that opens a channel or adds to one: read strictly, and held against nothing yet.

use std::num::NonZeroU64;

use alloy::primitives::{Address, B256, Bytes, U256};
use mpp_core::problem::{Reason, Rejection};

use super::{
    super::{ChannelId, Descriptor},
    reason::{self, failed},
};
use crate::{
    chain::{
        self,
        dex::Swap,
        reserve::{CHANNEL_RESERVE, NotReserveCall, Open, TopUp},
        signature::{Recovered, SignatureError},
        transaction::{Call, DecodeError, EXPIRING, FeePayer, Signed},
    },
    charge::reason as charged,
};

/// A signed deposit, and whose it is.
#[derive(Clone)]
pub(super) struct Deposit {
    pub(super) signed: Signed,
    pub(super) payer: Address,
    /// The identity that the chain remembers it by, however it is signed and whoever pays its fee.
    pub(super) id: B256,
    pub(super) valid_before: NonZeroU64,
    pub(super) what: What,
}

/// What a deposit does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Open(Open),
    TopUp(TopUp),
}

impl Deposit {
    /// Reads a transaction that does this and nothing else: one call of the reserve, after an exchange that brings no more than
    /// it takes, where there is one (S6, S11). Who signed comes with it.
    pub(super) fn read(signed: Signed, exchange: Address) -> Result<(Self, Recovered), NotDeposit> {
        let transaction = &signed.transaction;
        let signing = transaction.signing();
        let recovered = signed.signature.signer(signing.hash())?;
        let expiring = transaction.nonce_key == EXPIRING && transaction.nonce == 0;
        let Some(valid_before) = transaction.valid_before.filter(|_| expiring) else {
            return Err(NotDeposit::Lasting);
        };
        let awaited = match transaction.fee_payer {
            FeePayer::Sender => false,
            FeePayer::Awaited => true,
            FeePayer::Sponsor(_) => return Err(NotDeposit::Sponsored),
        };
        let plain = transaction.access_list.is_empty()
            && transaction.authorizations.is_empty()
            && (transaction.key_authorization.is_none() || !awaited);
        if !plain {
            return Err(NotDeposit::More);
        }
        let what = What::read(&transaction.calls, exchange)?;
        let payer = recovered.account;
        let id = signing.identity(payer);
        Ok((Self { signed, payer, id, valid_before, what }, recovered))
    }

    /// The channel, as the chain names it.
    pub(super) fn channel(&self) -> ChannelId {
        let chain_id = self.signed.transaction.chain_id;
        self.descriptor().id(CHANNEL_RESERVE, chain_id)
    }

    /// The channel, all of it.
    pub(super) fn descriptor(&self) -> Descriptor {
        match &self.what {
            What::Open(open) => open.descriptor(self.payer, self.id),
            What::TopUp(top_up) => top_up.descriptor,
        }
    }

    /// Whether a sponsor has yet to sign.
    pub(super) fn awaits_sponsor(&self) -> bool {
        self.signed.transaction.fee_payer == FeePayer::Awaited
    }

    /// The bytes that it is kept in.
    pub(super) fn raw(&self) -> Bytes {
        self.signed.encode().into()
    }

    /// What leaves the payer's account in the channel's token, fee included where it is paid in that; `None` where an exchange
    /// brings it in first.
    pub(super) fn takes(&self) -> Option<U256> {
        let transaction = &self.signed.transaction;
        let fee = match transaction.fee_token {
            Some(token) if token == self.what.token() => U256::from(transaction.max_fee()),
            _ => U256::ZERO,
        };
        let alone = transaction.calls.len() == 1;
        alone.then(|| U256::from(self.what.amount()).saturating_add(fee))
    }
}

impl What {
    fn read(calls: &[Call], exchange: Address) -> Result<Self, NotDeposit> {
        if calls.iter().any(|call| !call.value.is_zero()) {
            return Err(NotDeposit::Value);
        }
        let (swap, rest) = match Swap::leading(calls, exchange) {
            Some((swap, rest)) => (Some(swap), rest),
            None => (None, calls),
        };
        let [call] = rest else { return Err(NotDeposit::Calls) };
        if call.to != CHANNEL_RESERVE {
            return Err(NotDeposit::Calls);
        }
        let what = match Open::decode(&call.data) {
            Ok(open) => Self::Open(open),
            Err(NotReserveCall::Selector) => Self::TopUp(TopUp::decode(&call.data)?),
            Err(cause) => return Err(cause.into()),
        };
        let fits = |swap: Swap| {
            swap.token_out == what.token()
                && swap.token_in != swap.token_out
                && chain::is_tip20(swap.token_in)
                && swap.amount_out <= what.amount()
        };
        if swap.is_none_or(fits) { Ok(what) } else { Err(NotDeposit::Calls) }
    }

    /// What is deposited, in base units.
    pub(super) fn amount(&self) -> u128 {
        match self {
            Self::Open(open) => open.deposit,
            Self::TopUp(top_up) => top_up.additional_deposit,
        }
    }

    fn token(&self) -> Address {
        match self {
            Self::Open(open) => open.token,
            Self::TopUp(top_up) => top_up.descriptor.token,
        }
    }
}

/// Why a transaction is no deposit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotDeposit {
    #[error("the transaction is not written in hex")]
    Hex,
    #[error(transparent)]
    Transaction(#[from] DecodeError),
    #[error(transparent)]
    Signature(#[from] SignatureError),
    #[error("the transaction has no expiring nonce, or names no end")]
    Lasting,
    #[error("a sponsor has signed the transaction already")]
    Sponsored,
    #[error("the transaction does something beside its calls")]
    More,
    #[error("a call sends native value")]
    Value,
    #[error("the calls are not one of the reserve, or an exchange for it before that")]
    Calls,
    #[error(transparent)]
    Call(#[from] NotReserveCall),
}

impl From<NotDeposit> for Rejection {
    fn from(cause: NotDeposit) -> Self {
        let (reason, detail) = match &cause {
            NotDeposit::Hex => {
                let detail = "The transaction is not written in hex.";
                return reason::invalid(Reason::UNREADABLE, detail).because(cause);
            }
            NotDeposit::Transaction(error) => {
                let detail = format!("The transaction cannot be read: {error}.");
                let kind = mpp_core::problem::ProblemType::INVALID_PAYLOAD;
                return Self::new(kind, Reason::UNREADABLE, detail).because(cause);
            }
            NotDeposit::Signature(error) => {
                return crate::charge::verifier::examine::bad_signature(*error);
            }
            NotDeposit::Lasting => (
                charged::NOT_EXPIRING,
                "The transaction must have an expiring nonce, and name its end.",
            ),
            NotDeposit::Sponsored => {
                (charged::NOT_SPONSORED, "Somebody else has signed to pay the transaction's fee.")
            }
            NotDeposit::More => (
                charged::MORE_THAN_CALLS,
                "The transaction does something else beside the deposit.",
            ),
            NotDeposit::Value => (charged::NATIVE_VALUE, "The transaction sends native value."),
            NotDeposit::Call(NotReserveCall::Arguments) => {
                (charged::DIRTY_CALLDATA, "The call's arguments are not canonical.")
            }
            NotDeposit::Calls | NotDeposit::Call(_) => (
                charged::WRONG_CALLS,
                "The transaction must make one deposit, and nothing else but an exchange for it.",
            ),
        };
        failed(reason, detail).because(cause)
    }
}
