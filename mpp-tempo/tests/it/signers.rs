//! Every kind of signer, on a real chain: what it signs is mined, and what it may not do is refused.

use std::{
    num::NonZeroU64,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use alloy::{
    primitives::{Address, B256, Bytes, U256},
    sol_types::SolCall,
};
use mpp_tempo::{
    HttpRpc, Key,
    chain::{
        PATH_USD,
        keychain::{
            ACCOUNT_KEYCHAIN, KeyAuthorization, KeyInfo, KeyKind, Limit, NotProvisioned, Rule,
            Scope, SignedAuthorization, key_of, provision, remaining_limit, speaks_for,
        },
        parse_address,
        rpc::{Receipt, Rpc, RpcError, http::Patience},
        signature::{P256Key, Signature, SignatureKind},
        signer::{AccessKey, AlloySigner, Passkey, Signer, SoftwareAuthenticator},
        tip20::Transfer,
        transaction::{Call, Transaction},
    },
};
use mpp_testkit::devnet::{Devnet, PAYER, RECIPIENT, SPLIT};

const CHAIN: u64 = 42431;
const PRICE: u128 = 10_000;

fn node(chain: &Devnet) -> HttpRpc {
    let patience = Patience { ask: Duration::from_secs(3), send: Duration::from_secs(2) };
    HttpRpc::new(chain.rpc_url()).unwrap().patience(patience)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn in_an_hour() -> NonZeroU64 {
    NonZeroU64::new(now() + 3600).unwrap()
}

fn recipient() -> Address {
    parse_address(RECIPIENT.address).unwrap()
}

fn transfer(amount: u128) -> Call {
    // A memo of its own makes every payment another one.
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let memo = Some(B256::from(U256::from(NEXT.fetch_add(1, Ordering::Relaxed))));
    Transfer { to: recipient(), amount: U256::from(amount), memo }.call(PATH_USD)
}

/// An access key's authorisation by its account: `limit` of pathUSD, and nothing else.
fn authorization(root: &Key, kind: KeyKind, key: Address, limit: u128) -> SignedAuthorization {
    let authorization = KeyAuthorization::new(CHAIN, kind, key, in_an_hour()).limit(Limit {
        token: PATH_USD,
        amount: U256::from(limit),
        period: None,
    });
    let signature = root.sign(authorization.signing_hash());
    authorization.signed(signature).unwrap()
}

async fn send(
    node: &HttpRpc,
    signer: &dyn Signer,
    call: Call,
    authorization: Option<Bytes>,
) -> Result<Receipt, RpcError> {
    let transaction = Transaction {
        max_fee_per_gas: 41_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        gas_limit: 5_000_000,
        calls: vec![call],
        valid_before: NonZeroU64::new(now() + 20),
        fee_token: Some(PATH_USD),
        key_authorization: authorization,
        ..Transaction::on(CHAIN)
    };
    let signature = signer.sign(transaction.signing_hash()).await.unwrap();
    let signed = transaction.signed(signature);
    assert_eq!(signed.sender(), Ok(signer.account()));
    node.send(signed.encode().into()).await
}

async fn key(node: &HttpRpc, signer: &dyn Signer) -> Option<KeyInfo> {
    key_of(node, ACCOUNT_KEYCHAIN, signer.account(), signer.key()).await.unwrap()
}

async fn left(node: &HttpRpc, signer: &dyn Signer) -> u128 {
    let left = remaining_limit(node, ACCOUNT_KEYCHAIN, signer.account(), signer.key(), PATH_USD)
        .await
        .unwrap();
    assert_eq!(left.period_end, 0);
    left.amount.try_into().unwrap()
}

#[tokio::test]
async fn accounts_of_every_kind_of_key_pay() {
    let chain = Devnet::start().await.unwrap();
    let node = node(&chain);
    let browser = || P256Key::new([0x42; 32]).unwrap();
    let passkey = SoftwareAuthenticator::new(P256Key::new([0x43; 32]).unwrap(), "wallet.example");
    let signers: [(Box<dyn Signer>, SignatureKind); 5] = [
        (Box::new(root()), SignatureKind::Secp256k1),
        (Box::new(browser()), SignatureKind::P256),
        (Box::new(browser().prehashing()), SignatureKind::P256),
        (Box::new(Passkey::new(passkey)), SignatureKind::WebAuthn),
        (Box::new(AlloySigner::new(remote::Remote::new(0x44))), SignatureKind::Secp256k1),
    ];
    for (signer, kind) in signers {
        let account = signer.account().to_string();
        assert_eq!(signer.sign(B256::ZERO).await.unwrap().kind(), kind);
        chain.fund(PATH_USD_TEXT, &account, 1_000_000).await.unwrap();
        let before = held(&chain).await;
        let receipt = send(&node, &*signer, transfer(PRICE), None).await.unwrap();
        assert!(receipt.success && receipt.from == signer.account(), "{kind}");
        assert_eq!(held(&chain).await - before, PRICE, "{kind}");
        assert!(speaks(&node, &*signer, now()).await, "{kind}");
    }
    chain.stop().await;
}

#[tokio::test]
async fn an_access_key_comes_with_its_first_payment_and_pays_within_its_limit() {
    const LIMIT: u128 = 1_000_000;
    let chain = Devnet::start().await.unwrap();
    let node = node(&chain);
    let root = root();
    let passkey = SoftwareAuthenticator::new(P256Key::new([9; 32]).unwrap(), "wallet.example");
    let keys: [(Arc<dyn Signer>, KeyKind); 3] = [
        (Arc::new(Key::new([7; 32]).unwrap()), KeyKind::Secp256k1),
        (Arc::new(P256Key::new([8; 32]).unwrap()), KeyKind::P256),
        (Arc::new(Passkey::new(passkey)), KeyKind::WebAuthn),
    ];
    for (inner, kind) in keys {
        let signed = authorization(&root, kind, inner.account(), LIMIT);
        let agent = AccessKey::new(root.address(), inner).with_authorization(&signed).unwrap();
        assert_eq!(key(&node, &agent).await, None, "never provisioned");
        assert!(!speaks(&node, &agent, now()).await);

        let first = provision(&node, ACCOUNT_KEYCHAIN, &agent, now()).await.unwrap();
        assert_eq!(first, agent.authorization());
        let receipt = send(&node, &agent, transfer(PRICE), first).await.unwrap();
        assert!(receipt.success && receipt.from == root.address());
        let known = key(&node, &agent).await.unwrap();
        assert!(known.is_active(now()) && known.enforces_limits && known.kind == kind, "{known:?}");
        assert_eq!(known.expiry, signed.authorization().expiry.unwrap().get());
        assert!(speaks(&node, &agent, now()).await);
        assert!(!speaks(&node, &agent, known.expiry).await, "its time is over");
        // Fees count too.
        let rest = left(&node, &agent).await;
        assert!(rest <= LIMIT - PRICE && rest > LIMIT / 2, "{rest}");

        // Known now: the same key without its authorisation.
        let second = provision(&node, ACCOUNT_KEYCHAIN, &agent, now()).await.unwrap();
        assert_eq!(second, None);
        assert!(send(&node, &agent, transfer(PRICE), second).await.unwrap().success);
        assert!(left(&node, &agent).await <= rest - PRICE);

        // More than is left: mined, and moves nothing but the fee.
        let before = held(&chain).await;
        let over = send(&node, &agent, transfer(LIMIT), None).await.unwrap();
        assert!(!over.success);
        assert_eq!(held(&chain).await, before);
    }
    chain.stop().await;
}

#[tokio::test]
async fn a_key_that_was_taken_back_or_never_given_pays_nothing() {
    let chain = Devnet::start().await.unwrap();
    let node = node(&chain);
    let root = root();
    let inner = Key::new([7; 32]).unwrap();
    let signed = authorization(&root, KeyKind::Secp256k1, inner.address(), 1_000_000);
    let agent = AccessKey::new(root.address(), Arc::new(inner));
    let before = held(&chain).await;
    dropped(send(&node, &agent, transfer(PRICE), None).await);
    let stranger = provision(&node, ACCOUNT_KEYCHAIN, &agent, now()).await;
    assert!(matches!(stranger, Err(NotProvisioned::Unauthorized)));
    assert_eq!(held(&chain).await, before);

    assert!(send(&node, &agent, transfer(PRICE), Some(signed.encode())).await.unwrap().success);
    // The trap that provisioning avoids: a known key's authorisation makes nodes drop the payment.
    dropped(send(&node, &agent, transfer(PRICE), Some(signed.encode())).await);

    let revoke = revokeKeyCall { keyId: agent.key() }.abi_encode();
    let call = Call { to: ACCOUNT_KEYCHAIN, value: U256::ZERO, data: revoke.into() };
    assert!(send(&node, &root, call, None).await.unwrap().success);
    let gone = key(&node, &agent).await.unwrap();
    assert!(gone.revoked && !gone.is_active(0), "not like a key that never was: {gone:?}");
    assert_eq!(left(&node, &agent).await, 0);
    assert!(!speaks(&node, &agent, now()).await);

    let before = held(&chain).await;
    dropped(send(&node, &agent, transfer(PRICE), None).await);
    // Nor does the old authorisation revive it.
    dropped(send(&node, &agent, transfer(PRICE), Some(signed.encode())).await);
    let agent = agent.with_authorization(&signed).unwrap();
    let over = provision(&node, ACCOUNT_KEYCHAIN, &agent, now()).await;
    assert!(matches!(over, Err(NotProvisioned::Over(info)) if info == gone));
    assert_eq!(held(&chain).await, before);
    chain.stop().await;
}

#[tokio::test]
async fn s3_an_envelope_that_names_another_account_is_nobody_s() {
    let chain = Devnet::start().await.unwrap();
    let node = node(&chain);
    let root = root();
    let inner = Arc::new(Key::new([7; 32]).unwrap());
    let signed = authorization(&root, KeyKind::Secp256k1, inner.address(), 1_000_000);
    let agent = AccessKey::new(root.address(), inner.clone());
    assert!(send(&node, &agent, transfer(PRICE), Some(signed.encode())).await.unwrap().success);
    assert!(speaks(&node, &agent, now()).await);

    // The key is good for the account that gave it, and for no other.
    let thief = AccessKey::new(SPLIT.address.parse().unwrap(), inner);
    assert!(!speaks(&node, &thief, now()).await);
    let before = held(&chain).await;
    dropped(send(&node, &thief, transfer(PRICE), None).await);
    assert_eq!(held(&chain).await, before);

    // Another account's name put over a signature that the key made for its own.
    let hash = B256::repeat_byte(0x5a);
    let bytes = agent.sign(hash).await.unwrap().to_bytes();
    let forged = [&[4], thief.account().as_slice(), &bytes[21..]].concat();
    for claimed in [thief.account(), root.address()] {
        let recovered = Signature::parse(&forged).unwrap().signer(hash).unwrap();
        assert!(!speaks_for(&node, ACCOUNT_KEYCHAIN, claimed, recovered, now()).await.unwrap());
    }
    chain.stop().await;
}

#[tokio::test]
async fn a_key_of_narrow_scope_pays_the_recipient_it_is_for_and_nobody_else() {
    let chain = Devnet::start().await.unwrap();
    let node = node(&chain);
    let root = root();
    let inner = Arc::new(Key::new([7; 32]).unwrap());
    let rule = Rule { selector: [0x95, 0x77, 0x7d, 0x59], recipients: vec![recipient()] };
    let day = NonZeroU64::new(86_400);
    let amount = U256::from(1_000_000);
    let kind = KeyKind::Secp256k1;
    let narrow = KeyAuthorization::new(CHAIN, kind, inner.address(), in_an_hour())
        .limit(Limit { token: PATH_USD, amount, period: day })
        .only(Scope { target: PATH_USD, rules: vec![rule] });
    let signature = root.sign(narrow.signing_hash());
    let signed = narrow.signed(signature).unwrap();
    let agent = AccessKey::new(root.address(), inner).with_authorization(&signed).unwrap();
    let first = provision(&node, ACCOUNT_KEYCHAIN, &agent, now()).await.unwrap();
    assert!(send(&node, &agent, transfer(PRICE), first).await.unwrap().success);
    let left = remaining_limit(&node, ACCOUNT_KEYCHAIN, agent.account(), agent.key(), PATH_USD)
        .await
        .unwrap();
    assert!(left.period_end > now() && left.amount < amount, "{left:?}");

    let elsewhere = Transfer {
        to: SPLIT.address.parse().unwrap(),
        amount: U256::from(PRICE),
        memo: Some(B256::ZERO),
    };
    let plain = Transfer { to: recipient(), amount: U256::from(PRICE), memo: None };
    let before = held(&chain).await;
    for refused in [elsewhere, plain] {
        let mined = send(&node, &agent, refused.call(PATH_USD), None).await.unwrap();
        assert!(!mined.success);
    }
    assert_eq!(held(&chain).await, before);
    chain.stop().await;
}

/// Whether the chain confirms that a signer's signature is its account's.
async fn speaks(node: &HttpRpc, signer: &dyn Signer, now: u64) -> bool {
    let hash = B256::repeat_byte(0x5a);
    let recovered = signer.sign(hash).await.unwrap().signer(hash).unwrap();
    speaks_for(node, ACCOUNT_KEYCHAIN, signer.account(), recovered, now).await.unwrap()
}

/// Nodes drop what can never be mined, and leave whoever waits for it without an answer.
#[track_caller]
fn dropped(sent: Result<Receipt, RpcError>) {
    assert!(matches!(sent, Err(RpcError::Unanswered(_) | RpcError::Refused(_))), "{sent:?}");
}

async fn held(chain: &Devnet) -> u128 {
    chain.balance_of(PATH_USD_TEXT, RECIPIENT.address).await.unwrap()
}

fn root() -> Key {
    PAYER.key.hex().parse().unwrap()
}

const PATH_USD_TEXT: &str = mpp_testkit::devnet::PATH_USD;

alloy::sol! {
    function revokeKey(address keyId) external;
}

mod remote {
    //! A signer of alloy's that sits elsewhere: answers after a while, and with a high s, as some devices do.

    use alloy::{
        primitives::{Address, B256, ChainId, Signature, U256, uint},
        signers::{Result, Signer},
    };
    use mpp_tempo::Key;

    pub(super) struct Remote(Key);

    impl Remote {
        pub(super) fn new(byte: u8) -> Self {
            Self(Key::new([byte; 32]).unwrap())
        }
    }

    const ORDER: U256 =
        uint!(0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141_U256);

    #[async_trait::async_trait]
    impl Signer for Remote {
        async fn sign_hash(&self, hash: &B256) -> Result<Signature> {
            tokio::task::yield_now().await;
            let made = self.0.sign(*hash);
            Ok(Signature::new(made.r(), ORDER - made.s(), !made.odd_y()))
        }

        fn address(&self) -> Address {
            self.0.address()
        }

        fn chain_id(&self) -> Option<ChainId> {
            None
        }

        fn set_chain_id(&mut self, _: Option<ChainId>) {}
    }
}
