//! S6: nothing but a plain, short, cheap payment is sponsored.

use super::*;

type Change = fn(&mut Transaction);

/// What drains a sponsor, one change each to a payment that is sponsored otherwise.
const FORBIDDEN: &[(&str, Change, Reason)] = &[
    ("its sender pays", |t| t.fee_payer = FeePayer::Sender, reason::NO_SPONSOR_AWAITED),
    (
        "another sponsor pays",
        |t| {
            let foreign = payer(99).sign(B256::repeat_byte(1));
            t.fee_payer = FeePayer::Sponsor(foreign);
        },
        reason::NO_SPONSOR_AWAITED,
    ),
    ("a chosen fee token", |t| t.fee_token = Some(PATH_USD), reason::FEE_TOKEN_CHOSEN),
    ("another chain", |t| t.chain_id = 4217, charged::WRONG_CHAIN),
    ("another nonce key", |t| t.nonce_key = U256::ZERO, charged::NOT_EXPIRING),
    ("a nonce", |t| t.nonce = 1, charged::NOT_EXPIRING),
    ("no end", |t| t.valid_before = None, charged::NOT_EXPIRING),
    (
        "an access list",
        |t| {
            t.access_list = vec![Access { address: PATH_USD, slots: vec![] }];
        },
        charged::MORE_THAN_CALLS,
    ),
    (
        "a delegation",
        |t| t.authorizations = vec![Bytes::from_static(&[0xc0])],
        charged::MORE_THAN_CALLS,
    ),
    (
        "a key's authorisation",
        |t| t.key_authorization = Some(Bytes::from_static(&[0xc0])),
        charged::MORE_THAN_CALLS,
    ),
    ("no calls", |t| t.calls.clear(), charged::WRONG_CALLS),
    (
        "more calls than nodes take",
        |t| t.calls = vec![t.calls[0].clone(); 33],
        charged::WRONG_CALLS,
    ),
    ("native value", |t| t.calls[0].value = U256::from(1), charged::NATIVE_VALUE),
    (
        "native value in a second call",
        |t| {
            t.calls.push(Call { value: U256::MAX, ..t.calls[0].clone() });
        },
        charged::NATIVE_VALUE,
    ),
    ("too much gas", |t| t.gas_limit = 2_000_001, reason::SPONSOR_GAS),
    ("all the gas there is", |t| t.gas_limit = u64::MAX, reason::SPONSOR_GAS),
    ("too high a fee", |t| t.max_fee_per_gas = 100_000_000_001, reason::SPONSOR_FEE),
    ("all the fee there is", |t| t.max_fee_per_gas = u128::MAX, reason::SPONSOR_FEE),
    (
        "too high a tip",
        |t| {
            t.max_fee_per_gas = 100_000_000_000;
            t.max_priority_fee_per_gas = 50_000_000_001;
        },
        reason::SPONSOR_TIP,
    ),
    (
        "a tip above the fee",
        |t| t.max_priority_fee_per_gas = t.max_fee_per_gas + 1,
        // The highest tip is the fee here: it is told by the relation of the two.
        reason::SPONSOR_TIP,
    ),
    ("a small tip above a smaller fee", |t| t.max_fee_per_gas = 999_999_999, charged::TIP_TOO_HIGH),
    (
        "too high a fee in all",
        |t| {
            t.gas_limit = 1_000_001;
        },
        reason::SPONSOR_TOTAL,
    ),
    ("an end in the past", |t| ends(t, -1), reason::ENDS_TOO_SOON),
    ("an end that is now", |t| ends(t, 0), reason::ENDS_TOO_SOON),
    ("too little time left", |t| ends(t, 14), reason::ENDS_TOO_SOON),
    ("too long a validity", |t| ends(t, 901), charged::VALID_TOO_LONG),
    ("validity for ever", |t| t.valid_before = u64::MAX.try_into().ok(), charged::VALID_TOO_LONG),
    (
        "a beginning yet to come",
        |t| t.valid_after = (NOW + 1).try_into().ok(),
        charged::NOT_YET_VALID,
    ),
];

/// What a new [`Hands`] shows, in Unix seconds.
const NOW: u64 = 1_800_000_000;

