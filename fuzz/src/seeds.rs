//! Bytes to begin with: one of each form that is accepted.

pub mod stripe;

use std::num::NonZeroU64;

use alloy::primitives::{Address, B256, Bytes, U256};
use mpp_core::Amount;
use mpp_tempo::{
    chain::{
        PATH_USD,
        dex::{STABLECOIN_DEX, Swap},
        keychain::{KeyAuthorization, KeyKind, Limit, Rule, Scope},
        reserve::{CHANNEL_RESERVE, Open, TopUp},
        signature::{Key, Keychain, P256Key, Signature},
        tip20::Transfer,
        transaction::{Access, FeePayer, Signed, Transaction},
    },
    session::{Descriptor, Domain, HighestVoucher, Payload, Snapshot},
};

/// Transactions by each kind of key, with each kind of fee payer, in each form.
pub fn transactions() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    let key = secp256k1();
    for fee_payer in [FeePayer::Sender, FeePayer::Awaited] {
        for full in [false, true] {
            let transaction = payment(fee_payer, full);
            let browser = p256().sign(transaction.signing_hash()).expect("a signature");
            let account = Address::repeat_byte(0x11);
            let made = key.sign(Keychain::hash(transaction.signing_hash(), account));
            let keychain = Keychain::new(account, made.into()).expect("not nested");
            let signed = [
                transaction.clone().sign(&key),
                transaction.clone().signed(browser),
                transaction.signed(keychain),
            ];
            seeds.extend(signed.iter().map(Signed::encode));
            seeds.extend(signed.iter().filter_map(|signed| signed.envelope().ok()));
            let [first, ..] = signed;
            seeds.extend(first.sponsored(PATH_USD, &key).map(|done| done.encode()));
        }
    }
    seeds
}

