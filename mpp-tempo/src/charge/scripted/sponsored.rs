//! Payments whose fee the sponsor pays: what is signed, what is sent, and what a crash between the two leaves.

use std::sync::atomic::{AtomicUsize, Ordering};

use mpp_core::{
    fate::Fate,
    problem::Reason,
    store::{Memory, Store},
};

use super::{
    super::{
        Evidence, Mode, OtherChain, reason,
        sponsor::{Policy, Sponsor, reason as sponsors},
    },
    *,
};
use crate::chain::{
    ALPHA_USD, PATH_USD,
    dex::{STABLECOIN_DEX, Swap},
    keychain::KeyKind,
    signer::{Signer, Signing},
    transaction::{Call, FeePayer},
};

/// A sponsor's key that counts what it signs.
#[derive(Debug)]
struct Counting(Key, AtomicUsize);

impl Signer for Counting {
    fn account(&self) -> Address {
        self.0.address()
    }

    fn kind(&self) -> KeyKind {
        KeyKind::Secp256k1
    }

    fn sign(&self, hash: B256) -> Signing<'_> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Signer::sign(&self.0, hash)
    }
}

struct Shop {
    node: Arc<Scripted>,
    store: Arc<dyn Store>,
    signer: Arc<Counting>,
    policy: Policy,
}

impl Shop {
    fn at(node: Scripted) -> Self {
        Self {
            node: Arc::new(node),
            store: Arc::new(Memory::volatile()),
            signer: Arc::new(Counting(Key::new([8; 32]).unwrap(), AtomicUsize::new(0))),
            policy: Policy { require_simulation: false, ..Policy::on(&Chain::MODERATO) },
        }
    }

    fn verifier(&self) -> Verifier {
        let sponsor =
            Sponsor::new(&Chain::MODERATO, self.signer.clone(), self.store.clone()).unwrap();
        let sponsor = sponsor.policy(self.policy.clone()).clock(Arc::new(Still(NOW)));
        verifier_at(self.node.clone()).sponsored_by(sponsor).unwrap()
    }

    fn signatures(&self) -> usize {
        self.signer.1.load(Ordering::Relaxed)
    }

    fn sent(&self) -> usize {
        self.node.asked().iter().filter(|asked| **asked == "send").count()
    }
}

/// What the sponsor's shop asks, for ten cents, in the name of an order.
fn asking(shop: &Shop, order: &str) -> Challenge {
    let verifier = shop.verifier();
    let price = "0.10 usd".parse::<mpp_core::Price>().unwrap().external_id(order);
    let terms = verifier.terms(&price).unwrap();
    let method_details = verifier.details_of(&terms);
    assert_eq!(method_details.supported_modes, Some(vec![Mode::Pull]));
    challenge(&Request { terms, details: Nested { method_details } })
}

/// What a payer with this key signs for it, before it is sealed in an envelope.
fn signed_by(key: &Key, challenge: &Challenge, edit: impl FnOnce(&mut Transaction)) -> Signed {
    let attribution = crate::chain::attribution::Attribution::new(
        challenge.realm.as_str(),
        challenge.id().as_str(),
    );
    let transfer =
        Transfer { to: shop(), amount: U256::from(100_000), memo: Some(attribution.memo(None)) };
    let mut transaction = Transaction {
        calls: vec![transfer.call(PATH_USD)],
        gas_limit: 1_000_000,
        max_fee_per_gas: 40_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        valid_before: std::num::NonZeroU64::new(NOW as u64 + 25),
        fee_payer: FeePayer::Awaited,
        ..Transaction::on(42431)
    };
    edit(&mut transaction);
    transaction.sign(key)
}

async fn check(shop: &Shop, challenge: &Challenge, signed: &Signed) -> Result<Evidence, Reason> {
    let payload = pull(&signed.envelope().unwrap());
    let checked = shop.verifier().check(&claim(challenge, &payload, None)).await;
    checked.map_err(|refused| refused.reason)
}

#[tokio::test]
async fn both_forms_are_taken_and_the_sponsor_signs_what_is_sent_and_nothing_else() {
    let shop = Shop::at(Scripted::default());
    let challenge = asking(&shop, "order-1");
    let signed = signed_by(&key(), &challenge, |_| {});
    let placeholder = pull(&signed.encode());
    let checked = shop.verifier().check(&claim(&challenge, &placeholder, None)).await;
    let evidence = check(&shop, &challenge, &signed).await.unwrap();
    let verifier = shop.verifier();
    assert_eq!(verifier.spends(&checked.unwrap()), verifier.spends(&evidence));
    assert!(matches!(verifier.reconcile(&evidence).await, Fate::Absent));
    assert_eq!((shop.signatures(), shop.sent()), (0, 0), "checking signs nothing");
    let Fate::Settled(first) = verifier.settle(&evidence).await else { panic!("settled") };
    assert_eq!((shop.signatures(), shop.sent()), (1, 1));
    let payer = format!("did:pkh:eip155:42431:{}", key().address());
    assert_eq!(first.payer.unwrap().as_str(), payer);
    // As after a crash: another process, on the same store, from what the ledger kept.
    let stored = serde_json::to_string(&evidence).unwrap();
    let read: Evidence = serde_json::from_str(&stored).unwrap();
    let Fate::Settled(again) = shop.verifier().settle(&read).await else { panic!("settled") };
    assert_eq!(again.reference, first.reference);
    assert_eq!((shop.signatures(), shop.sent()), (1, 2), "the same bytes, and no second signature");
}

