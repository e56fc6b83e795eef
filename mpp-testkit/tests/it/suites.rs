//! The suites, run against our own store and codec.

use std::sync::Arc;

use mpp_core::{
    Draft, Encoded, Timestamp,
    binding::Keys,
    credential::{Credential, Source},
    digest::Digest,
    name::{CredentialHeader, IntentName, MethodName, Realm},
    opaque::Opaque,
    receipt::Receipt,
    store::{Memory, Store},
    transport::Http,
};
use mpp_testkit::{ledger, store, transport};

#[tokio::test(flavor = "multi_thread")]
async fn the_store_in_memory_behaves() {
    let memory = Arc::new(Memory::volatile());
    store::suite(async || memory.clone() as _).await;
    store::watch_suite(async || memory.clone()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_over_the_store_in_memory_behaves() {
    let store: Arc<dyn Store> = Arc::new(Memory::volatile());
    ledger::suite(move || std::future::ready(store.clone())).await;
}

#[test]
fn http_carries_every_message() {
    let keys = Keys::new([7; 32]).unwrap();
    let draft = Draft {
        realm: Realm::parse("api.example.com").unwrap(),
        method: MethodName::from_static("coupon"),
        intent: IntentName::from_static("charge"),
        request: Encoded::of(&serde_json::json!({"amount": "1", "currency": "coupon"})).unwrap(),
        expires: Some(Timestamp::from_unix(1_800_000_000, 0)),
        digest: None,
        description: None,
        header: None,
        opaque: Some(Opaque::bind(&[1; 16], "GET /a")),
    };
    let all = Draft {
        digest: Some(Digest::of(b"body")),
        description: Some("tea \"for\" two, ☕\\".into()),
        header: Some(CredentialHeader::parse("authorization").unwrap()),
        ..draft.clone()
    };
    let plain = keys.seal(draft);
    // Naming the default header is not naming one, so it does not come back.
    let described = keys.seal(Draft { header: None, ..all });
    let payload = serde_json::value::to_raw_value(&serde_json::json!({"code": "b1"})).unwrap();
    let source = Some(Source::new("did:pkh:eip155:1:0xabc"));
    let messages = transport::Messages {
        credential: Credential::from_parts(described.clone(), source, payload).unwrap(),
        challenges: vec![plain, described],
        receipt: serde_json::from_value::<Receipt>(serde_json::json!({
            "method": "coupon", "reference": "b1", "status": "success", "timestamp": "2026-01-01T00:00:00Z", "spent": "1",
        }))
        .unwrap(),
    };
    let request = || http::Request::get("/a").body(()).unwrap().into_parts().0;
    transport::round_trips(&Http::new(), request, || http::Response::new(Vec::new()), &messages);
}
