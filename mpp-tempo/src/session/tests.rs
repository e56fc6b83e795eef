//! Requests of deployed servers are read and written whole, and say what is absent.

use mpp_core::Request;
use serde_json::{Value, json};

use super::*;

fn request(details: Value) -> Result<Request<TempoSession>, serde_json::Error> {
    serde_json::from_value(json!({
        "amount": "100", "currency": "0x20c0000000000000000000000000000000000000",
        "recipient": "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC", "unitType": "token",
        "suggestedDeposit": "1000000", "methodDetails": details,
    }))
}

#[test]
fn a_request_of_a_deployed_server_is_read_and_written_whole() {
    let details = json!({
        "escrowContract": "0x4d50500000000000000000000000000000000000", "chainId": 42431,
        "channelId": format!("0x{}", "ab".repeat(32)), "minVoucherDelta": "10", "feePayer": true,
        "operator": "0x2afb7ef9bf853514016280acb67c50bf234e7adf", "sessionProtocol": "v2",
        "feeToken": "0x20c0000000000000000000000000000000000001", "machineTokenEnabled": false,
        "unknown": {"kept": [1]},
        "sessionSnapshot": {
            "acceptedCumulative": "300", "chainId": 42431, "channelId": format!("0x{}", "ab".repeat(32)),
            "deposit": "1000", "escrow": "0x4d50500000000000000000000000000000000000",
            "requiredCumulative": "400", "settled": "0", "spent": "300", "units": 3,
            "descriptor": {
                "payer": "0x1", "payee": "0x2", "operator": "0x3", "token": "0x4", "salt": "0x5",
                "authorizedSigner": "0x6", "expiringNonceHash": "0x7",
            },
        },
    });
    let read = request(details.clone()).unwrap();
    let found = &read.details.method_details;
    assert_eq!((found.protocol(), found.chain_id()), (&Protocol::V2, 42431));
    assert!(found.is_sponsored() && found.extra.len() == 3);
    assert_eq!(found.session_snapshot.as_ref().unwrap().units, Some(3));
    assert_eq!(read.terms.unit_type.as_deref(), Some("token"));
    assert_eq!(serde_json::to_value(&read).unwrap()["methodDetails"], details);
}

#[test]
fn what_a_request_leaves_out_is_version_1_on_mainnet_at_the_payers_own_fee() {
    let read = request(json!({"escrowContract": "0x33b901018174DDabE4841042ab76ba85D4e24f25"}));
    let details = read.unwrap().details.method_details;
    assert_eq!((details.protocol(), details.chain_id()), (&Protocol::V1, 4217));
    assert!(!details.is_sponsored() && details.session_snapshot.is_none());
}

#[test]
fn a_protocol_nobody_knows_is_kept_and_is_neither_version() {
    for (text, protocol) in [
        ("v1", Protocol::V1),
        ("v2", Protocol::V2),
        ("v3", Protocol::Other("v3".into())),
        ("V2", Protocol::Other("V2".into())),
    ] {
        let read = request(json!({"escrowContract": "", "sessionProtocol": text})).unwrap();
        let details = read.details.method_details;
        assert_eq!(details.protocol(), &protocol);
        assert_eq!(serde_json::to_value(details.protocol()).unwrap(), text);
    }
}

#[test]
fn a_snapshot_that_cannot_be_read_is_none_and_spoils_no_request() {
    for bad in [json!(null), json!({}), json!("x"), json!([1]), json!({"deposit": 5}), json!(7)] {
        let read = request(json!({"escrowContract": "0x", "sessionSnapshot": bad})).unwrap();
        assert!(read.details.method_details.session_snapshot.is_none(), "{bad}");
    }
}

#[test]
fn details_of_the_wrong_shape_are_refused() {
    for bad in [
        json!({}),
        json!({"escrowContract": 1}),
        json!({"escrowContract": "0x", "minVoucherDelta": "+1"}),
        json!({"escrowContract": "0x", "minVoucherDelta": 1}),
        json!({"escrowContract": "0x", "chainId": "4217"}),
        json!({"escrowContract": "0x", "sessionProtocol": 2}),
    ] {
        assert!(request(bad.clone()).is_err(), "{bad}");
    }
}
