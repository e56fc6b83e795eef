//! Golden ids, and what may not pass for one of ours.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    Encoded, Timestamp,
    name::{CredentialHeader, IntentName, MethodName},
    opaque::Opaque,
};

const SECRET: &str = "test-vector-secret";
const E: &str = "2025-01-06T12:00:00Z";
const D: &str = "sha-256=X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE";

fn draft(request: Value) -> Draft {
    Draft {
        realm: Realm::parse("api.example.com").unwrap(),
        method: MethodName::from_static("tempo"),
        intent: IntentName::from_static("charge"),
        request: Encoded::of(&request).unwrap(),
        expires: None,
        digest: None,
        description: None,
        header: None,
        opaque: None,
    }
}

fn base() -> Draft {
    draft(json!({"amount": "1000000"}))
}

fn expires(d: Draft) -> Draft {
    Draft { expires: Some(Timestamp::parse(E).unwrap()), ..d }
}

fn digest(d: Draft) -> Draft {
    Draft { digest: Some(Digest::parse(D).unwrap()), ..d }
}

fn meta(d: Draft, members: &[(&str, &str)]) -> Draft {
    let members: BTreeMap<_, _> =
        members.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    Draft { opaque: Some(Opaque::of(&members).unwrap()), ..d }
}

fn header(d: Draft, name: &str) -> Draft {
    Draft { header: Some(CredentialHeader::parse(name).unwrap()), ..d }
}

fn check(d: Draft, id: &str) {
    assert_eq!(challenge_id(SECRET.as_bytes(), &d).as_str(), id, "{d:?}");
}

#[test]
fn ids_are_those_of_every_deployed_sdk() {
    let pi = [("pi", "pi_3abc123XYZ")];
    check(base(), "X6v1eo7fJ76gAxqY0xN9Jd__4lUyDDYmriryOM-5FO4");
    check(
        Draft { description: Some("shown".into()), ..base() },
        "X6v1eo7fJ76gAxqY0xN9Jd__4lUyDDYmriryOM-5FO4",
    );
    check(expires(base()), "ChPX33RkKSZoSUyZcu8ai4hhkvjZJFkZVnvWs5s0iXI");
    check(digest(base()), "JHB7EFsPVb-xsYCo8LHcOzeX1gfXWVoUSzQsZhKAfKM");
    check(expires(digest(base())), "m39jbWWCIfmfJZSwCfvKFFtBl0Qwf9X4nOmDb21peLA");
    check(meta(base(), &pi), "rxzKZ2qjXvinqCH96RORTZEPs1KXsA-0AUjrCAPFOWc");
    check(expires(meta(base(), &pi)), "KAfoMrA4fnzS1DPWN_cUv_b3_yHxCizdp6OhH7gluMY");
    check(meta(base(), &[]), "vb4IyH-0LdJ3s7L0QAw8jIzcZkyxksPhIvEfmHmzA9k");
    check(
        meta(base(), &[("pi", "pi_3abc123XYZ"), ("deposit", "dep_456")]),
        "aKskU8sadR5ZuFbUCsIwhO-ENxuVpTw17FdwHEXsJDk",
    );
    check(draft(json!({})), "yLN7yChAejW9WNmb54HpJIWpdb1WWXeA3_aCx4dxmkU");
    check(
        Draft { realm: Realm::parse("payments.other.com").unwrap(), ..base() },
        "3F5bOo2a9RUihdwKk4hGRvBvzQmVPBMDvW0YM-8GD00",
    );
    check(
        Draft { method: MethodName::from_static("stripe"), ..base() },
        "o0ra2sd7HcB4Ph0Vns69gRDUhSj5WNOnUopcDqKPLz4",
    );
    check(
        Draft { intent: IntentName::from_static("session"), ..base() },
        "aAY7_IEDzsznNYplhOSE8cERQxvjFcT4Lcn-7FHjLVE",
    );
}

