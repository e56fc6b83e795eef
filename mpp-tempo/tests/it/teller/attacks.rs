//! Deposits that are not what they say: refused before anything is sent (S11).

use alloy::primitives::{Address, U256};
use mpp_core::problem::ProblemType;
use mpp_tempo::{
    chain::{ALPHA_USD, tip20::Transfer},
    charge::reason as charged,
    session::teller::reason,
};

use super::*;

#[tokio::test]
async fn s11_no_open_leaves_before_everything_about_it_holds() {
    let stage = Stage::new().await;
    let stranger = account(5);
    let good = stage.opening(DEPOSIT).await;
    // Each is signed by the payer, and wrong in one thing.
    let mut cases: Vec<(&str, Payload, Reason)> = Vec::new();
    type Edit = fn(&mut Transaction);
    let edits: [(&str, Edit, Reason); 11] = [
        ("another chain", |t| t.chain_id = 4217, charged::WRONG_CHAIN),
        ("a nonce that does not expire", |t| t.nonce_key = U256::from(1), charged::NOT_EXPIRING),
        ("no end", |t| t.valid_before = None, charged::NOT_EXPIRING),
        ("a call more", |t| t.calls.push(transfer()), charged::WRONG_CALLS),
        ("a call before", |t| t.calls.insert(0, transfer()), charged::WRONG_CALLS),
        ("no call", |t| t.calls.clear(), Reason::UNREADABLE),
        ("value", |t| t.calls[0].value = U256::from(1), charged::NATIVE_VALUE),
        ("another contract", |t| t.calls[0].to = PATH_USD, charged::WRONG_CALLS),
        (
            "trailing bytes",
            |t| t.calls[0].data = [&t.calls[0].data[..], &[0]].concat().into(),
            charged::DIRTY_CALLDATA,
        ),
        (
            "dirty bytes",
            |t| {
                let mut dirty = t.calls[0].data.to_vec();
                dirty[4] = 1;
                t.calls[0].data = dirty.into();
            },
            charged::DIRTY_CALLDATA,
        ),
        (
            "an awaited sponsor",
            |t| (t.fee_token, t.fee_payer) = (None, FeePayer::Awaited),
            charged::NOT_SPONSORED,
        ),
    ];
    for (name, edit, why) in edits {
        cases.push((name, opening(&stage.opening_as(DEPOSIT, edit).await, PRICE), why));
    }
    let gas: [(&str, Edit, Reason); 4] = [
        ("gas", |t| t.gas_limit = 40_000, charged::GAS_TOO_LOW),
        (
            "a fee below the chain's",
            |t| (t.max_fee_per_gas, t.max_priority_fee_per_gas) = (1, 1),
            charged::FEE_TOO_LOW,
        ),
        (
            "a long life",
            |t| t.valid_before = NonZeroU64::new(u64::MAX >> 1),
            charged::VALID_TOO_LONG,
        ),
        ("an end in the past", |t| t.valid_before = NonZeroU64::new(1), Reason::EXPIRED),
    ];
    for (name, edit, why) in gas {
        cases.push((name, opening(&stage.opening_as(DEPOSIT, edit).await, PRICE), why));
    }
    // Calls that are canonical, and open something else.
    type Change = fn(&mut Open);
    let calls: [(&str, Change, Reason); 4] = [
        ("another payee", |o| o.payee = Address::repeat_byte(9), charged::WRONG_RECIPIENT),
        ("another token", |o| o.token = ALPHA_USD, charged::WRONG_TOKEN),
        ("somebody's operator", |o| o.operator = Address::repeat_byte(9), reason::WRONG_OPERATOR),
        ("too much", |o| o.deposit = 1 << 90, charged::SHORT_OF_FUNDS),
    ];
    for (name, change, why) in calls {
        let mut open = stage.open_call(DEPOSIT);
        change(&mut open);
        let transaction = stage.transaction(open.call()).await;
        let hash = transaction.expiring_nonce_hash(stage.payer.address());
        let descriptor = open.descriptor(stage.payer.address(), hash);
        let opened = Opened { descriptor, signed: transaction.sign(&stage.payer) };
        cases.push((name, opening(&opened, PRICE), why));
    }
    // Descriptors and vouchers beside a transaction that is good.
    let other = stage.opening(DEPOSIT).await;
    let mixed = Opened { descriptor: other.descriptor, signed: good.signed.clone() };
    cases.push(("another's transaction", opening(&mixed, PRICE), reason::WRONG_DEPOSIT));
    let resigned = good.signed.transaction.clone().sign(&stranger);
    let resigned = Opened { descriptor: good.descriptor, signed: resigned };
    cases.push(("a stranger's signature", opening(&resigned, PRICE), reason::WRONG_DEPOSIT));
    cases.push(("less than is asked", opening(&good, PRICE - 1), Reason::SHORT_BALANCE));
    cases.push(("more than is deposited", opening(&good, DEPOSIT + 1), Reason::OVER_DEPOSIT));
    let mut foreign = opening(&good, PRICE);
    if let Payload::Open { signature: by, .. } = &mut foreign {
        *by = signature(&stranger, &good.descriptor, PRICE);
    }
    cases.push(("a stranger's voucher", foreign, reason::OTHER_SIGNER));
    let mut renamed = opening(&good, PRICE);
    if let Payload::Open { channel_id, .. } = &mut renamed {
        *channel_id = id(&other.descriptor).to_string();
    }
    cases.push(("another channel's name", renamed, reason::WRONG_DESCRIPTOR));
    let top_up = stage.topping_up(good.descriptor, 5).await;
    let top_up = Opened { descriptor: good.descriptor, signed: top_up };
    cases.push(("a top-up", opening(&top_up, PRICE), reason::WRONG_DEPOSIT));

    let before = stage.held(&stage.payer).await;
    for (name, payload, why) in &cases {
        let refused = stage.check(payload, None).await.map(|act| format!("{act:?}")).unwrap_err();
        assert_eq!(refused.reason, *why, "{name}: {refused}");
    }
    assert_eq!(stage.held(&stage.payer).await, before, "nothing was sent");
    // The one that they were all made from is good.
    assert!(stage.check(&opening(&good, PRICE), None).await.is_ok());
}

