//! Ids of version 1, and their spelling.

use alloy::primitives::{address, b256};

use super::*;

#[test]
fn an_id_of_version_1_is_the_one_that_deployed_contracts_give() {
    let party = Address::repeat_byte;
    let escrow = party(0x55);
    let (salt, signer) = (B256::with_last_byte(1), party(0x44));
    let id = ChannelId::v1(party(0x11), party(0x22), party(0x33), salt, signer, escrow, 42431);
    let expected = b256!("5db832ef1f06a767e0561f2fe53231240f8804895a21d5804ddb15b329c73c5e");
    assert_eq!(id, ChannelId(expected));
}

#[test]
fn an_id_depends_on_all_that_it_is_made_of() {
    let made = |change: usize| {
        let a = |index: usize| {
            if index == change {
                address!("00000000000000000000000000000000000000ff")
            } else {
                Address::ZERO
            }
        };
        let salt = if change == 3 { B256::with_last_byte(1) } else { B256::ZERO };
        ChannelId::v1(a(0), a(1), a(2), salt, a(4), a(5), u64::from(change == 6))
    };
    let ids = std::collections::BTreeSet::from_iter((0..8).map(made));
    assert_eq!(ids.len(), 8);
}

#[test]
fn an_id_is_read_in_any_case_and_written_in_lower_case() {
    let lower = format!("0x{}", "ab".repeat(32));
    for text in [lower.clone(), lower.replace('b', "B"), lower.replace("ab", "AB")] {
        let id: ChannelId = text.parse().unwrap();
        assert_eq!(id.to_string(), lower);
        assert_eq!(serde_json::to_value(id).unwrap(), lower);
        assert_eq!(serde_json::from_value::<ChannelId>(text.into()).unwrap(), id);
    }
    let bad = [
        "",
        "0x",
        "0Xab",
        &lower[2..],
        &lower[..64],
        &format!("{lower}ab"),
        &lower.replace("ab", "+b"),
    ];
    for text in bad {
        assert_eq!(text.parse::<ChannelId>(), Err(NotChannelId), "{text}");
    }
}
