//! Checks the vouchers of one signer.

use alloy::primitives::{Address, B256};

use crate::chain::signature::{Signature, SignatureError};

/// The signer of a channel's vouchers: its authorised signer where it has one, else its payer.
///
/// Each voucher's signer is recovered, as the chain recovers it. To verify with a key that is known from an earlier voucher would
/// be a seventh faster and wrong: it does not look at the recovery byte, so a voucher with the other one would buy a service
/// that no contract pays for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VoucherKey {
    signer: Address,
}

impl VoucherKey {
    /// Takes vouchers of this signer, and of nobody else.
    pub fn new(signer: Address) -> Self {
        Self { signer }
    }

    /// The signer.
    pub fn signer(&self) -> Address {
        self.signer
    }

    /// Checks a voucher's signature, in the one spelling that contracts take: 65 bytes with a low s and 27 or 28 at the end, or a
    /// P-256 key's or a passkey's. What is wrapped in an account's name, marked by a wallet, or shortened to 64 bytes is none.
    ///
    /// # Errors
    /// [`BadVoucher`].
    pub fn check(&self, digest: B256, signature: &[u8]) -> Result<(), BadVoucher> {
        if matches!(signature, [_numbers @ .., 0 | 1] if signature.len() == 65) {
            return Err(BadVoucher::Malformed);
        }
        let signature = Signature::parse(signature)?;
        if matches!(signature, Signature::Keychain(_)) {
            return Err(BadVoucher::Malformed);
        }
        let made = signature.signer(digest)?;
        if made.account == self.signer { Ok(()) } else { Err(BadVoucher::OtherSigner) }
    }
}

/// Why a voucher's signature is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadVoucher {
    /// No signature of this voucher, or not in the spelling that contracts take.
    #[error("the voucher's signature is malformed, or not of this voucher")]
    Malformed,
    /// A signature, and of another key: or of another amount or channel, which comes to the same.
    #[error("somebody else signed the voucher")]
    OtherSigner,
}

impl From<SignatureError> for BadVoucher {
    fn from(_: SignatureError) -> Self {
        Self::Malformed
    }
}

#[cfg(test)]
mod tests;
