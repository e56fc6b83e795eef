//! Budgets hold under any order of events, and across threads.

mod kept;

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use mpp_core::{
    Timestamp,
    name::{IntentName, MethodId, MethodName},
    payer::{Exposure, Site},
};
use proptest::prelude::*;

use super::{book::MAX_HOSTS, *};

#[derive(Clone, Debug, Default)]
struct Hands(Arc<AtomicI64>);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_millis(1_800_000_000_000 + self.0.load(Ordering::SeqCst))
    }
}

impl Hands {
    fn pass(&self, time: Duration) {
        self.0.fetch_add(i64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

fn quote(amount: u128, unit: Option<(&'static str, u8)>, origin: &str) -> Quote {
    let exposes = Exposure::new(Amount::new(amount));
    Quote {
        id: MethodId {
            method: MethodName::from_static("coupon"),
            intent: IntentName::from_static("charge"),
        },
        exposes: match unit {
            Some((unit, decimals)) => exposes.in_unit(unit, decimals),
            None => exposes,
        },
        currency: "0xToken".into(),
        recipient: None,
        to: Site { origin: origin.into(), resource: "GET /".into() },
    }
}

fn usd(micros: u128, origin: &str) -> Quote {
    quote(micros, Some(("usd", 6)), origin)
}

/// The policy's answer, which waits for nothing but the store.
fn judge(limits: &Limits, quote: &Quote) -> Result<Reservation, Denied> {
    now(limits.reserve(quote))
}

/// Drives a future that never waits: books in memory, and a store in memory.
fn now<T>(future: impl Future<Output = T>) -> T {
    match std::pin::pin!(future).poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
    {
        std::task::Poll::Ready(done) => done,
        std::task::Poll::Pending => panic!("it waits"),
    }
}

fn trim(limits: &Limits, reserved: &mut Reservation, to: u128) {
    let part = reserved.trim(Amount::new(to));
    if let Some(booking) = reserved.booking() {
        now(limits.give_back(booking, part)).unwrap();
    }
}

fn release(limits: &Limits, mut reserved: Reservation) {
    trim(limits, &mut reserved, 0);
}

fn limits() -> (Limits, Hands) {
    let hands = Hands::default();
    let limits = Limits::usd("0.50").unwrap().per_host("1", HOUR).unwrap();
    (limits.in_all("2", DAY).unwrap().clock(hands.clone()), hands)
}

#[test]
fn each_cap_denies_by_its_own_name() {
    let (limits, _) = limits();
    let denied = |q: &Quote| judge(&limits, q).unwrap_err().to_string();
    assert_eq!(denied(&usd(500_001, "a")), "0.500001 usd is over the limit of 0.5 usd per payment");
    let held: Vec<_> = (0..2).map(|_| judge(&limits, &usd(500_000, "a")).unwrap()).collect();
    assert_eq!(denied(&usd(1, "a")), "0.000001 usd more would put a over the limit of 1 usd");
    let _more: Vec<_> = (0..2).map(|_| judge(&limits, &usd(500_000, "b")).unwrap()).collect();
    assert_eq!(denied(&usd(1, "c")), "0.000001 usd more would exceed the budget of 2 usd");
    assert_eq!(held.len(), 2);
}

#[test]
fn every_cap_says_how_much_of_what_is_asked_is_for_fees() {
    let with_fees = |mut quote: Quote, fees: u128| {
        quote.exposes = quote.exposes.of_which_fees(Amount::new(fees));
        quote
    };
    let (limits, _) = limits();
    let denied = |q: &Quote| judge(&limits, q).unwrap_err().to_string();
    let asked = |most: u128, host: &str| with_fees(usd(most, host), 50_000);
    let said = "0.55 usd (0.5 and at most 0.05 of fees) is over the limit of 0.5 usd per payment";
    assert_eq!(denied(&asked(550_000, "a")), said);
    let _held: Vec<_> = (0..2).map(|_| judge(&limits, &usd(500_000, "a")).unwrap()).collect();
    let said = "0.15 usd (0.1 and at most 0.05 of fees) more would put a over the limit of 1 usd";
    assert_eq!(denied(&asked(150_000, "a")), said);
    let _more: Vec<_> = (0..2).map(|_| judge(&limits, &usd(500_000, "b")).unwrap()).collect();
    let said = "0.05 usd (0 and at most 0.05 of fees) more would exceed the budget of 2 usd";
    assert_eq!(denied(&asked(50_000, "c")), said);
    let raw = Limits::in_currency("0xToken", Amount::new(9)).clock(Hands::default());
    let over = judge(&raw, &with_fees(quote(11, None, "a"), 2)).unwrap_err().to_string();
    let said = "11 0xToken (9 and at most 2 of fees) is over the limit of 9 0xToken per payment";
    assert_eq!(over, said);
}

#[test]
fn without_further_words_a_host_gets_ten_payments_an_hour_and_all_get_fifty_a_day() {
    let limits = Limits::usd("1").unwrap().clock(Hands::default());
    let mut granted = Vec::new();
    for host in 0..6 {
        let host = host.to_string();
        granted.push((0..12).filter(|_| judge(&limits, &usd(1_000_000, &host)).is_ok()).count());
    }
    assert_eq!(granted, [10, 10, 10, 10, 10, 0]);
}

#[test]
fn a_unit_without_a_limit_is_denied_and_zero_of_anything_is_not() {
    let (limits, _) = limits();
    for (q, ok) in [
        (quote(1, Some(("eur", 6)), "a"), false),
        (quote(1, None, "a"), false),
        (quote(0, None, "a"), true),
        (quote(1, Some(("USD", 6)), "a"), true),
    ] {
        assert_eq!(judge(&limits, &q).is_ok(), ok, "{q:?}");
    }
    assert!(matches!(judge(&limits, &quote(1, None, "a")), Err(Denied::UnknownUnit { .. })));
}

#[test]
fn a_raw_currency_is_counted_in_base_units_beside_a_display_unit() {
    let both = limits().0.or(Limits::in_currency("0xtoken", Amount::new(7)));
    assert!(judge(&both, &quote(7, None, "a")).is_ok());
    assert!(matches!(judge(&both, &quote(8, None, "a")), Err(Denied::OverPayment { .. })));
    assert!(judge(&both, &usd(500_000, "a")).is_ok());
}

#[test]
fn tokens_of_any_decimals_share_one_budget_and_nothing_overflows() {
    let (limits, _) = limits();
    let _a = judge(&limits, &quote(500_000, Some(("usd", 6)), "a")).unwrap();
    let _b = judge(&limits, &quote(500_000_000_000_000_000, Some(("usd", 18)), "a")).unwrap();
    for decimals in [0, 6, 18, 24, 255] {
        for amount in [u128::MAX, 10_u128.pow(38)] {
            let judged = judge(&limits, &quote(amount, Some(("usd", decimals)), "a"));
            assert!(judged.is_err(), "{decimals}: {judged:?}");
        }
    }
    // Finer than the books: rounded up, never to nothing.
    let (fresh, _) = self::limits();
    let _dust = judge(&fresh, &quote(1, Some(("usd", 24)), "a")).unwrap();
    assert!(judge(&fresh, &usd(500_000, "a")).is_ok());
    assert!(judge(&fresh, &usd(500_000, "a")).is_err());
}

#[test]
fn only_what_was_released_comes_back() {
    let (limits, _) = limits();
    let full = usd(500_000, "a");
    release(&limits, judge(&limits, &full).unwrap());
    trim(&limits, &mut judge(&limits, &full).unwrap(), 0);
    drop(judge(&limits, &full).unwrap());
    drop(judge(&limits, &full).unwrap());
    assert!(matches!(judge(&limits, &full), Err(Denied::OverHost { .. })));
}

#[test]
fn spending_leaves_a_window_when_its_time_is_over_and_not_before() {
    let (limits, hands) = limits();
    drop(judge(&limits, &usd(500_000, "a")).unwrap());
    drop(judge(&limits, &usd(500_000, "a")).unwrap());
    hands.pass(HOUR);
    assert!(judge(&limits, &usd(1, "a")).is_err());
    hands.pass(HOUR / 30);
    assert!(judge(&limits, &usd(500_000, "a")).is_ok());
}

#[test]
fn a_clock_that_goes_back_frees_nothing() {
    let (limits, hands) = limits();
    drop(judge(&limits, &usd(500_000, "a")).unwrap());
    hands.0.store(-7_200_000, Ordering::SeqCst);
    drop(judge(&limits, &usd(500_000, "a")).unwrap());
    assert!(judge(&limits, &usd(1, "a")).is_err());
}

#[test]
fn hosts_are_bounded_and_the_last_is_denied_not_forgotten() {
    let hands = Hands::default();
    let limits = Limits::usd("1").unwrap().in_all("1000000", DAY).unwrap().clock(hands.clone());
    for host in 0..MAX_HOSTS {
        drop(judge(&limits, &usd(1, &host.to_string())).unwrap());
    }
    assert!(matches!(judge(&limits, &usd(1, "one more")), Err(Denied::TooManyHosts)));
    hands.pass(HOUR * 2);
    assert!(judge(&limits, &usd(1, "one more")).is_ok());
}

#[test]
fn threads_cannot_share_one_budget_twice() {
    let (limits, _) = limits();
    let granted = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..200 {
                    if let Ok(mut reserved) = judge(&limits, &usd(10_000, "a")) {
                        std::thread::yield_now();
                        trim(&limits, &mut reserved, 5_000);
                        granted.fetch_add(5_000, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    let granted = granted.into_inner();
    assert!((990_000..=1_000_000).contains(&granted), "{granted}");
}

#[derive(Clone, Debug)]
enum Act {
    Reserve(u128, u8),
    Trim(usize, u128),
    Release(usize),
    Forget(usize),
    Wait(u32),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (1..600_000_u128, 0..4_u8).prop_map(|(a, h)| Act::Reserve(a, h)),
        1 => (any::<usize>(), 0..600_000_u128).prop_map(|(i, a)| Act::Trim(i, a)),
        1 => any::<usize>().prop_map(Act::Release),
        1 => any::<usize>().prop_map(Act::Forget),
        1 => (0..600_000_u32).prop_map(Act::Wait),
    ]
}

proptest! {
    /// What was granted and not given back never exceeds a cap, within any window, whatever the order of events.
    #[test]
    fn no_interleaving_grants_more_than_a_cap(acts in prop::collection::vec(act(), 1..120)) {
        let (limits, hands) = limits();
        // (when, host, what is still counted), and the reservations that are open.
        let mut spent: Vec<(i64, u8, u128)> = Vec::new();
        let mut open: Vec<(usize, Reservation)> = Vec::new();
        for act in acts {
            match act {
                Act::Reserve(amount, host) => {
                    if let Ok(reserved) = judge(&limits, &usd(amount, &host.to_string())) {
                        prop_assert!(amount <= 500_000);
                        open.push((spent.len(), reserved));
                        spent.push((hands.0.load(Ordering::SeqCst), host, amount));
                    }
                }
                Act::Wait(millis) => hands.pass(Duration::from_millis(millis.into())),
                _ if open.is_empty() => {}
                Act::Trim(at, to) => {
                    let at = at % open.len();
                    let (row, reserved) = &mut open[at];
                    trim(&limits, reserved, to);
                    spent[*row].2 = reserved.amount().get();
                }
                Act::Release(at) => {
                    let (row, reserved) = open.swap_remove(at % open.len());
                    release(&limits, reserved);
                    spent[row].2 = 0;
                }
                Act::Forget(at) => drop(open.swap_remove(at % open.len())),
            }
            let now = hands.0.load(Ordering::SeqCst);
            let within = |window: Duration, host: Option<u8>| -> u128 {
                spent
                    .iter()
                    .filter(|s| now - s.0 <= millis(window) && host.is_none_or(|h| h == s.1))
                    .map(|s| s.2)
                    .sum()
            };
            prop_assert!(within(DAY, None) <= 2_000_000);
            for host in 0..4 {
                prop_assert!(within(HOUR, Some(host)) <= 1_000_000);
            }
        }
    }
}
