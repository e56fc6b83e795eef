//! Whoever signs: what they answer is checked before anything leaves.

use std::sync::atomic::{AtomicI64, Ordering};

use super::*;
use crate::chain::{
    keychain::KeyKind,
    signer::{Signer, SignerError, Signing},
};

/// Signs for an account with whatever key it has.
#[derive(Debug)]
struct Odd {
    account: Address,
    key: Key,
}

impl Signer for Odd {
    fn account(&self) -> Address {
        self.account
    }
    fn kind(&self) -> KeyKind {
        KeyKind::Secp256k1
    }

    fn sign(&self, hash: B256) -> Signing<'_> {
        let made = self.key.sign(hash);
        Box::pin(async move { Ok(made.into()) })
    }
}

/// Refuses, or never answers.
#[derive(Debug)]
struct Mute(bool);

impl Signer for Mute {
    fn account(&self) -> Address {
        key().address()
    }
    fn kind(&self) -> KeyKind {
        KeyKind::Secp256k1
    }

    fn sign(&self, _: B256) -> Signing<'_> {
        if self.0 {
            return Box::pin(std::future::pending());
        }
        Box::pin(async { Err(SignerError::Refused(gone())) })
    }
}

/// Takes so many seconds of everybody's time.
#[derive(Debug)]
struct Slow(i64, Arc<AtomicI64>);

impl Signer for Slow {
    fn account(&self) -> Address {
        key().address()
    }
    fn kind(&self) -> KeyKind {
        KeyKind::Secp256k1
    }

    fn sign(&self, hash: B256) -> Signing<'_> {
        self.1.fetch_add(self.0, Ordering::Relaxed);
        let made = key().sign(hash);
        Box::pin(async move { Ok(made.into()) })
    }
}

#[derive(Debug)]
struct Passing(Arc<AtomicI64>);

impl Clock for Passing {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(self.0.load(Ordering::Relaxed), 0)
    }
}

#[tokio::test]
async fn what_is_signed_too_late_goes_nowhere() {
    let sponsored = || {
        let mut request = request();
        request.details.method_details.fee_payer = Some(true);
        request
    };
    for (request, mode, took, pays) in [
        (request(), Mode::Pull, 20, true),
        (request(), Mode::Pull, 21, false),
        (request(), Mode::Push, 20, true),
        (request(), Mode::Push, 21, false),
        (sponsored(), Mode::Pull, 7, true),
        (sponsored(), Mode::Pull, 8, false),
    ] {
        let (node, time) = (Arc::new(Scripted::default()), Arc::new(AtomicI64::new(NOW)));
        let payer = signing_with(Slow(took, time.clone()), &node);
        let payer = payer.clock(Arc::new(Passing(time))).mode(mode.clone());
        let challenge = challenge(&request);
        let paid = payer.pay(&challenge.read().unwrap(), &allowance(150_000)).await;
        assert_eq!(paid.is_ok(), pays, "{mode:?} {took}");
        assert!(paid.is_ok() || paid.is_err_and(|e| e.funds == Funds::Untouched));
        assert_eq!(node.asked().contains(&"send"), pays && mode == Mode::Push);
    }
}

fn signing_with(signer: impl Signer, node: &Arc<Scripted>) -> Payer {
    Payer::signing_with(Arc::new(signer), &Chain::MODERATO, node.clone())
        .clock(Arc::new(Still(NOW)))
}

#[tokio::test(start_paused = true)]
async fn s3_a_signature_that_is_not_the_accounts_goes_nowhere() {
    let mut zero = request();
    zero.terms.amount = Amount::ZERO;
    let node = Arc::new(Scripted::default());
    let foreign = || Odd { account: key().address(), key: Key::new([9; 32]).unwrap() };
    for request in [request(), zero] {
        let challenge = challenge(&request);
        let demand = challenge.read().unwrap();
        for payer in [
            signing_with(foreign(), &node),
            signing_with(foreign(), &node).mode(Mode::Push),
            signing_with(Mute(false), &node),
            signing_with(Mute(true), &node),
        ] {
            let refused = payer.pay(&demand, &allowance(150_000)).await.unwrap_err();
            assert_eq!(refused.funds, Funds::Untouched);
        }
    }
    assert!(!node.asked().contains(&"send"));
}

#[tokio::test]
async fn any_signer_of_the_account_pays_as_its_key_would() {
    let challenge = challenge(&request());
    let node = Arc::new(Scripted::default());
    let payer = signing_with(Odd { account: key().address(), key: key() }, &node);
    let payment = payer.pay(&challenge.read().unwrap(), &allowance(150_000)).await.unwrap();
    assert_eq!(read(&payment.payload), signed(&challenge).await);
    assert_eq!(payer.authorized_signer(), payer.address());
}
