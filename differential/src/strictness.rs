//! The classes of what the chain's crate accepts and we refuse, each with an example.

use std::fmt;

use alloy::primitives::{Address, U256, uint};
use mpp_tempo::chain::{
    keychain::AuthorizationError,
    signature::{Key, SignatureError},
    transaction::{Call, DecodeError, FeePayer, MAX_BYTES, Signed, Transaction},
};

use crate::{forms, signers};

/// Why we refuse what the chain's crate reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// A call without a receiver: no payment creates a contract.
    Creation,
    /// More calls than nodes take, though their codec reads them.
    ManyCalls,
    /// More bytes than any payment has.
    TooLong,
    /// An s in the upper half: nodes read it and recover nobody from it.
    HighS,
    /// A number outside the curve's order: nodes read it and recover nobody.
    Range,
    /// A recovery byte as EIP-155 has them, from 35 on: nodes write it as 27 or 28.
    Parity,
    /// A P-256 signature's last byte above 1: nodes write it as 1.
    Prehash,
    /// A signature that ends as a wallet's own mark does.
    Mark,
    /// A keychain signature's first version: nodes read it and run it no more.
    FirstKeychain,
    /// A payment that awaits its sponsor and names a fee token, which its sender did not sign.
    FeeToken,
    /// An envelope that names somebody else than who signed.
    Stranger,
}

impl Class {
    pub(crate) const ALL: [Self; 11] = [
        Self::Creation,
        Self::ManyCalls,
        Self::TooLong,
        Self::HighS,
        Self::Range,
        Self::Parity,
        Self::Prehash,
        Self::Mark,
        Self::FirstKeychain,
        Self::FeeToken,
        Self::Stranger,
    ];

    /// The class of a refusal; `None` for what both sides should refuse.
    pub(crate) fn of(error: &DecodeError) -> Option<Self> {
        Some(match error {
            DecodeError::Creation => Self::Creation,
            DecodeError::Calls(33..) => Self::ManyCalls,
            DecodeError::TooLong(_) => Self::TooLong,
            DecodeError::FeeToken => Self::FeeToken,
            DecodeError::Sender => Self::Stranger,
            DecodeError::Signature(error)
            | DecodeError::Authorization(AuthorizationError::Signature(error)) => {
                return Self::of_signature(error);
            }
            _ => return None,
        })
    }

    fn of_signature(error: &SignatureError) -> Option<Self> {
        Some(match error {
            SignatureError::HighS => Self::HighS,
            SignatureError::Range => Self::Range,
            SignatureError::Parity(35..) => Self::Parity,
            SignatureError::Prehash(_) => Self::Prehash,
            SignatureError::Magic => Self::Mark,
            SignatureError::Unsupported(_) => Self::FirstKeychain,
            // Of an envelope whose signature recovers nobody: it names somebody all the same.
            SignatureError::NoKey | SignatureError::Assertion => Self::Stranger,
            _ => return None,
        })
    }

    /// Bytes of this class.
    pub(crate) fn example(self) -> anyhow::Result<Vec<u8>> {
        let key = Key::new([7; 32])?;
        let good = payment(FeePayer::Sender).sign(&key);
        let signature = good.signature.to_bytes().to_vec();
        let edited = |at: usize, to: &[u8]| {
            let mut bytes = signature.clone();
            for (byte, to) in bytes.iter_mut().skip(at).zip(to) {
                *byte = *to;
            }
            with_signature(&good, &bytes)
        };
        let s = U256::from_be_slice(signature.get(32..64).unwrap_or_default());
        let awaited = || payment(FeePayer::Awaited).sign(&key);
        let call = |count: usize| vec![payment(FeePayer::Sender).calls; count].concat();
        Ok(match self {
            Self::Creation => with_field(&good.encode(), CALLS, &[0xc4, 0xc3, 0x80, 0x80, 0x80]),
            Self::ManyCalls => {
                Transaction { calls: call(33), ..good.transaction }.sign(&key).encode()
            }
            Self::TooLong => {
                let data = vec![7; MAX_BYTES].into();
                let calls = vec![Call { to: Address::ZERO, value: U256::ZERO, data }];
                Transaction { calls, ..good.transaction }.sign(&key).encode()
            }
            Self::HighS => edited(32, &(ORDER - s).to_be_bytes::<32>()),
            Self::Range => edited(0, &[0; 32]),
            Self::Parity => edited(64, &[37]),
            Self::Prehash => {
                let p256 = signers::Signer::P256 { key: 7, prehash: true };
                let mut bytes = p256.sign(good.transaction.signing_hash())?.to_bytes().to_vec();
                let flag = bytes.pop().map(|_| 2);
                bytes.extend(flag);
                with_signature(&good, &bytes)
            }
            Self::Mark => {
                let passkey = [&[2], [0x77; 160].as_slice()].concat();
                with_signature(&good, &passkey)
            }
            Self::FirstKeychain => {
                let bytes = [&[3], Address::ZERO.as_slice(), &signature].concat();
                with_signature(&good, &bytes)
            }
            Self::FeeToken => {
                let token = [&[0x94], [0x20; 20].as_slice()].concat();
                with_field(&awaited().encode(), FEE_TOKEN, &token)
            }
            Self::Stranger => {
                let stranger = [&[0x94], [0x99; 20].as_slice()].concat();
                with_field(&awaited().envelope()?, forms::SLOT, &stranger)
            }
        })
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Creation => "a call creates a contract",
            Self::ManyCalls => "more than 32 calls",
            Self::TooLong => "more than 64 KiB",
            Self::HighS => "s in the upper half",
            Self::Range => "r or s out of range",
            Self::Parity => "a recovery byte from 35 on",
            Self::Prehash => "a prehash byte above 1",
            Self::Mark => "a wallet's mark at the end",
            Self::FirstKeychain => "a keychain signature's first version",
            Self::FeeToken => "an awaited sponsor's fee token",
            Self::Stranger => "an envelope of somebody else",
        })
    }
}

fn payment(fee_payer: FeePayer) -> Transaction {
    let call = Call { to: Address::repeat_byte(0x20), value: U256::ZERO, data: [7; 36].into() };
    Transaction { calls: vec![call], fee_payer, ..Transaction::on(42431) }
}

fn with_signature(signed: &Signed, bytes: &[u8]) -> Vec<u8> {
    let raw = alloy::rlp::encode(bytes);
    let last = forms::split(&signed.encode()).map_or(0, |(_, fields)| fields.len() - 1);
    with_field(&signed.encode(), last, &raw)
}

fn with_field(bytes: &[u8], at: usize, raw: &[u8]) -> Vec<u8> {
    let Some((kind, mut fields)) = forms::split(bytes) else { return Vec::new() };
    if let Some(field) = fields.get_mut(at) {
        *field = raw.to_vec();
    }
    forms::join(kind, &fields)
}

const CALLS: usize = 4;
const FEE_TOKEN: usize = 10;
const ORDER: U256 = uint!(0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141_U256);
