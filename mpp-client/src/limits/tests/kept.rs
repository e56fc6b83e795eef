//! Books in a store: they outlive who wrote them, and are one for all who name them.

use mpp_core::store::{Keep, Memory};

use super::*;

fn kept(store: &Arc<Memory>, name: &str) -> (Limits, Hands) {
    let (limits, hands) = limits();
    (limits.kept_in(store.clone(), name).unwrap(), hands)
}

#[test]
fn what_was_spent_survives_a_restart_and_is_shared_by_name() {
    let store = Arc::new(Memory::volatile());
    drop(judge(&kept(&store, "a").0, &usd(500_000, "shop")).unwrap());
    let (again, also) = (kept(&store, "a").0, kept(&store, "a").0);
    drop(judge(&again, &usd(500_000, "shop")).unwrap());
    let denied = judge(&also, &usd(1, "shop")).unwrap_err();
    assert!(matches!(denied, Denied::OverHost { .. }), "{denied}");
    assert!(judge(&also, &usd(1, "elsewhere")).is_ok());
    assert!(judge(&kept(&store, "b").0, &usd(1, "shop")).is_ok());
}

#[test]
fn units_have_books_of_their_own_whatever_their_spelling() {
    let store = Arc::new(Memory::volatile());
    let both = |unit: &'static str, token: &str| {
        let raw = Limits::in_currency(token, Amount::new(7));
        let both = Limits::in_unit(unit, "0.50").unwrap().or(raw);
        both.clock(Hands::default()).kept_in(store.clone(), "a").unwrap()
    };
    for _ in 0..10 {
        drop(judge(&both("usd", "0xtoken"), &usd(500_000, "a")).unwrap());
        drop(judge(&both("usd", "0xtoken"), &quote(7, None, "a")).unwrap());
    }
    for quote in [usd(1, "a"), quote(1, None, "a")] {
        let denied = judge(&both("USD", "0xTOKEN"), &quote).unwrap_err();
        assert!(matches!(denied, Denied::OverHost { .. }), "{denied}");
    }
    assert!(Limits::usd("1").unwrap().kept_in(store.clone(), "").is_err());
}

#[test]
fn what_was_set_aside_is_given_back_by_whoever_finds_it_and_by_no_other_book() {
    let store = Arc::new(Memory::volatile());
    let reserved = judge(&kept(&store, "a").0, &usd(500_000, "shop")).unwrap();
    let place = reserved.booking().unwrap().as_str().unwrap().to_owned();
    drop(judge(&kept(&store, "a").0, &usd(500_000, "shop")).unwrap());
    drop(judge(&kept(&store, "b").0, &usd(500_000, "shop")).unwrap());
    let all = Amount::new(500_000);
    for (name, place) in [("b", &*place), ("a", "nonsense"), ("a", "{}")] {
        now(kept(&store, name).0.give_back(&Booking::new(place), all)).unwrap();
    }
    assert!(judge(&kept(&store, "a").0, &usd(1, "shop")).is_err());
    let found = Booking::new(place);
    now(kept(&store, "a").0.give_back(&found, Amount::new(200_000))).unwrap();
    now(kept(&store, "a").0.give_back(&found, Amount::new(300_000))).unwrap();
    assert!(judge(&kept(&store, "a").0, &usd(500_000, "shop")).is_ok());
    assert!(judge(&kept(&store, "a").0, &usd(1, "shop")).is_err());
    assert!(judge(&kept(&store, "b").0, &usd(500_000, "shop")).is_ok());
}

#[test]
fn twenty_at_once_over_two_wallets_cannot_share_one_budget_twice() {
    let store = Arc::new(Memory::volatile());
    let wallets = [kept(&store, "a").0, kept(&store, "a").0];
    let granted = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for at in 0..20 {
            let (limits, granted) = (&wallets[at % 2], &granted);
            scope.spawn(move || {
                for _ in 0..20 {
                    let Ok(mut reserved) = judge(limits, &usd(10_000, "shop")) else { continue };
                    std::thread::yield_now();
                    trim(limits, &mut reserved, 5_000);
                    granted.fetch_add(5_000, Ordering::SeqCst);
                }
            });
        }
    });
    let granted = granted.into_inner();
    assert!((900_000..=1_000_000).contains(&granted), "{granted}");
    assert!(judge(&wallets[0], &usd(1_000_001 - u128::from(granted), "shop")).is_err());
}

#[test]
fn a_store_that_cannot_be_written_denies() {
    let limits = limits().0.kept_in(Memory::bounded(0), "a").unwrap();
    let denied = judge(&limits, &usd(1, "shop")).unwrap_err();
    assert!(matches!(denied, Denied::Unavailable(_)), "{denied}");
}