fn ends(transaction: &mut Transaction, after: i64) {
    transaction.valid_before = NOW.saturating_add_signed(after).try_into().ok();
}

fn judged(world: &World, change: impl FnOnce(&mut Transaction)) -> Result<Approved, Rejection> {
    let mut transaction = transaction(&world.hands, 0);
    change(&mut transaction);
    let signed = transaction.sign(&payer(1));
    let stage = Stage::Shown { challenge_ends: None };
    world.sponsor().judge(&signed, &world.hands.now(), stage)
}

#[test]
fn s6_nothing_is_sponsored_that_could_drain_the_sponsor() {
    let world = World::new();
    assert_eq!(world.hands.now().unix_seconds().unsigned_abs(), NOW);
    for (what, change, reason) in FORBIDDEN {
        let refusal = judged(&world, change).expect_err(what);
        assert_eq!(refusal.reason, *reason, "{what}");
        assert!(refusal.kind.fresh, "{what}: the payer may pay properly");
    }
}

#[test]
fn s6_a_payment_at_every_limit_is_sponsored() {
    let world = World::new();
    let at_the_limit: [(&str, Change); 5] = [
        ("gas and total", |t| (t.gas_limit, t.max_fee_per_gas) = (2_000_000, 25_000_000_000)),
        ("fee and tip", |t| {
            t.max_fee_per_gas = 100_000_000_000;
            t.max_priority_fee_per_gas = 50_000_000_000;
        }),
        ("the least time left", |t| ends(t, 15)),
        ("the longest validity", |t| ends(t, 900)),
        ("a beginning that is now", |t| t.valid_after = NOW.try_into().ok()),
    ];
    for (what, change) in at_the_limit {
        judged(&world, change).expect(what);
    }
}

#[test]
fn s6_tips_are_lower_where_money_is_real() {
    let tip = |chain: &Chain| Policy::on(chain).max_priority_fee_per_gas;
    let high = [Chain::MODERATO].map(|chain| tip(&chain));
    let low = [Chain::MAINNET, Chain::DEVNET, Chain::LOCALNET, Chain::by_id(5)];
    assert_eq!(high, [50_000_000_000]);
    assert_eq!(low.map(|chain| tip(&chain)), [10_000_000_000; 4]);
}

#[test]
fn s6_a_payment_outlives_its_challenge_by_a_minute_at_most() {
    let world = World::new();
    let shown = |ends_in: i64, challenge: i64| {
        let mut transaction = transaction(&world.hands, 0);
        ends(&mut transaction, ends_in);
        let end = Timestamp::from_unix(NOW as i64 + challenge, 0);
        let stage = Stage::Shown { challenge_ends: Some(&end) };
        let signed = transaction.sign(&payer(1));
        world.sponsor().judge(&signed, &world.hands.now(), stage).map_err(|r| r.reason)
    };
    assert!(shown(80, 20).is_ok());
    assert_eq!(shown(81, 20), Err(charged::VALID_TOO_LONG));
}

#[test]
fn s6_what_was_shown_in_time_is_settled_with_less_time_left() {
    let world = World::new();
    let settling = |ends_in: i64| {
        let mut transaction = transaction(&world.hands, 0);
        ends(&mut transaction, ends_in);
        let signed = transaction.sign(&payer(1));
        world.sponsor().judge(&signed, &world.hands.now(), Stage::Settling).map_err(|r| r.reason)
    };
    assert!(settling(3).is_ok());
    assert_eq!(settling(2), Err(reason::ENDS_TOO_SOON));
}

#[test]
fn s6_a_sponsor_does_not_sponsor_itself() {
    let world = World::new();
    let signed = transaction(&world.hands, 0).sign(&Key::new(SECRET).unwrap());
    let judged = world.sponsor().judge(&signed, &world.hands.now(), Stage::Settling);
    assert_eq!(judged.unwrap_err().reason, reason::SELF_SPONSORED);
}

#[test]
fn s6_nobody_is_sponsored_by_a_signature_that_is_nobodys() {
    let world = World::new();
    let unsigned = transaction(&world.hands, 0);
    let bad = unsigned.signed(another_kind());
    let judged = world.sponsor().judge(&bad, &world.hands.now(), Stage::Settling);
    assert_eq!(judged.unwrap_err().reason, charged::BAD_SIGNATURE);
}

