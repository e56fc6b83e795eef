//! Why the reserve refused a call.

use alloy::primitives::hex;

use crate::chain::rpc::RpcError;

/// A refusal of the reserve, by the name it gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ReserveError {
    /// A transaction opened the same channel twice.
    #[error("the channel exists already")]
    ChannelAlreadyExists,
    /// It never was, or has ended.
    #[error("there is no such channel")]
    ChannelNotFound,
    /// Only the payer may.
    #[error("the sender is not the channel's payer")]
    NotPayer,
    /// Only the payee or the operator may.
    #[error("the sender is neither the channel's payee nor its operator")]
    NotPayeeOrOperator,
    /// The payee is nobody, or a token.
    #[error("nobody can be paid at the payee's address")]
    InvalidPayee,
    /// The token is none.
    #[error("no token is at the token's address")]
    InvalidToken,
    /// Nothing was deposited.
    #[error("nothing was deposited")]
    ZeroDeposit,
    /// The transaction that opens a channel has no expiring nonce.
    #[error("the transaction has no expiring nonce")]
    ExpiringNonceHashNotSet,
    /// The signer did not sign the voucher.
    #[error("the voucher's signature is not the channel's signer's")]
    InvalidSignature,
    /// More than was deposited.
    #[error("the amount exceeds the deposit")]
    AmountExceedsDeposit,
    /// No more than was taken already.
    #[error("the amount is no more than what was settled")]
    AmountNotIncreasing,
    /// Less than was taken already, or more than the voucher is good for.
    #[error("the captured amount is below what was settled, or above the voucher")]
    CaptureAmountInvalid,
    /// The grace is not over, or the payer has not asked.
    #[error("the channel cannot be withdrawn from yet")]
    CloseNotReady,
    /// More than 96 bits.
    #[error("the deposit exceeds 96 bits")]
    DepositOverflow,
}

impl ReserveError {
    /// Reads what a call reverted with: a selector and nothing else.
    pub fn read(data: &[u8]) -> Option<Self> {
        ALL.iter().find(|(_, selector)| selector == data).map(|(error, _)| *error)
    }

    /// Reads it from a node's refusal of a call, where the node's words hold the selector. `None` says nothing.
    pub fn told(error: &RpcError) -> Option<Self> {
        let RpcError::Refused(refused) = error else { return None };
        let words = refused.private_text().split(|char: char| !char.is_ascii_alphanumeric());
        let selectors = words.filter_map(|word| word.strip_prefix("0x"));
        selectors.filter_map(|digits| hex::decode(digits).ok()).find_map(|data| Self::read(&data))
    }
}

pub(super) const ALL: [(ReserveError, [u8; 4]); 14] = [
    (ReserveError::ChannelAlreadyExists, [0x0e, 0xc0, 0xf1, 0x49]),
    (ReserveError::ChannelNotFound, [0x1e, 0x07, 0xdd, 0x94]),
    (ReserveError::NotPayer, [0x14, 0x35, 0xe3, 0x57]),
    (ReserveError::NotPayeeOrOperator, [0x62, 0x6a, 0x2a, 0x3d]),
    (ReserveError::InvalidPayee, [0xb3, 0x87, 0xa2, 0x38]),
    (ReserveError::InvalidToken, [0xc1, 0xab, 0x6d, 0xc1]),
    (ReserveError::ZeroDeposit, [0x56, 0x31, 0x6e, 0x87]),
    (ReserveError::ExpiringNonceHashNotSet, [0x10, 0x2f, 0x04, 0xa9]),
    (ReserveError::InvalidSignature, [0x8b, 0xaa, 0x57, 0x9f]),
    (ReserveError::AmountExceedsDeposit, [0xbd, 0x0d, 0x71, 0x38]),
    (ReserveError::AmountNotIncreasing, [0x32, 0xd2, 0xc1, 0xa3]),
    (ReserveError::CaptureAmountInvalid, [0xc9, 0x18, 0x33, 0xa1]),
    (ReserveError::CloseNotReady, [0x02, 0xb8, 0x1e, 0x29]),
    (ReserveError::DepositOverflow, [0x11, 0x32, 0x98, 0x1b]),
];