#[test]
fn a_clock_that_jumps_ahead_and_comes_back_frees_nothing() {
    let store = Arc::new(Memory::volatile());
    for (limits, hands) in [limits(), kept(&store, "a")] {
        drop(judge(&limits, &usd(500_000, "shop")).unwrap());
        for days in [3, 30, 300] {
            // As far as it can tell these are other days, so it grants what they allow.
            hands.0.store(days * 86_400_000, Ordering::SeqCst);
            drop(judge(&limits, &usd(500_000, "shop")).unwrap());
        }
        hands.0.store(0, Ordering::SeqCst);
        // All of it counts again, and none of it is forgotten.
        assert!(judge(&limits, &usd(1, "shop")).is_err());
        hands.0.store(86_400_000, Ordering::SeqCst);
        assert!(judge(&limits, &usd(1, "shop")).is_err());
    }
}

#[test]
fn another_length_of_window_forgets_nothing_that_is_in_it() {
    let store = Arc::new(Memory::volatile());
    let hands = Hands::default();
    let with = |host: Duration, all: Duration| {
        let limits = Limits::usd("0.50").unwrap().per_host("1", host).unwrap();
        let limits = limits.in_all("2", all).unwrap().clock(hands.clone());
        limits.kept_in(store.clone(), "a").unwrap()
    };
    drop(judge(&with(HOUR, DAY), &usd(500_000, "shop")).unwrap());
    hands.pass(HOUR / 2);
    drop(judge(&with(HOUR, DAY), &usd(500_000, "shop")).unwrap());
    for (host, all) in [(DAY, 7 * DAY), (HOUR, DAY), (7 * DAY, HOUR)] {
        let denied = judge(&with(host, all), &usd(1, "shop")).unwrap_err();
        assert!(matches!(denied, Denied::OverHost { .. }), "{denied}");
    }
}

#[test]
fn a_window_of_many_slots_stays_small_and_counts_all_that_is_in_it() {
    let hands = Hands::default();
    let store = Arc::new(Memory::volatile());
    let limits = Limits::usd("1").unwrap().per_host("1000", HOUR).unwrap();
    let limits = limits.in_all("1000", DAY).unwrap().clock(hands.clone());
    let limits = limits.kept_in(store.clone(), "a").unwrap();
    for _ in 0..400 {
        drop(judge(&limits, &usd(10_000, "shop")).unwrap());
        hands.pass(HOUR / 60);
    }
    let key = Key::of(&["budget", "a", "unit", "usd"]).unwrap();
    let found = now(store.get(&key)).unwrap().unwrap();
    assert!(found.value.len() < 16 * 1024, "{}", found.value.len());
    let damaged = String::from_utf8(found.value).unwrap().replace("\"slot\":60000", "\"slot\":0");
    let swapped = store.swap(&key, Some(found.version), Some(damaged.as_bytes()), Keep::Forever);
    now(swapped).unwrap().unwrap();
    assert!(matches!(judge(&limits, &usd(1, "shop")), Err(Denied::Unavailable(_))));
}

#[test]
fn two_caps_of_one_unit_share_a_book_and_give_back_once() {
    let store = Arc::new(Memory::volatile());
    let hands = Hands::default();
    let cap = |unit: &'static str| {
        let cap = Limits::in_unit(unit, "0.50").unwrap();
        cap.per_host("1", HOUR).unwrap()
    };
    let limits = cap("usd").or(cap("USD")).or(cap("eur")).clock(hands);
    let limits = limits.kept_in(store, "a").unwrap();
    let reserved = judge(&limits, &usd(250_000, "shop")).unwrap();
    drop(judge(&limits, &usd(500_000, "shop")).unwrap());
    release(&limits, reserved);
    drop(judge(&limits, &usd(500_000, "shop")).unwrap());
    assert!(judge(&limits, &usd(1, "shop")).is_err());
}

#[test]
fn what_a_clock_a_year_ahead_set_aside_and_got_back_leaves_later_spending_at_its_own_time() {
    let store = Arc::new(Memory::volatile());
    for (limits, hands) in [limits(), kept(&store, "a")] {
        hands.pass(365 * DAY);
        let whole = judge(&limits, &usd(500_000, "shop")).unwrap();
        let mut parts = judge(&limits, &usd(500_000, "shop")).unwrap();
        hands.0.store(0, Ordering::SeqCst);
        assert!(judge(&limits, &usd(1, "shop")).is_err());
        release(&limits, whole);
        trim(&limits, &mut parts, 100_000);
        trim(&limits, &mut parts, 0);
        for _ in 0..2 {
            for _ in 0..2 {
                drop(judge(&limits, &usd(500_000, "shop")).unwrap());
            }
            assert!(judge(&limits, &usd(1, "shop")).is_err());
            hands.pass(HOUR + HOUR / 30);
        }
        // What all hosts may get in a day is spent, and leaves in time as well.
        assert!(matches!(judge(&limits, &usd(1, "shop")), Err(Denied::OverBudget { .. })));
        hands.pass(DAY);
        assert!(judge(&limits, &usd(500_000, "shop")).is_ok());
    }
}
