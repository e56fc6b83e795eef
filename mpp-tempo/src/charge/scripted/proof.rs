//! What a verifier makes of a proof of account: whose it is, and for which challenge of which realm.

use mpp_core::{fate::Fate, problem::Reason};

use super::{
    super::{Evidence, proof::proof_digest, reason},
    *,
};
use crate::chain::{
    keychain,
    signature::{Keychain, P256Key, Signature},
};

fn account() -> String {
    format!("did:pkh:eip155:42431:{}", key().address())
}

fn free(seller: &Verifier) -> Challenge {
    let terms = seller.terms(&"0 usd".parse().unwrap()).unwrap();
    let method_details = seller.details_of(&terms);
    challenge(&Request { terms, details: Nested { method_details } })
}

fn digest(challenge: &Challenge, account: Address) -> B256 {
    proof_digest(42431, account, challenge.id().as_str(), challenge.realm.as_str())
}

fn proof(signature: impl Into<Signature>) -> Payload {
    Payload::Proof { signature: signature.into().to_bytes().to_string() }
}

async fn check(
    node: Arc<Scripted>,
    challenge: &Challenge,
    payload: &Payload,
    source: Option<&str>,
) -> Result<Evidence, Reason> {
    let checked = verifier_at(node).check(&claim(challenge, payload, source)).await;
    checked.map_err(|refused| refused.reason)
}

/// A node on which every account has this key, or none, and whose contracts say nothing.
fn with_key(key: Option<Address>, expiry: u64) -> Arc<Scripted> {
    let get_key = keychain::get_key(Address::ZERO, Address::ZERO);
    let call = move |trial: Trial| {
        let data = &trial.calls[0].data;
        if !data.starts_with(&get_key[..4]) {
            return Ok(Bytes::new());
        }
        let asked = Address::from_slice(&data[data.len() - 20..]);
        let has = key == Some(asked);
        let words = [
            U256::ZERO,
            if has { U256::from_be_slice(asked.as_slice()) } else { U256::ZERO },
            if has { U256::from(expiry) } else { U256::ZERO },
            U256::ZERO,
            U256::ZERO,
        ];
        Ok(words.iter().flat_map(|word| word.to_be_bytes::<32>()).collect::<Vec<_>>().into())
    };
    Arc::new(Scripted { call: Box::new(call), ..Scripted::default() })
}

#[tokio::test]
async fn an_account_is_proven_without_asking_anybody_and_nothing_moves() {
    let node = Arc::new(Scripted::default());
    let seller = verifier_at(node.clone());
    let challenge = free(&seller);
    let payload = proof(key().sign(digest(&challenge, key().address())));
    let evidence = check(node.clone(), &challenge, &payload, Some(&account())).await.unwrap();
    assert!(!seller.has_moved(&evidence) && seller.spends(&evidence).is_none());
    let stored = serde_json::to_string(&evidence).unwrap();
    let read: Evidence = serde_json::from_str(&stored).unwrap();
    for evidence in [evidence, read] {
        let Fate::Settled(settled) = seller.settle(&evidence).await else { panic!("settled") };
        assert_eq!(settled.reference, challenge.id().as_str());
        assert_eq!(settled.payer.unwrap().as_str(), account());
    }
    assert!(node.asked().is_empty());
}

#[tokio::test]
async fn s3_a_proof_is_of_its_own_account_for_its_own_challenge_and_realm() {
    let node = || with_key(None, 0);
    let seller = verifier_at(node());
    let challenge = free(&seller);
    let me = key().address();
    let id = challenge.id().as_str();
    let own = account();
    let shop_name = format!("did:pkh:eip155:42431:{SHOP}");
    let elsewhere = format!("did:pkh:eip155:4217:{me}");
    let good = proof(key().sign(digest(&challenge, me)));
    let cases: Vec<(&str, &Payload, Option<&str>, Reason)> = vec![
        ("no source", &good, None, reason::WRONG_SOURCE),
        ("another's name", &good, Some(&shop_name), reason::BAD_SIGNATURE),
        ("another chain", &good, Some(&elsewhere), reason::WRONG_SOURCE),
        ("no name at all", &good, Some("somebody"), reason::WRONG_SOURCE),
    ];
    for (name, payload, source, expected) in cases {
        let refused = check(node(), &challenge, payload, source).await.unwrap_err();
        assert_eq!(refused, expected, "{name}");
    }
    let digests = [
        ("another realm", proof_digest(42431, me, id, "api.example.org")),
        ("another challenge", proof_digest(42431, me, "another", "api.example.com")),
        ("another account", proof_digest(42431, shop(), id, "api.example.com")),
        ("another chain", proof_digest(4217, me, id, "api.example.com")),
    ];
    for (name, digest) in digests {
        let refused = check(node(), &challenge, &proof(key().sign(digest)), Some(&own)).await;
        assert_eq!(refused.unwrap_err(), reason::BAD_SIGNATURE, "{name}");
    }
    let garbage = Payload::Proof { signature: "0x42".into() };
    assert_eq!(
        check(node(), &challenge, &garbage, Some(&own)).await.unwrap_err(),
        reason::BAD_SIGNATURE
    );
    let text = Payload::Proof { signature: "none".into() };
    assert_eq!(check(node(), &challenge, &text, Some(&own)).await.unwrap_err(), Reason::UNREADABLE);
}

