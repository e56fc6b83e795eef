//! The channel that the reference's vectors are of.

use alloy::primitives::{Address, B256, address, b256};

use super::Descriptor;

/// Parties of one repeated byte each.
pub(crate) fn descriptor() -> Descriptor {
    Descriptor {
        payer: Address::repeat_byte(0x11),
        payee: Address::repeat_byte(0x22),
        operator: Address::repeat_byte(0x33),
        token: Address::repeat_byte(0x44),
        salt: B256::with_last_byte(1),
        authorized_signer: Address::repeat_byte(0x55),
        expiring_nonce_hash: B256::repeat_byte(0xaa),
    }
}

/// One of two accounts and pathUSD, opened by a deployed client.
pub(crate) fn golden() -> Descriptor {
    Descriptor {
        payer: address!("3d6885f89100445ca9869d1b0a49c97cfdbafeee"),
        payee: address!("da2390fEE8d9744b39A8A855675649e95617aCd8"),
        operator: Address::ZERO,
        token: crate::chain::PATH_USD,
        salt: b256!("fb05173ba9285aef8a91f275930f68ad3565a491edb810c07baa60b643fdd378"),
        authorized_signer: address!("FE9d3D9cBb5f6FBe495b03f7Ec90d4Adc22126f5"),
        expiring_nonce_hash: b256!(
            "4e40183cda8c676032af4f7b038178505d877ae1c36b374239fe20ac3485c3ab"
        ),
    }
}
