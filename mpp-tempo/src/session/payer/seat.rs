//! Which channel a challenge is paid from, and whether it is one that this payer has anything to do with.

use alloy::primitives::{Address, B256};
use mpp_core::challenge::Demand;
use serde::{Deserialize, Serialize};

use super::{
    super::{ChannelId, Descriptor, Domain, MOST, Protocol, TempoSession},
    Payer,
    why::Why,
};
use crate::chain::{self, escrow, parse_address, parse_token, reserve::CHANNEL_RESERVE};

/// A kind of channel that this payer opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Version {
    /// A contract's.
    V1,
    /// The chain's own reserve.
    V2,
}

/// What two challenges must have in common to be paid from one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Seat {
    pub(super) version: Version,
    pub(super) chain_id: u64,
    pub(super) escrow: Address,
    pub(super) payer: Address,
    pub(super) payee: Address,
    /// Zero in version 1.
    pub(super) operator: Address,
    pub(super) token: Address,
    /// Who signs the vouchers; never zero.
    pub(super) signer: Address,
}

impl Seat {
    /// Where vouchers of it are good.
    pub(super) fn domain(&self) -> Domain {
        match self.version {
            Version::V1 => Domain::v1(self.chain_id, self.escrow),
            Version::V2 => Domain::v2(self.chain_id),
        }
    }

    /// The id of a channel of it.
    pub(super) fn id(&self, made_of: &Descriptor) -> ChannelId {
        let Self { payer, payee, token, signer, escrow, chain_id, .. } = *self;
        match self.version {
            Version::V1 => {
                ChannelId::v1(payer, payee, token, made_of.salt, signer, escrow, chain_id)
            }
            Version::V2 => made_of.id(escrow, chain_id),
        }
    }

    /// What a channel of it is made of.
    pub(super) fn made_of(&self, salt: B256, expiring_nonce_hash: B256) -> Descriptor {
        Descriptor {
            payer: self.payer,
            payee: self.payee,
            operator: self.operator,
            token: self.token,
            salt,
            authorized_signer: self.signer,
            expiring_nonce_hash,
        }
    }
}

impl Payer {
    /// Where a challenge seats this payer, or why nowhere.
    pub(super) fn seat(&self, demand: &Demand<'_, TempoSession>) -> Result<Seat, Why> {
        let (details, terms) = (&demand.request.details.method_details, &demand.request.terms);
        let version = match details.protocol() {
            Protocol::V1 => Version::V1,
            Protocol::V2 => Version::V2,
            Protocol::Other(_) => return Err(Why::Protocol),
        };
        let (asked, ours) = (details.chain_id(), self.node.chain_id());
        // A server that moves a payer to another chain is not followed (S14).
        if asked != ours {
            return Err(Why::Chain { asked, ours });
        }
        let address = |name, text: &str| parse_address(text).map_err(|_| Why::Malformed(name));
        let escrow = address("escrowContract", &details.escrow_contract)?;
        self.trusts(version, escrow)?;
        let token = parse_token(&terms.currency).map_err(|_| Why::Malformed("currency"))?;
        if !self.takes_token(token) {
            return Err(match self.currencies {
                Some(_) => Why::Unlisted(token),
                None => Why::NoDollar(token),
            });
        }
        let payee = address("recipient", terms.recipient.as_deref().unwrap_or_default())?;
        let operator = match (&details.operator, version) {
            (Some(operator), Version::V2) => address("operator", operator)?,
            _ => Address::ZERO,
        };
        let (payer, signer) = (self.signer.account(), self.signer.key());
        if payee == payer {
            return Err(Why::Oneself);
        }
        if self.recipients.as_ref().is_some_and(|allowed| !allowed.contains(&payee)) {
            return Err(Why::Recipient(payee));
        }
        let (price, most) = (terms.amount, self.limits.max_deposit.min(MOST));
        if price.is_zero() {
            return Err(Why::Free);
        }
        if price > most {
            return Err(Why::Dear { price, most });
        }
        Ok(Seat { version, chain_id: ours, escrow, payer, payee, operator, token, signer })
    }

    /// Whether its price is one that this payer pays at a time. A channel is closed whatever is asked by then.
    pub(super) fn affords(&self, demand: &Demand<'_, TempoSession>) -> Result<(), Why> {
        let price = demand.request.terms.amount;
        match self.limits.max_price {
            Some(most) if price > most => Err(Why::High { price, most }),
            _ => Ok(()),
        }
    }

    /// Money goes to the chain's own reserve, to the contract that is known of the chain, or to one that was named here: never
    /// to one because a server says so (D-60).
    fn trusts(&self, version: Version, escrow: Address) -> Result<(), Why> {
        let known = match version {
            Version::V1 => {
                self.escrow.or_else(|| escrow::known(self.node.chain_id())) == Some(escrow)
            }
            Version::V2 => escrow == CHANNEL_RESERVE,
        };
        if known { Ok(()) } else { Err(Why::Escrow(escrow)) }
    }

    fn takes_token(&self, token: Address) -> bool {
        match &self.currencies {
            Some(allowed) => allowed.contains(&token),
            None => chain::is_dollar(token),
        }
    }
}
