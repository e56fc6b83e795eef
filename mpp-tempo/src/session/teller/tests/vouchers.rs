//! Whose voucher is taken, and in which spelling (S3).

use super::*;
use crate::chain::{
    reserve,
    signature::Keychain,
    signer::{Passkey, Signer as _, SoftwareAuthenticator},
};

async fn shown(descriptor: &Descriptor, signature: String) -> Result<Raise, Rejection> {
    let node = Arc::new(Scripted::default());
    let teller = teller_at(node.clone());
    let claim = claim(&teller, &voucher(descriptor, 4_000, signature));
    let act = teller.check(&claim, Some(&account_of(*descriptor))).await?;
    assert!(node.asked().is_empty(), "nobody is asked about a voucher");
    let Act::Draw(raise) = act else { panic!("{act:?}") };
    Ok(raise)
}

fn of_signer(authorized_signer: Address) -> Descriptor {
    Descriptor { authorized_signer, ..channel() }
}

#[tokio::test]
async fn s3_a_voucher_is_taken_of_the_channels_signer_alone_and_in_one_spelling() {
    let good = payer().sign(digest(&channel(), 4_000));
    let bytes = good.to_bytes().to_vec();
    let with = |edit: fn(&mut Vec<u8>)| {
        let mut bytes = bytes.clone();
        edit(&mut bytes);
        hex::encode_prefixed(bytes)
    };
    let wrapped = Keychain::new(payer().address(), good.into()).unwrap();
    let malformed = ProblemType::INVALID_SIGNATURE;
    let cases = [
        ("a high s", with(|b| high_s(b)), malformed),
        ("v of 0 or 1", with(|b| b[64] -= 27), malformed),
        ("another v", with(|b| b[64] = 29), malformed),
        ("the other v", with(|b| b[64] = 55 - b[64]), ProblemType::SIGNER_MISMATCH),
        ("64 bytes", with(|b| b.truncate(64)), malformed),
        ("a byte more", with(|b| b.push(0)), malformed),
        ("a wallet's mark", with(|b| b.extend([0x77; 32])), malformed),
        ("zeros", with(|b| b.fill(0)), malformed),
        ("an account's envelope", wrapped.to_bytes().to_string(), malformed),
        ("another signer", signed(&payee(), &channel(), 4_000), ProblemType::SIGNER_MISMATCH),
        ("another amount", signed(&payer(), &channel(), 4_001), ProblemType::SIGNER_MISMATCH),
        (
            "another channel",
            signed(&payer(), &Descriptor { salt: B256::ZERO, ..channel() }, 4_000),
            ProblemType::SIGNER_MISMATCH,
        ),
    ];
    for (name, signature, kind) in cases {
        let refused = shown(&channel(), signature).await.unwrap_err();
        assert_eq!(refused.kind, kind, "{name}: {refused}");
    }
    let upper = format!("0x{}", hex::encode_upper(&bytes));
    let raise = shown(&channel(), upper).await.unwrap();
    let proven = Raise::proven(Amount::new(4_000), Amount::ZERO, hex::encode_prefixed(&bytes));
    assert!(raise == proven, "kept in one spelling");
}

#[tokio::test]
async fn vouchers_are_taken_of_every_kind_of_key_that_the_chain_takes() {
    let browser = P256Key::new([9; 32]).unwrap();
    let descriptor = of_signer(browser.address());
    let by = Signature::from(browser.sign(digest(&descriptor, 4_000)).unwrap());
    shown(&descriptor, by.to_bytes().to_string()).await.unwrap();
    let key = P256Key::new([3; 32]).unwrap();
    let passkey = Passkey::new(SoftwareAuthenticator::new(key, "wallet.example"));
    let descriptor = of_signer(passkey.account());
    let by = passkey.sign(digest(&descriptor, 4_000)).await.unwrap();
    shown(&descriptor, by.to_bytes().to_string()).await.unwrap();
    // Of a channel that names no signer, the payer's.
    let descriptor = of_signer(Address::ZERO);
    shown(&descriptor, signed(&payer(), &descriptor, 4_000)).await.unwrap();
    let descriptor = of_signer(payee().address());
    let refused = shown(&descriptor, signed(&payer(), &descriptor, 4_000)).await.unwrap_err();
    assert_eq!(refused.kind, ProblemType::SIGNER_MISMATCH);
}

