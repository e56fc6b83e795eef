//! Storms: of calls that pay nothing, of credentials that are none. They are answered, and nothing of them is kept.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, routing::any};
use http::HeaderValue;
use mpp_core::{
    Credential,
    credential::Credential as Shown,
    problem::Reason,
    store::{BoxFuture, Keep, Key, Memory, Store, StoreError, Version, Versioned},
};
use mpp_server::permit::Ending;
use mpp_testkit::{
    clock::Hands,
    rail::{self, Act, Rail, Step},
};

use crate::{
    booth::with,
    shop::{Shop, answering, builder, get_, send, show},
};

const STORM: usize = 10_000;

/// A store that counts its writes, and breaks on demand: a double.
#[derive(Debug)]
struct Watched {
    memory: Memory,
    writes: AtomicUsize,
    breaks_reads: AtomicBool,
    breaks_writes: AtomicBool,
}

impl Watched {
    fn new(memory: Memory) -> Arc<Self> {
        let (breaks_reads, breaks_writes) = Default::default();
        Arc::new(Self { memory, writes: AtomicUsize::new(0), breaks_reads, breaks_writes })
    }
    fn writes(&self) -> usize {
        self.writes.load(Ordering::SeqCst)
    }
}

impl Store for Watched {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Versioned>, StoreError>> {
        if self.breaks_reads.load(Ordering::SeqCst) {
            return Box::pin(async { Err(StoreError::unavailable("down")) });
        }
        self.memory.get(key)
    }
    fn swap<'a>(
        &'a self,
        key: &'a Key,
        expect: Option<Version>,
        value: Option<&'a [u8]>,
        keep: Keep,
    ) -> BoxFuture<'a, Result<Option<Version>, StoreError>> {
        if self.breaks_writes.load(Ordering::SeqCst) {
            return Box::pin(async { Err(StoreError::unavailable("down")) });
        }
        self.writes.fetch_add(1, Ordering::SeqCst);
        self.memory.swap(key, expect, value, keep)
    }
    fn scan<'a>(
        &'a self,
        prefix: &'a Key,
        after: Option<&'a Key>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<(Key, Versioned)>, StoreError>> {
        self.memory.scan(prefix, after, limit)
    }
}

struct Storm {
    store: Arc<Watched>,
    clock: Hands,
    rail: Arc<Rail>,
    app: Router,
    runs: Arc<AtomicUsize>,
}

impl Storm {
    fn new(on_success: bool) -> Self {
        Self::over(Memory::volatile(), on_success)
    }

    fn over(memory: Memory, on_success: bool) -> Self {
        let (store, clock, rail) = (Watched::new(memory), Hands::new(), Rail::new());
        let gate = builder(store.clone(), &clock).build().unwrap();
        let selling = gate.charge("1 coupon").unwrap().via(&rail);
        let selling = if on_success { selling.charge_on_success() } else { selling };
        let (app, runs) = answering(selling.layer().unwrap(), &[(200, "ha")]);
        Self { store, clock, rail, app, runs }
    }

    async fn coupon(&self, code: &str) -> Credential {
        crate::shop::credential(&self.app, get_("/a"), code).await
    }

    async fn quick(&self, code: &str) -> Credential {
        use tower::ServiceExt;
        let asked = self.app.clone().oneshot(get_("/a")).await.unwrap();
        rail::answer(&mpp_core::transport::read_challenges(asked.headers())[0], code)
    }

    /// Without the pauses that `send` makes for what a finished body sets off.
    async fn status(&self, request: axum::http::Request<axum::body::Body>) -> u16 {
        use tower::ServiceExt;
        self.app.clone().oneshot(request).await.unwrap().status().as_u16()
    }

    fn nothing_came_of_it(&self) {
        assert_eq!(
            (self.store.writes(), self.rail.asked(Step::Settle), self.rail.taken()),
            (0, 0, 0)
        );
        assert_eq!(self.runs.load(Ordering::SeqCst), 0);
    }
}

#[tokio::test]
async fn a_storm_of_402s_writes_nothing() {
    for on_success in [false, true] {
        let s = Storm::new(on_success);
        for _ in 0..STORM / 2 {
            assert_eq!(s.status(get_("/a")).await, 402);
        }
        s.nothing_came_of_it();
    }
}

