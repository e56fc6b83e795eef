//! Ids of the reserve's channels, and the JSON of what they are made of.

use alloy::primitives::b256;
use proptest::prelude::*;
use serde_json::json;

use super::{
    super::sample::{descriptor, golden},
    *,
};
use crate::chain::reserve::CHANNEL_RESERVE;

#[test]
fn ids_are_those_that_the_chain_gives() {
    let published = Descriptor {
        operator: Address::repeat_byte(0x33),
        token: Address::repeat_byte(0x44),
        salt: B256::repeat_byte(0x55),
        authorized_signer: Address::repeat_byte(0x66),
        expiring_nonce_hash: B256::repeat_byte(0x77),
        ..descriptor()
    };
    let cases = [
        (
            descriptor().id(CHANNEL_RESERVE, 42431),
            b256!("ba76934166855d51b0af261f57d3cd4bf48397c330f6e4b8804921b2ead973af"),
        ),
        (
            descriptor().id(CHANNEL_RESERVE, 4217),
            b256!("b1f2ecf45e99f0ab9e1c4b8e6c1cbac8c05b1cbf281f313c818e2346978b6eb6"),
        ),
        (
            descriptor().id(Address::repeat_byte(0xff), 42431),
            b256!("c69ee46eeb643416e0b3a2fd4b78dc0258487822b5f076ec341765556873cc36"),
        ),
        (
            published.id(CHANNEL_RESERVE, 4217),
            b256!("caba6189404833562f8d42783862b7590e293dc6a5b9447cba8bc91618c49c00"),
        ),
        (
            golden().id(CHANNEL_RESERVE, 42431),
            b256!("b3946b996bd166db3b61fba0f6af2918b6687bc054e2f4bae979edffc7bd0b4d"),
        ),
    ];
    for (index, (id, expected)) in cases.into_iter().enumerate() {
        assert_eq!(id.0, expected, "{index}");
    }
}

#[test]
fn vouchers_are_the_payers_where_no_other_signer_is_named() {
    assert_eq!(descriptor().signer(), Address::repeat_byte(0x55));
    let nobody = Descriptor { authorized_signer: Address::ZERO, ..descriptor() };
    assert_eq!(nobody.signer(), Address::repeat_byte(0x11));
}

#[test]
fn hex_is_read_in_any_case_and_written_in_lower_case() {
    let lower = serde_json::to_value(golden()).unwrap();
    assert_eq!(lower["payee"], "0xda2390fee8d9744b39a8a855675649e95617acd8");
    let mixed = json!({
        "payer": "0x3D6885F89100445CA9869D1B0A49C97CFDBAFEEE",
        "payee": "0xda2390fEE8d9744b39A8A855675649e95617aCd8",
        "operator": "0x0000000000000000000000000000000000000000",
        "token": "0x20C0000000000000000000000000000000000000",
        "salt": "0xFB05173BA9285AEF8A91F275930F68AD3565A491EDB810C07BAA60B643FDD378",
        "authorizedSigner": "0xFE9d3D9cBb5f6FBe495b03f7Ec90d4Adc22126f5",
        "expiringNonceHash": "0x4e40183cda8c676032af4f7b038178505d877ae1c36b374239fe20ac3485c3ab",
        "later": 1,
    });
    assert_eq!(serde_json::from_value::<Descriptor>(mixed).unwrap(), golden());
}

#[test]
fn a_member_that_is_no_hex_of_its_length_is_named() {
    let good = DescriptorText::from(&descriptor());
    let bad = [
        "",
        "0x",
        "0x11",
        "0X1111111111111111111111111111111111111111",
        "0x+111111111111111111111111111111111111111",
    ];
    for text in bad.map(str::to_owned) {
        let payee = DescriptorText { payee: text.clone(), ..good.clone() };
        assert_eq!(Descriptor::try_from(&payee), Err(NotDescriptor("payee")), "{text}");
        let salt = DescriptorText { salt: text, ..good.clone() };
        assert_eq!(Descriptor::try_from(&salt), Err(NotDescriptor("salt")));
    }
    let swapped = DescriptorText { salt: good.payer.clone(), ..good };
    assert_eq!(Descriptor::try_from(swapped), Err(NotDescriptor("salt")));
}

proptest! {
    #[test]
    fn descriptors_survive_json(parties: [[u8; 20]; 5], hashes: [[u8; 32]; 2]) {
        let [payer, payee, operator, token, authorized_signer] = parties.map(Address::new);
        let [salt, expiring_nonce_hash] = hashes.map(B256::new);
        let made = Descriptor { payer, payee, operator, token, salt, authorized_signer, expiring_nonce_hash };
        let text = serde_json::to_string(&made).unwrap();
        prop_assert_eq!(&text, &text.to_lowercase().replace("authorizedsigner", "authorizedSigner").replace("expiringnoncehash", "expiringNonceHash"));
        prop_assert_eq!(serde_json::from_str::<Descriptor>(&text).unwrap(), made);
        prop_assert_eq!(Descriptor::try_from(DescriptorText::from(made)), Ok(made));
    }
}
