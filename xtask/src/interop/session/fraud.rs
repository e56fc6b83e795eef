//! Ways to cheat a seller of sessions, and what each is refused as.

use crate::interop::{flow::Pair, party::Sdk};

/// What is shown in place of the next voucher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fraud {
    /// A good voucher, of a channel that nobody opened.
    ForeignChannel,
    /// An amount with a sign.
    SignedAmount,
    /// An amount in hex.
    HexAmount,
    /// The other signature of the same voucher, which the curve allows and the chain does not.
    HighS,
    /// The same signature in 64 bytes.
    ShortSignature,
    /// A voucher of somebody else's key.
    ForeignKey,
    /// A voucher for less than the one before.
    LowerVoucher,
    /// A voucher for more than was ever paid in.
    OverDeposit,
    /// The opening, once more.
    ReplayedOpen,
    /// A descriptor with a member that has no end.
    OversizedDescriptor,
}

/// Every way.
pub(super) const FRAUDS: &[Fraud] = &[
    Fraud::ForeignChannel,
    Fraud::SignedAmount,
    Fraud::HexAmount,
    Fraud::HighS,
    Fraud::ShortSignature,
    Fraud::ForeignKey,
    Fraud::LowerVoucher,
    Fraud::OverDeposit,
    Fraud::ReplayedOpen,
    Fraud::OversizedDescriptor,
];

impl Fraud {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::ForeignChannel => "foreign channel id",
            Self::SignedAmount => "amount with +",
            Self::HexAmount => "amount in hex",
            Self::HighS => "high s",
            Self::ShortSignature => "signature of 64 bytes",
            Self::ForeignKey => "foreign key",
            Self::LowerVoucher => "lower voucher",
            Self::OverDeposit => "voucher over the deposit",
            Self::ReplayedOpen => "replayed open",
            Self::OversizedDescriptor => "oversized descriptor",
        }
    }

    /// Whether a server can be asked to refuse it: mppx's takes both signatures of a voucher, though the chain takes one alone.
    pub(super) fn is_played(self, pair: &Pair) -> bool {
        match pair.server {
            Sdk::Ours => true,
            Sdk::Legacy => false,
            _ => self != Self::HighS,
        }
    }

    /// What this SDK's server calls it, as the end of a problem's type. Others have words of their own.
    pub(super) const fn problem(self) -> &'static str {
        match self {
            // Its descriptor is of another channel.
            Self::ForeignChannel => "verification-failed",
            Self::SignedAmount | Self::HexAmount | Self::OversizedDescriptor => "invalid-payload",
            Self::HighS | Self::ShortSignature => "invalid-signature",
            Self::ForeignKey => "signer-mismatch",
            Self::LowerVoucher => "verification-failed",
            Self::OverDeposit => "amount-exceeds-deposit",
            // It is the voucher of before, and nothing is left of that.
            Self::ReplayedOpen => "insufficient-balance",
        }
    }
}
