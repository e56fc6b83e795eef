//! Payments that are shared, exchanged before, or served before a block holds them.

use mpp_core::{fate::Fate, intent::PriceError, problem::Reason};

use super::{
    super::{Evidence, ShareError, reason},
    *,
};
use crate::chain::{
    ALPHA_USD, PATH_USD,
    dex::{STABLECOIN_DEX, Swap},
    transaction::Call,
};

const FRIEND: &str = "0x4444444444444444444444444444444444444444";
const OTHER: &str = "0x5555555555555555555555555555555555555555";

fn memo() -> String {
    format!("0x{}", "42".repeat(32))
}

/// Ten cents, of which two friends get a cent each, the second with a memo.
fn sharing(node: Arc<Scripted>) -> Verifier {
    let verifier = verifier_at(node).share(FRIEND, "0.01").unwrap();
    verifier.share_with_memo(OTHER, "0.01", &memo()).unwrap()
}

fn shared_challenge(seller: &Verifier) -> Challenge {
    let terms = seller.terms(&"0.10 usd".parse().unwrap()).unwrap();
    let method_details = seller.details_of(&terms);
    challenge(&Request { terms, details: Nested { method_details } })
}

fn transfer(to: &str, amount: u64, memo: Option<B256>) -> Transfer {
    Transfer { to: to.parse().unwrap(), amount: U256::from(amount), memo }
}

/// The transfers that the challenge asks for, in the order of its request.
fn legs(challenge: &Challenge) -> [Transfer; 3] {
    let attribution = crate::chain::attribution::Attribution::new(
        challenge.realm.as_str(),
        challenge.id().as_str(),
    );
    [
        transfer(SHOP, 80_000, Some(attribution.memo(None))),
        transfer(FRIEND, 10_000, None),
        transfer(OTHER, 10_000, Some(B256::repeat_byte(0x42))),
    ]
}

async fn making(calls: Vec<Call>) -> Signed {
    resigned(&signed(&challenge(&request())).await, |transaction| transaction.calls = calls)
}

async fn check(
    seller: &Verifier,
    challenge: &Challenge,
    calls: Vec<Call>,
) -> Result<Evidence, Reason> {
    let payload = pull(&making(calls).await.encode());
    seller.check(&claim(challenge, &payload, None)).await.map_err(|refused| refused.reason)
}

#[tokio::test]
async fn s7_shares_are_found_in_any_order_and_each_by_a_transfer_of_its_own() {
    let seller = sharing(Arc::default());
    let challenge = shared_challenge(&seller);
    let [shop, friend, other] = legs(&challenge).map(|leg| leg.call(PATH_USD));
    let stranger = Transfer { to: Address::repeat_byte(9), amount: U256::from(1), memo: None };
    let (stranger, again) = (stranger.call(PATH_USD), friend.clone());
    let with_memo = transfer(FRIEND, 10_000, Some(B256::ZERO)).call(PATH_USD);
    let cases: Vec<(&str, Vec<Call>, Result<(), Reason>)> = vec![
        ("in order", vec![shop.clone(), friend.clone(), other.clone()], Ok(())),
        ("in another", vec![other.clone(), shop.clone(), friend.clone()], Ok(())),
        ("a memo nobody asked for", vec![shop.clone(), with_memo, other.clone()], Ok(())),
        (
            "the payer's own business",
            vec![shop.clone(), friend.clone(), other.clone(), stranger],
            Ok(()),
        ),
        ("a share left out", vec![shop.clone(), other.clone()], Err(reason::WRONG_CALLS)),
        ("the shop left out", vec![friend.clone(), other.clone()], Err(reason::WRONG_CALLS)),
        ("one share twice", vec![shop, friend, again, other], Err(reason::WRONG_CALLS)),
    ];
    for (name, calls, expected) in cases {
        assert_eq!(check(&seller, &challenge, calls).await.map(drop), expected, "{name}");
    }
}

#[tokio::test]
async fn a_shared_payment_is_settled_when_every_share_is_in_the_logs() {
    let node = Arc::new(Scripted::default());
    let seller = sharing(node.clone());
    let challenge = shared_challenge(&seller);
    let calls: Vec<_> = legs(&challenge).iter().map(|leg| leg.call(PATH_USD)).collect();
    let evidence = check(&seller, &challenge, calls).await.unwrap();
    assert!(matches!(seller.settle(&evidence).await, Fate::Settled(_)));
    // Each movement is told once or twice in the logs: leaving any of the five out leaves one share unpaid.
    for missing in 0..5 {
        let node = Scripted {
            send: Some(Box::new(move |raw| {
                let mut receipt = mined(&raw);
                receipt.logs.remove(missing);
                Ok(receipt)
            })),
            ..Scripted::default()
        };
        let fate = sharing(Arc::new(node)).settle(&evidence).await;
        // The plain log of a transfer with a memo says nothing that the other does not.
        let told_twice = missing == 0 || missing == 3;
        assert_eq!(matches!(fate, Fate::Settled(_)), told_twice, "{missing} {fate:?}");
    }
}