#[tokio::test]
async fn what_a_credential_says_beside_its_voucher_must_not_be_untrue() {
    let teller = teller();
    let (account, by) = (account_of(channel()), signed(&payer(), &channel(), 4_000));
    let did = |chain: u64, who: Address| Some(format!("did:pkh:eip155:{chain}:{who}"));
    let sources = [
        (None, true),
        (did(42431, payer().address()), true),
        (did(4217, payer().address()), false),
        (did(42431, payee().address()), false),
        (Some("did:key:z6Mk".to_owned()), false),
    ];
    let asked = challenge(terms(&teller), teller.details_of_all());
    for (source, taken) in sources {
        let claim = claim_on(&asked, &voucher(&channel(), 4_000, by.clone()), source.clone());
        let checked = teller.check(&claim, Some(&account)).await;
        assert_eq!(checked.is_ok(), taken, "{source:?}");
    }
    type Edit = fn(&mut DescriptorText);
    let descriptors: [(&str, Edit, Result<(), Reason>); 3] = [
        ("in upper case", |d| d.payer = d.payer.to_uppercase().replacen("0X", "0x", 1), Ok(())),
        (
            "another salt",
            |d| d.salt = format!("0x{}", "00".repeat(32)),
            Err(reason::WRONG_DESCRIPTOR),
        ),
        ("no hex", |d| d.salt = "0xyz".to_owned(), Err(reason::BAD_DESCRIPTOR)),
    ];
    for (name, edit, expected) in descriptors {
        let mut payload = voucher(&channel(), 4_000, by.clone());
        if let Payload::Voucher { descriptor: Some(text), .. } = &mut payload {
            edit(text);
        }
        let checked = teller.check(&claim(&teller, &payload), Some(&account)).await;
        assert_eq!(checked.map(drop).map_err(|refused| refused.reason), expected, "{name}");
    }
    // It may say nothing of the channel at all: its name says enough.
    let mut payload = voucher(&channel(), 4_000, by);
    if let Payload::Voucher { descriptor, .. } = &mut payload {
        *descriptor = None;
    }
    assert!(teller.check(&claim(&teller, &payload), Some(&account)).await.is_ok());
}

#[tokio::test]
async fn a_close_wants_the_payers_word_and_no_least_step() {
    let teller = teller().min_voucher_delta("0.001").unwrap();
    let account = account_of(channel());
    let closing = |signature| Payload::Close {
        channel_id: id(&channel()),
        descriptor: None,
        cumulative_amount: Amount::new(3_001),
        signature,
    };
    let good = closing(signed(&payer(), &channel(), 3_001));
    let act = teller.check(&claim(&teller, &good), Some(&account)).await.unwrap();
    let Act::Close { last, .. } = act else { panic!("{act:?}") };
    assert_eq!(last.least(), Amount::ZERO);
    let forged = closing(signed(&payee(), &channel(), 3_001));
    let refused = teller.check(&claim(&teller, &forged), Some(&account)).await.unwrap_err();
    assert_eq!(refused.kind, ProblemType::SIGNER_MISMATCH);
    let refused = teller.check(&claim(&teller, &good), None).await.unwrap_err();
    assert_eq!(refused.kind, ProblemType::CHANNEL_NOT_FOUND);
    let step = voucher(&channel(), 4_000, signed(&payer(), &channel(), 4_000));
    let act = teller.check(&claim(&teller, &step), Some(&account)).await.unwrap();
    let Act::Draw(raise) = act else { panic!("{act:?}") };
    assert_eq!(raise.least().get(), 1_000);
}

#[tokio::test]
async fn nothing_is_asked_of_the_chain_for_a_voucher_that_nobody_signed() {
    let node = Arc::new(Scripted::default());
    let teller = teller_at(node.clone());
    let forged = voucher(&channel(), 4_000, signed(&payee(), &channel(), 4_000));
    assert!(teller.check(&claim(&teller, &forged), None).await.is_err());
    let foreign = Descriptor { payee: payer().address(), ..channel() };
    let foreign = voucher(&foreign, 4_000, signed(&payer(), &foreign, 4_000));
    assert!(teller.check(&claim(&teller, &foreign), None).await.is_err());
    assert!(node.asked().is_empty());
}

