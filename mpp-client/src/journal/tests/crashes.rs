//! Processes that die at any instant, any number of times.

use proptest::prelude::*;

use super::*;

/// Where a process dies: at so many writes, before or after; or once so many credentials were shown and before their
/// answer was heard.
#[derive(Clone, Copy, Debug)]
enum Death {
    At(i64, bool),
    Unheard,
}

/// One life of a process: makes the same request until it dies, and tells whether it lived to read the answer.
fn live(world: &World, death: Option<Death>) -> bool {
    let (at, how) = match death {
        Some(Death::At(at, true)) => (at, How::StopsLate),
        Some(Death::At(at, false)) => (at, How::Stops),
        Some(Death::Unheard) | None => (i64::MAX, How::Stops),
    };
    let fragile = Fragile::at(world.memory(), at, how);
    let Some(Ok(wallet)) = world.wallet_over(fragile) else { return false };
    let life = async {
        let mut exchange = begin(&wallet);
        let turn = match exchange.adopt().await.unwrap() {
            Some(turn) => turn,
            None => exchange.hear(world.shop.asks(10)).await.unwrap(),
        };
        let Turn::Send(credential) = turn else { panic!("{turn:?}") };
        let answer = world.shop.shown(&credential);
        if matches!(death, Some(Death::Unheard)) {
            return std::future::pending().await;
        }
        exchange.hear(answer).await.unwrap();
        assert!(exchange.receipt().is_some());
        exchange.delivered().await;
    };
    now(life).is_some()
}

fn death() -> impl Strategy<Value = Death> {
    prop_oneof![
        4 => (0..6_i64, any::<bool>()).prop_map(|(at, late)| Death::At(at, late)),
        1 => Just(Death::Unheard),
    ]
}

proptest! {
    /// Whatever the deaths, at most one credential is out that the journal does not know the end of, and one that was
    /// shown is never followed by another before its answer was read.
    #[test]
    fn however_often_it_dies_a_wallet_pays_once_and_gets_its_answer(
        deaths in prop::collection::vec(death(), 0..12),
    ) {
        let world = World::default();
        world.rail.lock().unwrap().recall = Some(false);
        let mut read = 0;
        for death in deaths {
            read += usize::from(live(&world, Some(death)));
            // Dead after its last write: the answer was read, and nobody lived to say so.
            let delivered = delivered(&world);
            prop_assert!(delivered >= read);
            prop_assert!(world.open().len() <= 1, "{:?}", world.open());
            prop_assert!(world.shop.seen() <= delivered + 1);
            prop_assert!(world.shop.seen() <= delivered + world.open().len());
        }
        let before = delivered(&world);
        prop_assert!(live(&world, None));
        prop_assert_eq!(delivered(&world), before + 1);
        prop_assert_eq!(world.shop.seen(), before + 1);
        prop_assert!(world.open().is_empty());
        // Every credential that was shown is spent; at most what dead processes had set aside is too.
        prop_assert!(world.left() <= 1000 - 10 * world.shop.seen() as u128);
    }
}

fn delivered(world: &World) -> usize {
    let prefix = Key::of(&["journal", "w"]).unwrap();
    let found = now(world.memory().scan(&prefix, None, 1000)).unwrap().unwrap();
    let records = found.iter().map(|(key, v)| Record::read(key.as_str(), &v.value).unwrap());
    records.filter(|record| record.state == State::Delivered).count()
}
