//! The reserve's calls, answers, logs and refusals, against published values.

use alloy::primitives::{Address, B256, Bytes, b256, hex, keccak256};
use proptest::prelude::*;

use super::*;
use crate::{
    chain::{
        rpc::{Log, NodeError, RpcError},
        words,
    },
    session::{ChannelId, Descriptor, sample::descriptor},
};

fn open() -> Open {
    let Descriptor { payee, operator, token, salt, authorized_signer, .. } = descriptor();
    Open { payee, operator, token, deposit: 5_000_000, salt, authorized_signer }
}

fn top_up() -> TopUp {
    TopUp { descriptor: descriptor(), additional_deposit: 1_000_000 }
}

#[test]
fn calldata_is_what_deployed_clients_write() {
    assert_eq!(
        hex::encode(open().encode()),
        "edc53b0000000000000000000000000022222222222222222222222222222222222222220000000000000000000000003333333333333333333333333333333333333333000000000000000000000000444444444444444444444444444444444444444400000000000000000000000000000000000000000000000000000000004c4b4000000000000000000000000000000000000000000000000000000000000000010000000000000000000000005555555555555555555555555555555555555555"
    );
    let (made, signature) = (descriptor(), [0x11; 65]);
    let cases = [
        (
            top_up().call(),
            260,
            b256!("0053b512ad188110b99c5f35602cc12d7a9aa312ae8dd51972fec5639ac1a717"),
        ),
        (
            settle(&made, 1_000_000, &signature),
            420,
            b256!("f019e295e5152828729140770ad7886b83b7db1f08e4b779ad5b8275c3bba338"),
        ),
        (
            close(&made, 1_000_000, 900_000, &signature),
            452,
            b256!("76e0e8dd79ebb4d7255ab3da07fc5837aa33b78f5a565c83155a2518bc41888f"),
        ),
        (
            request_close(&made),
            228,
            b256!("eeefe8b591bcfeac18f3142855c510ea7fb241bc832649d24059146ded7fa1d5"),
        ),
        (
            withdraw(&made),
            228,
            b256!("bdb4dc9e684b5f3b12c7ba270e2f47ca0c1c4cfd8135a533549a34354f4d4f7f"),
        ),
    ];
    for (call, length, hash) in cases {
        assert_eq!((call.to, call.value.is_zero()), (CHANNEL_RESERVE, true));
        assert_eq!((call.data.len(), keccak256(&call.data)), (length, hash));
    }
}

#[test]
fn selectors_and_topics_are_of_the_interface() {
    const D: &str = "(address,address,address,address,bytes32,address,bytes32)";
    let functions = [
        ("open(address,address,address,uint96,bytes32,address)".to_owned(), calls::OPEN),
        (format!("topUp({D},uint96)"), calls::TOP_UP),
        (format!("settle({D},uint96,bytes)"), calls::SETTLE),
        (format!("close({D},uint96,uint96,bytes)"), calls::CLOSE),
        (format!("requestClose({D})"), calls::REQUEST_CLOSE),
        (format!("withdraw({D})"), calls::WITHDRAW),
        ("getChannelState(bytes32)".to_owned(), state::GET),
        ("getChannelStatesBatch(bytes32[])".to_owned(), state::GET_BATCH),
    ];
    for (function, selector) in functions {
        assert!(keccak256(&function).starts_with(&selector), "{function}");
    }
    let events = [
        (
            "ChannelOpened(bytes32,address,address,address,address,address,bytes32,bytes32,uint96)",
            topic::CHANNEL_OPENED,
        ),
        ("Settled(bytes32,address,address,uint96,uint96,uint96)", topic::SETTLED),
        ("TopUp(bytes32,address,address,uint96,uint96)", topic::TOP_UP),
        ("CloseRequested(bytes32,address,address,uint256)", topic::CLOSE_REQUESTED),
        ("CloseRequestCancelled(bytes32,address,address)", topic::CLOSE_REQUEST_CANCELLED),
        ("ChannelClosed(bytes32,address,address,uint96,uint96)", topic::CHANNEL_CLOSED),
    ];
    for (event, hash) in events {
        assert_eq!(keccak256(event), hash, "{event}");
    }
    for (error, selector) in error::ALL {
        assert!(keccak256(format!("{error:?}()")).starts_with(&selector), "{error:?}");
        assert_eq!(ReserveError::read(&selector), Some(error));
    }
}