/// The twin of a signature: as true as the other on the curve, and not taken.
fn high_s(bytes: &mut [u8]) {
    use alloy::primitives::{U256, uint};
    const ORDER: U256 =
        uint!(0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141_U256);
    let s = ORDER - U256::from_be_slice(&bytes[32..64]);
    bytes[32..64].copy_from_slice(&s.to_be_bytes::<32>());
    bytes[64] = 55 - bytes[64];
}

/// A teller whose signer is an operator's, and a channel that was opened while another key was the operator's.
fn rotated() -> (Teller, Descriptor) {
    let by = Arc::new(Key::new([9; 32]).unwrap());
    let recipient = payee().address().to_string();
    let teller = Teller::new(&Chain::MODERATO, &recipient, by, Arc::new(Scripted::default()));
    let teller = teller.unwrap().clock(Arc::new(Still(NOW)));
    (teller, Descriptor { operator: Address::repeat_byte(0xaa), ..channel() })
}

#[tokio::test]
async fn a_voucher_of_a_channel_that_cannot_be_collected_buys_nothing() {
    let (teller, descriptor) = rotated();
    let account = account_of(descriptor);
    let shown = voucher(&descriptor, 4_000, signed(&payer(), &descriptor, 4_000));
    let shown = claim(&teller, &shown);
    for known in [Some(&account), None] {
        let refused = teller.check(&shown, known).await.unwrap_err();
        let why = (refused.kind, refused.reason);
        assert_eq!(why, (ProblemType::CHANNEL_FINALIZED, reason::UNCOLLECTABLE));
    }
    // Nor is it tried: neither would the chain take the one nor the other.
    let mut earned = account_of(descriptor);
    earned.spend(1, Amount::new(1_000)).unwrap();
    assert!(teller.collect(&earned).is_none() && teller.close(&earned).is_none());
    // The recipient's own key can collect, and another's operator could close for nothing.
    let own = self::teller();
    let shown = voucher(&descriptor, 4_000, signed(&payer(), &descriptor, 4_000));
    let refused = own.check(&claim(&own, &shown), Some(&account)).await.unwrap_err();
    assert_eq!(refused.reason, reason::UNCOLLECTABLE);
    assert!(own.collect(&earned).is_some() && own.close(&earned).is_some());
}

#[tokio::test]
async fn nothing_is_added_to_a_channel_that_cannot_be_collected_and_its_payer_is_told_who_closes_it()
 {
    let (teller, descriptor) = rotated();
    let account = account_of(descriptor);
    let top_up = reserve::TopUp { descriptor, additional_deposit: 5_000 };
    let transaction = Transaction {
        calls: vec![top_up.call()],
        valid_before: NonZeroU64::new(NOW as u64 + 25),
        ..Transaction::on(42431)
    };
    let adding = Payload::TopUp {
        channel_id: id(&descriptor),
        transaction: hex::encode_prefixed(transaction.sign(&payer()).encode()),
        additional_deposit: Amount::new(5_000),
        descriptor: Some(DescriptorText::from(&descriptor)),
    };
    let refused = teller.check(&claim(&teller, &adding), Some(&account)).await.unwrap_err();
    let why = (refused.kind, refused.reason);
    assert_eq!(why, (ProblemType::CHANNEL_FINALIZED, reason::UNCOLLECTABLE));
    let closing = Payload::Close {
        channel_id: id(&descriptor),
        descriptor: None,
        cumulative_amount: Amount::new(3_000),
        signature: signed(&payer(), &descriptor, 3_000),
    };
    let refused = teller.check(&claim(&teller, &closing), Some(&account)).await.unwrap_err();
    let why = (refused.kind, refused.reason);
    assert_eq!(why, (ProblemType::VERIFICATION_FAILED, reason::UNCOLLECTABLE));
    assert!(refused.detail.contains("its payee and its operator"), "{}", refused.detail);
    // The recipient's own key closes whatever pays it.
    let own = self::teller();
    let act = own.check(&claim(&own, &closing), Some(&account)).await.unwrap();
    assert!(matches!(act, Act::Close { .. }), "{act:?}");
}
