//! Tests of calldata and of the matching of transfers.

use alloy::primitives::{address, b256, hex, keccak256};
use proptest::prelude::*;

use super::*;
use crate::chain::{PATH_USD, attribution::Attribution};

const PAYER: Address = address!("abcdabcdabcdabcdabcdabcdabcdabcdabcdabcd");
const SHOP: Address = address!("2222222222222222222222222222222222222222");
const OTHER: Address = address!("3333333333333333333333333333333333333333");
const MEMO: B256 = b256!("ef1ed712011ece072f76bd8b82350e00000000000000000000eb18f2d4402269");

fn transfer(to: Address, amount: u64, memo: Option<B256>) -> Transfer {
    Transfer { to, amount: U256::from(amount), memo }
}

fn expected(to: Address, amount: u64, memo: MemoRule) -> Expected {
    Expected { to, amount: U256::from(amount), memo }
}

/// Ours: of challenge-123 at api.example.com, whose memo is `MEMO`.
fn attributed() -> MemoRule {
    MemoRule::Attributed(Attribution::new("api.example.com", "challenge-123"))
}

fn log(token: Address, event: &str, indexed: &[B256], amount: u64) -> Log {
    let topics = [keccak256(event)].into_iter().chain(indexed.iter().copied()).collect();
    Log { address: token, topics, data: U256::from(amount).to_be_bytes_vec().into() }
}

/// What a token writes for one transfer: one entry, or two with a memo.
fn logs(token: Address, from: Address, transfers: &[Transfer]) -> Vec<Log> {
    let mut written = Vec::new();
    for transfer in transfers {
        let (parties, amount) = ([from.into_word(), transfer.to.into_word()], transfer.amount.to());
        written.push(log(token, "Transfer(address,address,uint256)", &parties, amount));
        if let Some(memo) = transfer.memo {
            let indexed = [parties.as_slice(), &[memo]].concat();
            written.push(log(
                token,
                "TransferWithMemo(address,address,uint256,bytes32)",
                &indexed,
                amount,
            ));
        }
    }
    written
}

#[test]
fn calldata_is_what_deployed_clients_send() {
    let with_memo = hex!(
        "95777d59000000000000000000000000222222222222222222222222222222222222222200000000000000000000000000000000"
        "000000000000000000000000000f4240ef1ed712011ece072f76bd8b82350e00000000000000000000eb18f2d4402269"
    );
    let ours = transfer(SHOP, 1_000_000, Some(MEMO));
    assert_eq!(ours.encode().as_ref(), with_memo);
    assert_eq!(Transfer::decode(&with_memo), Ok(ours));
    let plain = transfer(SHOP, 1_000_000, None);
    assert!(plain.encode().starts_with(&hex!("a9059cbb")));
    assert_eq!(Transfer::decode(&plain.encode()), Ok(plain));
    assert!(balance_of(SHOP).starts_with(&hex!("70a08231")));
    assert_eq!(read_balance(&U256::from(7).to_be_bytes::<32>()), Some(U256::from(7)));
    assert_eq!(read_balance(&[7; 31]), None);
}

#[test]
fn calldata_in_a_second_spelling_is_refused() {
    for memo in [None, Some(MEMO)] {
        let clean = transfer(SHOP, 5, memo).encode().to_vec();
        for dirty in 4..16 {
            let mut data = clean.clone();
            data[dirty] = 1;
            assert_eq!(Transfer::decode(&data), Err(NotTransfer::Arguments), "high byte {dirty}");
        }
        let trailing = [clean.as_slice(), &[0]].concat();
        assert_eq!(Transfer::decode(&trailing), Err(NotTransfer::Arguments));
        assert_eq!(Transfer::decode(&clean[..clean.len() - 1]), Err(NotTransfer::Arguments));
    }
    for data in [hex!("").as_slice(), &hex!("a905"), &hex!("095ea7b3"), &balance_of(SHOP)] {
        assert_eq!(Transfer::decode(data), Err(NotTransfer::Selector));
    }
}

#[test]
fn calls_must_be_the_expected_transfers_and_nothing_else() {
    let wanted = [expected(SHOP, 750, attributed()), expected(OTHER, 250, MemoRule::Any)];
    let primary = transfer(SHOP, 750, Some(MEMO)).call(PATH_USD);
    let split = transfer(OTHER, 250, None).call(PATH_USD);
    let check = |calls: &[&Call]| {
        match_calls(PATH_USD, &wanted, &calls.iter().copied().cloned().collect::<Vec<_>>())
    };
    assert_eq!(check(&[&primary, &split]), Ok(()));
    assert_eq!(check(&[&split, &primary]), Ok(()));
    assert_eq!(check(&[&primary]), Err(Unmatched::Missing));
    assert_eq!(check(&[&primary, &split, &split]), Err(Unmatched::Extra));
    let plain = transfer(SHOP, 750, None).call(PATH_USD);
    assert_eq!(check(&[&plain, &split]), Err(Unmatched::Missing));
    let elsewhere = Call { to: OTHER, ..split.clone() };
    assert_eq!(check(&[&primary, &elsewhere]), Err(Unmatched::Token));
    let valued = Call { value: U256::from(1), ..split };
    assert_eq!(check(&[&primary, &valued]), Err(Unmatched::Value));
    let dearer = transfer(OTHER, 251, None).call(PATH_USD);
    assert_eq!(check(&[&primary, &dearer]), Err(Unmatched::Missing));
}