#[tokio::test]
async fn a_storm_of_credentials_that_are_none_writes_nothing() {
    let s = Storm::new(false);
    let good = s.coupon("b1").await;
    let stranger = builder(Memory::volatile(), &s.clock).secret([7; 32]).build().unwrap();
    let (foreign, _) = answering(
        stranger.charge("1 coupon").unwrap().via(&s.rail).layer().unwrap(),
        &[(200, "ha")],
    );
    let unsigned = crate::shop::credential(&foreign, get_("/a"), "b2").await;
    let elsewhere = crate::shop::credential(&s.app, get_("/elsewhere"), "b3").await;
    let bad = s.coupon("x not of our book").await;
    let forged = {
        let json = serde_json::to_string(&good.challenge).unwrap();
        let dear = json.replacen("\"id\":\"", "\"id\":\"A", 1);
        let challenge = serde_json::from_str(&dear).unwrap();
        let payload = serde_json::value::to_raw_value(&serde_json::json!({"code": "b4"})).unwrap();
        Shown::from_parts(challenge, None, payload).unwrap()
    };
    let garbage = |i: usize| {
        let mut request = get_("/a");
        let text = format!("Payment {}", "garbage".repeat(i % 50));
        request.headers_mut().insert("authorization", HeaderValue::from_str(&text).unwrap());
        request
    };
    for i in 0..STORM {
        let request = match i % 5 {
            0 => garbage(i),
            1 => with(get_("/a"), &forged),
            2 => with(get_("/a"), &unsigned),
            3 => with(get_("/a"), &elsewhere),
            _ => with(get_("/a"), &bad),
        };
        assert_eq!(s.status(request).await, 402, "{i}");
    }
    s.clock.advance(Duration::from_secs(301));
    for _ in 0..STORM / 10 {
        assert_eq!(s.status(with(get_("/a"), &good)).await, 402);
    }
    s.nothing_came_of_it();
}

#[tokio::test]
async fn a_storm_of_payments_that_fail_is_forgotten_in_time() {
    // Room for fewer than ever come: what failed is kept for as long as its challenge could be answered, and no longer.
    let s = Storm::over(Memory::bounded(120), false);
    s.rail.always(Step::Settle, Act::Refuses);
    for round in 0..20 {
        for i in 0..50 {
            let c = s.quick(&format!("b{round}-{i}")).await;
            assert_eq!(s.status(with(get_("/a"), &c)).await, 402, "{round}-{i}");
        }
        s.clock.advance(Duration::from_secs(2 * 3600));
    }
    assert_eq!(s.rail.taken(), 0);
}

#[tokio::test]
async fn a_full_store_takes_no_money_and_asks_for_none() {
    let s = Storm::over(Memory::bounded(2), false);
    let c = s.coupon("b1").await;
    assert_eq!(show(&s.app, get_("/a"), &c).await.code(), 200);
    let c = s.coupon("b2").await;
    let refused = show(&s.app, get_("/a"), &c).await;
    assert_eq!((refused.code(), refused.challenges().len()), (503, 0));
    assert_eq!((s.rail.taken(), s.runs.load(Ordering::SeqCst)), (1, 1));
}

#[tokio::test]
async fn s16_a_fault_of_ours_is_no_402_and_invites_nobody() {
    for on_success in [false, true] {
        let s = Storm::new(on_success);
        let c = s.coupon("b1").await;
        let faults: [(&str, &dyn Fn(bool)); 4] = [
            ("reads", &|on| s.store.breaks_reads.store(on, Ordering::SeqCst)),
            ("writes", &|on| s.store.breaks_writes.store(on, Ordering::SeqCst)),
            ("check", &|on| {
                s.rail.always(Step::Check, if on { Act::NeverHears } else { Act::Answers })
            }),
            ("settle", &|on| {
                s.rail.always(Step::Settle, if on { Act::NeverHears } else { Act::Answers })
            }),
        ];
        for (what, fault) in faults {
            fault(true);
            let refused = show(&s.app, get_("/a"), &c).await;
            assert!(refused.status.is_server_error(), "{what}: {}", refused.code());
            assert_eq!((refused.challenges().len(), refused.has_receipt()), (0, false), "{what}");
            assert_eq!(refused.headers["cache-control"], "no-store", "{what}");
            assert!(!refused.body.contains("down") && !refused.body.contains("ha\""), "{what}");
            fault(false);
        }
        s.clock.advance(Duration::from_secs(60));
        assert_eq!(show(&s.app, get_("/a"), &c).await.code(), 200);
        assert_eq!((s.rail.taken(), s.rail.sent_again()), (1, 0));
    }
}

