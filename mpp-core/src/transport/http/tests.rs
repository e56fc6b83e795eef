//! The HTTP codec against bytes of deployed peers and of attackers.

use ::http::{HeaderMap, Request};
use proptest::prelude::*;

use super::*;
use crate::{
    Challenge, Encoded, Realm,
    challenge::{ChallengeId, Draft},
    name::{IntentName, MethodName},
    opaque::Opaque,
    problem::{ProblemType, Reason},
};

fn challenge() -> Challenge {
    let draft = Draft {
        realm: Realm::parse("api.example.com").unwrap(),
        method: MethodName::from_static("tempo"),
        intent: IntentName::from_static("charge"),
        request: Encoded::of(&serde_json::json!({"amount": "1000000"})).unwrap(),
        expires: Some(crate::Timestamp::parse("2025-01-06T12:00:00Z").unwrap()),
        digest: None,
        description: None,
        header: None,
        opaque: None,
    };
    Challenge::received(
        ChallengeId::parse("ChPX33RkKSZoSUyZcu8ai4hhkvjZJFkZVnvWs5s0iXI").unwrap(),
        draft,
    )
}

fn with(change: impl FnOnce(&mut Draft)) -> Challenge {
    let mut d = challenge().to_draft();
    change(&mut d);
    Challenge::received(challenge().id().clone(), d)
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_bytes(v.as_bytes()).unwrap()))
        .collect()
}

#[test]
fn a_challenge_is_written_as_deployed_peers_read_it() {
    let described = with(|d| {
        d.description = Some("Café ☕ \"q\" \\ b".into());
        d.header = Some(CredentialHeader::PAYMENT_AUTHORIZATION);
        d.opaque = Some(Opaque::parse("eyJwaSI6InBpXzNhYmMxMjNYWVoifQ").unwrap());
    });
    let expected = r#"Payment id="ChPX33RkKSZoSUyZcu8ai4hhkvjZJFkZVnvWs5s0iXI", realm="api.example.com", method="tempo", intent="charge", request="eyJhbW91bnQiOiIxMDAwMDAwIn0", description="Caf\u00e9 \u2615 \"q\" \\ b", expires="2025-01-06T12:00:00Z", header="Payment-Authorization", opaque="eyJwaSI6InBpXzNhYmMxMjNYWVoifQ""#;
    let written = write_challenge(&described).unwrap();
    assert_eq!(written.to_str().unwrap(), expected);
    assert_eq!(read_field(expected).unwrap(), [described]);
}

#[test]
fn s12_no_value_breaks_out_of_its_header() {
    assert!(write_challenge(&with(|d| d.description = Some("a\r\nSet-Cookie: b".into()))).is_err());
    let sly = with(|d| d.description = Some("\", Payment id=\"x\", realm=\"evil".into()));
    let read = read_field(write_challenge(&sly).unwrap().to_str().unwrap()).unwrap();
    assert_eq!(read, [sly]);
}

#[test]
fn s12_one_bad_challenge_costs_the_others_nothing() {
    let good = write_challenge(&challenge()).unwrap();
    let mut h = headers(&[("www-authenticate", "Payment id=\"\", realm=\"r\""), ("x", "y")]);
    h.append(header::WWW_AUTHENTICATE, HeaderValue::from_static("Payment id=\"unterminated"));
    h.append(header::WWW_AUTHENTICATE, good);
    assert_eq!(read_challenges(&h), [challenge()]);
}

fn credential() -> Credential {
    Credential::from_parts(
        challenge(),
        None,
        serde_json::value::to_raw_value(&serde_json::json!({"a": 1})).unwrap(),
    )
    .unwrap()
}

#[test]
fn a_credential_is_found_beside_other_schemes_and_never_inside_them() {
    let token = credential().to_token().unwrap();
    for field in [
        format!("Payment {token}"),
        format!("payment\t{token} "),
        format!("Bearer abc.def, PAYMENT {token}"),
        format!("Basic dXNlcjpwYXNz,Payment {token} , Basic dXNlcjpwYXNz"),
        format!("Digest username=\"a, Payment x\", Payment {token}"),
    ] {
        let found = read_credential(&headers(&[("authorization", &field)]), None).unwrap();
        assert_eq!(found.unwrap().challenge, challenge(), "{field}");
    }
    for field in [
        format!("Bearer payment {token}"),
        format!("Digest u=\"x, Payment {token}\""),
        "Basic x".into(),
        String::new(),
    ] {
        assert!(
            read_credential(&headers(&[("authorization", &field)]), None).unwrap().is_none(),
            "{field}"
        );
    }
}

#[test]
fn several_credentials_are_refused_in_one_field_or_two() {
    let one = format!("Payment {}", credential().to_token().unwrap());
    let two = headers(&[("authorization", &format!("{one}, {one}"))]);
    assert!(matches!(read_credential(&two, None), Err(Error::SeveralCredentials)));
    let mut two = headers(&[("authorization", &one)]);
    two.append(header::AUTHORIZATION, HeaderValue::from_str(&one).unwrap());
    let r = Rejection::from(read_credential(&two, None).unwrap_err());
    assert_eq!((r.kind.status, r.reason), (400, Reason::SEVERAL_CREDENTIALS));
}

#[test]
fn a_route_that_needs_authorization_for_itself_reads_the_other_header() {
    let one = format!("Payment {}", credential().to_token().unwrap());
    let h = headers(&[("authorization", "Bearer app"), ("payment-authorization", &one)]);
    assert!(read_credential(&h, None).unwrap().is_none());
    assert!(read_credential(&h, Some(&CredentialHeader::PAYMENT_AUTHORIZATION)).unwrap().is_some());
}