#[test]
fn s6_what_an_access_key_may_is_in_no_trial_so_that_it_is_sponsored_only_by_name() {
    let world = World::new();
    let unsigned = transaction(&world.hands, 0);
    let (account, key) = (payer(0).address(), payer(50));
    let bound = Keychain::hash(unsigned.signing_hash(), account);
    let signed = unsigned.signed(Keychain::new(account, key.sign(bound).into()).unwrap());
    let judged = world.sponsor().judge(&signed, &world.hands.now(), Stage::Settling);
    assert_eq!(judged.unwrap_err().reason, reason::ACCESS_KEY);
    let policy = Policy { access_keys: true, ..world.policy.clone() };
    let judged = world.sponsor().policy(policy).judge(&signed, &world.hands.now(), Stage::Settling);
    assert!(judged.is_ok());
}

#[test]
fn s6_the_fee_token_is_the_sponsors_choice_from_its_own_list() {
    let signer: Arc<dyn Signer> = Remote::new();
    let store: Arc<dyn Store> = Arc::new(Memory::volatile());
    let sponsor = Sponsor::new(&Chain::MAINNET, signer, store).unwrap();
    assert_eq!(sponsor.fee_tokens(), [USDC_E, PATH_USD]);
    let world = World::new();
    let mut transaction = transaction(&world.hands, 0);
    transaction.chain_id = Chain::MAINNET.id;
    let signed = transaction.sign(&payer(1));
    let approved = sponsor.judge(&signed, &world.hands.now(), Stage::Settling).unwrap();
    assert_eq!(approved.fee_token(), USDC_E);
    let other = sponsor.pay_in(approved, PATH_USD).unwrap();
    assert_eq!(other.fee_token(), PATH_USD);
    assert_eq!(sponsor.pay_in(approved, Address::repeat_byte(0x20)), None);
    let none = Policy { fee_tokens: vec![], ..Policy::on(&Chain::MAINNET) };
    assert_eq!(sponsor.policy(none).fee_tokens(), [USDC_E]);
}

#[test]
fn s6_an_access_key_is_no_sponsor() {
    let mut remote = Remote::new();
    Arc::get_mut(&mut remote).unwrap().access = true;
    let store: Arc<dyn Store> = Arc::new(Memory::volatile());
    assert!(Sponsor::new(&Chain::MODERATO, remote, store.clone()).is_err());
    // Nor is a key of another kind: the chain takes no fee payer's signature of it.
    let browser = Arc::new(P256Key::new([7; 32]).unwrap());
    assert!(Sponsor::new(&Chain::MODERATO, browser, store).is_err());
}

#[tokio::test]
async fn s6_what_a_sponsor_signs_is_the_payment_and_the_fee_token_and_nothing_else() {
    let world = World::new();
    let (signed, approved) = world.payment(1, 0);
    let cosigned = sponsored(&world.sponsor(), &signed, &approved).await.unwrap();
    let whole = cosigned.signed();
    assert_eq!(whole.sponsor().unwrap(), Some(world.sponsor().address()));
    assert_eq!(whole.sender().unwrap(), payer(1).address());
    assert_eq!(whole.transaction.fee_token, Some(PATH_USD));
    assert_eq!(Signed::decode(&whole.encode()).unwrap(), *whole);
    let stripped =
        Transaction { fee_token: None, fee_payer: FeePayer::Awaited, ..whole.transaction.clone() };
    assert_eq!(stripped, signed.transaction);
}

#[tokio::test]
async fn s6_another_transaction_than_the_approved_one_is_not_signed() {
    let world = World::new();
    let ((_, approved), (other, _)) = (world.payment(1, 0), world.payment(1, 1));
    let sponsor = world.sponsor();
    let reserved = sponsor.reserve(&approved).await.unwrap();
    let refused = sponsor.cosign(reserved, &other).await.unwrap_err();
    assert!(matches!(refused, Unsponsored::NotApproved));
    assert_eq!(world.remote.count(), 0);
}

#[test]
fn what_is_secret_is_not_shown() {
    let world = World::new();
    let shown = format!("{:?}", world.sponsor());
    assert!(shown.contains("address") && !shown.contains("signer"), "{shown}");
}
