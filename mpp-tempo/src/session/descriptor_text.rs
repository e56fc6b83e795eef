//! A channel's descriptor as it stands in JSON: seven texts, bounded and not yet believed.

use serde::{Deserialize, Deserializer, Serialize, de};

/// What a channel of version 2 is made of, each member as it came. Read it with `Descriptor::try_from`.
///
/// Members stand in the order in which deployed peers write them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DescriptorText {
    /// Whose vouchers are good; the zero address is the payer.
    #[serde(deserialize_with = "short")]
    pub authorized_signer: String,
    /// The identity of the transaction that opened it.
    #[serde(deserialize_with = "short")]
    pub expiring_nonce_hash: String,
    /// Who may settle and close for the payee; the zero address is nobody else.
    #[serde(deserialize_with = "short")]
    pub operator: String,
    /// Who is paid.
    #[serde(deserialize_with = "short")]
    pub payee: String,
    /// Who deposited.
    #[serde(deserialize_with = "short")]
    pub payer: String,
    /// What tells two channels of the same parties apart.
    #[serde(deserialize_with = "short")]
    pub salt: String,
    /// In which token.
    #[serde(deserialize_with = "short")]
    pub token: String,
}

/// The longest member: `0x` and 64 hex digits.
const LONGEST: usize = 66;

fn short<'de, D: Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    let text = String::deserialize(d)?;
    if text.len() > LONGEST { Err(de::Error::custom("a member is too long")) } else { Ok(text) }
}