#[tokio::test]
async fn s3_an_access_key_proves_its_account_only_while_the_chain_says_so() {
    let seller = verifier_at(Arc::default());
    let challenge = free(&seller);
    let me = key().address();
    let access = Key::new([9; 32]).unwrap();
    let digest = digest(&challenge, me);
    let bare = proof(access.sign(digest));
    let inner = access.sign(Keychain::hash(digest, me));
    let wrapped = proof(Keychain::new(me, inner.into()).unwrap());
    let (now, name) = (NOW as u64, account());
    for payload in [&bare, &wrapped] {
        let of = |node| check(node, &challenge, payload, Some(&name));
        assert!(of(with_key(Some(access.address()), now + 60)).await.is_ok());
        let refusals = [
            with_key(Some(access.address()), now),
            with_key(Some(Address::repeat_byte(4)), now + 60),
            with_key(None, 0),
        ];
        for node in refusals {
            assert_eq!(of(node).await.unwrap_err(), reason::BAD_SIGNATURE);
        }
        let silent = |_| Err(RpcError::Unanswered(gone()));
        let silent = Arc::new(Scripted { call: Box::new(silent), ..Scripted::default() });
        assert_eq!(of(silent).await.unwrap_err(), reason::RAIL_UNAVAILABLE);
    }
    // An envelope that names another account than the source.
    let other = Address::repeat_byte(3);
    let inner = access.sign(Keychain::hash(digest, other));
    let named = proof(Keychain::new(other, inner.into()).unwrap());
    let node = with_key(Some(access.address()), now + 60);
    assert_eq!(
        check(node, &challenge, &named, Some(&name)).await.unwrap_err(),
        reason::BAD_SIGNATURE
    );
}

#[tokio::test]
async fn a_browsers_key_proves_its_account_and_a_contract_answers_for_itself() {
    let seller = verifier_at(Arc::default());
    let challenge = free(&seller);
    let browser = P256Key::new([7; 32]).unwrap();
    let signature = browser.sign(digest(&challenge, browser.address())).unwrap();
    let name = format!("did:pkh:eip155:42431:{}", browser.address());
    assert!(check(Arc::default(), &challenge, &proof(signature), Some(&name)).await.is_ok());

    let wallet = format!("did:pkh:eip155:42431:{SHOP}");
    let anything = Payload::Proof { signature: "0xc0ffee".into() };
    let magic = |word: [u8; 4]| {
        let mut answer = [0; 32];
        answer[..4].copy_from_slice(&word);
        Bytes::from(answer.to_vec())
    };
    let yes = magic([0x16, 0x26, 0xba, 0x7e]);
    let cases = [
        ("its word", Ok(yes.clone()), Ok(())),
        ("another word", Ok(magic([0xff; 4])), Err(reason::BAD_SIGNATURE)),
        ("nothing", Ok(Bytes::new()), Err(reason::BAD_SIGNATURE)),
        ("its word, cut", Ok(yes[..4].to_vec().into()), Err(reason::BAD_SIGNATURE)),
        ("a revert", Err(3), Err(reason::BAD_SIGNATURE)),
        ("trouble", Err(-32000), Err(reason::RAIL_UNAVAILABLE)),
    ];
    for (name, answer, expected) in cases {
        let call = move |_| answer.clone().map_err(refused);
        let node = Arc::new(Scripted { call: Box::new(call), ..Scripted::default() });
        let checked = check(node, &challenge, &anything, Some(&wallet)).await;
        assert_eq!(checked.map(drop), expected, "{name}");
    }
}

#[tokio::test]
async fn a_proof_pays_for_nothing_and_a_payment_proves_no_account() {
    let paid = challenge(&request());
    let payload = proof(key().sign(digest(&paid, key().address())));
    let refused = check(Arc::default(), &paid, &payload, Some(&account())).await.unwrap_err();
    assert_eq!(refused, reason::WRONG_PAYLOAD);
    let free = free(&verifier_at(Arc::default()));
    let raw = signed(&paid).await.encode();
    let hash = Payload::Hash { hash: format!("0x{}", "ab".repeat(32)) };
    for payload in [pull(&raw), hash] {
        let refused = check(Arc::default(), &free, &payload, Some(&account())).await.unwrap_err();
        assert_eq!(refused, reason::WRONG_PAYLOAD);
    }
}
