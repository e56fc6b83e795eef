//! What is believed of a node that says how channels stand.

use std::sync::atomic::{AtomicUsize, Ordering};

use alloy::primitives::{Bytes, U256};

use super::*;
use crate::chain::{
    reserve::topic,
    rpc::{Log, RpcError, Told},
};

/// A batch's answer: settled, deposit and close of each.
fn states(states: &[(u64, u64, u64)]) -> Bytes {
    let words = [32, states.len() as u64];
    let words = words.into_iter().chain(states.iter().flat_map(|(s, d, c)| [*s, *d, *c]));
    words.flat_map(|word| U256::from(word).to_be_bytes::<32>()).collect::<Vec<_>>().into()
}

fn state(settled: u64, deposit: u64, close: u64) -> Bytes {
    let words = [settled, deposit, close];
    words.iter().flat_map(|word| U256::from(*word).to_be_bytes::<32>()).collect::<Vec<_>>().into()
}

/// The log of that channel's end.
fn closed(settled: u64) -> Told {
    let descriptor = channel();
    let id = descriptor.id(CHANNEL_RESERVE, 42431).0;
    let data = [settled, 10_000 - settled];
    Told {
        log: Log {
            address: CHANNEL_RESERVE,
            topics: vec![
                topic::CHANNEL_CLOSED,
                id,
                descriptor.payer.into_word(),
                descriptor.payee.into_word(),
            ],
            data: data
                .iter()
                .flat_map(|w| U256::from(*w).to_be_bytes::<32>())
                .collect::<Vec<_>>()
                .into(),
        },
        transaction: B256::repeat_byte(4),
        block_number: 12,
    }
}

fn seen_at(
    height: u64,
) -> Box<dyn Fn(()) -> Result<crate::chain::rpc::Block, crate::chain::rpc::RpcError> + Send + Sync>
{
    Box::new(move |()| {
        Ok(crate::chain::rpc::Block { number: height, timestamp: NOW as u64, base_fee: None })
    })
}

async fn looked(node: Scripted) -> Option<Channel> {
    let teller = teller_at(Arc::new(node));
    teller.look(&[kept(channel())]).await.remove(0)
}

#[tokio::test(start_paused = true)]
async fn a_channel_is_gone_only_where_that_is_certain() {
    // The books have seen it at height 9.
    let absent = || Scripted {
        call: Box::new(|trial| {
            Ok(if trial.calls[0].data.len() > 36 { states(&[(0, 0, 0)]) } else { state(0, 0, 0) })
        }),
        ..Scripted::default()
    };
    let unheard = Scripted { block: seen_at(68), ..absent() };
    assert_eq!(looked(unheard).await, None, "a node that may not have heard of it yet");
    let heard = Scripted { block: seen_at(69), ..absent() };
    assert!(looked(heard).await.unwrap().ended, "absent twice, long after it was seen");
    let logged = Scripted { logs: Box::new(|_| Ok(vec![closed(7_000)])), ..absent() };
    let gone = looked(logged).await.unwrap();
    assert_eq!((gone.ended, gone.settled.get(), gone.block), (true, 7_000, 12));
    let count = AtomicUsize::new(0);
    let flapping = Scripted {
        block: seen_at(1_000),
        call: Box::new(move |trial| {
            let first = count.fetch_add(1, Ordering::Relaxed) == 0;
            assert_eq!(trial.calls[0].data.len() > 36, first);
            Ok(if first { states(&[(0, 0, 0)]) } else { state(0, 10_000, 0) })
        }),
        ..Scripted::default()
    };
    assert_eq!(looked(flapping).await, None, "there after all");
    let elsewhere =
        Scripted { chain_id: Box::new(|()| Ok(4217)), block: seen_at(1_000), ..absent() };
    assert_eq!(looked(elsewhere).await, None, "a node of another chain");
    let unopened = Channel { block: 0, ..kept(channel()) };
    let teller = teller_at(Arc::new(Scripted { block: seen_at(1_000), ..absent() }));
    assert_eq!(teller.look(&[unopened]).await, [None], "it never was seen open");
}

#[tokio::test]
async fn all_channels_are_asked_for_at_once() {
    let node = Arc::new(Scripted {
        call: Box::new(|_| Ok(states(&[(1, 10_000, 0), (2, 20_000, 77)]))),
        block: seen_at(20),
        ..Scripted::default()
    });
    let other = Descriptor { salt: B256::ZERO, ..channel() };
    let teller = teller_at(node.clone());
    let seen = teller.look(&[kept(channel()), kept(other)]).await;
    let numbers: Vec<_> = seen
        .iter()
        .flatten()
        .map(|seen| (seen.settled.get(), seen.deposit.get(), seen.close_requested_at, seen.block))
        .collect();
    assert_eq!(numbers, [(1, 10_000, 0, 20), (2, 20_000, 77, 20)]);
    assert_eq!(node.asked(), ["chain_id", "block", "call"]);
    // A node that answers something else has said nothing.
    for answer in [states(&[(1, 1, 1)]), Bytes::new()] {
        let node = Scripted { call: Box::new(move |_| Ok(answer.clone())), ..Scripted::default() };
        let seen = teller_at(Arc::new(node)).look(&[kept(channel()), kept(other)]).await;
        assert_eq!(seen, [None, None]);
    }
    assert!(teller.look(&[]).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn channels_are_asked_for_one_by_one_where_a_node_does_not_say_of_all_together() {
    let other = Descriptor { salt: B256::ZERO, ..channel() };
    let third = Descriptor { salt: B256::repeat_byte(1), ..channel() };
    type Broken = fn() -> RpcError;
    let apart = |broken: Option<Broken>| {
        let node = Scripted {
            call: Box::new(move |trial| {
                let data = &trial.calls[0].data;
                let is =
                    |of: &Descriptor| data.ends_with(of.id(CHANNEL_RESERVE, 42431).0.as_slice());
                match broken {
                    _ if data.len() > 36 => Err(refused(-32000)),
                    Some(broken) if is(&channel()) => Err(broken()),
                    _ if is(&other) => Ok(state(2, 20_000, 0)),
                    _ => Ok(state(1, 10_000, 0)),
                }
            }),
            block: seen_at(20),
            ..Scripted::default()
        };
        Arc::new(node)
    };
    let all = [kept(channel()), kept(other), kept(third)];
    type Case = (&'static str, Option<Broken>, [Option<u128>; 3]);
    let cases: [Case; 3] = [
        ("all are said", None, [Some(10_000), Some(20_000), Some(10_000)]),
        ("one is not", Some(|| refused(-32000)), [None, Some(20_000), Some(10_000)]),
        ("a silent node is left alone", Some(|| RpcError::Unanswered("gone".into())), [None; 3]),
    ];
    for (name, broken, expected) in cases {
        let node = apart(broken);
        let seen = teller_at(node.clone()).look(&all).await;
        let deposits: Vec<_> =
            seen.iter().map(|seen| seen.as_ref().map(|seen| seen.deposit.get())).collect();
        assert_eq!(deposits, expected, "{name}");
        let calls = node.asked().iter().filter(|asked| **asked == "call").count();
        assert_eq!(calls, if expected == [None; 3] { 2 } else { 4 }, "{name}");
    }
}
