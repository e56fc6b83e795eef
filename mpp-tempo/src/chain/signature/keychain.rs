//! Keychain signatures: an account's access key signs in the account's name.

use alloy::primitives::{Address, B256, Bytes, keccak256};

use super::{Recovered, Signature, SignatureError, SignatureKind, WebAuthn};

/// An access key's signature under the name of the account it belongs to: `0x04 ‖ account ‖ signature`.
///
/// Its first version, 0x03, let whoever held a signature put another account's name over it. Chains refuse it since
/// their fork T1C, and so does this.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Keychain {
    account: Address,
    inner: Box<Signature>,
}

impl Keychain {
    /// Type byte, account, and the smallest signature.
    pub(super) const MIN: usize = 1 + 20 + 65;
    /// The same around the largest signature.
    pub(super) const MAX: usize = 1 + 20 + WebAuthn::MAX;

    /// Puts an account's name over a signature of [`Keychain::hash`] that one of its access keys made.
    ///
    /// # Errors
    /// [`SignatureError::Nested`] around another keychain signature.
    pub fn new(account: Address, inner: Signature) -> Result<Self, SignatureError> {
        if inner.kind() == SignatureKind::Keychain {
            return Err(SignatureError::Nested);
        }
        Ok(Self { account, inner: Box::new(inner) })
    }

    /// Parses the whole signature, type byte included.
    ///
    /// # Errors
    /// [`SignatureError::Unsupported`] for the first version, else as [`Signature::parse`] of what is inside.
    pub fn parse(bytes: &[u8]) -> Result<Self, SignatureError> {
        let length = || SignatureError::Length(bytes.len());
        let (version, rest) = bytes.split_first().ok_or_else(length)?;
        let (account, inner) = rest.split_first_chunk::<20>().ok_or_else(length)?;
        match version {
            4 => Self::new(account.into(), Signature::parse(inner)?),
            3 => Err(SignatureError::Unsupported(SignatureKind::Keychain)),
            _ => Err(length()),
        }
    }

    /// The bytes, type byte included.
    pub fn to_bytes(&self) -> Bytes {
        let mut bytes = vec![4];
        bytes.extend_from_slice(self.account.as_slice());
        bytes.extend_from_slice(&self.inner.to_bytes());
        bytes.into()
    }

    /// What an access key signs in place of a hash, so that its signature is good for one account alone.
    pub fn hash(hash: B256, account: Address) -> B256 {
        keccak256([&[4], hash.as_slice(), account.as_slice()].concat())
    }

    /// The account in whose name it is.
    pub fn account(&self) -> Address {
        self.account
    }

    /// The access key's own signature.
    pub fn inner(&self) -> &Signature {
        &self.inner
    }

    /// Checks the access key's signature, and names the account with the key. Whether the key is the account's,
    /// only the chain can tell.
    ///
    /// # Errors
    /// As [`Signature::recover`].
    pub fn recover(&self, hash: B256) -> Result<Recovered, SignatureError> {
        let Recovered { account: key, kind, .. } =
            self.inner.signer(Self::hash(hash, self.account))?;
        Ok(Recovered { account: self.account, access_key: Some(key), kind })
    }
}
