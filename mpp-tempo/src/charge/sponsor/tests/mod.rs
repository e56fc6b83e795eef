//! A sponsor against its policy, its store and its signer, with nobody to trust among them.

use std::{
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use alloy::primitives::{Address, B256, Bytes, U256};
use mpp_core::{
    Timestamp,
    problem::{ProblemType, Reason, Rejection},
    store::{BoxFuture, Keep, Key as StoreKey, Memory, Store, StoreError, Version, Versioned},
    time::Clock,
};
use mpp_testkit::clock::Hands;
use secp256k1::{All, Message, Secp256k1, SecretKey};

use super::{
    Approved, Cosigned, Policy, Reserved, Sponsor, Stage, Unsponsored, book::Book, reason,
};
use crate::{
    chain::{
        Chain, PATH_USD, USDC_E,
        keychain::KeyKind,
        signature::{Ecdsa, Key, Keychain, P256Key, Signature},
        signer::{Signer, SignerError, Signing},
        tip20::Transfer,
        transaction::{Access, Call, FeePayer, Signed, Transaction},
    },
    charge::reason as charged,
};

mod budget;
mod crash;
mod model;
mod s6;

const SECRET: [u8; 32] = [2; 32];

/// How a test's signer answers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mood {
    Signs,
    Refuses,
    Hangs,
    SignsAsAnother,
    SignsInAnotherKind,
}

/// Signs each hash differently each time, as signers far away may, and counts.
#[derive(Debug)]
struct Remote {
    signed: AtomicU64,
    hashes: Mutex<Vec<B256>>,
    mood: Mutex<Mood>,
    access: bool,
}

impl Remote {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            signed: AtomicU64::new(0),
            hashes: Mutex::default(),
            mood: Mutex::new(Mood::Signs),
            access: false,
        })
    }

    fn count(&self) -> u64 {
        self.signed.load(Ordering::SeqCst)
    }

    fn is(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn made(&self, hash: B256) -> Ecdsa {
        let mut noise = [0; 32];
        noise[..8].copy_from_slice(&self.signed.fetch_add(1, Ordering::SeqCst).to_be_bytes());
        self.hashes.lock().unwrap().push(hash);
        noisy(SECRET, hash, noise)
    }
}

/// Another signature of a hash for each noise.
fn noisy(secret: [u8; 32], hash: B256, noise: [u8; 32]) -> Ecdsa {
    static CURVE: LazyLock<Secp256k1<All>> = LazyLock::new(Secp256k1::new);
    let secret = SecretKey::from_byte_array(secret).unwrap();
    let message = Message::from_digest(hash.0);
    let made = CURVE.sign_ecdsa_recoverable_with_noncedata(message, &secret, &noise);
    let (id, compact) = made.serialize_compact();
    let mut bytes = [i32::from(id) as u8; 65];
    bytes[..64].copy_from_slice(&compact);
    Ecdsa::parse(&bytes).unwrap()
}

impl Signer for Remote {
    fn account(&self) -> Address {
        Key::new(SECRET).unwrap().address()
    }

    fn key(&self) -> Address {
        if self.access { Address::ZERO } else { self.account() }
    }

    fn kind(&self) -> KeyKind {
        KeyKind::Secp256k1
    }

    fn sign(&self, hash: B256) -> Signing<'_> {
        let mood = *self.mood.lock().unwrap();
        Box::pin(async move {
            // Whoever signs far away lets others run meanwhile.
            tokio::task::yield_now().await;
            match mood {
                Mood::Signs => Ok(self.made(hash).into()),
                Mood::Refuses => Err(SignerError::Refused("no".into())),
                Mood::Hangs => std::future::pending().await,
                Mood::SignsAsAnother => Ok(payer(200).sign(hash).into()),
                Mood::SignsInAnotherKind => Ok(another_kind()),
            }
        })
    }
}

/// A store whose process dies at its n-th write, just before or just after it; nothing answers until it is mended.
#[derive(Debug)]
struct Mortal {
    inner: Memory,
    writes_left: AtomicUsize,
    after: bool,
    dead: Mutex<bool>,
}

impl Mortal {
    fn new(writes: usize, after: bool) -> Arc<Self> {
        let inner = Memory::volatile();
        let dead = Mutex::new(false);
        Arc::new(Self { inner, writes_left: AtomicUsize::new(writes), after, dead })
    }

    fn mend(&self) {
        self.writes_left.store(usize::MAX, Ordering::SeqCst);
        *self.dead.lock().unwrap() = false;
    }

    fn alive(&self) -> Result<(), StoreError> {
        if *self.dead.lock().unwrap() { Err(StoreError::unavailable("gone")) } else { Ok(()) }
    }

