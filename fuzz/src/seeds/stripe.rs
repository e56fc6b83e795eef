//! What Stripe says, and what those who pay by it show.

use crate::stripe::signature;

fn bytes<const N: usize>(texts: [&str; N]) -> Vec<Vec<u8>> {
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}

/// Events, each behind its signature and the length of that.
pub fn webhooks() -> Vec<Vec<u8>> {
    let bodies = bytes([
        r#"{"id":"evt_1","object":"event","type":"invoice.paid","livemode":false,"account":null,"data":{"object":{"id":"in_1","object":"invoice"}}}"#,
        r#"{"id":"evt_2","type":"customer.subscription.deleted","livemode":false,"account":"acct_1","data":{"object":{"id":"sub_1"}}}"#,
        r#"{"id":"evt_3","type":"charge.dispute.created","livemode":true,"data":{}}"#,
        "{}",
    ]);
    let mut seeds = Vec::new();
    for body in bodies {
        let good = signature(&body);
        let old = format!("t=1,v1={},v0=aa", "0".repeat(64));
        for header in [good.as_str(), &old, "t=,v1=", ""] {
            let length = u8::try_from(header.len()).unwrap_or(u8::MAX);
            seeds.push([&[length], header.as_bytes(), &body].concat());
        }
    }
    seeds
}

/// Ids, and payloads that have one.
pub fn tokens() -> Vec<Vec<u8>> {
    bytes([
        "spt_1N4Zv32eZvKYlo2CPhVPkJlW",
        r#"{"spt":"spt_1N4Zv32eZvKYlo2CPhVPkJlW"}"#,
        r#"{"spt":"spt_1","externalId":"order-1"}"#,
        r#"{"spt":"pm_card_visa","externalId":null}"#,
    ])
}

/// Error bodies of each kind.
pub fn refusals() -> Vec<Vec<u8>> {
    bytes([
        r#"{"error":{"type":"card_error","code":"card_declined","decline_code":"insufficient_funds","message":"No spt_1.","payment_intent":{"id":"pi_1","status":"requires_payment_method","client_secret":"pi_1_secret_x"}}}"#,
        r#"{"error":{"type":"invalid_request_error","code":"parameter_unknown","param":"metadata[a]"}}"#,
        r#"{"error":{"type":"idempotency_error","payment_intent":{"id":7}}}"#,
        r#"{"error":"no"}"#,
    ])
}

/// The details of a challenge, under either name of its types.
pub fn details() -> Vec<Vec<u8>> {
    bytes([
        r#"{"networkId":"profile_1","paymentMethodTypes":["card","link"],"metadata":{"plan":"pro"}}"#,
        r#"{"networkId":"internal","paymentMethods":["card"]}"#,
        r#"{"networkId":"","paymentMethodTypes":[],"metadata":null}"#,
    ])
}