#[test]
fn calls_are_read_only_as_they_are_written() {
    type Edit = fn(&mut Vec<u8>);
    let edits: [(&str, Edit, NotReserveCall); 6] = [
        ("another function", |data| data[0] ^= 1, NotReserveCall::Selector),
        ("half a selector", |data| data.truncate(3), NotReserveCall::Selector),
        ("a dirty address", |data| data[4] = 1, NotReserveCall::Arguments),
        (
            "a dirty amount",
            |data| {
                let at = if data.len() == 196 { 100 } else { 228 };
                data[at] = 1;
            },
            NotReserveCall::Arguments,
        ),
        ("a trailing byte", |data| data.push(0), NotReserveCall::Arguments),
        ("a byte too few", |data| data.truncate(data.len() - 1), NotReserveCall::Arguments),
    ];
    assert_eq!(Open::decode(&open().encode()), Ok(open()));
    assert_eq!(TopUp::decode(&top_up().encode()), Ok(top_up()));
    for (name, edit, error) in edits {
        let [mut opened, mut topped] = [open().encode().to_vec(), top_up().encode().to_vec()];
        edit(&mut opened);
        edit(&mut topped);
        assert_eq!(Open::decode(&opened), Err(error), "{name}");
        assert_eq!(TopUp::decode(&topped), Err(error), "{name}");
    }
    let wide = Open { deposit: 1 << 96, ..open() };
    assert_eq!(Open::decode(&wide.encode()), Err(NotReserveCall::Arguments));
    assert_eq!(open().descriptor(descriptor().payer, B256::repeat_byte(0xaa)), descriptor());
}

#[test]
fn a_channels_state_is_three_numbers_and_nothing_else() {
    let answer =
        |words: &[u128]| words.iter().flat_map(|number| words::of(*number).0).collect::<Vec<_>>();
    let read = |words: &[u128]| read_channel_state(&answer(words)).ok();
    let state = ChannelState { settled: 3, deposit: 10, close_requested_at: 1_700_000_000 };
    assert_eq!(read(&[3, 10, 1_700_000_000]), Some(state));
    assert_eq!((state.is_absent(), state.grace_ends()), (false, Some(1_700_000_900)));
    assert!(read(&[0, 0, 0]).is_some_and(|none| none.is_absent() && none.grace_ends().is_none()));
    for bad in
        [&[][..], &[3, 10], &[3, 10, 0, 0], &[1 << 96, 10, 0], &[3, 1 << 96, 0], &[3, 10, 1 << 32]]
    {
        assert_eq!(read(bad), None, "{bad:?}");
    }
    let batch = |words: &[u128], count| read_channel_states(&answer(words), count).ok();
    assert_eq!(
        batch(&[32, 2, 3, 10, 1_700_000_000, 0, 0, 0], 2),
        Some(vec![state, ChannelState::default()])
    );
    assert_eq!(batch(&[32, 0], 0), Some(vec![]));
    for (bad, count) in [
        (&[32, 1, 3, 10, 0][..], 2),
        (&[32, 2, 3, 10, 0], 2),
        (&[64, 1, 3, 10, 0], 1),
        (&[32, 1, 3, 10, 0, 0], 1),
        (&[32, u128::MAX], 1),
        (&[32, 0], usize::MAX),
        (&[], 0),
    ] {
        assert_eq!(batch(bad, count), None, "{bad:?}");
    }
}

