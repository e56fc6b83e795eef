//! Words are read in the one spelling that is written.

use proptest::prelude::*;

use super::*;

#[test]
fn numbers_above_their_size_and_dirty_addresses_are_refused() {
    let read = |word: B256, bits| Words(word.as_slice()).number(bits);
    for bits in [1, 32, 64, 96, 127] {
        let most = (1_u128 << bits) - 1;
        assert_eq!(read(of(most), bits), Some(most));
        assert_eq!(read(of(most + 1), bits), None, "{bits}");
    }
    assert_eq!(read(of(u128::MAX), 128), Some(u128::MAX));
    assert_eq!(read(B256::with_last_byte(1) | B256::left_padding_from(&[1; 17]), 128), None);
    let address = Address::repeat_byte(0x11).into_word();
    assert_eq!(to_address(address), Some(Address::repeat_byte(0x11)));
    for byte in 0..12 {
        let mut dirty = address;
        dirty[byte] = 1;
        assert_eq!(to_address(dirty), None, "{byte}");
    }
    assert_eq!(Words(of(2).as_slice()).flag(), None);
    assert_eq!(Words(of(1).as_slice()).flag(), Some(true));
}

#[test]
fn what_is_cut_off_or_left_over_is_noticed() {
    let mut words = Words(&[0; 63]);
    assert_eq!((words.word(), words.word()), (Some(B256::ZERO), None));
    assert_eq!(words.end(), None);
    assert_eq!(Words(&[]).end(), Some(()));
    assert!(Words::of_call(&[1, 2, 3], [1, 2, 3, 4]).is_none());
    assert!(Words::of_call(&[1, 2, 3, 5], [1, 2, 3, 4]).is_none());
}

#[test]
fn hex_has_its_length_and_no_other_characters() {
    assert_eq!(parse_hex("0xaB01"), Some([0xab, 1]));
    for text in
        ["", "0x", "ab01", "0XaB01", "0xab0", "0xab011", "0x0xab", "0x+b01", "0xab 1", "0xé1"]
    {
        assert_eq!(parse_hex::<2>(text), None, "{text}");
    }
}

proptest! {
    #[test]
    fn bytes_of_any_length_end_a_call_as_contracts_expect(bytes: Vec<u8>, words in 0_usize..9) {
        let data = call_with_bytes([1, 2, 3, 4], (0..words).map(|word| of(word as u128)), &bytes);
        let mut read = Words::of_call(&data, [1, 2, 3, 4]).unwrap();
        for word in 0..words {
            prop_assert_eq!(read.small(), Some(word as u64));
        }
        prop_assert_eq!(read.small(), Some(32 * (words as u64 + 1)));
        prop_assert_eq!(read.small(), Some(bytes.len() as u64));
        prop_assert_eq!(read.0.len(), bytes.len().next_multiple_of(32));
        prop_assert!(read.0.starts_with(&bytes));
        prop_assert!(read.0[bytes.len()..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let mut words = Words(&bytes);
        while words.number(96).is_some() || words.word().is_some() {}
        prop_assert!(words.0.len() < 32);
    }
}
