//! Leaving a store and coming back to it.

use std::sync::Arc;

use mpp_core::store::{Keep, Store};

use super::{Ground, put};

pub(super) async fn a_fresh_handle_sees_everything(
    on: Ground,
    open: &impl AsyncFn() -> Arc<dyn Store>,
) {
    let (kept, removed) = (on.key(&["reopen", "kept"]), on.key(&["reopen", "removed"]));
    let version = put(&*on.one, &kept, b"kept").await;
    let gone = put(&*on.other, &removed, b"gone").await;
    let swapped = on.other.swap(&removed, Some(gone), None, Keep::Forever).await;
    swapped.expect("the store answers").expect("expected, so removed");
    let prefix = on.key(&[]);
    let before = on.one.scan(&prefix, None, 1000).await.expect("the store answers");
    drop(on);

    let store = open().await;
    let after = store.scan(&prefix, None, 1000).await.expect("the store answers");
    assert_eq!(before, after, "what was written is not what is there after reopening");
    let entry = store.get(&kept).await.expect("the store answers").expect("written");
    assert_eq!((entry.version, &*entry.value), (version, &b"kept"[..]));
    let stale = store.swap(&removed, Some(gone), Some(b"x"), Keep::Forever).await;
    assert!(stale.expect("the store answers").is_none(), "a removed version won after reopening");
    let again = put(&*store, &removed, b"x").await;
    assert!(again != gone && again != version, "a version came back after reopening");
    let next = store.swap(&kept, Some(version), Some(b"y"), Keep::Forever).await;
    assert!(next.expect("the store answers").is_some(), "a version did not outlive reopening");
}