#[tokio::test]
async fn a_price_covers_its_shares_and_a_share_is_something() {
    let seller = sharing(Arc::default());
    let price = |text: &str| seller.terms(&text.parse().unwrap()).map(drop);
    assert_eq!(price("0.02 usd"), Err(PriceError::Shares));
    assert_eq!(price("0.020001 usd"), Ok(()));
    let bare = || verifier_at(Arc::default());
    assert_eq!(bare().share(FRIEND, "0").unwrap_err(), ShareError::Nothing);
    assert!(matches!(bare().share(FRIEND, "0.0000001").unwrap_err(), ShareError::Amount(_)));
    assert!(matches!(bare().share("0x44", "1").unwrap_err(), ShareError::Address(_)));
    assert_eq!(bare().share_with_memo(FRIEND, "1", "0x42").unwrap_err(), ShareError::Memo);
    let full = (0..10).try_fold(bare(), |seller, _| seller.share(FRIEND, "0.01")).unwrap();
    assert_eq!(full.share(FRIEND, "0.01").unwrap_err(), ShareError::TooMany);
}

#[tokio::test]
async fn an_exchange_before_the_transfer_is_the_payers_own_business() {
    let challenge = challenge(&request());
    let own = signed(&challenge).await.transaction.calls;
    let swap =
        Swap { token_in: ALPHA_USD, token_out: PATH_USD, amount_out: 100_000, max_in: 101_000 };
    let calls = [&swap.calls(STABLECOIN_DEX)[..], &own].concat();
    let payload = pull(&making(calls).await.encode());
    let node = Arc::new(Scripted::default());
    let checked = verifier_at(node.clone()).check(&claim(&challenge, &payload, None)).await;
    assert!(checked.is_ok());
    assert_eq!(
        node.asked().iter().filter(|asked| **asked == "call").count(),
        1,
        "no balance is read"
    );
}

#[tokio::test]
async fn who_serves_on_broadcast_waits_for_no_block() {
    let challenge = challenge(&request());
    let payload = pull(&signed(&challenge).await.encode());
    let node = Arc::new(Scripted::default());
    let seller = verifier_at(node.clone()).optimistic();
    let evidence = seller.check(&claim(&challenge, &payload, None)).await.unwrap();
    assert!(matches!(seller.settle(&evidence).await, Fate::Settled(_)));
    assert!(node.asked().contains(&"broadcast") && !node.asked().contains(&"send"));
    let silent = verifier_at(Arc::new(Scripted { send: None, ..Scripted::default() })).optimistic();
    assert!(matches!(silent.settle(&evidence).await, Fate::Unknown(_)));
}

#[tokio::test]
async fn what_no_trial_shows_whole_is_waited_for_even_by_who_waits_for_nothing_else() {
    let plain = challenge(&request());
    let own = signed(&plain).await;
    let more = {
        let swap = Swap { token_in: ALPHA_USD, token_out: PATH_USD, amount_out: 1, max_in: 2 };
        let mut calls = own.transaction.calls.clone();
        calls.splice(0..0, swap.calls(STABLECOIN_DEX));
        making(calls).await
    };
    let fixed = verifier_at(Arc::default()).memo(&memo()).unwrap();
    let terms = fixed.terms(&"0.10 usd".parse().unwrap()).unwrap();
    let method_details = fixed.details_of(&terms);
    let named = challenge(&Request { terms, details: Nested { method_details } });
    let to_named = transfer(SHOP, 100_000, Some(B256::repeat_byte(0x42))).call(PATH_USD);
    let cases = [
        ("one transfer", &plain, own, None, "broadcast"),
        ("more calls", &plain, more, None, "send"),
        ("a fixed memo", &named, making(vec![to_named]).await, Some(memo()), "send"),
    ];
    for (name, challenge, signed, memo, asked) in cases {
        let node = Arc::new(Scripted::default());
        let mut seller = verifier_at(node.clone()).optimistic();
        if let Some(memo) = memo {
            seller = seller.memo(&memo).unwrap();
        }
        let shown = claim(challenge, &pull(&signed.encode()), None);
        let evidence = seller.check(&shown).await.unwrap();
        seller.settle(&evidence).await;
        assert!(node.asked().contains(&asked), "{name}: {:?}", node.asked());
    }
}

#[tokio::test]
async fn an_order_that_was_mined_before_it_was_shown_has_moved() {
    let challenge = challenge(&request());
    let raw = signed(&challenge).await.encode();
    let sent = raw.clone();
    let node = Arc::new(Scripted {
        call: Box::new(|_| Ok(U256::ZERO.to_be_bytes_vec().into())),
        receipt: Box::new(move |_| Ok(Some(mined(&sent)))),
        ..Scripted::default()
    });
    let seller = verifier_at(node);
    let evidence = seller.check(&claim(&challenge, &pull(&raw), None)).await.unwrap();
    let read: Evidence = serde_json::from_str(&serde_json::to_string(&evidence).unwrap()).unwrap();
    assert!(seller.has_moved(&evidence) && seller.has_moved(&read));
    let fresh = verifier_at(Arc::default());
    let evidence = fresh.check(&claim(&challenge, &pull(&raw), None)).await.unwrap();
    assert!(!fresh.has_moved(&evidence));
}