#[tokio::test]
async fn a_top_up_is_of_the_channel_and_of_the_amount_that_it_says() {
    let stage = Stage::new().await;
    let (account, other) = (stage.account(DEPOSIT).await, stage.account(DEPOSIT).await);
    let (channel, foreign) = (account.kept.descriptor, other.kept.descriptor);
    let five = stage.topping_up(channel, 5).await.encode();
    let of_other = stage.topping_up(foreign, 5).await.encode();
    let call = TopUp { descriptor: channel, additional_deposit: 5 }.call();
    let by_stranger = stage.transaction(call).await.sign(&crate::teller::account(5)).encode();
    let nothing = stage.topping_up(channel, 0).await.encode();
    let open = stage.opening(DEPOSIT).await.signed.encode();
    let cases = [
        ("another amount", adding(&channel, &five, 6), charged::WRONG_AMOUNT),
        ("nothing", adding(&channel, &nothing, 0), charged::WRONG_AMOUNT),
        ("another channel's transaction", adding(&channel, &of_other, 5), reason::WRONG_DEPOSIT),
        ("a stranger's", adding(&channel, &by_stranger, 5), charged::WRONG_SOURCE),
        ("an open", adding(&channel, &open, DEPOSIT), reason::WRONG_DEPOSIT),
        ("too much", adding(&channel, &five, u128::MAX >> 32), charged::WRONG_AMOUNT),
    ];
    for (name, payload, why) in cases {
        let refused = stage.check(&payload, Some(&account)).await.unwrap_err();
        assert_eq!(refused.reason, why, "{name}: {refused}");
    }
    let refused = stage.check(&adding(&channel, &five, 5), None).await.unwrap_err();
    assert_eq!(refused.kind, ProblemType::CHANNEL_NOT_FOUND);
    assert_eq!(stage.state(&channel).await.deposit, DEPOSIT);
}

#[tokio::test]
async fn an_open_that_fails_in_its_block_has_failed_and_nothing_is_open() {
    let stage = Stage::new().await;
    let opened = stage.opening(5_000_000).await;
    let act = stage.check(&opening(&opened, PRICE), None).await.unwrap();
    let Act::Open { order, kept, .. } = act else { panic!("{act:?}") };
    // Between the check and the block the payer spends all but what the fee takes.
    let spent = U256::from(stage.held(&stage.payer).await - 1_000_000);
    let all = Transfer { to: account(6).address(), amount: spent, memo: None };
    stage.run(&stage.payer, all.call(PATH_USD)).await;
    let account = Account::opening(kept);
    for fate in [
        stage.teller.settle(&order, &account).await,
        stage.teller.reconcile(&restored(&order), &account).await,
    ] {
        assert_eq!(failure(fate), charged::REVERTED);
    }
    assert_eq!(stage.state(&opened.descriptor).await, ChannelState::default());
}

fn transfer() -> Call {
    Transfer { to: Address::repeat_byte(9), amount: U256::from(1), memo: None }.call(PATH_USD)
}
