//! One dollar for another: within the cap, in one transaction, and only where it was allowed.

use super::*;
use crate::chain::{
    BETA_USD, PATH_USD,
    dex::{STABLECOIN_DEX, Swap},
};

/// A node on which the account holds so much of PathUSD and AlphaUSD, and the exchange asks so much.
fn market(path: u64, alpha: u64, asks: u64) -> Scripted {
    Scripted {
        call: Box::new(move |trial| {
            let call = &trial.calls[0];
            let said = if call.to == STABLECOIN_DEX {
                asks
            } else if call.to == PATH_USD {
                path
            } else if call.to == ALPHA_USD {
                alpha
            } else {
                0
            };
            Ok(U256::from(said).to_be_bytes_vec().into())
        }),
        ..Scripted::default()
    }
}

fn swapper(node: Scripted) -> Payer {
    let tokens = [BETA_USD.to_string(), PATH_USD.to_string(), ALPHA_USD.to_string()];
    payer_at(Arc::new(node)).swapping_from(tokens.iter().map(String::as_str), 100).unwrap()
}

async fn paid(payer: &Payer, up_to: u128) -> Result<Payment, Funds> {
    let challenge = challenge(&request());
    let payment = payer.pay(&challenge.read().unwrap(), &allowance(up_to)).await;
    payment.map_err(|error| error.funds)
}

type Payment = mpp_core::payer::Payment<TempoCharge>;

#[tokio::test]
async fn another_dollar_is_given_where_the_one_that_is_asked_for_is_short() {
    let payer = swapper(market(99_999, 1_000_000, 100_400));
    assert_eq!(exposes(&payer, &request()), Some(101_000 + 70_000));
    let payment = paid(&payer, 171_000).await.unwrap();
    let made = read(&payment.payload).transaction;
    let swap =
        Swap { token_in: ALPHA_USD, token_out: PATH_USD, amount_out: 100_000, max_in: 101_000 };
    let (found, rest) = Swap::leading(&made.calls, STABLECOIN_DEX).unwrap();
    assert_eq!((found, rest.len(), rest[0].to), (swap, 1, PATH_USD));
    assert_eq!(made.fee_token, Some(ALPHA_USD));
    assert_eq!(payment.exposed, Some(Amount::new(101_000 + made.max_fee())));
}

#[tokio::test]
async fn nothing_is_exchanged_that_need_not_or_may_not_be() {
    let rich = paid(&swapper(market(1_000_000, 1_000_000, 100_000)), 171_000).await.unwrap();
    assert_eq!(read(&rich.payload).transaction.calls.len(), 1);
    for (name, node) in [
        ("dear", market(0, 1_000_000, 101_001)),
        ("poor", market(0, 100_000, 100_000)),
        ("broke", market(0, 0, 100_000)),
    ] {
        assert_eq!(paid(&swapper(node), 171_000).await.unwrap_err(), Funds::Untouched, "{name}");
    }
    let unasked = payer_at(Arc::new(Scripted {
        gas: Box::new(|_| Err(refused(3))),
        ..market(0, 1_000_000, 100_000)
    }));
    assert_eq!(paid(&unasked, 171_000).await.unwrap_err(), Funds::Untouched);
}

#[tokio::test]
async fn s14_an_exchange_stays_within_the_tokens_and_the_sum_allowed() {
    let node = || market(0, 1_000_000, 100_000);
    let (path, alpha) = (PATH_USD.to_string(), ALPHA_USD.to_string());
    let both = swapper(node()).only_in([path.as_str(), alpha.as_str()]).unwrap();
    assert!(paid(&both, 171_000).await.is_ok());
    let one = swapper(node()).only_in([path.as_str()]).unwrap();
    assert_eq!(paid(&one, 171_000).await.unwrap_err(), Funds::Untouched);
    for (up_to, pays) in [(100_999, false), (101_000, false), (116_999, false), (117_000, true)] {
        assert_eq!(paid(&swapper(node()), up_to).await.is_ok(), pays, "{up_to}");
    }
}