    /// Whether this write is the last.
    fn is_last(&self) -> bool {
        let last = self.writes_left.fetch_sub(1, Ordering::SeqCst) == 1;
        *self.dead.lock().unwrap() |= last;
        last
    }
}

impl Store for Mortal {
    fn get<'a>(
        &'a self,
        key: &'a StoreKey,
    ) -> BoxFuture<'a, Result<Option<Versioned>, StoreError>> {
        Box::pin(async move {
            self.alive()?;
            self.inner.get(key).await
        })
    }

    fn swap<'a>(
        &'a self,
        key: &'a StoreKey,
        expect: Option<Version>,
        value: Option<&'a [u8]>,
        keep: Keep,
    ) -> BoxFuture<'a, Result<Option<Version>, StoreError>> {
        Box::pin(async move {
            self.alive()?;
            let last = self.is_last();
            if last && !self.after {
                return Err(StoreError::unavailable("gone before the write"));
            }
            let swapped = self.inner.swap(key, expect, value, keep).await;
            if last { Err(StoreError::unavailable("gone after the write")) } else { swapped }
        })
    }

    fn scan<'a>(
        &'a self,
        prefix: &'a StoreKey,
        after: Option<&'a StoreKey>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<(StoreKey, Versioned)>, StoreError>> {
        self.inner.scan(prefix, after, limit)
    }
}

/// The `n`-th payer.
fn payer(n: u8) -> Key {
    Key::new(secret(n)).unwrap()
}

fn secret(n: u8) -> [u8; 32] {
    let mut secret = [7; 32];
    secret[31] = n;
    secret
}

/// Gas 100,000 at 50 × 10⁹: half a cent at most, so that ten are five cents.
fn transaction(hands: &Hands, n: u64) -> Transaction {
    let to = Address::repeat_byte(0x22);
    let transfer = Transfer { to, amount: U256::from(n + 1), memo: Some(B256::repeat_byte(9)) };
    let end = hands.now().unix_seconds().unsigned_abs() + 25;
    Transaction {
        max_priority_fee_per_gas: 1_000_000_000,
        max_fee_per_gas: 50_000_000_000,
        gas_limit: 100_000,
        calls: vec![Call { to: PATH_USD, value: U256::ZERO, data: transfer.encode() }],
        valid_before: end.try_into().ok(),
        fee_payer: FeePayer::Awaited,
        ..Transaction::on(Chain::MODERATO.id)
    }
}

/// What one of those can cost, in attodollars.
const COST: u128 = 5_000_000_000_000_000;

/// The `n`-th payment of a payer, as it comes out of its envelope.
fn payment(hands: &Hands, from: u8, n: u64) -> Signed {
    let envelope = transaction(hands, n).sign(&payer(from)).envelope().unwrap();
    Signed::decode(&envelope).unwrap()
}

/// Room for ten, and no patience.
fn policy() -> Policy {
    Policy {
        max_reservations: 10,
        budget: 10 * COST,
        patience: Duration::ZERO,
        ..Policy::on(&Chain::MODERATO)
    }
}

struct World {
    hands: Hands,
    remote: Arc<Remote>,
    store: Arc<dyn Store>,
    policy: Policy,
}

impl World {
    fn new() -> Self {
        Self::over(Arc::new(Memory::volatile()))
    }

    fn over(store: Arc<dyn Store>) -> Self {
        Self { hands: Hands::new(), remote: Remote::new(), store, policy: policy() }
    }

    /// One of the processes that share the store.
    fn sponsor(&self) -> Sponsor {
        let signer: Arc<dyn Signer> = self.remote.clone();
        Sponsor::new(&Chain::MODERATO, signer, self.store.clone())
            .unwrap()
            .policy(self.policy.clone())
            .clock(Arc::new(self.hands.clone()))
    }

    fn payment(&self, from: u8, n: u64) -> (Signed, Approved) {
        let signed = payment(&self.hands, from, n);
        let approved = self.sponsor().judge(&signed, &self.hands.now(), Stage::Settling).unwrap();
        (signed, approved)
    }

    async fn book(&self) -> Book {
        let sponsor = self.sponsor();
        sponsor.keeper.book(sponsor.address()).await.unwrap()
    }
}

/// All that settling does up to the sending.
async fn sponsored(
    sponsor: &Sponsor,
    signed: &Signed,
    approved: &Approved,
) -> Result<Cosigned, Unsponsored> {
    if let Some(before) = sponsor.cosigned(signed).await? {
        return Ok(before);
    }
    let reserved = sponsor.reserve(approved).await?;
    sponsor.cosign(reserved, signed).await
}

/// A signature of a kind that no sponsor's is.
fn another_kind() -> Signature {
    P256Key::new([7; 32]).unwrap().sign(B256::ZERO).unwrap().into()
}