#[test]
fn a_transfer_told_twice_in_the_logs_counts_once() {
    let twice = [expected(SHOP, 500, MemoRule::Any), expected(SHOP, 500, MemoRule::Any)];
    let one = logs(PATH_USD, PAYER, &[transfer(SHOP, 500, Some(MEMO))]);
    assert_eq!(one.len(), 2);
    assert_eq!(match_logs(PATH_USD, Some(PAYER), &twice[..1], &one), Ok(()));
    assert_eq!(match_logs(PATH_USD, Some(PAYER), &twice, &one), Err(Unmatched::Missing));
    let two = logs(PATH_USD, PAYER, &[transfer(SHOP, 500, Some(MEMO)), transfer(SHOP, 500, None)]);
    assert_eq!(match_logs(PATH_USD, Some(PAYER), &twice, &two), Ok(()));
}

#[test]
fn memos_are_given_to_the_rule_that_needs_them() {
    let fixed = B256::repeat_byte(9);
    let moved =
        [transfer(SHOP, 5, Some(fixed)), transfer(SHOP, 5, Some(MEMO)), transfer(SHOP, 5, None)];
    let mut rules = [MemoRule::Any, attributed(), MemoRule::Exactly(fixed)];
    for _ in 0..rules.len() {
        rules.rotate_left(1);
        let wanted = rules.map(|memo| expected(SHOP, 5, memo));
        assert_eq!(
            match_logs(PATH_USD, Some(PAYER), &wanted, &logs(PATH_USD, PAYER, &moved)),
            Ok(())
        );
    }
}

#[test]
fn logs_of_another_payment_do_not_count() {
    let wanted = [expected(SHOP, 1000, attributed())];
    let check = |logs: &[Log]| match_logs(PATH_USD, Some(PAYER), &wanted, logs);
    let paid = transfer(SHOP, 1000, Some(MEMO));
    assert_eq!(check(&logs(PATH_USD, PAYER, &[paid])), Ok(()));
    let cases = [
        logs(OTHER, PAYER, &[paid]),
        logs(PATH_USD, OTHER, &[paid]),
        logs(PATH_USD, PAYER, &[transfer(OTHER, 1000, Some(MEMO))]),
        logs(PATH_USD, PAYER, &[transfer(SHOP, 999, Some(MEMO))]),
        logs(PATH_USD, PAYER, &[transfer(SHOP, 1000, None)]),
        logs(PATH_USD, PAYER, &[transfer(SHOP, 1000, Some(B256::repeat_byte(1)))]),
        Vec::new(),
    ];
    for case in cases {
        assert_eq!(check(&case), Err(Unmatched::Missing), "{case:?}");
    }
    let anyones = match_logs(PATH_USD, None, &wanted, &logs(PATH_USD, OTHER, &[paid]));
    assert_eq!(anyones, Ok(()));
}

#[test]
fn a_log_that_only_resembles_a_transfer_is_none() {
    let good = logs(PATH_USD, PAYER, &[transfer(SHOP, 1, None)]).remove(0);
    assert!(Moved::read(&good).is_some());
    let missing = Log { topics: good.topics[..2].to_vec(), ..good.clone() };
    let surplus = Log { topics: [good.topics.as_slice(), &[MEMO]].concat(), ..good.clone() };
    let short = Log { data: Bytes::from_static(&[0; 31]), ..good.clone() };
    let dirty =
        Log { topics: vec![good.topics[0], B256::repeat_byte(1), good.topics[2]], ..good.clone() };
    let empty = Log { topics: Vec::new(), ..good };
    for log in [missing, surplus, short, dirty, empty] {
        assert_eq!(Moved::read(&log), None, "{log:?}");
    }
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(to: [u8; 20], amount: [u8; 32], memo: Option<[u8; 32]>) {
        let amount = U256::from_be_bytes(amount);
        let transfer = Transfer { to: to.into(), amount, memo: memo.map(B256::from) };
        prop_assert_eq!(Transfer::decode(&transfer.encode()), Ok(transfer));
    }

    #[test]
    fn what_is_decoded_was_spelt_in_the_one_way(index in 0usize..100, byte: u8, memo: bool) {
        let mut data = transfer(SHOP, 5, memo.then_some(MEMO)).encode().to_vec();
        if let Some(slot) = data.get_mut(index) {
            *slot = byte;
        }
        if let Ok(read) = Transfer::decode(&data) {
            prop_assert_eq!(read.encode(), data);
        }
    }
}
