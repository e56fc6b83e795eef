//! Payments whose fee the server pays: handed over unsent, and known afterwards by their memo alone.

use super::*;
use crate::chain::transaction::FeePayer;

fn sponsored() -> Request<TempoCharge> {
    let mut request = request();
    request.details.method_details.fee_payer = Some(true);
    request
}

async fn envelope(challenge: &Challenge, node: Scripted) -> Result<Signed, Funds> {
    let payer = payer_at(Arc::new(node));
    let payment = payer.pay(&challenge.read().unwrap(), &allowance(100_000)).await;
    let payment = payment.map_err(|error| error.funds)?;
    assert_eq!(payment.exposed, Some(Amount::new(100_000)));
    let Payload::Transaction { signature } = &payment.payload else { panic!("pull mode") };
    assert!(signature.starts_with("0x78"));
    Ok(read(&payment.payload))
}

#[tokio::test]
async fn a_sponsored_payment_costs_its_price_and_leaves_the_fee_token_open() {
    let challenge = challenge(&sponsored());
    assert_eq!(exposes(&payer_at(Arc::default()), &sponsored()), Some(100_000));
    let signed = envelope(&challenge, Scripted::default()).await.unwrap();
    let made = &signed.transaction;
    assert_eq!((made.fee_payer, made.fee_token), (FeePayer::Awaited, None));
    assert_eq!(signed.sender().unwrap(), key().address());
    assert_eq!((made.calls.len(), made.access_list.len()), (1, 0));
    let sponsor = Key::new([9; 32]).unwrap();
    let whole = signed.sponsored(ALPHA_USD, &sponsor).unwrap();
    assert_eq!(whole.sponsor().unwrap(), Some(sponsor.address()));
    assert_eq!(whole.sender().unwrap(), key().address());
}

#[tokio::test]
async fn s6_it_stays_within_what_sponsors_pay() {
    let challenge = challenge(&sponsored());
    for (gas, price, made) in [
        (60_000, 20_000_000_000, Some((800_000, 30_000_000_000))),
        (1_900_000, 20_000_000_000, Some((2_000_000, 25_000_000_000))),
        (2_000_001, 20_000_000_000, None),
        (60_000, 62_500_000_000, Some((800_000, 62_500_000_000))),
        (60_000, 62_500_000_001, None),
    ] {
        let node = Scripted {
            gas: Box::new(move |_| Ok(gas)),
            gas_price: Box::new(move |()| Ok(price)),
            ..Scripted::default()
        };
        let signed = envelope(&challenge, node).await;
        let offered =
            signed.map(|signed| (signed.transaction.gas_limit, signed.transaction.max_fee_per_gas));
        assert_eq!(offered, made.ok_or(Funds::Untouched), "{gas} at {price}");
    }
}

#[tokio::test]
async fn s5_it_leaves_a_sponsor_its_fifteen_seconds_or_is_not_signed() {
    for (left, end) in [(300, Some(25)), (18, Some(18)), (17, None)] {
        let challenge = keys().seal(Draft {
            expires: Some(Timestamp::from_unix(NOW + left, 0)),
            ..challenge(&sponsored()).to_draft()
        });
        let signed = envelope(&challenge, Scripted::default()).await.ok();
        let ends = signed.map(|s| s.transaction.valid_before.unwrap().get() as i64 - NOW);
        assert_eq!(ends, end, "{left} s left");
    }
}

#[tokio::test(start_paused = true)]
async fn what_became_of_it_is_read_from_the_logs_since_its_hash_is_the_sponsors() {
    const END: u64 = NOW as u64 + 25;
    let challenge = challenge(&sponsored());
    let signed = envelope(&challenge, Scripted::default()).await.unwrap();
    let sponsor = Key::new([9; 32]).unwrap();
    let receipt = mined(&signed.clone().sponsored(ALPHA_USD, &sponsor).unwrap().encode());
    let payload = pull(&signed.envelope().unwrap());
    let node = |receipt: Option<Receipt>, time: u64| {
        let told = receipt.iter().flat_map(|receipt| {
            receipt.logs.iter().map(|log| Told {
                log: log.clone(),
                transaction: receipt.hash,
                block_number: 9,
            })
        });
        let told: Vec<_> = told.collect();
        Scripted {
            block: at(time),
            logs: Box::new(move |_| Ok(told.clone())),
            receipt: Box::new(move |_| Ok(receipt.clone())),
            ..Scripted::default()
        }
    };
    let cases = [
        (Some(receipt.clone()), NOW as u64, Some(Became::Paid)),
        (None, NOW as u64, Some(Became::Open)),
        (None, END, None),
        (None, END + 30, Some(Became::Dead)),
        (None, END + 1800, Some(Became::Dead)),
        (None, END + 1801, None),
    ];
    for (receipt, time, expected) in cases {
        let said = payer_at(Arc::new(node(receipt, time)))
            .became(&challenge.read().unwrap(), &payload)
            .await;
        assert_eq!(said.ok(), expected, "{time}");
    }
    let blind = Scripted { logs: Box::new(|_| Err(refused(-32601))), ..node(None, END + 10) };
    let said = payer_at(Arc::new(blind)).became(&challenge.read().unwrap(), &payload).await;
    assert_eq!(said.unwrap_err().funds, Funds::Unknown);
}

#[tokio::test(start_paused = true)]
async fn a_memo_that_is_not_its_own_proves_no_payment_but_its_absence_proves_none() {
    let mut request = sponsored();
    request.details.method_details.memo = Some(format!("0x{}", "42".repeat(32)));
    let challenge = challenge(&request);
    let signed = envelope(&challenge, Scripted::default()).await.unwrap();
    let receipt = mined(&signed.clone().sponsored(ALPHA_USD, &key()).unwrap().encode());
    let payload = pull(&signed.envelope().unwrap());
    for (found, expected) in [(true, Became::Open), (false, Became::Dead)] {
        let told =
            Told { log: receipt.logs[1].clone(), transaction: receipt.hash, block_number: 9 };
        let told = if found { vec![told] } else { Vec::new() };
        let receipt = receipt.clone();
        let node = Scripted {
            block: at(NOW as u64 + 100),
            logs: Box::new(move |_| Ok(told.clone())),
            receipt: Box::new(move |_| Ok(Some(receipt.clone()))),
            ..Scripted::default()
        };
        let said = payer_at(Arc::new(node)).became(&challenge.read().unwrap(), &payload).await;
        assert_eq!(said.unwrap(), expected);
    }
}
