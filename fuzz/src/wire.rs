//! The wire of every method: challenges and credentials in header fields.

use mpp_core::transport::{credential_from_field, grammar, read_field, write_challenge};

/// A `WWW-Authenticate` field: what is read is written so that it reads the same.
pub fn grammar(data: &[u8]) -> bool {
    let params = grammar::challenges(data).is_ok();
    let Ok(field) = std::str::from_utf8(data) else { return params };
    let Ok(challenges) = read_field(field) else { return params };
    for challenge in &challenges {
        let Ok(written) = write_challenge(challenge) else { continue };
        let written = written.to_str().expect("fields are written in ASCII");
        let again = read_field(written).expect("what is written is read");
        let [again] = again.as_slice() else { panic!("one challenge is written") };
        assert_eq!(format!("{again:?}"), format!("{challenge:?}"));
    }
    !challenges.is_empty()
}

/// An `Authorization` field: what is read is written so that it reads the same.
pub fn credential(data: &[u8]) -> bool {
    let Ok(field) = std::str::from_utf8(data) else { return false };
    let Ok(Some(credential)) = credential_from_field(field) else { return false };
    if let Ok(token) = credential.to_token() {
        let again = credential_from_field(&format!("Payment {token}"));
        let again = again.ok().flatten().expect("what is written is read");
        assert_eq!(again.payload_json(), credential.payload_json());
        assert_eq!(again.challenge.id().as_str(), credential.challenge.id().as_str());
    }
    true
}
