//! A watch that reads again and again.

use std::{sync::Arc, time::Duration};

use mpp_core::store::{Memory, Wakes, Watch};
use mpp_server::store::Polling;
use mpp_testkit::store;

#[tokio::test(flavor = "multi_thread")]
async fn a_polled_store_is_a_store_and_a_watch() {
    let memory = Arc::new(Memory::volatile());
    let apart = Duration::from_millis(1);
    store::suite(async || Arc::new(Polling::new(memory.clone(), apart)) as _).await;
    store::watch_suite(async || Arc::new(Polling::new(memory.clone(), apart))).await;
    assert_eq!(Polling::new(memory, apart).wakes(), Wakes::Poll(apart));
}
