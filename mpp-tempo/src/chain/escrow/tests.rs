//! The contract's calls, answers and logs, against published values.

use alloy::primitives::keccak256;
use proptest::prelude::*;

use super::*;
use crate::session::sample::descriptor;

const ESCROW: Address = Address::repeat_byte(0xee);
/// The salt of the vectors, which name it as a channel too.
const ID: ChannelId = ChannelId(B256::with_last_byte(1));

fn open() -> Open {
    let from = descriptor();
    Open {
        payee: from.payee,
        token: from.token,
        deposit: 5_000_000,
        salt: from.salt,
        authorized_signer: from.authorized_signer,
    }
}

#[test]
fn calldata_is_what_deployed_clients_write() {
    let token = Address::repeat_byte(0x44);
    let closed = close(ESCROW, ID, 1_000_000, &[0x11; 65]);
    let [_, opened] = open().calls(ESCROW);
    let [_, topped] = top_up(ESCROW, token, ID, 1_000_000);
    let cases = [
        (&opened, b256!("6fca308d445f2c458e458b33d8cd060a74b410d3041900c4982922a3d9c5d889")),
        (&topped, b256!("190284f55d07506aade1c778a5dd79f4682544f1f28f804533a5bb883567b286")),
        (&closed, b256!("1ac8845ce270ed37e8b58d292e284990aa0487c024c055a4940a38af38bd2523")),
    ];
    for (call, hash) in cases {
        assert_eq!((call.to, keccak256(&call.data)), (ESCROW, hash));
    }
    // A payee's `settle` has the arguments of `close`.
    let settled = [&[0x51, 0x6d, 0x3b, 0x88], &closed.data[4..]].concat();
    let expected = b256!("66b55fa2bfc2ff42017f2e9d53c9c73bd51e8bb85dc842e978e15f996bb76684");
    assert_eq!(keccak256(settled), expected);
}

#[test]
fn the_contract_may_take_what_is_deposited_and_no_more() {
    for [approve, _] in [open().calls(ESCROW), top_up(ESCROW, open().token, ID, 5_000_000)] {
        assert_eq!(approve.to, open().token);
        let mut words = Words::of_call(&approve.data, APPROVE).unwrap();
        assert_eq!((words.address(), words.number(128)), (Some(ESCROW), Some(5_000_000)));
    }
}

#[test]
fn selectors_and_topics_are_of_the_interface() {
    let functions = [
        ("approve(address,uint256)", APPROVE),
        ("open(address,address,uint128,bytes32,address)", OPEN),
        ("topUp(bytes32,uint256)", TOP_UP),
        ("close(bytes32,uint128,bytes)", CLOSE),
        ("requestClose(bytes32)", REQUEST_CLOSE),
        ("withdraw(bytes32)", WITHDRAW),
        ("getChannel(bytes32)", GET),
    ];
    for (function, selector) in functions {
        assert!(keccak256(function).starts_with(&selector), "{function}");
    }
    let events = [
        ("ChannelOpened(bytes32,address,address,address,address,bytes32,uint256)", OPENED),
        ("Settled(bytes32,address,address,uint256,uint256,uint256)", SETTLED),
        ("TopUp(bytes32,address,address,uint256,uint256)", TOPPED_UP),
        ("CloseRequested(bytes32,address,address,uint256)", CLOSE_REQUESTED),
        ("CloseRequestCancelled(bytes32,address,address)", CLOSE_REQUEST_CANCELLED),
        ("ChannelClosed(bytes32,address,address,uint256,uint256)", CLOSED),
    ];
    for (event, topic) in events {
        assert_eq!(keccak256(event), topic, "{event}");
    }
    for call in [request_close(ESCROW, ID), withdraw(ESCROW, ID)] {
        assert_eq!((call.to, &call.data[4..]), (ESCROW, ID.0.as_slice()));
    }
}

#[test]
fn an_id_is_that_of_the_parties() {
    let payer = Address::repeat_byte(0x11);
    let Open { payee, token, salt, authorized_signer, .. } = open();
    let expected = ChannelId::v1(payer, payee, token, salt, authorized_signer, ESCROW, 42431);
    assert_eq!(open().id(payer, ESCROW, 42431), expected);
}

