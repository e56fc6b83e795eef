//! Proofs of account: what is signed where nothing is paid.

use anyhow::{Context, ensure};
use mpp_tempo::{
    chain::{
        did::Did,
        signature::{Key, Signature},
    },
    charge::proof::proof_digest,
};
use serde_json::{Value, json};

use super::{
    super::{member, text_of},
    bytes, hex,
};

/// The proof of an account towards one challenge of one realm.
pub(in super::super) fn sign(input: &Value) -> anyhow::Result<Value> {
    let key: Key = text_of(input, "privateKey")?.parse()?;
    let (chain_id, address) = (chain_id(input)?, key.address());
    let (challenge, realm) = (text_of(input, "challengeId")?, text_of(input, "realm")?);
    let digest = proof_digest(chain_id, address, challenge, realm);
    Ok(json!({
        "address": address.to_string(), "digest": digest.to_string(),
        "signature": hex(&key.sign(digest).to_bytes()),
        "source": Did { chain_id, address }.to_string(),
    }))
}

/// Whether a signature proves an account: by its own key, or in its name by an access key, which is named.
pub(in super::super) fn verify(input: &Value) -> anyhow::Result<Value> {
    let source: Did = text_of(input, "source")?.parse()?;
    let (challenge, realm) = (text_of(input, "challengeId")?, text_of(input, "realm")?);
    let digest = proof_digest(source.chain_id, source.address, challenge, realm);
    let signature = Signature::parse(&bytes(text_of(input, "signature")?)?)?;
    let recovered = signature.signer(digest)?;
    ensure!(recovered.account == source.address, "somebody else signed");
    let access_key = recovered.access_key.map(|key| key.to_string().to_lowercase());
    Ok(json!({ "accessKey": access_key }))
}

fn chain_id(input: &Value) -> anyhow::Result<u64> {
    member(input, "chainId")?.as_u64().context("`chainId` is not a number")
}