#[tokio::test]
async fn s16_no_error_carries_a_receipt_not_even_one_that_its_handler_passes_on() {
    let s = Shop::new();
    for on_success in [false, true] {
        let selling = s.gate.charge("1 coupon").unwrap().via(&s.rail);
        let selling = if on_success { selling.charge_on_success() } else { selling };
        for (i, status) in [400, 402, 404, 429, 500, 503, 307, 308].into_iter().enumerate() {
            let handler = async move || {
                let forged = [("payment-receipt", "e30"), ("x-other", "kept")];
                (http::StatusCode::from_u16(status).unwrap(), forged, "no")
            };
            let wall = s.gate.charge("1 coupon").unwrap().via(&s.rail);
            let wall = if on_success { wall.charge_on_success() } else { wall };
            let app = Router::new().route("/a", any(handler).layer(wall.layer().unwrap()));
            let c = crate::shop::credential(&app, get_("/a"), &format!("b{on_success}{i}")).await;
            let failed = show(&app, get_("/a"), &c).await;
            assert_eq!((failed.code(), failed.has_receipt()), (status, false));
            assert_eq!(failed.headers["x-other"], "kept");
            assert!(failed.headers.contains_key("cache-control"), "{status}");
        }
        drop(selling);
    }
    assert_eq!(s.rail.taken(), 8, "for the route that settles first, and no other");
}

#[tokio::test]
async fn s16_every_refusal_is_kept_by_no_cache_and_only_a_402_asks_for_money() {
    let s = Storm::new(false);
    let c = s.coupon("b1").await;
    let mut refusals = vec![send(&s.app, get_("/a")).await];
    s.rail.next(Step::Settle, [Act::TakesAndIsMute]);
    for _ in 0..2 {
        refusals.push(show(&s.app, get_("/a"), &c).await);
    }
    let other = s.coupon("b1").await;
    refusals.push(show(&s.app, get_("/a"), &other).await);
    s.clock.advance(Duration::from_secs(60));
    assert_eq!(show(&s.app, get_("/a"), &c).await.code(), 200);
    refusals.push(show(&s.app, get_("/a"), &c).await);
    refusals.push(show(&s.app, get_("/b"), &c).await);
    let codes: Vec<_> = refusals.iter().map(crate::booth::Heard::code).collect();
    assert_eq!(codes, [402, 503, 503, 403, 402, 402]);
    for refusal in refusals {
        assert_eq!(refusal.headers["cache-control"], "no-store");
        assert_eq!(refusal.challenges().len(), usize::from(refusal.code() == 402));
        assert!(!refusal.has_receipt());
        assert_eq!(refusal.headers["content-type"], "application/problem+json");
        // Every challenge has an id.
        assert!(refusal.challenges().iter().all(|challenge| !challenge.id().as_str().is_empty()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_a_thousand_proofs_for_one_challenge_and_a_thousand_challenges_for_one_proof_are_one_payment()
 {
    let s = Arc::new(Shop::new());
    let first = s.coupon("b0").await;
    let mut credentials: Vec<_> =
        (0..500).map(|i| rail::answer(&first.challenge, &format!("b{i}"))).collect();
    for _ in 0..500 {
        credentials.push(s.coupon("b0").await);
    }
    let shown: Vec<_> = credentials
        .into_iter()
        .map(|c| {
            let s = s.clone();
            tokio::spawn(async move { (s.serve(&c).await, c) })
        })
        .collect();
    let mut served = Vec::new();
    for shown in shown {
        match shown.await.unwrap() {
            (Ok(permit), c) => served.push((permit, c)),
            (Err((status, reason, challenges)), _) => {
                assert_eq!((status, challenges), (403, 0), "{reason:?}");
            }
        }
    }
    // One for the challenge, and one for the proof; they may be the same payment.
    let taken = served.len();
    assert!((1..=2).contains(&taken), "{taken} were served");
    for (permit, _) in served {
        permit.finish(Ending::Delivered).await.unwrap();
    }
    assert_eq!((s.rail.taken(), s.rail.sent_again()), (taken, 0));
    let again = s.serve(&first).await.unwrap_err();
    assert!(matches!(again.1, Reason::ALREADY_USED | Reason::CREDITED_ELSEWHERE), "{again:?}");
}