#[test]
fn questions_name_their_channels() {
    let (one, two) = (ChannelId(B256::repeat_byte(1)), ChannelId(B256::repeat_byte(2)));
    assert_eq!(hex::encode(get_channel_state(one)), format!("d18da8b1{}", "01".repeat(32)));
    let batch = hex::encode(get_channel_states(&[one, two]));
    let head = format!("d1f4cda2{:064x}{:064x}", 32, 2);
    assert_eq!(batch, format!("{head}{}{}", "01".repeat(32), "02".repeat(32)));
}

const ID: ChannelId = ChannelId(B256::repeat_byte(0xcd));

fn log(event: B256, data: &[B256]) -> Log {
    let Descriptor { payer, payee, .. } = descriptor();
    Log {
        address: CHANNEL_RESERVE,
        topics: vec![event, ID.0, payer.into_word(), payee.into_word()],
        data: data.concat().into(),
    }
}

/// Which readers take a log, by name.
fn taken(log: &Log) -> Vec<&'static str> {
    let all = [
        ("opened", ChannelOpened::read(log).is_some()),
        ("settled", Settled::read(log).is_some()),
        ("topped up", ToppedUp::read(log).is_some()),
        ("requested", CloseRequested::read(log).is_some()),
        ("cancelled", CloseRequestCancelled::read(log).is_some()),
        ("closed", ChannelClosed::read(log).is_some()),
    ];
    all.into_iter().filter(|(_, taken)| *taken).map(|(name, _)| name).collect()
}

