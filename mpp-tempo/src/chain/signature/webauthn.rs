//! WebAuthn signatures: what a passkey says about a hash, and when Tempo's nodes believe it.

use alloy::primitives::{Address, B256, Bytes};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{
    SignatureError,
    p256::{P256Public, Witnessed},
};

/// What an authenticator answered to a challenge, with its signature brought into the one form that is taken.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WebAuthn {
    /// Authenticator data and client data, one after the other.
    said: Bytes,
    witnessed: Witnessed,
}

impl WebAuthn {
    /// Type byte, numbers and point; what was said may be missing, and is then not believed.
    pub(super) const MIN: usize = 1 + Witnessed::LENGTH;
    /// Nodes read this many bytes after the type byte.
    pub(super) const MAX: usize = 1 + 2048;

    /// Parses the whole signature, type byte included: `0x02 ‖ authenticatorData ‖ clientDataJSON ‖ r ‖ s ‖ x ‖ y`.
    ///
    /// # Errors
    /// [`SignatureError`]; what was said is judged by [`WebAuthn::recover`].
    pub fn parse(bytes: &[u8]) -> Result<Self, SignatureError> {
        let length = || SignatureError::Length(bytes.len());
        if bytes.len() > Self::MAX {
            return Err(length());
        }
        let Some((2, rest)) = bytes.split_first() else { return Err(length()) };
        let (said, numbers) = rest.split_last_chunk().ok_or_else(length)?;
        Ok(Self { said: Bytes::copy_from_slice(said), witnessed: Witnessed::parse(numbers)? })
    }

    /// Puts together what an authenticator answered; its signature is DER, as the browser's API gives it.
    ///
    /// # Errors
    /// [`SignatureError::Der`] for another form, [`SignatureError::Length`] for more than fits a transaction.
    pub fn from_der(
        authenticator_data: &[u8],
        client_data: &[u8],
        der: &[u8],
        key: P256Public,
    ) -> Result<Self, SignatureError> {
        let made = p256::ecdsa::Signature::from_der(der).map_err(|_| SignatureError::Der)?;
        Self::put(authenticator_data, client_data, Witnessed::of(&made, key))
    }

    pub(super) fn put(
        authenticator_data: &[u8],
        client_data: &[u8],
        witnessed: Witnessed,
    ) -> Result<Self, SignatureError> {
        let said = Bytes::from([authenticator_data, client_data].concat());
        let length = said.len() + Self::MIN;
        if length > Self::MAX {
            return Err(SignatureError::Length(length));
        }
        Ok(Self { said, witnessed })
    }

    /// The bytes, type byte included.
    pub fn to_bytes(&self) -> Bytes {
        let mut bytes = vec![2];
        bytes.extend_from_slice(&self.said);
        bytes.extend(self.witnessed.to_bytes());
        bytes.into()
    }

    /// The key that is said to have made it.
    pub fn key(&self) -> P256Public {
        self.witnessed.key()
    }

    /// Checks that the passkey was asked to sign this hash and did, and says for whom it is.
    ///
    /// The authenticator data is 37 bytes, somebody was present, and nothing is attested or extended; the client data
    /// is JSON of type `webauthn.get` whose challenge is the hash. Origin and relying party are not looked at: the
    /// chain knows none.
    ///
    /// # Errors
    /// [`SignatureError::Assertion`] for what was said, [`SignatureError::NoKey`] if the key did not say it.
    pub fn recover(&self, hash: B256) -> Result<Address, SignatureError> {
        let assertion = SignatureError::Assertion;
        let (authenticator, client) = self.said.split_first_chunk::<37>().ok_or(assertion)?;
        let [_relying_party @ .., flags, _, _, _, _] = authenticator;
        if flags & (PRESENT | VERIFIED) == 0 || flags & (ATTESTED | EXTENDED) != 0 {
            return Err(assertion);
        }
        let read: ClientData<'_> = serde_json::from_slice(client).map_err(|_| assertion)?;
        if read.kind != "webauthn.get" || read.challenge != challenge(hash) {
            return Err(assertion);
        }
        self.witnessed.verify(signed(authenticator, client))
    }
}

/// The text that stands for a hash in a passkey's client data: base64url without padding.
pub fn challenge(hash: B256) -> String {
    URL_SAFE_NO_PAD.encode(hash)
}

/// Authenticator data of a relying party whose user was there and was recognised.
pub(crate) fn relying_party(name: &str) -> [u8; 37] {
    let mut data = [0; 37];
    let named = Sha256::digest(name).into_iter().chain([PRESENT | VERIFIED]);
    for (slot, byte) in data.iter_mut().zip(named) {
        *slot = byte;
    }
    data
}

/// The 32 bytes that an authenticator signs.
pub(crate) fn signed(authenticator_data: &[u8], client_data: &[u8]) -> B256 {
    let client = Sha256::digest(client_data);
    let whole = Sha256::new().chain_update(authenticator_data).chain_update(client).finalize();
    B256::from_slice(&whole)
}

/// Members that a node reads. Both are borrowed, as a node's are: a text with an escape in it is not taken.
#[derive(Deserialize)]
struct ClientData<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    challenge: &'a str,
}

const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;
const ATTESTED: u8 = 0x40;
const EXTENDED: u8 = 0x80;
