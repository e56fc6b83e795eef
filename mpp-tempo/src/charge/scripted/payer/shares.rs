//! Payments that are shared: all of it in one transaction, to nobody who is not allowed.

use super::*;

const OTHER: &str = "0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65";

fn split(recipient: &str, amount: u128, memo: Option<B256>) -> Split {
    Split {
        amount: Amount::new(amount),
        recipient: recipient.into(),
        memo: memo.map(|memo| format!("{memo:#x}")),
        extra: serde_json::Map::new(),
    }
}

fn shared(splits: Vec<Split>) -> Request<TempoCharge> {
    let mut request = request();
    request.details.method_details.splits = Some(splits);
    request
}

#[tokio::test]
async fn s7_shares_are_paid_in_one_transaction_the_recipient_first() {
    let memo = B256::repeat_byte(0x42);
    let request = shared(vec![split(OTHER, 20_000, None), split(OTHER, 5_000, Some(memo))]);
    let challenge = challenge(&request);
    let payer = payer_at(Arc::default());
    let payment = payer.pay(&challenge.read().unwrap(), &allowance(200_000)).await.unwrap();
    let calls = read(&payment.payload).transaction.calls;
    let made: Vec<_> = calls.iter().map(|call| Transfer::decode(&call.data).unwrap()).collect();
    let amounts: Vec<_> = made.iter().map(|made| made.amount.to::<u64>()).collect();
    assert_eq!(amounts, [75_000, 20_000, 5_000]);
    assert_eq!(made[0].to, shop());
    assert!(made[0].memo.is_some_and(|memo| crate::chain::attribution::is_attribution(&memo)));
    assert_eq!((made[1].memo, made[2].memo), (None, Some(memo)));
    assert_eq!(exposes(&payer, &request), Some(100_000 + 50_000 + 2 * 10_000));
}

#[test]
fn a_share_to_somebody_who_is_not_on_the_list_is_not_paid() {
    let request = shared(vec![split(OTHER, 20_000, None)]);
    let to = |accounts: &[&str]| {
        let payer = payer_at(Arc::default()).only_to(accounts.iter().copied()).unwrap();
        exposes(&payer, &request).is_some()
    };
    assert!(to(&[SHOP, OTHER]));
    assert!(!to(&[SHOP]) && !to(&[OTHER]));
    let own = shared(vec![split(&key().address().to_string(), 20_000, None)]);
    assert_eq!(exposes(&payer_at(Arc::default()), &own), None);
    let ten = |count| shared((0..count).map(|_| split(OTHER, 1, None)).collect());
    assert!(exposes(&payer_at(Arc::default()), &ten(10)).is_some());
    assert_eq!(exposes(&payer_at(Arc::default()), &ten(11)), None);
}

#[test]
fn s8_a_memo_that_names_anothers_challenge_is_not_signed() {
    let foreign = crate::chain::attribution::Attribution::new("other.example", "theirs").memo(None);
    let on_share = shared(vec![split(OTHER, 20_000, Some(foreign))]);
    assert_eq!(exposes(&payer_at(Arc::default()), &on_share), None);
    let mut primary = request();
    primary.details.method_details.memo = Some(format!("{foreign:#x}"));
    assert_eq!(exposes(&payer_at(Arc::default()), &primary), None);
}

#[tokio::test]
async fn gas_is_what_the_list_or_all_of_its_calls_need_whichever_is_more() {
    // A node that answers a list with a number of its own, and runs one call alone.
    let gas = |list: u64, alone: u64| Scripted {
        gas: Box::new(move |trial| Ok(if trial.calls.len() > 1 { list } else { alone })),
        ..Scripted::default()
    };
    let request = shared((0..10).map(|_| split(OTHER, 1_000, None)).collect());
    let challenge = challenge(&request);
    for (list, alone, limit) in [
        (534_000, 315_000, Some(11 * 315_000 * 6 / 5)),
        (5_000_000, 60_000, Some(6_000_000)),
        (534_000, 60_000, Some(800_000)),
        (534_000, 2_000_000, None),
        (u64::MAX, 60_000, None),
    ] {
        let payer = payer_at(Arc::new(gas(list, alone)));
        let payment = payer.pay(&challenge.read().unwrap(), &allowance(u128::MAX)).await;
        let made = payment.map_err(|e| e.funds).map(|p| read(&p.payload).transaction.gas_limit);
        assert_eq!(made, limit.ok_or(Funds::Untouched), "{list} {alone}");
    }
    let short = Scripted {
        gas: Box::new(|trial| if trial.calls.len() > 1 { Ok(534_000) } else { Err(refused(3)) }),
        ..Scripted::default()
    };
    let refused =
        payer_at(Arc::new(short)).pay(&challenge.read().unwrap(), &allowance(u128::MAX)).await;
    assert_eq!(refused.unwrap_err().funds, Funds::Untouched);
}