#[test]
fn another_header_is_an_eighth_slot_in_the_case_it_came_in() {
    check(header(base(), "Payment-Authorization"), "S91xi-OFGZPMs-j7GsX0FDpIkmCcZT1P9XyV58WNy_U");
    check(header(base(), "payment-authorization"), "jjrEkhNORSRb8tFKasGnI9kU0n5sgXHNcILPsleKtJE");
    check(header(base(), "authorization"), "X6v1eo7fJ76gAxqY0xN9Jd__4lUyDDYmriryOM-5FO4");
    let all = expires(meta(header(base(), "Payment-Authorization"), &[("pi", "pi_3abc123XYZ")]));
    check(all, "mGAwOR0STQ_szY-T-XNvJCiKPQF9cb1EBEtDUVQMfa8");
}

const LONG: &[u8] = b"a secret of at least thirty-two bytes";

fn keys() -> Keys {
    Keys::new(LONG).unwrap()
}

fn credential(c: &Challenge) -> Credential {
    Credential::from_json(
        format!(r#"{{"challenge":{},"payload":{{}}}}"#, serde_json::to_string(c).unwrap())
            .as_bytes(),
    )
    .unwrap()
}

fn sealed() -> Challenge {
    keys().seal(expires(digest(header(meta(base(), &[("a", "b")]), "Payment-Authorization"))))
}

#[test]
fn a_stem_seals_as_its_keys_do_whatever_the_draft() {
    let stem = keys().stem(&base());
    let other = Draft { realm: Realm::parse("other").unwrap(), ..base() };
    for draft in
        [base(), expires(base()), expires(meta(base(), &[("a", "b")])), draft(json!({})), other]
    {
        assert_eq!(stem.seal(draft.clone()), keys().seal(draft));
    }
}

#[test]
fn a_short_secret_is_no_key() {
    assert!(matches!(Keys::new([0; 31]), Err(Error::ShortSecret(31))));
    assert!(Keys::new([0; 32]).is_ok() && keys().and_previous("short").is_err());
}

#[test]
fn any_bound_member_that_changed_is_noticed() {
    let ours = sealed();
    assert!(keys().sealed(&ours));
    let changed: [fn(&mut Draft); 9] = [
        |d| d.realm = Realm::parse("api.example.org").unwrap(),
        |d| d.method = MethodName::from_static("stripe"),
        |d| d.intent = IntentName::from_static("session"),
        |d| d.request = Encoded::of(&json!({"amount": "1"})).unwrap(),
        |d| d.expires = None,
        |d| d.digest = None,
        |d| d.header = None,
        |d| d.opaque = None,
        |d| d.expires = Some(Timestamp::parse("2025-01-06T12:00:00.000Z").unwrap()),
    ];
    for change in changed {
        let mut d = ours.to_draft();
        change(&mut d);
        assert!(!keys().sealed(&Challenge::received(ours.id().clone(), d)));
    }
    let mut described = ours.to_draft();
    described.description = Some("anything".into());
    assert!(keys().sealed(&Challenge::received(ours.id().clone(), described)));
}

#[test]
fn text_cannot_move_between_slots() {
    // One MAC input, two readings: the seventh and eighth slot of one challenge, the opaque of another.
    let ours = keys().seal(header(meta(base(), &[]), "Payment-Authorization"));
    let moved = Draft {
        header: None,
        opaque: Some(Opaque::parse("Payment-Authorization|e30").unwrap()),
        ..ours.to_draft()
    };
    assert!(!keys().sealed(&Challenge::received(ours.id().clone(), moved)));
}

#[test]
fn a_previous_key_recognises_and_never_seals() {
    let ring = Keys::new([9; 32]).unwrap().and_previous(LONG).unwrap();
    assert!(ring.sealed(&sealed()));
    assert!(!keys().sealed(&ring.seal(base())));
}

#[test]
fn a_peer_that_re_encodes_the_request_is_still_recognised() {
    let ours = keys().seal(draft(json!({"amount": "1", "currency": "usd"})));
    let text = encoded::encode(br#"{"currency": "usd", "amount": "1"}"#);
    let echoed = Draft { request: Encoded::parse(&text).unwrap(), ..ours.to_draft() };
    assert!(keys().sealed(&Challenge::received(ours.id().clone(), echoed)));
}

#[test]
fn another_realm_is_refused_by_name() {
    let other = Realm::parse("other").unwrap();
    assert_eq!(
        keys().recognise(credential(&sealed()), &other).unwrap_err().reason,
        Reason::WRONG_REALM
    );
}

fn admitted_at(end: Option<&str>, now: &str) -> Result<(), Reason> {
    let c = keys().seal(Draft { expires: end.map(|e| Timestamp::parse(e).unwrap()), ..base() });
    let known = keys().recognise(credential(&c), &c.realm).unwrap();
    known.admit(&Timestamp::parse(now).unwrap()).map(drop).map_err(|r| r.reason)
}

#[test]
fn s5_an_expired_challenge_is_refused_and_so_is_one_without_an_end() {
    assert_eq!(admitted_at(None, E), Err(Reason::NO_EXPIRY));
    assert_eq!(admitted_at(Some(E), "2025-01-06T12:00:00.001Z"), Err(Reason::EXPIRED));
    assert_eq!(admitted_at(Some(E), E), Ok(()));
    assert_eq!(
        admitted_at(Some("2025-01-06T13:00:00+01:00"), "2025-01-06T12:00:01Z"),
        Err(Reason::EXPIRED)
    );
}

#[test]
fn s5_what_is_shown_late_is_admitted_as_late_and_for_half_an_hour() {
    let c = keys().seal(Draft { expires: Some(Timestamp::parse(E).unwrap()), ..base() });
    let end = Timestamp::parse(E).unwrap();
    for (after, late) in [
        (Duration::ZERO, Some(false)),
        (Duration::from_millis(1), Some(true)),
        (LATE, Some(true)),
        (LATE + Duration::from_millis(1), None),
        (Duration::MAX, None),
    ] {
        let known = keys().recognise(credential(&c), &c.realm).unwrap();
        let admitted = known.admit_late(&end.plus(after));
        assert_eq!(admitted.map(|a| a.is_late()).ok(), late, "{after:?}");
    }
    let endless = keys().seal(Draft { expires: None, ..base() });
    let known = keys().recognise(credential(&endless), &endless.realm).unwrap();
    assert_eq!(known.admit_late(&end).unwrap_err().reason, Reason::NO_EXPIRY);
}

#[test]
fn s2_a_challenge_fits_its_own_scope_and_body_alone() {
    let body = Digest::of(b"body");
    let fits = |bound: Option<Digest>, at: Resource| {
        let d =
            Draft { digest: bound, opaque: Some(Opaque::bind(&[1; 16], "GET /a?x=1")), ..base() };
        let c = keys().seal(d);
        keys().recognise(credential(&c), &c.realm).unwrap().fits(&at).map_err(|r| r.reason)
    };
    let at = |scope: &str, digest: Option<&Digest>| Resource::at(scope).with_body(digest.cloned());
    assert_eq!(fits(None, at("GET /a?x=1", None)), Ok(()));
    for other in ["POST /a?x=1", "GET /b", "GET /a", "GET /a?x=2", ""] {
        assert_eq!(fits(None, at(other, None)), Err(Reason::WRONG_SCOPE));
    }
    assert_eq!(fits(Some(body.clone()), at("GET /a?x=1", Some(&body))), Ok(()));
    let colons = Digest::parse(&format!("sha-256=:{}:", &body.as_str()[8..])).unwrap();
    assert_eq!(fits(Some(colons), at("GET /a?x=1", Some(&body))), Ok(()));
    assert_eq!(fits(Some(body.clone()), at("GET /a?x=1", None)), Err(Reason::WRONG_BODY));
    assert_eq!(fits(None, at("GET /a?x=1", Some(&body))), Err(Reason::WRONG_BODY));
    assert_eq!(
        fits(Some(Digest::of(b"other")), at("GET /a?x=1", Some(&body))),
        Err(Reason::WRONG_BODY)
    );
}

proptest! {
    #[test]
    fn no_id_but_the_right_one_is_recognised(id in "[A-Za-z0-9_-]{1,60}") {
        let c = Challenge::received(ChallengeId::parse(&id).unwrap(), base());
        prop_assert!(!keys().sealed(&c));
    }
}
