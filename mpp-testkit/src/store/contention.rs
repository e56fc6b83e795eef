//! Many writers at one entry: a store is only as good as its swap.

use std::collections::HashSet;

use mpp_core::{
    Amount,
    account::{Account, Raise},
    problem::Rejection,
    store::{Keep, StoreExt, Version},
};

use super::{Ground, put, value};

pub(super) async fn one_of_a_thousand_creators_wins(on: &Ground) {
    let k = on.key(&["thousand"]);
    let creators = Vec::from_iter((0..1000).map(|i: usize| {
        let (store, k) = (on.handle(i), k.clone());
        tokio::spawn(async move {
            let name = i.to_string();
            let won = store.swap(&k, None, Some(name.as_bytes()), Keep::Forever).await;
            won.expect("the store answers").map(|_| name)
        })
    }));
    let mut winners = Vec::new();
    for creator in creators {
        winners.extend(creator.await.expect("a creator ends"));
    }
    assert_eq!(winners.len(), 1, "not one of a thousand created an entry");
    let written = value(&*on.one, &k).await.expect("created");
    assert_eq!(written, winners[0].as_bytes(), "a loser's value was kept");
}

/// The swaps of one entry are a line: each success replaces another, and none a version that was replaced before.
pub(super) async fn each_version_is_replaced_once(on: &Ground) {
    const WRITERS: usize = 8;
    const SWAPS: usize = 25;
    let k = on.key(&["line"]);
    let first = put(&*on.one, &k, &0_u64.to_be_bytes()).await;
    let writers = Vec::from_iter((0..WRITERS).map(|i| {
        let (store, k) = (on.handle(i), k.clone());
        tokio::spawn(async move {
            let mut swapped: Vec<(Version, Version, u64)> = Vec::new();
            while swapped.len() < SWAPS {
                let held = store.get(&k).await.expect("the store answers").expect("written");
                let count = held.value.try_into().map(u64::from_be_bytes);
                let next = count.expect("eight bytes were written") + 1;
                let written = Some(&next.to_be_bytes()[..]);
                let swap = store.swap(&k, Some(held.version), written, Keep::Forever).await;
                if let Some(version) = swap.expect("the store answers") {
                    swapped.push((held.version, version, next));
                }
            }
            swapped
        })
    }));
    let mut swaps = Vec::new();
    for writer in writers {
        swaps.extend(writer.await.expect("a writer ends"));
    }
    swaps.sort_by_key(|(_, _, count)| *count);
    let (mut last, mut seen) = (first, HashSet::from([first.0]));
    for (at, (replaced, version, count)) in swaps.iter().enumerate() {
        assert_eq!(*count, at as u64 + 1, "two swaps replaced one version");
        assert_eq!(*replaced, last, "a swap replaced what was not there");
        assert!(seen.insert(version.0), "a version was used twice");
        last = *version;
    }
    let held = on.other.get(&k).await.expect("the store answers").expect("written");
    assert_eq!(held.version, last, "the last swap was lost");
}

pub(super) async fn nothing_is_lost(on: &Ground) {
    let k = on.key(&["account"]);
    let writers = Vec::from_iter((0..8).map(|i| {
        let (store, k) = (on.handle(i), k.clone());
        tokio::spawn(async move {
            for _ in 0..10 {
                let draw = |a: &mut Account| -> Result<(), Rejection> {
                    a.raise(
                        &Raise::proven(Amount::new(a.credit.get() + 3), Amount::ZERO, "p"),
                        None,
                    )?;
                    a.spend(1, Amount::new(2))
                };
                let drawn = store.update(&k, Keep::Forever, draw).await;
                drawn.expect("the store answers").expect("enough credit");
            }
        })
    }));
    for writer in writers {
        writer.await.expect("a writer ends");
    }
    let (_, account) =
        on.one.read::<Account>(&k).await.expect("the store answers").expect("written");
    assert_eq!(
        (account.credit.get(), account.spent.get(), account.units),
        (240, 160, 80),
        "an update was lost"
    );
}
