//! What is kept of a channel is never older than it was, in whatever order it is heard.

use mpp_core::{
    Amount, Timestamp,
    account::{Account, Raise},
};
use proptest::prelude::*;

use super::{super::super::sample, *};

fn channel() -> Channel {
    Channel::unseen(sample::golden(), 42431, 10_000)
}

fn seen(settled: u128, deposit: u128, close_requested_at: u32, block: u64) -> Channel {
    channel().seen(&ChannelState { settled, deposit, close_requested_at }, block)
}

fn merged(words: &[Channel]) -> Channel {
    let mut kept = channel();
    for word in words {
        kept.merge(word.clone());
    }
    kept
}

#[test]
fn s9_a_stale_word_takes_nothing_back() {
    let newest = seen(3_000, 15_000, 0, 20);
    let cases = [
        ("less was deposited", seen(0, 10_000, 0, 10)),
        ("a request that was taken back", seen(0, 10_000, 77, 19)),
        ("less was settled, later", seen(1_000, 15_000, 0, 21)),
    ];
    for (name, stale) in cases {
        let kept = merged(&[newest.clone(), stale]);
        assert_eq!((kept.settled.get(), kept.deposit.get()), (3_000, 15_000), "{name}");
        assert_eq!(kept.standing(), Standing::Open, "{name}");
    }
    let ended = newest.gone(Amount::new(4_000), 30);
    let kept = merged(&[ended, seen(3_000, 15_000, 0, 40)]);
    assert_eq!((kept.standing(), kept.settled.get()), (Standing::Ended, 4_000));
}

#[test]
fn a_request_to_close_ends_a_channel_in_fifteen_minutes() {
    let kept = merged(&[seen(0, 10_000, 1_000, 5)]);
    assert_eq!(kept.standing(), Standing::Ending { by: Timestamp::from_unix(1_900, 0) });
    let kept = merged(&[kept, seen(0, 10_000, 0, 6)]);
    assert_eq!(kept.standing(), Standing::Open);
}

#[test]
fn another_channel_is_not_merged() {
    let mut other = seen(9, 99_999, 7, 99);
    other.descriptor.salt = alloy::primitives::B256::ZERO;
    assert_eq!(merged(&[other]), channel());
    let other = Channel { chain_id: 4217, ..seen(9, 99_999, 7, 99) };
    assert_eq!(merged(&[other]), channel());
}

#[test]
fn an_idle_account_is_small() {
    let mut account = Account::of(seen(1 << 90, 1 << 95, 0, 1 << 40));
    for total in [1 << 94, (1 << 94) + 1] {
        let proof = format!("0x{}", "ab".repeat(65));
        let raise = Raise::proven(Amount::new(total), Amount::ZERO, proof);
        account.draw(&raise, None, 0, Amount::ZERO).unwrap();
        account.spent = account.credit;
    }
    let orders = (0..2).map(|_| format!("0x{}", "ab".repeat(32)));
    account.orders.extend(orders);
    let stored = serde_json::to_vec(&account).unwrap();
    assert!(stored.len() <= 1_600, "{}", stored.len());
    let read: Account<Channel> = serde_json::from_slice(&stored).unwrap();
    assert_eq!(read, account);
}

proptest! {
    #[test]
    fn the_order_in_which_the_chain_is_heard_does_not_matter(
        words in prop::collection::vec((0_u128..9, 0_u128..9, 0_u32..3, 0_u64..4, any::<bool>()), 0..6),
        at in any::<prop::sample::Index>(),
    ) {
        let mut words: Vec<_> = words
            .into_iter()
            .map(|(settled, deposit, close, block, ended)| {
                Channel { ended, ..seen(settled, deposit, close, block) }
            })
            .collect();
        let forth = merged(&words);
        words.reverse();
        prop_assert_eq!(&merged(&words), &forth);
        if !words.is_empty() {
            words.push(words[at.index(words.len())].clone());
        }
        prop_assert_eq!(&merged(&words), &forth, "heard twice is heard once");
        for word in &words {
            prop_assert!(forth.deposit >= word.deposit && forth.settled >= word.settled);
            prop_assert!(forth.ended || !word.ended);
        }
    }
}