#[tokio::test]
async fn s6_a_sponsor_pays_for_the_transfers_that_are_asked_and_for_nothing_else() {
    fn swap(amount_out: u128, token_out: Address) -> [Call; 2] {
        let swap = Swap { token_in: ALPHA_USD, token_out, amount_out, max_in: 200_000 };
        swap.calls(STABLECOIN_DEX)
    }
    type Edit = fn(&mut Transaction);
    let cases: &[(&str, Edit, Result<(), Reason>)] = &[
        ("the payment", |_| {}, Ok(())),
        ("an exchange before it", |t| drop(t.calls.splice(0..0, swap(100_000, PATH_USD))), Ok(())),
        (
            "more is exchanged than is paid",
            |t| drop(t.calls.splice(0..0, swap(100_001, PATH_USD))),
            Err(reason::WRONG_CALLS),
        ),
        (
            "another token is got",
            |t| drop(t.calls.splice(0..0, swap(100_000, ALPHA_USD))),
            Err(reason::WRONG_CALLS),
        ),
        (
            "the exchange after it",
            |t| t.calls.extend(swap(100_000, PATH_USD)),
            Err(reason::WRONG_TOKEN),
        ),
        (
            "an approval alone",
            |t| drop(t.calls.splice(0..0, [swap(100_000, PATH_USD)[0].clone()])),
            Err(reason::WRONG_TOKEN),
        ),
        ("another transfer", |t| t.calls.push(t.calls[0].clone()), Err(reason::WRONG_CALLS)),
        (
            "another contract",
            |t| t.calls.push(Call { to: Address::ZERO, ..t.calls[0].clone() }),
            Err(reason::WRONG_TOKEN),
        ),
        ("value", |t| t.calls[0].value = U256::from(1), Err(reason::NATIVE_VALUE)),
        (
            "trailing bytes",
            |t| t.calls[0].data = [&t.calls[0].data[..], &[0]].concat().into(),
            Err(reason::DIRTY_CALLDATA),
        ),
        (
            "an access key's authorisation",
            |t| t.key_authorization = Some(key_authorization()),
            Err(reason::MORE_THAN_CALLS),
        ),
        ("a delegation", |t| t.authorizations = vec![delegation()], Err(reason::MORE_THAN_CALLS)),
        ("gas", |t| t.gas_limit = 2_000_001, Err(sponsors::SPONSOR_GAS)),
        (
            "too little time",
            |t| t.valid_before = std::num::NonZeroU64::new(NOW as u64 + 14),
            Err(sponsors::ENDS_TOO_SOON),
        ),
    ];
    let shop = Shop::at(Scripted::default());
    let challenge = asking(&shop, "order-1");
    for (name, edit, expected) in cases {
        let signed = signed_by(&key(), &challenge, edit);
        assert_eq!(check(&shop, &challenge, &signed).await.map(drop), *expected, "{name}");
    }
    let foreign = signed_by(&key(), &challenge, |_| {}).sponsored(PATH_USD, &key()).unwrap();
    let payload = pull(&foreign.encode());
    let refused = shop.verifier().check(&claim(&challenge, &payload, None)).await.unwrap_err();
    assert_eq!(refused.reason, reason::NOT_SPONSORED, "somebody else's sponsor");
    assert_eq!((shop.signatures(), shop.sent()), (0, 0));
}

#[tokio::test]
async fn s6_what_would_fail_is_not_signed_and_what_cannot_be_simulated_neither_where_that_is_required()
 {
    let reverting = |trial: Trial| match trial.fee_token {
        _ if trial.from.is_some() => Err(refused(3)),
        _ => Ok(U256::from(1_000_000_000).to_be_bytes_vec().into()),
    };
    let good = Shop::at(Scripted::default());
    let challenge = asking(&good, "order-1");
    let evidence = check(&good, &challenge, &signed_by(&key(), &challenge, |_| {})).await.unwrap();

    let failing = Shop::at(Scripted { call: Box::new(reverting), ..Scripted::default() });
    let Fate::Failed(why) = failing.verifier().settle(&evidence).await else { panic!("failed") };
    assert_eq!(why.reason, reason::WOULD_FAIL);
    assert_eq!((failing.signatures(), failing.sent()), (0, 0));

    let mut strict = Shop::at(Scripted::default());
    strict.policy.require_simulation = true;
    assert!(matches!(strict.verifier().settle(&evidence).await, Fate::Unknown(_)));
    assert_eq!((strict.signatures(), strict.sent()), (0, 0));
    let again = check(&strict, &challenge, &signed_by(&key(), &challenge, |_| {})).await;
    assert_eq!(again.unwrap_err(), reason::RAIL_UNAVAILABLE, "found out before anything is marked");

    let unsponsored = verifier_at(Arc::default());
    assert!(matches!(unsponsored.settle(&evidence).await, Fate::Unknown(_)));
    assert!(matches!(unsponsored.reconcile(&evidence).await, Fate::Unknown(_)));
    let elsewhere = Sponsor::new(&Chain::MAINNET, good.signer.clone(), good.store.clone()).unwrap();
    assert_eq!(unsponsored.sponsored_by(elsewhere).unwrap_err(), OtherChain);
}

