//! Receipts of deployed servers, those with the session's members and those without.

use serde_json::json;

use super::*;

/// A receipt that a deployed server wrote.
const TOKEN: &str = "eyJtZXRob2QiOiJ0ZW1wbyIsImludGVudCI6InNlc3Npb24iLCJzdGF0dXMiOiJzdWNjZXNzIiwidGltZXN0YW1wIjoiMjAzNy0wNi0wN1QxODoxNTo0MS4wMDBaIiwicmVmZXJlbmNlIjoiMHg0MDNlNDBhODg2ZDU1OGZiYTE0NWFhOTJmMTUzYzI4NzRlNzE4ZGJkOTJlZjk2OTA0NjQzOWM2NGI3ZDk1NjE1IiwiY2hhbGxlbmdlSWQiOiJDeXBTRkhvYzJDeUdpN3AxNTd1T19UcndvRFlSTHltSlVTVGxKYW5sT0FRIiwiY2hhbm5lbElkIjoiMHg0MDNlNDBhODg2ZDU1OGZiYTE0NWFhOTJmMTUzYzI4NzRlNzE4ZGJkOTJlZjk2OTA0NjQzOWM2NGI3ZDk1NjE1IiwiYWNjZXB0ZWRDdW11bGF0aXZlIjoiODQ5MTE4NjYiLCJzcGVudCI6IjY2MTYxODc5IiwidHhIYXNoIjoiMHg1NWU2MzU5ZmJkNjdmNGI5MzdkOTdhMGQzNzA1ZDFkOGMxODljMzJiODRmOTY1ZmE0Mzk0MTI5OGU0YjZmNTIzIn0";

fn receipt(members: &serde_json::Value) -> Receipt {
    let mut wire = json!({
        "method": "tempo", "status": "success", "timestamp": "2026-01-01T00:00:00Z",
        "reference": format!("0x{}", "AB".repeat(32)),
    });
    let more = members.as_object().unwrap().clone();
    wire.as_object_mut().unwrap().extend(more);
    serde_json::from_value(wire).unwrap()
}

#[test]
fn a_receipt_of_a_deployed_server_is_read_and_its_members_written_alike() {
    let receipt = Receipt::from_token(TOKEN).unwrap();
    let session = SessionReceipt::read(&receipt).unwrap();
    assert_eq!(session.channel_id, receipt.reference);
    assert_eq!((session.accepted_cumulative.get(), session.spent.get()), (84_911_866, 66_161_879));
    assert_eq!(session.challenge_id, "CypSFHoc2CyGi7p157uO_TrwoDYRLymJUSTlJanlOAQ");
    assert!(session.tx_hash.as_ref().unwrap().starts_with("0x55e6") && session.units.is_none());
    assert_eq!(session.members(), receipt.extra);
}

#[test]
fn a_receipt_without_the_sessions_members_is_none() {
    for members in [
        json!({}),
        json!({"acceptedCumulative": "1"}),
        json!({"spent": "1"}),
        json!({"acceptedCumulative": "1", "spent": "-1"}),
        json!({"acceptedCumulative": 1, "spent": "1"}),
        json!({"acceptedCumulative": "1", "spent": "1", "channelId": "0xab"}),
    ] {
        assert_eq!(SessionReceipt::read(&receipt(&members)), None, "{members}");
    }
}

#[test]
fn the_rest_is_read_leniently() {
    let members = json!({"acceptedCumulative": "5", "spent": "4", "units": "2", "txHash": 1});
    let session = SessionReceipt::read(&receipt(&members)).unwrap();
    assert_eq!(session.channel_id, format!("0x{}", "ab".repeat(32)), "the reference");
    assert_eq!((session.units, session.tx_hash.as_ref()), (Some(2), None));
    assert_eq!(session.challenge_id, "");
}
