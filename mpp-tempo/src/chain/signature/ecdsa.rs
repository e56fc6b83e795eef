//! secp256k1 signatures and keys: the one place that speaks to libsecp256k1.

use std::{fmt, str::FromStr, sync::LazyLock};

use alloy::primitives::{Address, B256, U256, hex, keccak256, uint};
use secp256k1::{
    All, Message, PublicKey, Secp256k1, SecretKey,
    ecdsa::{RecoverableSignature, RecoveryId},
};

use super::SignatureError;

/// A secp256k1 signature in the one form money is judged on: r and s in range, s in the lower half.
///
/// Because no second form of it exists, nobody can turn a signature seen on the wire into another valid one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ecdsa {
    r: U256,
    s: U256,
    odd_y: bool,
}

impl Ecdsa {
    /// Builds a signature from its numbers, as a fee payer's stand in a transaction.
    ///
    /// # Errors
    /// [`SignatureError::Range`] for a number outside the curve's order, [`SignatureError::HighS`] for the upper half.
    pub fn new(r: U256, s: U256, odd_y: bool) -> Result<Self, SignatureError> {
        if r.is_zero() || s.is_zero() || r >= ORDER || s >= ORDER {
            return Err(SignatureError::Range);
        }
        if s > ORDER >> 1 {
            return Err(SignatureError::HighS);
        }
        Ok(Self { r, s, odd_y })
    }

    /// Parses exactly 65 bytes `r ‖ s ‖ v`.
    ///
    /// v is 27 or 28, or 0 or 1: nodes take both and hash the first, so both become the same value here and
    /// everything derived from a signature is derived from the canonical bytes.
    ///
    /// # Errors
    /// As [`Ecdsa::new`], and for any other length or v.
    pub fn parse(bytes: &[u8]) -> Result<Self, SignatureError> {
        let bytes: &[u8; 65] = bytes.try_into().map_err(|_| SignatureError::Length(bytes.len()))?;
        let [numbers @ .., v] = bytes;
        let (r, s) = numbers.split_at(32);
        let odd_y = match v {
            0 | 27 => false,
            1 | 28 => true,
            other => return Err(SignatureError::Parity(*other)),
        };
        Self::new(U256::from_be_slice(r), U256::from_be_slice(s), odd_y)
    }

    /// The 65 bytes `r ‖ s ‖ v`, v being 27 or 28.
    pub fn to_bytes(&self) -> [u8; 65] {
        let mut bytes = [27 + u8::from(self.odd_y); 65];
        let numbers = self.r.to_be_bytes::<32>().into_iter().chain(self.s.to_be_bytes::<32>());
        for (slot, byte) in bytes.iter_mut().zip(numbers) {
            *slot = byte;
        }
        bytes
    }

    /// The first number.
    pub fn r(&self) -> U256 {
        self.r
    }

    /// The second number, never above half the order.
    pub fn s(&self) -> U256 {
        self.s
    }

    /// Whether the y of the nonce's point is odd: `yParity`.
    pub fn odd_y(&self) -> bool {
        self.odd_y
    }

    /// Recovers the account that signed a hash. Some account is recovered from almost any signature: compare it.
    ///
    /// # Errors
    /// [`SignatureError::NoKey`] if no key can have made this signature.
    pub fn recover(&self, hash: B256) -> Result<Address, SignatureError> {
        let id = if self.odd_y { RecoveryId::One } else { RecoveryId::Zero };
        let bytes = self.to_bytes();
        let (compact, _) = bytes.split_at(64);
        RecoverableSignature::from_compact(compact, id)
            .and_then(|signature| CURVE.recover_ecdsa(Message::from_digest(hash.0), &signature))
            .map(|key| address_of(&key))
            .map_err(|_| SignatureError::NoKey)
    }
}

impl TryFrom<alloy::primitives::Signature> for Ecdsa {
    type Error = SignatureError;

    /// Takes what an alloy signer made; a high s, as some hardware answers, is brought down, not refused.
    fn try_from(made: alloy::primitives::Signature) -> Result<Self, SignatureError> {
        let low = made.normalized_s();
        Self::new(low.r(), low.s(), low.v())
    }
}

/// A secp256k1 key held in memory: a sponsor's, or a payer's without a wallet of its own. Wiped when dropped.
pub struct Key {
    secret: SecretKey,
    address: Address,
}

impl Key {
    /// Takes the 32 bytes of a secret key.
    ///
    /// # Errors
    /// [`SignatureError::Key`] for zero and for numbers outside the curve's order.
    pub fn new(secret: [u8; 32]) -> Result<Self, SignatureError> {
        let secret = SecretKey::from_byte_array(secret).map_err(|_| SignatureError::Key)?;
        Ok(Self { address: address_of(&secret.public_key(&CURVE)), secret })
    }

    /// The account this key signs for.
    pub fn address(&self) -> Address {
        self.address
    }

    /// Signs a hash; the same hash always gives the same signature (RFC 6979).
    pub fn sign(&self, hash: B256) -> Ecdsa {
        let made = CURVE.sign_ecdsa_recoverable(Message::from_digest(hash.0), &self.secret);
        let (id, compact) = made.serialize_compact();
        let (r, s) = compact.split_at(32);
        let odd_y = matches!(id, RecoveryId::One | RecoveryId::Three);
        Ecdsa { r: U256::from_be_slice(r), s: U256::from_be_slice(s), odd_y }
    }
}

impl FromStr for Key {
    type Err = SignatureError;

    /// Parses `0x` and 64 hex digits.
    fn from_str(text: &str) -> Result<Self, SignatureError> {
        let digits = text.strip_prefix("0x").filter(|digits| digits.len() == 64);
        let mut secret = [0; 32];
        hex::decode_to_slice(digits.ok_or(SignatureError::Key)?, &mut secret)
            .map_err(|_| SignatureError::Key)?;
        Self::new(secret)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.secret.non_secure_erase();
    }
}

/// The order of the curve's group.
pub(super) const ORDER: U256 =
    uint!(0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141_U256);

static CURVE: LazyLock<Secp256k1<All>> = LazyLock::new(Secp256k1::new);

fn address_of(key: &PublicKey) -> Address {
    let point = key.serialize_uncompressed();
    let (_, coordinates) = point.split_at(1);
    Address::from_word(keccak256(coordinates))
}