/// A node that takes transactions and never says what became of them: every promise stays open.
#[tokio::test(start_paused = true)]
async fn s6_fifty_payments_at_once_against_a_budget_of_ten_are_co_signed_ten_times() {
    let mut shop = Shop::at(Scripted { send: None, ..Scripted::default() });
    shop.policy.max_reservations = 10;
    let mut orders = Vec::new();
    for number in 0..50_u8 {
        let challenge = asking(&shop, &format!("order-{number}"));
        let payer = Key::new([number + 20; 32]).unwrap();
        orders
            .push(check(&shop, &challenge, &signed_by(&payer, &challenge, |_| {})).await.unwrap());
    }
    let shop = Arc::new(shop);
    let mut runs = tokio::task::JoinSet::new();
    for evidence in orders {
        let verifier = shop.verifier();
        runs.spawn(async move { matches!(verifier.settle(&evidence).await, Fate::Unknown(_)) });
    }
    assert!(runs.join_all().await.into_iter().all(|unknown| unknown));
    assert_eq!(shop.signatures(), 10);
    // Whoever comes now is told so before anything is written, and may come again.
    let challenge = asking(&shop, "order-late");
    let payload = pull(&signed_by(&key(), &challenge, |_| {}).envelope().unwrap());
    let refused = shop.verifier().check(&claim(&challenge, &payload, None)).await.unwrap_err();
    assert_eq!(refused.reason, sponsors::SPONSOR_BUSY);
    assert!(!refused.kind.fresh && refused.retry_after.is_some());
}

fn long_ago(number: u64) -> Result<Option<Block>, RpcError> {
    Ok(Some(Block { number, timestamp: NOW as u64 - 4000, base_fee: None }))
}

/// Whoever sees a sponsored payment on its way can sign it as sponsor too: it is mined under another hash, and ours never.
#[tokio::test(start_paused = true)]
async fn s6_a_payment_that_another_sponsor_took_over_is_found_by_its_memo() {
    let shop = Shop::at(Scripted { send: None, ..Scripted::default() });
    let challenge = asking(&shop, "order-1");
    let signed = signed_by(&key(), &challenge, |_| {});
    let evidence = check(&shop, &challenge, &signed).await.unwrap();
    assert!(matches!(shop.verifier().settle(&evidence).await, Fate::Unknown(_)));
    let other = signed.sponsored(PATH_USD, &Key::new([77; 32]).unwrap()).unwrap();
    let taken = mined(&other.encode());
    let (told, hash) = (taken.logs[1].clone(), taken.hash);
    let later = Scripted {
        block: at(NOW as u64 + 60),
        blocks: Box::new(long_ago),
        receipt: Box::new(move |asked| Ok((asked == hash).then(|| taken.clone()))),
        logs: Box::new(move |_| {
            Ok(vec![Told { log: told.clone(), transaction: hash, block_number: 9 }])
        }),
        ..Scripted::default()
    };
    let shop = Shop { node: Arc::new(later), ..shop };
    let Fate::Settled(settled) = shop.verifier().reconcile(&evidence).await else {
        panic!("the money moved")
    };
    assert_eq!(settled.reference, format!("{hash:#x}"));
    assert_eq!(shop.sent(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_co_signed_payment_that_ended_unmined_frees_its_part_of_the_budget() {
    let mut shop = Shop::at(Scripted { send: None, ..Scripted::default() });
    shop.policy.max_reservations = 1;
    let first = asking(&shop, "order-1");
    let evidence = check(&shop, &first, &signed_by(&key(), &first, |_| {})).await.unwrap();
    assert!(matches!(shop.verifier().settle(&evidence).await, Fate::Unknown(_)));
    let second = asking(&shop, "order-2");
    let payment = signed_by(&Key::new([9; 32]).unwrap(), &second, |_| {});
    assert_eq!(check(&shop, &second, &payment).await.unwrap_err(), sponsors::SPONSOR_BUSY);
    // The chain's time passes, and the node has no receipt.
    let later =
        Scripted { block: at(NOW as u64 + 60), blocks: Box::new(long_ago), ..Scripted::default() };
    let shop = Shop { node: Arc::new(later), ..shop };
    let Fate::Failed(why) = shop.verifier().reconcile(&evidence).await else { panic!("failed") };
    assert_eq!(why.reason, Reason::EXPIRED);
    assert!(check(&shop, &second, &payment).await.is_ok());
}