/// Streams of events: of the application, and of the protocol.
pub fn events() -> Vec<Vec<u8>> {
    [
        "\u{5}data: a\ndata:b\n\n",
        "\u{9}event: payment-need-voucher\r\ndata: {\"requiredCumulative\":\"5\"}\r\n\r\n",
        "\u{2}\u{feff}: note\rid: 1\rdata\r\r",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// Frames of each kind.
pub fn frames() -> Vec<Vec<u8>> {
    let receipt = r#"{"method":"tempo","reference":"0x12","status":"success","timestamp":"2026-01-01T00:00:00Z","spent":"1"}"#;
    let mut seeds: Vec<Vec<u8>> = [
        r#"{"mpp":"message","data":"hi"}"#,
        r#"{"mpp":"payment-need-voucher","data":{"requiredCumulative":"5"}}"#,
        r#"{"mpp":"payment-error","status":402,"message":"no"}"#,
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec();
    for name in ["payment-receipt", "payment-close-ready"] {
        seeds.push(format!(r#"{{"mpp":"{name}","data":{receipt}}}"#).into_bytes());
    }
    seeds
}

/// A hash, and a signature of it of each kind.
pub fn signatures() -> Vec<Vec<u8>> {
    let (hash, account) = (B256::repeat_byte(0x5a), Address::repeat_byte(0x11));
    let of_hash: [Signature; 3] = [
        secp256k1().sign(hash).into(),
        p256().sign(hash).expect("a signature").into(),
        p256().prehashing().sign(hash).expect("a signature").into(),
    ];
    let wrapped = secp256k1().sign(Keychain::hash(hash, account));
    let keychain = Keychain::new(account, wrapped.into()).expect("not nested");
    let mut seeds: Vec<Vec<u8>> = of_hash.iter().map(|made| made.to_bytes().to_vec()).collect();
    seeds.push(keychain.to_bytes().to_vec());
    seeds.push([&[2], [0x44; 220].as_slice(), &[0x11; 128]].concat());
    seeds.iter().map(|made| [hash.as_slice(), made].concat()).collect()
}

/// Authorisations of access keys that may do little, and of one that may do everything.
pub fn authorizations() -> Vec<Vec<u8>> {
    let key = Address::repeat_byte(0x44);
    let bare = KeyAuthorization::new(4217, KeyKind::P256, key, NonZeroU64::MAX);
    let rule = Rule { selector: [0x95, 0x77, 0x7d, 0x59], recipients: vec![key] };
    let limit = Limit { token: PATH_USD, amount: U256::from(7), period: NonZeroU64::new(86400) };
    let scope = Scope { target: PATH_USD, rules: vec![rule] };
    let narrow = bare.clone().limit(limit).only(scope);
    let wide = KeyAuthorization {
        expiry: None,
        limits: None,
        witness: Some(B256::repeat_byte(9)),
        admin: true,
        account: Some(key),
        ..bare.clone()
    };
    let signed = [bare, narrow, wide].map(|authorization| {
        let made = secp256k1().sign(authorization.signing_hash());
        authorization.signed(made).expect("an account's own key").encode().to_vec()
    });
    signed.to_vec()
}

/// Transfers and swaps by themselves, and calls as [`crate::calldata`] reads them.
pub fn calldata() -> Vec<Vec<u8>> {
    let transfer = |memo| Transfer { to: Address::repeat_byte(0x22), amount: U256::from(7), memo };
    let swap = Swap { token_in: PATH_USD, token_out: PATH_USD, amount_out: 1, max_in: 2 };
    let [approve, swap] = swap.calls(STABLECOIN_DEX);
    vec![
        transfer(None).encode().to_vec(),
        transfer(Some(B256::repeat_byte(3))).encode().to_vec(),
        approve.data.to_vec(),
        swap.data.to_vec(),
        // One transfer of 1 to the second account with any memo: it is made, plain.
        vec![1, 1, 1, 2, 4, 1, 1],
        // Two of them, one with a memo, after a swap.
        vec![2, 1, 1, 2, 2, 3, 1, 1, 2, 3, 4, 1, 1, 5, 1, 2, 3],
    ]
}

/// Logs as [`crate::logs`] reads them.
pub fn logs() -> Vec<Vec<u8>> {
    vec![
        // One transfer of 1 to the second account, from the first, without a memo.
        vec![0, 1, 1, 1, 1, 0, 0, 1, 1],
        // With a memo: it is told twice.
        vec![1, 0, 1, 1, 1, 0, 3, 0, 0, 1, 1, 1, 0, 1, 3, 1],
        // Two of the same, to one account.
        vec![0, 2, 1, 1, 2, 1, 1, 2, 0, 0, 1, 1, 0, 2, 1, 1],
    ]
}

/// Receipts of nodes: one that pays, one that does not.
pub fn receipts() -> Vec<Vec<u8>> {
    let receipt = |status: &str| {
        format!(
            r#"{{"transactionHash":"0x{}","status":"{status}","logs":[{{"address":"0x20c0000000000000000000000000000000000001","topics":["0x57bc7354aa85aed339e000bccffabbc529466af35f0772c8f8ee1145927de7f0","0x000000000000000000000000abababababababababababababababababababab","0x0000000000000000000000004567890123456789012345678901234567890123","0xef1ed71201f3359a17b890db508d3300000000000000000000abb68360fb7d31"],"data":"0x00000000000000000000000000000000000000000000000000000000000003e8"}}]}}"#,
            "ab".repeat(32)
        )
    };
    vec![receipt("0x1").into_bytes(), receipt("0x0").into_bytes(), b"null".to_vec()]
}

/// Whatever a peer of a session sends, each behind the byte that [`crate::session`] tells it by.
pub fn sessions() -> Vec<Vec<u8>> {
    let open = Open {
        payee: Address::repeat_byte(0x22),
        operator: Address::ZERO,
        token: PATH_USD,
        deposit: 5_000_000,
        salt: B256::with_last_byte(1),
        authorized_signer: secp256k1().address(),
    };
    let descriptor = open.descriptor(Address::repeat_byte(0x11), B256::repeat_byte(0xaa));
    let top_up = TopUp { descriptor, additional_deposit: 7 };
    let word = |number: u64| U256::from(number).to_be_bytes::<32>();
    let state = [word(1), word(2), word(3)].concat();
    let batch = [word(32).to_vec(), word(1).to_vec(), state.clone()].concat();
    let made = secp256k1().sign(B256::repeat_byte(0x5a)).to_bytes();
    let mut seeds = vec![
        [&[1], snapshot(descriptor).to_header().as_bytes()].concat(),
        [&[2], open.encode().as_ref()].concat(),
        [&[2], top_up.encode().as_ref()].concat(),
        [&[3], &state[..]].concat(),
        [&[3], &batch[..]].concat(),
        [&[4, 1, 1, 2, 3], &state[..]].concat(),
        [&[4, 3, 1, 2, 3], &word(9)[..]].concat(),
        [&[5], &made[..]].concat(),
    ];
    let payloads = payloads(descriptor);
    seeds.extend(
        payloads
            .iter()
            .filter_map(|payload| Some([&[0], &serde_json::to_vec(payload).ok()?[..]].concat())),
    );
    seeds
}

fn snapshot(descriptor: Descriptor) -> Snapshot {
    let id = descriptor.id(CHANNEL_RESERVE, 42431);
    let amount = Amount::new(300);
    let made = secp256k1().sign(Domain::v2(42431).digest(id, amount)).to_bytes();
    let signature = Bytes::copy_from_slice(&made).to_string();
    let voucher =
        HighestVoucher { channel_id: id.to_string(), cumulative_amount: amount, signature };
    Snapshot {
        accepted_cumulative: amount,
        chain_id: 42431,
        channel_id: id.to_string(),
        close_requested_at: Some(1_700_000_000),
        deposit: Amount::new(1000),
        descriptor: descriptor.into(),
        escrow: format!("{CHANNEL_RESERVE:#x}"),
        highest_voucher: Some(voucher),
        required_cumulative: Amount::new(400),
        settled: Amount::ZERO,
        spent: amount,
        units: Some(3),
    }
}

fn payloads(descriptor: Descriptor) -> [Payload; 4] {
    let channel_id = || descriptor.id(CHANNEL_RESERVE, 42431).to_string();
    let (transaction, signature) = (|| "0x76c0".to_owned(), || format!("0x{}", "1b".repeat(65)));
    let amount = Amount::new(5);
    [
        Payload::Open {
            channel_id: channel_id(),
            transaction: transaction(),
            signature: signature(),
            cumulative_amount: amount,
            descriptor: Some(descriptor.into()),
            authorized_signer: None,
        },
        Payload::TopUp {
            channel_id: channel_id(),
            transaction: transaction(),
            descriptor: Some(descriptor.into()),
            additional_deposit: amount,
        },
        Payload::Voucher {
            channel_id: channel_id(),
            descriptor: Some(descriptor.into()),
            cumulative_amount: amount,
            signature: signature(),
        },
        Payload::Close {
            channel_id: channel_id(),
            descriptor: None,
            cumulative_amount: amount,
            signature: signature(),
        },
    ]
}

/// `WWW-Authenticate` fields.
pub fn fields() -> Vec<Vec<u8>> {
    [
        FIELD,
        r#"Payment id="a", realm="b", method="tempo", intent="charge", request="e30""#,
        r#"Bearer realm="x", payment id = "a\"b",realm=b , method=tempo,intent=charge, request="e30", expires="2030-01-01T00:00:00Z""#,
        "Basic dG9rZW4=, Payment id=a",
    ]
    .map(|field| field.as_bytes().to_vec())
    .to_vec()
}

/// `Authorization` fields.
pub fn credentials() -> Vec<Vec<u8>> {
    [CREDENTIAL, "Bearer abc", "Payment e30"].map(|field| field.as_bytes().to_vec()).to_vec()
}

fn payment(fee_payer: FeePayer, full: bool) -> Transaction {
    let memo = full.then_some(B256::repeat_byte(3));
    let transfer = Transfer { to: Address::repeat_byte(0x22), amount: U256::from(1_000_000), memo };
    let access = Access { address: PATH_USD, slots: vec![B256::repeat_byte(7)] };
    Transaction {
        max_priority_fee_per_gas: 1_000_000_000,
        max_fee_per_gas: 41_000_000_000,
        gas_limit: 100_000,
        calls: vec![transfer.call(PATH_USD); 1 + usize::from(full)],
        access_list: if full { vec![access] } else { Vec::new() },
        valid_before: NonZeroU64::new(1_893_456_000),
        valid_after: NonZeroU64::new(u64::from(full)),
        key_authorization: full.then(authorizations).and_then(|mut all| all.pop()).map(Bytes::from),
        fee_payer,
        ..Transaction::on(42431)
    }
}

fn secp256k1() -> Key {
    Key::new([1; 32]).expect("a key")
}

fn p256() -> P256Key {
    P256Key::new([0x42; 32]).expect("a key")
}

const FIELD: &str = r#"Payment id="PrReOKrriWYgmcFBy_PnW0nehBEk9TPJsEtG0JOeN7w", realm="api.example.com", method="tempo", intent="charge", request="eyJhbW91bnQiOiIxMDAwMDAwIiwiY3VycmVuY3kiOiIweDIwYzAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAiLCJtZXRob2REZXRhaWxzIjp7ImNoYWluSWQiOjQyNDMxLCJmZWVQYXllciI6dHJ1ZX0sInJlY2lwaWVudCI6IjB4NzQyZDM1Y2M2NjM0YzA1MzI5MjVhM2I4NDRiYzllNzU5NWY4ZmUwMCJ9", expires="2030-01-01T00:00:00.000Z", opaque="eyJfbXBweF9zY29wZSI6IkdFVCAveCJ9""#;
/// A hash for the challenge `a` of the realm `b`.
const CREDENTIAL: &str = "Payment eyJjaGFsbGVuZ2UiOnsiaWQiOiJhIiwicmVhbG0iOiJiIiwibWV0aG9kIjoidGVtcG8iLCJpbnRlbnQiOiJjaGFyZ2UiLCJyZXF1ZXN0IjoiZTMwIn0sInBheWxvYWQiOnsidHlwZSI6Imhhc2giLCJoYXNoIjoiMHhhYmFiYWJhYmFiYWJhYmFiYWJhYmFiYWJhYmFiYWJhYmFiYWJhYmFiYWJhYmFiYWJhYmFiYWJhYmFiYWJhYmFiIn0sInNvdXJjZSI6ImRpZDpwa2g6ZWlwMTU1OjQyNDMxOjB4ZjM5RmQ2ZTUxYWFkODhGNkY0Y2U2YUI4ODI3Mjc5Y2ZmRmI5MjI2NiJ9";
