//! How a seller is set up.

use std::{sync::Arc, time::Duration};

use alloy::primitives::Address;
use mpp_core::{
    Amount,
    amount::{AmountError, Decimal},
    time::Clock,
};

use super::{super::Domain, Teller, send::Hand};
use crate::{
    chain::{
        AddressError, Chain, DECIMALS, parse_address, parse_token,
        rpc::{Pinned, Rpc},
        signer::Signer,
    },
    charge::{OtherChain, sponsor::Sponsor},
    clock::SystemClock,
};

/// What is deposited at least where a sponsor pays the fee and nothing else was said: `0.01`. Deposits of nearly nothing would let
/// anybody spend the sponsor's money for nothing.
const LEAST_SPONSORED: Amount = Amount::new(10_000);

impl Teller {
    /// Sells on a chain, in its own currency, to an account. The signer settles and closes: where it is another account's than the
    /// recipient's, that one is the operator of all channels.
    ///
    /// An access key has to be known to the chain already. Fees of up to half a dollar are paid for one transaction, in the chain's
    /// own currency.
    ///
    /// # Errors
    /// [`AddressError`] for a recipient that is no address.
    pub fn new(
        chain: &Chain,
        recipient: &str,
        signer: Arc<dyn Signer>,
        rpc: Arc<dyn Rpc>,
    ) -> Result<Self, AddressError> {
        let recipient = parse_address(recipient)?;
        let own = signer.account() == recipient;
        Ok(Self {
            chain: chain.clone(),
            token: chain.currency,
            recipient,
            operator: if own { Address::ZERO } else { signer.account() },
            node: Pinned::new(rpc, chain.id),
            domain: Domain::v2(chain.id),
            hand: Hand { signer, fee_token: chain.currency, max_fee: 500_000 },
            sponsor: None,
            least: Amount::ZERO,
            least_deposit: None,
            settle_deadline: Duration::from_secs(20),
            longest_validity: Duration::from_secs(30),
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

    /// Lets another account than the recipient settle and close too: channels name it as their operator. Only of use where the
    /// signer is the recipient's own, and somebody else settles as well.
    ///
    /// # Errors
    /// [`OperatorError`] for text that is no address, and where the signer could then settle nothing.
    pub fn operator(self, operator: &str) -> Result<Self, OperatorError> {
        let operator = parse_address(operator)?;
        if ![self.recipient, operator].contains(&self.hand.signer.account()) {
            return Err(OperatorError::Signer);
        }
        Ok(Self { operator, ..self })
    }

    /// Pays the fees of the transactions that open channels and add to them: payers need no other token than the one they deposit.
    /// Less than 0.01 is then neither opened with nor added at its cost, unless [another least](Teller::min_deposit) is said.
    ///
    /// # Errors
    /// [`OtherChain`] for a sponsor on another chain.
    pub fn sponsor(self, sponsor: Sponsor) -> Result<Self, OtherChain> {
        if sponsor.chain_id() != self.chain.id {
            return Err(OtherChain);
        }
        Ok(Self { sponsor: Some(sponsor), ..self })
    }

    /// Takes no voucher that raises the total by less than this, in display units of the token; anything unless said otherwise.
    ///
    /// # Errors
    /// [`AmountError`] for what is no decimal, or not exact in the token's units.
    pub fn min_voucher_delta(self, least: &str) -> Result<Self, AmountError> {
        Ok(Self { least: least.parse::<Decimal>()?.to_base_units(DECIMALS)?, ..self })
    }

    /// Opens no channel with less than this, in display units of the token, and suggests as much; anything that covers what is asked
    /// unless said otherwise, and 0.01 where a sponsor pays the fee. Where a sponsor pays the fee no less is added to one either: a deposit of nearly nothing costs the
    /// seller more fees than it can earn.
    ///
    /// # Errors
    /// [`AmountError`] for what is no decimal, or not exact in the token's units.
    pub fn min_deposit(self, least: &str) -> Result<Self, AmountError> {
        let least_deposit = least.parse::<Decimal>()?.to_base_units(DECIMALS)?;
        Ok(Self { least_deposit: Some(least_deposit), ..self })
    }

    /// The least that is deposited, as it was said, or as it has to be where a sponsor pays.
    pub(super) fn least_deposit(&self) -> Amount {
        let unsaid = if self.sponsor.is_some() { LEAST_SPONSORED } else { Amount::ZERO };
        self.least_deposit.unwrap_or(unsaid)
    }

    /// Waits so long for a transaction to be mined before its fate is called unknown; 20 seconds unless said otherwise.
    pub fn settle_deadline(self, settle_deadline: Duration) -> Self {
        Self { settle_deadline, ..self }
    }

    /// Takes deposits that are valid for so long, give or take two seconds; 30 unless said otherwise, as nodes do.
    pub fn longest_validity(self, longest_validity: Duration) -> Self {
        Self { longest_validity, ..self }
    }

    /// Pays the fees of settlements and closes in this token; in the chain's own currency unless said otherwise.
    ///
    /// # Errors
    /// As for [`Teller::currency`].
    pub fn fee_token(mut self, token: &str) -> Result<Self, AddressError> {
        self.hand.fee_token = parse_token(token)?;
        Ok(self)
    }

    /// Pays no more than this for one transaction, in display units of a dollar token; `0.50` unless said otherwise.
    ///
    /// # Errors
    /// [`AmountError`] for what is no decimal, or not exact in the token's units.
    pub fn max_fee(mut self, most: &str) -> Result<Self, AmountError> {
        self.hand.max_fee = most.parse::<Decimal>()?.to_base_units(DECIMALS)?.get();
        Ok(self)
    }

    /// Judges validity by another clock than the system's.
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }
}

/// Why an account cannot be the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OperatorError {
    /// It is no address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The signer is neither the recipient nor the operator, and could settle nothing.
    #[error("the signer is neither the recipient's nor the operator's")]
    Signer,
}
