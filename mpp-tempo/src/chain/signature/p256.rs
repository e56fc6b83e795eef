//! P-256 signatures and keys: the curve that browsers, phones and passkeys sign on.

use std::fmt;

use alloy::primitives::{Address, B256, Bytes, U256, keccak256, uint};
use p256::{
    EncodedPoint,
    ecdsa::{
        Signature, SigningKey, VerifyingKey,
        signature::hazmat::{PrehashSigner, PrehashVerifier},
    },
};
use sha2::{Digest, Sha256};

use super::SignatureError;

/// The point of a P-256 key: the account that it signs for is a hash of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct P256Public {
    /// Its first coordinate.
    pub x: B256,
    /// Its second coordinate.
    pub y: B256,
}

impl P256Public {
    /// The account, or the access key, that this key signs for.
    pub fn address(&self) -> Address {
        Address::from_word(keccak256([self.x, self.y].concat()))
    }

    /// `None` for coordinates that are no point of the curve, or are spelled with too large a number.
    fn verifying(&self) -> Option<VerifyingKey> {
        let point =
            EncodedPoint::from_affine_coordinates(&self.x.0.into(), &self.y.0.into(), false);
        VerifyingKey::from_encoded_point(&point).ok()
    }
}

/// The last 128 bytes of both kinds of P-256 signature: `r ‖ s ‖ x ‖ y`, with s in the lower half.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Witnessed {
    r: B256,
    s: B256,
    key: P256Public,
}

impl Witnessed {
    pub(super) const LENGTH: usize = 128;

    pub(super) fn parse(bytes: &[u8; Self::LENGTH]) -> Result<Self, SignatureError> {
        let (numbers, point) = bytes.split_at(64);
        let (r, s) = numbers.split_at(32);
        let (x, y) = point.split_at(32);
        let [r, s, x, y] = [r, s, x, y].map(B256::from_slice);
        let [first, second] = [r, s].map(|number| U256::from_be_bytes(number.0));
        if first.is_zero() || second.is_zero() || first >= ORDER || second >= ORDER {
            return Err(SignatureError::Range);
        }
        if second > ORDER >> 1 {
            return Err(SignatureError::HighS);
        }
        Ok(Self { r, s, key: P256Public { x, y } })
    }

    /// Puts a key to a signature that it made; a high s is brought down.
    pub(super) fn of(made: &Signature, key: P256Public) -> Self {
        let low = made.normalize_s().unwrap_or(*made);
        let (r, s) = low.split_bytes();
        Self { r: B256::from_slice(&r), s: B256::from_slice(&s), key }
    }

    pub(super) fn to_bytes(self) -> Vec<u8> {
        [self.r, self.s, self.key.x, self.key.y].concat()
    }

    pub(super) fn key(&self) -> P256Public {
        self.key
    }

    /// Checks the signature of exactly these 32 bytes, and says whose it is.
    pub(super) fn verify(&self, signed: B256) -> Result<Address, SignatureError> {
        let made =
            Signature::from_scalars(self.r.0, self.s.0).map_err(|_| SignatureError::Range)?;
        let key = self.key.verifying().ok_or(SignatureError::NoKey)?;
        key.verify_prehash(signed.as_slice(), &made).map_err(|_| SignatureError::NoKey)?;
        Ok(self.key.address())
    }
}

/// A P-256 signature with the key that made it, TIP-1020's type 0x01: `0x01 ‖ r ‖ s ‖ x ‖ y ‖ prehash`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct P256 {
    witnessed: Witnessed,
    prehash: bool,
}

impl P256 {
    /// Type byte, numbers, point and flag.
    pub(super) const LENGTH: usize = 1 + Witnessed::LENGTH + 1;