#[test]
fn s14_a_server_cannot_steer_a_credential_into_another_header() {
    let put = |name: &str| {
        let c = with(|d| d.header = Some(CredentialHeader::parse(name).unwrap()));
        let mut h = HeaderMap::new();
        let payload = serde_json::value::to_raw_value(&serde_json::json!({"a": 1})).unwrap();
        let credential = Credential::from_parts(c, None, payload).unwrap();
        Http::put_credential_in(&mut h, &credential).map(|()| h)
    };
    assert!(put("Cookie").is_err() && put("X-Pay").is_err());
    let h = put("payment-authorization").unwrap();
    assert!(h[PAYMENT_AUTHORIZATION].is_sensitive() && !h.contains_key(header::AUTHORIZATION));
    assert!(put("Authorization").unwrap()[header::AUTHORIZATION].is_sensitive());
}

#[test]
fn a_refusal_is_a_problem_that_no_cache_keeps() {
    let rejection = Rejection::new(
        ProblemType::PAYMENT_REQUIRED,
        Reason::NO_CREDENTIAL,
        "Payment is required.",
    );
    let response = Http::refuse(&Refusal { rejection, challenges: vec![challenge()] });
    assert_eq!(
        (response.status(), response.headers()["cache-control"].to_str().unwrap()),
        (StatusCode::PAYMENT_REQUIRED, "no-store")
    );
    let body: Problem = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(
        (body.suffix(), body.challenge_id.as_deref()),
        ("payment-required", Some(challenge().id().as_str()))
    );
    let Answer::Required { challenges, .. } = Http.read_answer(&response) else { panic!() };
    assert_eq!(challenges, [challenge()]);
}

#[test]
fn s16_a_receipt_makes_a_response_private() {
    let receipt = crate::receipt::Receipt::from_token("eyJtZXRob2QiOiJ0ZW1wbyIsInJlZmVyZW5jZSI6IjB4MTIzNCIsInN0YXR1cyI6InN1Y2Nlc3MiLCJ0aW1lc3RhbXAiOiIyMDI1LTAxLTIxVDEyOjAwOjAwLjAwMFoifQ").unwrap();
    for (before, after) in [
        (None, "private"),
        (Some("public, max-age=60"), "public, max-age=60, private"),
        (Some("no-store"), "no-store, private"),
        (Some("PRIVATE, max-age=1"), "PRIVATE, max-age=1"),
        (Some("max-age=0,private"), "max-age=0,private"),
    ] {
        let mut h = before.map(|v| headers(&[("cache-control", v)])).unwrap_or_default();
        Http::put_receipt_in(&mut h, &receipt);
        assert_eq!(h["cache-control"], after);
        assert!(h[PAYMENT_RECEIPT].is_sensitive());
    }
}

#[test]
fn what_invites_payment_is_a_challenge_and_not_a_status() {
    let h: HeaderMap =
        [(header::WWW_AUTHENTICATE, write_challenge(&challenge()).unwrap())].into_iter().collect();
    for status in [402, 410, 400, 409] {
        assert!(matches!(
            Http::read_head(StatusCode::from_u16(status).unwrap(), &h, None),
            Answer::Required { .. }
        ));
    }
    for status in [500, 503, 301] {
        assert!(matches!(
            Http::read_head(StatusCode::from_u16(status).unwrap(), &h, None),
            Answer::Troubled { .. }
        ));
    }
    assert!(matches!(
        Http::read_head(StatusCode::PAYMENT_REQUIRED, &HeaderMap::new(), None),
        Answer::Troubled { status: 402, .. }
    ));
}

#[test]
fn a_bare_post_and_a_head_want_no_content() {
    let wants = |r: Request<()>| Http.read_call(&r.into_parts().0).wants;
    assert_eq!(wants(Request::head("/a").body(()).unwrap()), Wants::Nothing);
    assert_eq!(wants(Request::post("/a").body(()).unwrap()), Wants::Nothing);
    assert_eq!(wants(Request::post("/a?b=1").body(()).unwrap()), Wants::Content { units: 1 });
    assert_eq!(
        wants(Request::post("/a").header("content-length", "3").body(()).unwrap()),
        Wants::Content { units: 1 }
    );
    assert_eq!(wants(Request::get("/a").body(()).unwrap()), Wants::Content { units: 1 });
}

#[test]
fn a_scope_tells_method_path_and_query_apart() {
    let scope = |r: Request<()>| Http.read_call(&r.into_parts().0).at.scope;
    assert_eq!(scope(Request::get("http://h/a/1?x=1").body(()).unwrap()), "GET /a/1?x=1");
    assert_eq!(scope(Request::post("/a/1").body(()).unwrap()), "POST /a/1");
}

proptest! {
    #[test]
    fn any_header_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300), status in 100_u16..600) {
        let Ok(value) = HeaderValue::from_bytes(&bytes) else { return Ok(()) };
        let all: HeaderMap = [header::AUTHORIZATION, header::WWW_AUTHENTICATE, ACCEPT_PAYMENT, PAYMENT_RECEIPT]
            .into_iter().map(|n| (n, value.clone())).collect();
        let _ = read_credential(&all, None);
        let _ = Http::read_accept(&all);
        let _ = Http::read_head(StatusCode::from_u16(status).unwrap(), &all, Some(&bytes));
    }

    #[test]
    fn challenges_round_trip(realm in "[^\\p{Cc}]{0,40}", description in "[^\\p{Cc}]{1,40}", amount: u128) {
        let c = with(|d| {
            d.realm = Realm::parse(&realm).unwrap();
            d.description = Some(description.as_str().into());
            d.request = Encoded::of(&serde_json::json!({"amount": amount.to_string()})).unwrap();
        });
        let read = read_field(write_challenge(&c).unwrap().to_str().unwrap()).unwrap();
        prop_assert_eq!(read, [c]);
    }
}
