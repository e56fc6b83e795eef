//! Access keys: what the chain says of them decides what is signed, and its silence signs nothing.

use std::num::NonZeroU64;

use super::*;
use crate::chain::{
    PATH_USD,
    keychain::{KeyAuthorization, KeyKind, Limit, get_remaining_limit},
    signer::{AccessKey, Signer},
};

/// What a chain says of a key: kind, whether it knows it, when it ends, whether it is limited, whether it was taken back.
#[derive(Clone, Copy)]
struct Standing {
    known: bool,
    expiry: u64,
    limited: bool,
    revoked: bool,
    left: u64,
}

const KNOWN: Standing =
    Standing { known: true, expiry: u64::MAX, limited: true, revoked: false, left: 200_000 };
const UNKNOWN: Standing =
    Standing { known: false, expiry: 0, limited: false, revoked: false, left: 0 };

fn inner() -> Key {
    Key::new([9; 32]).unwrap()
}

fn chain(standing: Standing) -> Scripted {
    let word = |number: u64| U256::from(number).to_be_bytes_vec();
    let limit = get_remaining_limit(Address::ZERO, Address::ZERO, Address::ZERO);
    let selector = Bytes::copy_from_slice(&limit[..4]);
    let id = if standing.known { inner().address() } else { Address::ZERO };
    Scripted {
        call: Box::new(move |trial| {
            let data = &trial.calls[0].data;
            let words = if data.starts_with(&selector) {
                vec![word(standing.left), word(0)]
            } else {
                let flags = [u64::from(standing.limited), u64::from(standing.revoked)];
                let key = vec![word(0), id.into_word().to_vec(), word(standing.expiry)];
                key.into_iter().chain(flags.map(word)).collect()
            };
            Ok(words.concat().into())
        }),
        ..Scripted::default()
    }
}

/// An agent of the account, that it allows to spend so much.
fn agent(node: Scripted, limit: u64) -> Payer {
    let account = key().address();
    let made = KeyAuthorization::new(
        42431,
        KeyKind::Secp256k1,
        inner().address(),
        NonZeroU64::new(NOW as u64 + 3600).unwrap(),
    )
    .limit(Limit { token: PATH_USD, amount: U256::from(limit), period: None });
    let signature = key().sign(made.signing_hash());
    let signer = AccessKey::new(account, Arc::new(inner()))
        .with_authorization(&made.signed(signature).unwrap())
        .unwrap();
    agent_with(signer, node)
}

fn agent_with(signer: impl Signer, node: Scripted) -> Payer {
    Payer::signing_with(Arc::new(signer), &Chain::MODERATO, Arc::new(node))
        .clock(Arc::new(Still(NOW)))
}

async fn paid(payer: &Payer, request: &Request<TempoCharge>) -> Result<Transaction, Funds> {
    let challenge = challenge(request);
    let payment = payer.pay(&challenge.read().unwrap(), &allowance(u128::MAX)).await;
    let made = payment.map_err(|error| error.funds)?;
    let signed = read(&made.payload);
    assert_eq!(signed.sender(), Ok(key().address()));
    Ok(signed.transaction)
}

#[tokio::test]
async fn a_key_is_made_known_where_the_chain_does_not_know_it_and_nowhere_else() {
    let known = paid(&agent(chain(KNOWN), 200_000), &request()).await.unwrap();
    assert_eq!((known.key_authorization, known.gas_limit), (None, 800_000));
    let unknown = paid(&agent(chain(UNKNOWN), 200_000), &request()).await.unwrap();
    assert!(unknown.key_authorization.is_some() && unknown.gas_limit > 1_000_000);
    let own = payer_at(Arc::new(chain(UNKNOWN)));
    assert!(paid(&own, &request()).await.unwrap().key_authorization.is_none());
}

#[tokio::test]
async fn s14_a_key_that_may_not_spend_or_is_over_signs_nothing() {
    let cases: [(&str, Standing, bool); 7] = [
        ("enough", Standing { left: 124_000, ..KNOWN }, true),
        ("the fee counts", Standing { left: 123_999, ..KNOWN }, false),
        ("nothing left", Standing { left: 0, ..KNOWN }, false),
        ("no limits", Standing { left: 0, limited: false, ..KNOWN }, true),
        ("revoked", Standing { revoked: true, ..KNOWN }, false),
        ("over", Standing { expiry: NOW as u64, ..KNOWN }, false),
        ("not over", Standing { expiry: NOW as u64 + 1, ..KNOWN }, true),
    ];
    for (name, standing, pays) in cases {
        let made = paid(&agent(chain(standing), 200_000), &request()).await;
        assert_eq!(made.is_ok(), pays, "{name}");
        assert!(made.is_ok() || made == Err(Funds::Untouched), "{name}");
    }
    let small = paid(&agent(chain(UNKNOWN), 100_000), &request()).await;
    assert_eq!(small, Err(Funds::Untouched), "what it brings does not allow it");
    let stranger = agent_with(AccessKey::new(key().address(), Arc::new(inner())), chain(UNKNOWN));
    assert_eq!(paid(&stranger, &request()).await, Err(Funds::Untouched));
    let silent = Scripted { call: Box::new(|_| Err(RpcError::Status(502))), ..chain(KNOWN) };
    assert_eq!(paid(&agent(silent, 200_000), &request()).await, Err(Funds::Untouched));
}

#[tokio::test(start_paused = true)]
async fn s6_no_sponsor_is_asked_to_pay_for_a_key() {
    let mut sponsored = request();
    sponsored.details.method_details.fee_payer = Some(true);
    assert!(paid(&agent(chain(KNOWN), 200_000), &sponsored).await.is_ok());
    let unknown = agent(chain(UNKNOWN), 200_000);
    assert_eq!(paid(&unknown, &sponsored).await, Err(Funds::Untouched));
    // Nor is the turn to make it known lost by that.
    assert!(paid(&unknown, &request()).await.unwrap().key_authorization.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_second_payment_brings_no_authorisation_while_the_first_may_be_mined() {
    let payer = agent(chain(UNKNOWN), 200_000);
    assert!(paid(&payer, &request()).await.is_ok());
    let begun = tokio::time::Instant::now();
    assert_eq!(paid(&payer, &request()).await, Err(Funds::Untouched));
    assert!(begun.elapsed() > Duration::from_secs(31));
}