    /// Parses the whole signature, type byte included.
    ///
    /// Nodes take any last byte but zero for "hashed once more". Only 1 is taken here, so that nobody can turn a
    /// signature into another one.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, SignatureError> {
        let [1, numbers @ .., prehash] = bytes else {
            return Err(SignatureError::Length(bytes.len()));
        };
        let numbers = numbers.try_into().map_err(|_| SignatureError::Length(bytes.len()))?;
        let prehash = match prehash {
            0 => false,
            1 => true,
            other => return Err(SignatureError::Prehash(*other)),
        };
        Ok(Self { witnessed: Witnessed::parse(numbers)?, prehash })
    }

    /// The 130 bytes, type byte included.
    pub fn to_bytes(&self) -> Bytes {
        let mut bytes = vec![1];
        bytes.extend(self.witnessed.to_bytes());
        bytes.push(self.prehash.into());
        bytes.into()
    }

    /// The key that is said to have made it.
    pub fn key(&self) -> P256Public {
        self.witnessed.key
    }

    /// Whether SHA-256 of the hash was signed, which is all that a browser's own keys can sign.
    pub fn is_prehashed(&self) -> bool {
        self.prehash
    }

    /// Checks the signature of a hash, and says for whom it is.
    ///
    /// # Errors
    /// [`SignatureError::NoKey`] if the key it names is none, or did not make it.
    pub fn recover(&self, hash: B256) -> Result<Address, SignatureError> {
        self.witnessed.verify(if self.prehash { sha256(hash) } else { hash })
    }
}

/// A P-256 key held in memory. Wiped when dropped.
pub struct P256Key {
    secret: SigningKey,
    public: P256Public,
    prehash: bool,
}

impl P256Key {
    /// Takes the 32 bytes of a secret key.
    ///
    /// # Errors
    /// [`SignatureError::Key`] for zero and for numbers outside the curve's order.
    pub fn new(secret: [u8; 32]) -> Result<Self, SignatureError> {
        let secret = SigningKey::from_bytes(&secret.into()).map_err(|_| SignatureError::Key)?;
        let point = secret.verifying_key().to_encoded_point(false);
        let (Some(x), Some(y)) = (point.x(), point.y()) else { return Err(SignatureError::Key) };
        let public = P256Public { x: B256::from_slice(x), y: B256::from_slice(y) };
        Ok(Self { secret, public, prehash: false })
    }

    /// Signs SHA-256 of each hash from now on, as a browser's keys do; the same account either way.
    pub fn prehashing(self) -> Self {
        Self { prehash: true, ..self }
    }

    /// The point that others know this key by.
    pub fn public(&self) -> P256Public {
        self.public
    }

    /// The account this key signs for.
    pub fn address(&self) -> Address {
        self.public.address()
    }

    /// Signs a hash; the same hash always gives the same signature (RFC 6979).
    ///
    /// # Errors
    /// [`SignatureError::Key`] where the curve allows no signature, which no hash is known to bring about.
    pub fn sign(&self, hash: B256) -> Result<P256, SignatureError> {
        let signed = if self.prehash { sha256(hash) } else { hash };
        Ok(P256 { witnessed: self.witness(signed)?, prehash: self.prehash })
    }

    /// Signs exactly these 32 bytes, and answers as authenticators do.
    pub(crate) fn sign_der(&self, signed: B256) -> Result<Vec<u8>, SignatureError> {
        Ok(self.make(signed)?.to_der().as_bytes().to_vec())
    }

    /// Signs exactly these 32 bytes.
    pub(super) fn witness(&self, signed: B256) -> Result<Witnessed, SignatureError> {
        Ok(Witnessed::of(&self.make(signed)?, self.public))
    }

    fn make(&self, signed: B256) -> Result<Signature, SignatureError> {
        self.secret.sign_prehash(signed.as_slice()).map_err(|_| SignatureError::Key)
    }
}

impl fmt::Debug for P256Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("P256Key").field("address", &self.address()).finish_non_exhaustive()
    }
}

fn sha256(hash: B256) -> B256 {
    B256::from_slice(&Sha256::digest(hash))
}

/// The order of the curve's group.
pub(super) const ORDER: U256 =
    uint!(0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551_U256);
