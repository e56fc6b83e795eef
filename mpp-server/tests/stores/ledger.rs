//! The ledger over each durable store: the whole suite, and a server of the store that is killed while a payment settles.

use std::{
    path::PathBuf,
    sync::{Arc, Weak},
    time::Duration,
};

use mpp_core::{
    problem::Reason,
    store::Store,
    transport::{Call, Refusal, Resource},
};
use mpp_server::{
    Admission, Gate, Offers, Permit, Route,
    permit::Ending,
    store::{Postgres, Redb, Redis},
};
use mpp_testkit::{
    clock::Hands,
    ledger,
    rail::{Act, Rail, Step, answer},
    services,
};
use tokio::sync::Mutex;

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_over_a_file_behaves() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.redb");
    // One process opens it once: lives that overlap share a handle.
    let held = Arc::new(Mutex::new(Weak::<Redb>::new()));
    ledger::suite(move || shared(path.clone(), held.clone())).await;
}

async fn shared(path: PathBuf, held: Arc<Mutex<Weak<Redb>>>) -> Arc<dyn Store> {
    let mut held = held.lock().await;
    if let Some(open) = held.upgrade() {
        return open;
    }
    let opened = Arc::new(Redb::open(path).await.unwrap());
    *held = Arc::downgrade(&opened);
    opened
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_over_redis_behaves() {
    let server = services::Redis::start().await.unwrap();
    let url = server.url().to_owned();
    ledger::suite(move || redis(url.clone())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_over_postgres_behaves() {
    let server = services::Postgres::start().await.unwrap();
    let url = server.url().to_owned();
    ledger::suite(move || postgres(url.clone())).await;
}

async fn redis(url: String) -> Arc<dyn Store> {
    Arc::new(Redis::connect(&url).await.unwrap())
}

async fn postgres(url: String) -> Arc<dyn Store> {
    Arc::new(Postgres::connect(&url).await.unwrap())
}

/// A gate over a store, and a rail that is slow enough to kill the store's server meanwhile.
struct Shop {
    gate: Gate,
    rail: Arc<Rail>,
    clock: Hands,
    route: Route,
}

impl Shop {
    fn over(store: Arc<dyn Store>) -> Self {
        let (rail, clock) = (Rail::new(), Hands::new());
        let gate = Gate::builder(store)
            .realm("shop")
            .secret("a secret of at least thirty-two bytes")
            .clock(clock.clone())
            .recover_by_hand()
            .build()
            .unwrap();
        let offers = Offers::<mpp_core::Charge>::of("1 coupon".parse().unwrap());
        let route = Route::of(offers.via(&rail));
        gate.recovers(&route);
        Self { gate, rail, clock, route }
    }

    async fn ask(&self, credential: Option<&mpp_core::Credential>) -> Result<Permit, Refusal> {
        let mut call = Call::to(Resource::at("GET /joke"));
        call.credential = Ok(credential.cloned());
        match self.gate.judge(&self.route, call).await? {
            Admission::Serve(permit) => Ok(permit),
            other => panic!("{other:?}"),
        }
    }

    /// The rail takes the money, and the store is gone before that can be written down. When it is back, the books say
    /// what happened, and the credential is good for what was paid: once.
    async fn survives(self, kill: impl AsyncFnOnce(), restart: impl AsyncFnOnce()) {
        let slow = Duration::from_millis(400);
        self.rail.next(Step::Settle, [Act::Slow(slow)]);
        let asked = self.ask(None).await.unwrap_err();
        let credential = answer(&asked.challenges[0], "b1");
        let paying = self.ask(Some(&credential));
        let killed = async {
            while self.rail.asked(Step::Settle) == 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            kill().await;
        };
        let (paid, ()) = tokio::join!(paying, killed);
        let refused = paid.unwrap_err();
        assert_eq!(
            (refused.rejection.kind.status, refused.rejection.reason, refused.challenges.len()),
            (503, Reason::OUTCOME_UNKNOWN, 0)
        );
        assert!(refused.rejection.retry_after.is_some());
        // Nobody is invited to pay while the store is away, either.
        let away = self.ask(Some(&credential)).await.unwrap_err();
        assert_eq!((away.rejection.kind.status, away.challenges.len()), (503, 0));
        restart().await;
        self.clock.advance(Duration::from_secs(120));
        let mut redeemed = self.ask(Some(&credential)).await;
        for _ in 0..100 {
            if redeemed.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            redeemed = self.ask(Some(&credential)).await;
        }
        redeemed.unwrap().finish(Ending::Delivered).await.unwrap();
        let again = self.ask(Some(&credential)).await.unwrap_err();
        assert_eq!(again.rejection.reason, Reason::ALREADY_USED);
        assert_eq!(self.rail.taken(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_outlives_a_redis_that_is_killed_while_it_settles() {
    let server = services::Redis::start().await.unwrap();
    let shop = Shop::over(redis(server.url().to_owned()).await);
    let server = Mutex::new(server);
    shop.survives(
        async || server.lock().await.kill().await,
        async || server.lock().await.restart().await.unwrap(),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_outlives_a_postgres_that_is_killed_while_it_settles() {
    let server = services::Postgres::start().await.unwrap();
    let shop = Shop::over(postgres(server.url().to_owned()).await);
    let server = Mutex::new(server);
    shop.survives(
        async || server.lock().await.kill().await,
        async || server.lock().await.restart().await.unwrap(),
    )
    .await;
}
