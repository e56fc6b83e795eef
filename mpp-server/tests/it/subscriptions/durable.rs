//! The books in a file: what was agreed, ordered and cancelled outlives the process.

use std::sync::Arc;

use mpp_core::{
    problem::Reason,
    transport::{Call, Refusal, Resource},
};
use mpp_server::{Admission, Gate, Route, store::Redb};
use mpp_testkit::{
    clock::Hands,
    club::{self, Club},
    rail::{Act, Step},
};

use super::{DAY, PRODUCT, builder};

/// One life of a server with its books in a file.
async fn life(path: &std::path::Path, clock: &Hands, club: &Arc<Club>) -> (Gate, Route) {
    let store = Redb::open(path).await.unwrap();
    let gate = builder(store, clock).alone().build().unwrap();
    let route = super::route(&gate, club, "5 coupon per 30 days");
    (gate, route)
}

async fn ask(
    (gate, route): &(Gate, Route),
    card: Option<mpp_core::Credential>,
) -> Result<String, Refusal> {
    let mut call = Call::to(Resource::at("GET /reports"));
    (call.credential, call.subscriber) = (Ok(card), Some("alice".into()));
    match gate.judge(route, call).await? {
        Admission::Serve(permit) => Ok(permit.receipt().unwrap().reference.clone()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_subscription_in_a_file_outlives_its_servers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let clock = Hands::new();
    let club = Club::new(&clock);
    {
        let shop = life(&path, &clock, &club).await;
        let card = club::answer(&ask(&shop, None).await.unwrap_err().challenges[0], "b1");
        assert_eq!(ask(&shop, Some(card)).await.unwrap(), "club0-0");
        shop.0.idle().await;
    }
    clock.advance(DAY * 30);
    club.next(Step::Settle, [Act::TakesAndIsMute]);
    {
        let shop = life(&path, &clock, &club).await;
        let refused = ask(&shop, None).await.unwrap_err();
        assert_eq!(refused.rejection.reason, Reason::OUTCOME_UNKNOWN);
        shop.0.idle().await;
    }
    clock.advance(DAY);
    {
        let shop = life(&path, &clock, &club).await;
        assert_eq!(shop.0.recover().await.unwrap().renewals, 1);
        assert_eq!(ask(&shop, None).await.unwrap(), "club0-1");
        shop.0.subscriptions().cancel(PRODUCT, "alice").await.unwrap().unwrap();
        shop.0.idle().await;
    }
    clock.advance(DAY * 30);
    let shop = life(&path, &clock, &club).await;
    let over = ask(&shop, None).await.unwrap_err();
    assert_eq!(over.rejection.reason, Reason::SUBSCRIPTION_OVER);
    assert_eq!((club.charges(), club.sent_again(), club.told()), (2, 0, 1));
}
