//! What a verifier's challenges ask for beside an amount: shares, a memo, modes.

use mpp_core::{
    Amount,
    amount::{AmountError, Decimal},
    intent::{ChargeTerms, PriceError},
};

use super::{Verifier, asked};
use crate::{
    chain::{AddressError, DECIMALS, parse_address},
    charge::{Details, MAX_SPLITS, Mode, Split},
};

/// What is asked of every payer in the same words.
#[derive(Clone, Debug, Default)]
pub(super) struct Offered {
    splits: Vec<Split>,
    memo: Option<String>,
    modes: Option<Vec<Mode>>,
}

impl Offered {
    pub(super) fn splits(&self) -> &[Split] {
        &self.splits
    }
}

impl Verifier {
    /// Gives somebody else a share of every payment, in display units of the token; the recipient gets what is left.
    /// At most ten have one.
    ///
    /// # Errors
    /// [`ShareError`].
    pub fn share(self, with: &str, amount: &str) -> Result<Self, ShareError> {
        self.shared(with, amount, None)
    }

    /// Gives somebody a share by a transfer that bears this memo: `0x` and 64 hex digits.
    ///
    /// # Errors
    /// [`ShareError`].
    pub fn share_with_memo(self, with: &str, amount: &str, memo: &str) -> Result<Self, ShareError> {
        asked::parse_memo(memo).ok_or(ShareError::Memo)?;
        self.shared(with, amount, Some(memo.to_owned()))
    }

    /// Wants this memo on the recipient's transfer, in place of the one that names the challenge.
    ///
    /// Such a payment can be told from another of the same amount by nothing but its transaction, so that only transactions
    /// which this server sends itself are taken: pull mode, and nothing that was mined before it was shown. Servers that ask for
    /// one memo need one durable store between them: two that know nothing of each other may serve one payment twice.
    ///
    /// # Errors
    /// [`ShareError::Memo`] for anything but `0x` and 64 hex digits.
    pub fn memo(mut self, memo: &str) -> Result<Self, ShareError> {
        asked::parse_memo(memo).ok_or(ShareError::Memo)?;
        self.offered.memo = Some(memo.to_owned());
        Ok(self)
    }

    /// Takes payments in these modes only; in each that is possible unless said otherwise.
    pub fn modes(mut self, modes: impl IntoIterator<Item = Mode>) -> Self {
        self.offered.modes = Some(modes.into_iter().collect());
        self
    }

    fn shared(
        mut self,
        with: &str,
        amount: &str,
        memo: Option<String>,
    ) -> Result<Self, ShareError> {
        let recipient = parse_address(with)?.to_string();
        let amount = amount.parse::<Decimal>()?.to_base_units(DECIMALS)?;
        if amount == Amount::new(0) {
            return Err(ShareError::Nothing);
        }
        if self.offered.splits.len() == MAX_SPLITS {
            return Err(ShareError::TooMany);
        }
        self.offered.splits.push(Split { amount, recipient, memo, extra: serde_json::Map::new() });
        Ok(self)
    }

    /// Whether a mode is left in which a payment could be made: a memo or a sponsor leaves pull alone.
    pub(super) fn is_payable(&self) -> Result<(), PriceError> {
        let pulls = |modes: &[Mode]| modes.contains(&Mode::Pull);
        match &self.offered.modes {
            Some(modes) if self.is_pull_only() && !pulls(modes) => Err(PriceError::Unpayable),
            Some(modes) if !pulls(modes) && !modes.contains(&Mode::Push) => {
                Err(PriceError::Unpayable)
            }
            _ => Ok(()),
        }
    }

    /// A hash is told from another's by the memo that names the challenge, and is paid for already.
    fn is_pull_only(&self) -> bool {
        self.offered.memo.is_some() || self.is_sponsored()
    }

    /// The details of a challenge on these terms. Nothing is shared out of nothing, and a proof has no mode.
    pub(in crate::charge) fn details_of(&self, terms: &ChargeTerms) -> Details {
        let chain_id = Some(self.node.chain_id());
        if terms.amount.is_zero() {
            return Details { chain_id, ..Details::default() };
        }
        let Offered { splits, memo, modes } = &self.offered;
        let pull_only = self.is_pull_only();
        let supported_modes = match modes {
            Some(modes) if pull_only => {
                Some(modes.iter().filter(|mode| **mode == Mode::Pull).cloned().collect())
            }
            None if pull_only => Some(vec![Mode::Pull]),
            modes => modes.clone(),
        };
        Details {
            chain_id,
            fee_payer: self.is_sponsored().then_some(true),
            memo: memo.clone(),
            splits: (!splits.is_empty()).then(|| splits.clone()),
            supported_modes,
            ..Details::default()
        }
    }
}

/// Why a share or a memo cannot be asked for.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ShareError {
    /// Whoever is to get it is no address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The amount is no decimal, or not exact in the token's units.
    #[error(transparent)]
    Amount(#[from] AmountError),
    /// A share of nothing.
    #[error("a share is more than nothing")]
    Nothing,
    /// There are ten already.
    #[error("a payment has at most ten shares")]
    TooMany,
    /// The memo is not 32 bytes of hex.
    #[error("a memo is `0x` and 64 hex digits")]
    Memo,
}
