//! Whether a mined transaction paid a challenge. Pure: a receipt and a credential in, a reference out.

use mpp_core::challenge::Demand;
use serde_json::Value;

use super::{Payload, TempoCharge, Unasked, asked::Asked};
use crate::chain::{
    parse_hex,
    rpc::json::{self, Malformed},
    tip20::{self, Unmatched},
    transaction::{DecodeError, Signed},
};

/// Checks that a node's receipt proves the payment of a demand, and returns its reference: the transaction's hash.
///
/// The receipt must be of the transaction that the payload names, must say success, and its logs must show the transfer,
/// with the memo that the request fixes or the one that names this challenge (D-21).
///
/// # Errors
/// [`Unproven`].
pub fn verify_receipt(
    demand: &Demand<'_, TempoCharge>,
    payload: &Payload,
    receipt: &Value,
) -> Result<String, Unproven> {
    let asked = Asked::read(demand.challenge, &demand.request)?;
    let (hash, success, logs) = json::proof(receipt)?;
    let (named, payer) = match payload {
        Payload::Hash { hash } => (parse_hex(hash).ok_or(Unproven::Payload)?, None),
        Payload::Transaction { signature } => {
            let signed = Signed::decode(&parse_hex(signature).ok_or(Unproven::Payload)?)?;
            let payer = signed.sender().map_err(DecodeError::from)?;
            (signed.hash().into(), Some(payer))
        }
        Payload::Proof { .. } => return Err(Unproven::Payload),
    };
    if named.as_ref() != hash.as_slice() {
        return Err(Unproven::OtherTransaction);
    }
    if !success {
        return Err(Unproven::Reverted);
    }
    tip20::match_logs(asked.token, payer, &asked.legs, &logs)?;
    Ok(format!("{hash:#x}"))
}

/// Why a receipt proves no payment of a challenge.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unproven {
    /// The challenge asks for no transfer.
    #[error(transparent)]
    Asked(#[from] Unasked),
    /// The payload names no transaction.
    #[error("the payload names no transaction")]
    Payload,
    /// The payload's transaction cannot be read.
    #[error(transparent)]
    Transaction(#[from] DecodeError),
    /// The receipt cannot be read.
    #[error(transparent)]
    Receipt(#[from] Malformed),
    /// The receipt is of another transaction.
    #[error("the receipt is of another transaction")]
    OtherTransaction,
    /// The transaction failed; only its fee was taken.
    #[error("the transaction was mined and failed")]
    Reverted,
    /// The transfer is not in the logs.
    #[error(transparent)]
    Logs(#[from] Unmatched),
}

#[cfg(test)]
mod tests {
    use mpp_core::{
        Challenge, Draft, Encoded, Realm,
        challenge::ChallengeId,
        name::{IntentName, MethodName},
    };
    use serde_json::json;

    use super::*;

    const TOKEN: &str = "0x20c0000000000000000000000000000000000000";
    const SHOP: &str = "0x2222222222222222222222222222222222222222";
    const TRANSFER: &str = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";
    const WITH_MEMO: &str = "0x57bc7354aa85aed339e000bccffabbc529466af35f0772c8f8ee1145927de7f0";
    /// Of challenge-123 at api.example.com.
    const MEMO: &str = "0xef1ed712011ece072f76bd8b82350e00000000000000000000eb18f2d4402269";

    fn hash() -> String {
        format!("0x{}", "Ab".repeat(32))
    }

    fn challenge(details: &Value) -> Challenge {
        let request = json!({"amount": "1000", "currency": TOKEN, "recipient": SHOP, "methodDetails": details});
        let draft = Draft {
            realm: Realm::parse("api.example.com").unwrap(),
            method: MethodName::from_static("tempo"),
            intent: IntentName::from_static("charge"),
            request: Encoded::of(&request).unwrap(),
            expires: None,
            digest: None,
            description: None,
            header: None,
            opaque: None,
        };
        Challenge::received(ChallengeId::parse("challenge-123").unwrap(), draft)
    }

    fn receipt(event: &str, memo: Option<&str>) -> Value {
        let mut topics = vec![
            event.to_owned(),
            format!("0x{}{}", "0".repeat(24), "cd".repeat(20)),
            format!("0x{}{}", "0".repeat(24), "22".repeat(20)),
        ];
        topics.extend(memo.map(str::to_owned));
        json!({
            "transactionHash": hash().to_lowercase(), "status": "0x1",
            "logs": [{"address": TOKEN, "topics": topics, "data": format!("0x{:064x}", 1000)}],
        })
    }

    #[test]
    fn only_the_challenges_own_memo_in_a_successful_receipt_proves_a_payment() {
        let plain = json!({});
        let fixed = json!({"memo": format!("0x{}", "42".repeat(32))});
        let other = MEMO.replace("2269", "2268");
        let failed = |mut receipt: Value| {
            receipt["status"] = json!("0x0");
            receipt
        };
        let elsewhere = |mut receipt: Value| {
            receipt["transactionHash"] = json!(format!("0x{}", "11".repeat(32)));
            receipt
        };
        let cases = [
            ("its memo", &plain, receipt(WITH_MEMO, Some(MEMO)), true),
            ("no memo", &plain, receipt(TRANSFER, None), false),
            ("another challenge's memo", &plain, receipt(WITH_MEMO, Some(&other)), false),
            ("a reverted transaction", &plain, failed(receipt(WITH_MEMO, Some(MEMO))), false),
            ("another transaction", &plain, elsewhere(receipt(WITH_MEMO, Some(MEMO))), false),
            (
                "no logs",
                &plain,
                json!({"transactionHash": hash(), "status": "0x1", "logs": []}),
                false,
            ),
            ("no receipt", &plain, Value::Null, false),
            (
                "the fixed memo",
                &fixed,
                receipt(WITH_MEMO, Some(&format!("0x{}", "42".repeat(32)))),
                true,
            ),
            ("an attribution where a memo is fixed", &fixed, receipt(WITH_MEMO, Some(MEMO)), false),
        ];
        let payload = Payload::Hash { hash: hash() };
        for (name, details, receipt, proves) in cases {
            let challenge = challenge(details);
            let demand = challenge.read::<TempoCharge>().unwrap();
            let verdict = verify_receipt(&demand, &payload, &receipt);
            assert_eq!(verdict.ok(), proves.then(|| hash().to_lowercase()), "{name}");
        }
    }
}