fn logs() -> [(&'static str, Log); 6] {
    let made = descriptor();
    let [_, _, operator, token, salt, signer, nonce] = made.words();
    let opened = [operator, token, signer, salt, nonce, words::of(10)];
    let [four, three, seven] = [4, 3, 7].map(words::of);
    [
        ("opened", log(topic::CHANNEL_OPENED, &opened)),
        ("settled", log(topic::SETTLED, &[four, three, seven])),
        ("topped up", log(topic::TOP_UP, &[four, seven])),
        ("requested", log(topic::CLOSE_REQUESTED, &[seven])),
        ("cancelled", log(topic::CLOSE_REQUEST_CANCELLED, &[])),
        ("closed", log(topic::CHANNEL_CLOSED, &[four, three])),
    ]
}

#[test]
fn logs_tell_what_became_of_a_channel() {
    let [opened, settled, topped, requested, _, closed] = logs().map(|(_, log)| log);
    let expected = ChannelOpened { channel: ID, descriptor: descriptor(), deposit: 10 };
    assert_eq!(ChannelOpened::read(&opened), Some(expected));
    let expected = Settled { channel: ID, cumulative: 4, paid: 3, settled: 7 };
    assert_eq!(Settled::read(&settled), Some(expected));
    assert_eq!(ToppedUp::read(&topped), Some(ToppedUp { channel: ID, added: 4, deposit: 7 }));
    assert_eq!(
        CloseRequested::read(&requested),
        Some(CloseRequested { channel: ID, grace_ends: 7 })
    );
    assert_eq!(
        ChannelClosed::read(&closed),
        Some(ChannelClosed { channel: ID, settled: 4, refunded: 3 })
    );
}

#[test]
fn a_log_is_read_by_its_own_reader_and_only_from_the_reserve() {
    type Edit = fn(&mut Log);
    let edits: [(&str, Edit); 7] = [
        ("another contract", |log| log.address = Address::repeat_byte(9)),
        ("no topics", |log| log.topics.clear()),
        ("a topic too few", |log| log.topics.truncate(3)),
        ("a topic too many", |log| log.topics.push(B256::ZERO)),
        ("a dirty party", |log| log.topics[2][0] = 1),
        ("a trailing byte", |log| log.data = [&log.data[..], &[0]].concat().into()),
        ("another event", |log| log.topics[0] = B256::ZERO),
    ];
    for (name, log) in logs() {
        assert_eq!(taken(&log), [name]);
        for (edit_name, edit) in edits {
            let mut edited = log.clone();
            edit(&mut edited);
            assert!(taken(&edited).is_empty(), "{name}: {edit_name}");
        }
        if !log.data.is_empty() {
            let mut dirty = log.clone();
            let mut data = log.data.to_vec();
            let last = data.len() - 32;
            data[last] = 1;
            dirty.data = Bytes::from(data);
            assert!(taken(&dirty).is_empty(), "{name}: a dirty number");
        }
    }
}

#[test]
fn a_search_asks_for_what_is_given_and_for_anything_else() {
    let payer = Address::repeat_byte(0x11);
    let found = search(topic::CHANNEL_OPENED, (None, Some(payer), None), (5, 9));
    assert_eq!(found.topics, [Some(topic::CHANNEL_OPENED), None, Some(payer.into_word()), None]);
    assert_eq!((found.address, found.from_block, found.to_block), (CHANNEL_RESERVE, 5, 9));
}

#[test]
fn a_refusal_is_read_from_what_a_node_says() {
    let refused = |text: &str| ReserveError::told(&RpcError::Refused(NodeError::new(3, text)));
    let reverted = "execution reverted: custom error 0x8baa579f";
    assert_eq!(refused(reverted), Some(ReserveError::InvalidSignature));
    assert_eq!(refused("reverted, data: \"0xbd0d7138\""), Some(ReserveError::AmountExceedsDeposit));
    for other in ["execution reverted", "0x8baa579f00", "8baa579f", "0xzz", "0x", "é0x8baa"] {
        assert_eq!(refused(other), None, "{other}");
    }
    assert_eq!(ReserveError::told(&RpcError::Status(500)), None);
    assert_eq!(ReserveError::read(&[]), None);
}

prop_compose! {
    fn descriptors()(parties: [[u8; 20]; 5], hashes: [[u8; 32]; 2]) -> Descriptor {
        let [payer, payee, operator, token, authorized_signer] = parties.map(Address::new);
        let [salt, expiring_nonce_hash] = hashes.map(B256::new);
        Descriptor { payer, payee, operator, token, salt, authorized_signer, expiring_nonce_hash }
    }
}

proptest! {
    #[test]
    fn calls_survive_calldata(made in descriptors(), amount in 0_u128..1 << 96) {
        let Descriptor { payee, operator, token, salt, authorized_signer, .. } = made;
        let open = Open { payee, operator, token, deposit: amount, salt, authorized_signer };
        prop_assert_eq!(Open::decode(&open.encode()), Ok(open));
        prop_assert_eq!(open.descriptor(made.payer, made.expiring_nonce_hash), made);
        let top_up = TopUp { descriptor: made, additional_deposit: amount };
        prop_assert_eq!(TopUp::decode(&top_up.encode()), Ok(top_up));
    }

    #[test]
    fn any_calldata_is_one_calls_only_spelling_or_none(
        name in prop::sample::select(vec![calls::OPEN, calls::TOP_UP, [0; 4]]),
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let data = [&name[..], &bytes].concat();
        if let Ok(open) = Open::decode(&data) {
            prop_assert_eq!(open.encode().to_vec(), &data[..]);
        }
        if let Ok(top_up) = TopUp::decode(&data) {
            prop_assert_eq!(top_up.encode().to_vec(), &data[..]);
        }
    }

    #[test]
    fn any_answer_and_any_log_is_read_or_refused(
        bytes: Vec<u8>,
        topics: Vec<[u8; 32]>,
        count: usize,
        event in prop::sample::select(vec![topic::SETTLED, topic::CHANNEL_OPENED, topic::TOP_UP]),
    ) {
        let _ = read_channel_state(&bytes);
        let _ = read_channel_states(&bytes, count);
        let topics = [event].into_iter().chain(topics.into_iter().map(B256::new));
        let _ = taken(&Log { address: CHANNEL_RESERVE, topics: topics.collect(), data: bytes.into() });
    }
}
