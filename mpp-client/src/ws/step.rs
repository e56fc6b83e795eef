//! Which receipts answer a credential that was sent over a socket.

use mpp_core::{Credential, Receipt};
use serde::{Deserialize, de::IgnoredAny};

use crate::account::{ACCEPTED, amount, text};

const CHALLENGE: &str = "challengeId";
const TRANSACTION: &str = "txHash";

/// What payloads of metered methods say of a step, whichever of it they have.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Signed {
    cumulative_amount: Option<String>,
    transaction: Option<IgnoredAny>,
}

/// Whether a receipt can be that of a credential: where it names a challenge, it is the same.
pub(super) fn answers(receipt: &Receipt, credential: &Credential) -> bool {
    text(receipt, CHALLENGE).is_none_or(|id| id == credential.challenge.id().as_str())
}

/// Whether a receipt that came amid a stream can be that of a step, as against word of how the account stood before it: it
/// has accepted what was signed, and names the transaction where one was sent. A receipt that says of no account how it stands
/// is taken for the answer.
pub(super) fn settles(receipt: &Receipt, step: &Credential) -> bool {
    let signed: Signed = serde_json::from_str(step.payload_json()).unwrap_or_default();
    let Signed { cumulative_amount, transaction } = signed;
    let signed = cumulative_amount.and_then(|digits| digits.parse::<u128>().ok());
    let accepted = amount(receipt, ACCEPTED);
    let behind = matches!((accepted, signed), (Some(accepted), Some(signed)) if accepted < signed);
    let unsent =
        transaction.is_some() && accepted.is_some() && text(receipt, TRANSACTION).is_none();
    answers(receipt, step) && !behind && !unsent
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json, value::to_raw_value};

    use super::*;
    use crate::tab::{bill, tab};

    fn credential(payload: &Value) -> Credential {
        Credential::from_parts(tab(10, |_| {}), None, to_raw_value(payload).unwrap()).unwrap()
    }

    fn receipt(members: Value) -> Receipt {
        let Value::Object(extra) = members else { panic!("{members}") };
        Receipt { extra, ..bill(0) }
    }

    #[test]
    fn s14_a_receipt_of_something_else_answers_no_step() {
        let voucher = credential(&json!({ "action": "voucher", "cumulativeAmount": "20" }));
        let deposit = credential(&json!({ "action": "topUp", "transaction": "0x76" }));
        let id = voucher.challenge.id().as_str();
        for (members, answers_voucher, answers_deposit) in [
            (json!({}), true, true),
            (json!({ "challengeId": "another" }), false, false),
            (json!({ "challengeId": id, "acceptedCumulative": "20", "spent": "10" }), true, false),
            (json!({ "challengeId": id, "acceptedCumulative": "19", "spent": "10" }), false, false),
            (json!({ "acceptedCumulative": "19", "spent": "10", "txHash": "0x1" }), false, true),
            (json!({ "acceptedCumulative": "30", "spent": "10", "txHash": "0x1" }), true, true),
        ] {
            let receipt = receipt(members.clone());
            assert_eq!(settles(&receipt, &voucher), answers_voucher, "{members}");
            assert_eq!(settles(&receipt, &deposit), answers_deposit, "{members}");
        }
    }
}
