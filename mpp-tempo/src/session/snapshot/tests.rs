//! Headers of deployed servers, in every spelling of base64.

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// A header that a deployed server wrote.
const HEADER: &str = "eyJhY2NlcHRlZEN1bXVsYXRpdmUiOiI5IiwiY2hhaW5JZCI6NDI0MzEsImNoYW5uZWxJZCI6IjB4MDFiMjkxNTBjMmFiYjBiYWRkMTA4ZjBjNTk0NjE5MjYzYTk5MDNkODhlMmNkMzVhYzYxNDMxMzdkYThmMTdkOCIsImNsb3NlUmVxdWVzdGVkQXQiOiIxNzAwMDAwMDAwIiwiZGVwb3NpdCI6IjEyNTkyNDE5IiwiZGVzY3JpcHRvciI6eyJhdXRob3JpemVkU2lnbmVyIjoiMHg5YmI2YWJiY2U4OWI0M2Y4MWE3MmEzNDI1Y2Q5ZmY5ZTE5ZGJiOGI4IiwiZXhwaXJpbmdOb25jZUhhc2giOiIweGE1MzE1YTYzNDI1YjViMTU5MzQwZTgxYWRmZjI3NjRkZDVjN2JlZmY5MGVhYmMxZmYxNjlmYTgzYjc3NjNiODMiLCJvcGVyYXRvciI6IjB4ZDNhYjI4MjJkOWM2YzNkYWVmMGY5ODkzZjJhY2NhNjQxNzY5ZWU3ZCIsInBheWVlIjoiMHhlOTBkYzI4MWUyOTE4YjNkZmM1YzRkMWZlNTE3NDkxZGQ3ODkyY2IxIiwicGF5ZXIiOiIweGMyNjQ5MDNlZDI0YmZmN2YxMDgwNWE2MGFkNDZmYjZlZDVlYzhmYmQiLCJzYWx0IjoiMHg1NWI1MmQ2ODIzYzU0MTllYTdmNDI5ZTQwZWRiNWRjMjU0NWMxM2QzMmI2NTQ1NWU4NDQyYjhiZmIzMzZlZTk0IiwidG9rZW4iOiIweDIwYzAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAifSwiZXNjcm93IjoiMHg0ZDUwNTAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwIiwiaGlnaGVzdFZvdWNoZXIiOnsiY2hhbm5lbElkIjoiMHg0MTQ4NzA3MTAwOTFhOTI3MjVjM2E2NThkNDA3NzlmYmEyMTk0MWEzNDBmMmY2NGM5OWU2MTc2MTcxMzAxY2Q5IiwiY3VtdWxhdGl2ZUFtb3VudCI6Ijc1NTE1NDgiLCJzaWduYXR1cmUiOiIweDJjZjVlZTUyYTI3YmU4NGVlOTA3N2U5ZjI1ZTI1M2U5ZDE0OWNhNGVmZWRiZGNiZjQ2ZDBiZGJlYzllOGQ5MmNkMzU2OTc0MzMwZDNkOGNiMDM2MDMxMDM5NzkxYWQ5ZWM2NjAyM2E1NTA4NjhiM2M1MjdlYWY1NmM1YTAyZjJlZjMifSwicmVxdWlyZWRDdW11bGF0aXZlIjoiNzI2MSIsInNldHRsZWQiOiIwIiwic3BlbnQiOiI2MzE0OTE2In0=";

#[test]
fn a_header_of_a_deployed_server_is_read_and_written_byte_for_byte() {
    let snapshot = Snapshot::from_header(HEADER).unwrap();
    assert_eq!((snapshot.accepted_cumulative.get(), snapshot.deposit.get()), (9, 12_592_419));
    assert_eq!(snapshot.close_requested_at, Some(1_700_000_000));
    assert_eq!(snapshot.highest_voucher.as_ref().unwrap().cumulative_amount.get(), 7_551_548);
    assert_eq!(snapshot.to_header(), HEADER);
}

#[test]
fn every_spelling_of_base64_is_read() {
    let snapshot = Snapshot::from_header(HEADER).unwrap();
    let plain = HEADER.trim_end_matches('=');
    assert_eq!(Snapshot::from_header(plain).as_ref(), Ok(&snapshot));
    let url = plain.replace('+', "-").replace('/', "_");
    assert_eq!(Snapshot::from_header(&url), Ok(snapshot));
}

#[test]
fn a_subset_of_the_members_is_enough_and_unknown_ones_are_ignored() {
    let wire = json!({
        "acceptedCumulative": "3", "chainId": 1, "channelId": "0x", "deposit": "9", "escrow": "0x",
        "closeRequestedAt": 17, "units": "4", "later": {},
        "descriptor": {
            "payer": "", "payee": "", "operator": "", "token": "", "salt": "",
            "authorizedSigner": "", "expiringNonceHash": "",
        },
    });
    let snapshot: Snapshot = serde_json::from_value(wire).unwrap();
    assert_eq!((snapshot.close_requested_at, snapshot.units), (Some(17), Some(4)));
    assert!(snapshot.spent.is_zero() && snapshot.highest_voucher.is_none());
}

#[test]
fn other_headers_are_no_snapshot() {
    let header = |json: &str| encoded::encode(json.as_bytes());
    let cases = [
        ("!".to_owned(), SnapshotError::Base64),
        (String::new(), SnapshotError::Json),
        (header("{}"), SnapshotError::Json),
        (header("[]"), SnapshotError::Json),
        (header(r#"{"chainId":1,"chainId":2}"#), SnapshotError::Json),
        ("A".repeat(LONGEST_SNAPSHOT + 1), SnapshotError::TooLong),
    ];
    for (text, error) in cases {
        assert_eq!(Snapshot::from_header(&text), Err(error), "{text}");
    }
}

#[test]
fn debug_shows_no_voucher() {
    let snapshot = Snapshot::from_header(HEADER).unwrap();
    let voucher = snapshot.highest_voucher.as_ref().unwrap();
    assert!(!format!("{snapshot:?}").contains(&voucher.signature));
}

proptest! {
    #[test]
    fn any_header_is_read_or_refused(text in ".{0,200}", bytes: Vec<u8>) {
        let _ = Snapshot::from_header(&text);
        let _ = Snapshot::from_header(&encoded::encode(&bytes));
    }
}