fn answer() -> Vec<B256> {
    let party = |byte| Address::repeat_byte(byte).into_word();
    let head = [words::of(1), words::of(77), party(0x11), party(0x22), party(0x33), party(0x44)];
    [&head[..], &[words::of(10), words::of(3)]].concat()
}

#[test]
fn a_channel_is_read_in_the_order_of_deployed_contracts() {
    let channel = read_channel(&answer().concat()).unwrap();
    let expected = Channel {
        finalized: true,
        close_requested_at: 77,
        payer: Address::repeat_byte(0x11),
        payee: Address::repeat_byte(0x22),
        token: Address::repeat_byte(0x33),
        authorized_signer: Address::repeat_byte(0x44),
        deposit: 10,
        settled: 3,
    };
    assert_eq!(channel, expected);
    assert_eq!((channel.signer(), channel.is_absent()), (Address::repeat_byte(0x44), false));
    let none = read_channel(&[0; 256]).unwrap();
    assert!(none.is_absent() && none == Channel::default());
    assert_eq!(
        Channel { authorized_signer: Address::ZERO, ..channel }.signer(),
        Address::repeat_byte(0x11)
    );
}

#[test]
fn an_answer_that_is_no_channel_is_refused() {
    for word in 0..8 {
        let mut dirty = answer();
        dirty[word][0] = 1;
        assert!(read_channel(&dirty.concat()).is_err(), "{word}");
    }
    for length in [0, 32, 255, 257, 288] {
        let mut bytes = answer().concat();
        bytes.resize(length, 0);
        assert!(read_channel(&bytes).is_err(), "{length}");
    }
}

fn log(event: B256, data: &[B256]) -> Log {
    let party = |byte| Address::repeat_byte(byte).into_word();
    let topics = vec![event, ID.0, party(0x11), party(0x22)];
    Log { address: ESCROW, topics, data: data.concat().into() }
}

#[test]
fn logs_tell_what_became_of_a_channel() {
    let [three, four, seven] = [3, 4, 7].map(words::of);
    let party = Address::repeat_byte;
    let opened = [party(0x33).into_word(), party(0x44).into_word(), ID.0, seven];
    let cases = [
        (
            log(OPENED, &opened),
            Event::Opened {
                token: party(0x33),
                authorized_signer: party(0x44),
                salt: ID.0,
                deposit: 7,
            },
        ),
        (
            log(SETTLED, &[seven, three, four]),
            Event::Settled { cumulative: 7, paid: 3, settled: 4 },
        ),
        (log(TOPPED_UP, &[three, seven]), Event::ToppedUp { added: 3, deposit: 7 }),
        (log(CLOSE_REQUESTED, &[seven]), Event::CloseRequested { grace_ends: 7 }),
        (log(CLOSE_REQUEST_CANCELLED, &[]), Event::CloseRequestCancelled),
        (log(CLOSED, &[three, four]), Event::Closed { settled: 3, refunded: 4 }),
    ];
    for (log, event) in cases {
        let told = Told { channel: ID, payer: party(0x11), payee: party(0x22), event };
        assert_eq!(Told::read(ESCROW, &log), Some(told));
        assert_eq!(Told::read(party(1), &log), None, "another contract");
        let mut more = log.clone();
        more.data = [&log.data[..], &[0]].concat().into();
        assert_eq!(Told::read(ESCROW, &more), None, "a trailing byte");
        let mut less = log.clone();
        less.topics.pop();
        assert_eq!(Told::read(ESCROW, &less), None, "a topic too few");
        let mut other = log.clone();
        other.topics[0] = B256::ZERO;
        assert_eq!(Told::read(ESCROW, &other), None, "another event");
    }
}

proptest! {
    #[test]
    fn any_answer_and_any_log_is_read_or_refused(
        bytes: Vec<u8>,
        event in prop::sample::select(vec![OPENED, SETTLED, CLOSED, CLOSE_REQUESTED]),
    ) {
        let _ = read_channel(&bytes);
        let _ = Told::read(ESCROW, &Log { data: bytes.into(), ..log(event, &[]) });
    }
}
