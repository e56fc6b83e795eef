//! The plain functions of the table one at a time, the peer or the floor beside ours, with criterion's history.

use std::hint::black_box;

use bench::rows::{id, parse, payer, verify};
use criterion::{Criterion, criterion_group, criterion_main};
use hmac::{Hmac, KeyInit};
use secp256k1::Secp256k1;
use sha2::Sha256;

fn ids(c: &mut Criterion) {
    let (keys, challenge) = (bench::ours::keys(), parse::challenge());
    let (draft, bytes) = (challenge.to_draft(), id::slots(&challenge));
    let key = <Hmac<Sha256> as KeyInit>::new_from_slice(bench::ours::SECRET.as_bytes())
        .expect("HMAC takes keys of any length");
    let mut group = c.benchmark_group("challenge id");
    group.bench_function("ours", |b| b.iter(|| id::ours(&keys, black_box(&draft))));
    group.bench_function("peer", |b| b.iter(|| id::peers(black_box(&challenge))));
    group.bench_function("floor", |b| b.iter(|| id::bare(&key, black_box(&bytes))));
}

fn challenges(c: &mut Criterion) {
    let field = mpp_core::transport::write_challenge(&parse::challenge())
        .expect("it was read from a header");
    let (headers, text) = (parse::headers(&field), field.to_str().expect("ours are ASCII"));
    let mut group = c.benchmark_group("parse a challenge");
    group.bench_function("ours", |b| b.iter(|| parse::ours(black_box(&headers))));
    group.bench_function("peer", |b| b.iter(|| parse::peers(black_box(text))));
}

fn credentials(c: &mut Criterion) {
    let (ours, peers) = (verify::Ours::default(), verify::Peers::default());
    let mut group = c.benchmark_group("parse and verify a credential");
    group.bench_function("ours", |b| b.iter(|| ours.take()));
    group.bench_function("peer", |b| b.iter(|| peers.take()));
}

fn payers(c: &mut Criterion) {
    let (bytes, curve) = (payer::signature(), Secp256k1::verification_only());
    let mut group = c.benchmark_group("payer of a signature");
    group.bench_function("ours", |b| b.iter(|| payer::ours(black_box(&bytes))));
    group.bench_function("floor", |b| b.iter(|| payer::bare(&curve, black_box(&bytes))));
}

criterion_group!(benches, ids, challenges, credentials, payers);
criterion_main!(benches);
