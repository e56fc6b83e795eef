//! Accounts: what each step may do, and what any sequence of them keeps.

use proptest::prelude::*;

use super::*;

fn amount(n: u128) -> Amount {
    Amount::new(n)
}

fn to(total: u128) -> Raise {
    Raise::proven(amount(total), Amount::ZERO, format!("proof of {total}"))
}

fn with_credit(n: u128) -> Account {
    let mut account = Account::of(());
    account.raise(&to(n), None).unwrap();
    account
}

#[test]
fn an_order_is_credited_once() {
    let mut a = Account::of(());
    for _ in 0..2 {
        a.credit_order("o1", Credit::Add(amount(5))).unwrap();
    }
    a.credit_order("o2", Credit::Add(amount(5))).unwrap();
    assert_eq!(a.credit, amount(10));
}

#[test]
fn a_short_draw_keeps_the_raise_and_says_what_is_missing() {
    let mut a = Account::of(());
    let r = a.draw(&to(3), None, 1, amount(5)).unwrap_err();
    assert_eq!(
        (r.extra["requiredTopUp"].as_str(), a.credit, a.spent),
        (Some("2"), amount(3), Amount::ZERO)
    );
}

#[test]
fn an_account_that_is_not_open_is_not_drawn_on() {
    for (state, reason) in [
        (State::Closing, Reason::CLOSED),
        (State::Closed, Reason::CLOSED),
        (State::Opening, Reason::OUTCOME_UNKNOWN),
    ] {
        let mut a = Account { state, ..with_credit(9) };
        let refused = a.draw(&Raise::default(), None, 1, amount(1)).unwrap_err();
        assert_eq!((refused.reason, a.spent), (reason, Amount::ZERO));
        assert!(a.hold(1, amount(1)).is_err());
    }
}

#[test]
fn s9_a_voucher_never_lowers_the_credit_and_an_equal_one_changes_nothing() {
    let refused = [
        (to(9), None, Reason::LOWER),
        (to(21), Some(amount(20)), Reason::OVER_DEPOSIT),
        (Raise::proven(amount(14), amount(5), "p"), None, Reason::SMALL_STEP),
    ];
    for (raise, ceiling, reason) in refused {
        let mut a = with_credit(10);
        let before = a.clone();
        assert_eq!(a.draw(&raise, ceiling, 1, amount(1)).unwrap_err().reason, reason);
        assert_eq!(a, before);
    }
    let mut a = with_credit(10);
    let before = a.clone();
    a.raise(&Raise::proven(amount(10), amount(5), "p"), Some(amount(10))).unwrap();
    assert_eq!(a, before);
}

#[test]
fn only_what_was_spent_to_its_end_is_collected() {
    let mut a = with_credit(10);
    assert!(a.collectable().is_none());
    a.spend(1, amount(10)).unwrap();
    assert_eq!(a.collectable().unwrap().amount, amount(10));
    a.draw(&to(30), None, 1, amount(5)).unwrap();
    assert_eq!(a.collectable().unwrap().amount, amount(10));
    a.give_back(1, amount(5), amount(10));
    assert_eq!((a.spent, a.collectable().unwrap().amount), (amount(10), amount(10)));
    // What is superseded before it is spent to its end can be collected once it is.
    a.raise(&to(40), None).unwrap();
    a.raise(&to(50), None).unwrap();
    a.spend(1, amount(35)).unwrap();
    assert_eq!((a.spent, a.collectable().unwrap().amount), (amount(45), amount(40)));
    a.give_back(1, amount(35), amount(10));
    a.give_back(1, amount(10), amount(10));
    assert_eq!(a.spent, amount(10), "what the rail has moved is not given back");
}

#[test]
fn a_hold_is_as_much_as_is_covered_and_ends_in_what_was_used() {
    let mut a = with_credit(10);
    assert_eq!(a.hold(100, amount(3)).unwrap(), 3);
    assert_eq!((a.held, a.available()), (amount(9), amount(1)));
    assert!(a.hold(1, amount(3)).is_err());
    a.book(amount(9), amount(6), 2);
    assert_eq!((a.spent, a.held, a.units, a.available()), (amount(6), Amount::ZERO, 2, amount(4)));
}

#[derive(Clone, Debug)]
enum Step {
    Draw(Option<Amount>, u64, u128),
    Deposit(Amount),
    Hold(u64, u128),
    Book(u64),
    GiveBack(u64, u128),
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    let amount = prop_oneof![0..1_000_u128, any::<u128>()].prop_map(Amount::new);
    let total = prop::option::of(amount.clone());
    prop_oneof![
        2 => amount.prop_map(Step::Deposit),
        8 => (total, 0..4_u64, 0..500_u128).prop_map(|(c, u, p)| Step::Draw(c, u, p)),
        4 => (0..9_u64, 0..99_u128).prop_map(|(u, p)| Step::Hold(u, p)),
        4 => (0..9_u64).prop_map(Step::Book),
        2 => (0..4_u64, 0..500_u128).prop_map(|(u, p)| Step::GiveBack(u, p)),
        1 => Just(Step::Close),
    ]
}

proptest! {
    #[test]
    fn nothing_is_spent_that_was_not_credited_and_nothing_collected_that_was_not_spent(
        steps in prop::collection::vec(step(), 1..60)
    ) {
        let mut a = Account::of(());
        let mut holds: Vec<(u64, Amount)> = Vec::new();
        for step in steps {
            let before = a.clone();
            match step {
                Step::Deposit(more) => {
                    let name = before.orders.len().to_string();
                    let _ = a.credit_order(&name, Credit::Add(more));
                }
                Step::Draw(total, units, price) => {
                    let raise = total.map_or(Raise::none(), |total| Raise::proven(total, Amount::ZERO, "p"));
                    let drawn = a.draw(&raise, None, units, Amount::new(price)).is_ok();
                    prop_assert!(a.credit >= before.credit && (drawn || a.spent == before.spent));
                }
                Step::Hold(units, price) => {
                    if let Ok(held) = a.hold(units, Amount::new(price)) {
                        let cost = a.held.checked_sub(before.held).unwrap();
                        prop_assert!(held <= units || cost.is_zero());
                        holds.push((held, cost));
                    }
                }
                Step::Book(used) => if let Some((units, held)) = holds.pop() {
                    let used = used.min(units);
                    let part = if units == 0 { 0 } else { held.get() / u128::from(units) * u128::from(used) };
                    a.book(held, Amount::new(part), used);
                    prop_assert_eq!(a.spent.get(), before.spent.get() + part);
                }
                Step::GiveBack(units, price) => {
                    a.give_back(units, Amount::new(price), Amount::ZERO);
                    prop_assert!(a.spent <= before.spent);
                }
                Step::Close => a.state = State::Closing,
            }
            let sum = a.spent.checked_add(a.held).unwrap();
            prop_assert!(sum <= a.credit, "{a:?}");
            prop_assert!(a.collectable().is_none_or(|proof| proof.amount <= a.spent), "{a:?}");
        }
    }
}
