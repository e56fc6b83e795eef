//! Runs the properties from one seed, and counts what came of them.

use std::{cell::RefCell, collections::BTreeMap, fmt, time::Instant};

use alloy::primitives::B256;
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner},
};
use serde_json::{Value, json};

use crate::{
    agreement::{self, Verdict},
    carried::key_authorization,
    changes::{changed, changes},
    signers::signer,
    strictness::Class,
    transactions::case,
};

/// What was compared, and the first disagreement of each property.
pub(crate) struct Report {
    seed: u64,
    seconds: f64,
    rows: Vec<Row>,
}

struct Row {
    name: &'static str,
    cases: u32,
    verdicts: BTreeMap<Verdict, u32>,
    failure: Option<String>,
}

/// Runs every property.
pub(crate) fn all(cases: u32, seed: u64) -> Report {
    let started = Instant::now();
    let rows = vec![
        property("classes", 1, seed, Just(()), |(), seen| classes(seen)),
        property("written", cases, seed, case(), |case, seen| {
            agreement::written(&case)?;
            seen(Verdict::Accepted);
            Ok(())
        }),
        property("read", cases, seed, (case(), changes()), |(case, changes), seen| {
            let signed =
                case.signed().map_err(|error| TestCaseError::fail(format!("{error:#}")))?;
            seen(agreement::read(&changed(&signed.encode(), &changes))?);
            if let Ok(envelope) = signed.envelope() {
                seen(agreement::read(&changed(&envelope, &changes))?);
            }
            Ok(())
        }),
        property("signature", cases, seed, signature(), |(bytes, hash), seen| {
            seen(agreement::signature(&bytes, hash)?);
            Ok(())
        }),
        property("authorization", cases, seed, authorization(), |bytes, seen| {
            seen(agreement::authorization(&bytes)?);
            Ok(())
        }),
    ];
    Report { seed, seconds: started.elapsed().as_secs_f64(), rows }
}

/// The example of each class is read by the chain's crate, and refused here for that reason.
fn classes(seen: &dyn Fn(Verdict)) -> Result<(), TestCaseError> {
    for class in Class::ALL {
        let bytes = class.example().map_err(|error| TestCaseError::fail(format!("{error:#}")))?;
        let verdict = agreement::read(&bytes)?;
        prop_assert_eq!(verdict, Verdict::Stricter(class), "the example of {:?}", class);
        seen(verdict);
    }
    Ok(())
}

/// A signature of a hash, changed or not, or bytes that begin like one.
fn signature() -> impl Strategy<Value = (Vec<u8>, B256)> {
    let hash = any::<[u8; 32]>().prop_map(B256::from);
    let made = (signer(), hash, prop_oneof![Just(Vec::new()), changes()]).prop_filter_map(
        "a key signs",
        |(signer, hash, changes)| {
            let bytes = signer.sign(hash).ok()?.to_bytes();
            Some((changed(&bytes, &changes), hash))
        },
    );
    let hash = any::<[u8; 32]>().prop_map(B256::from);
    let length = prop_oneof![
        prop::sample::select(vec![
            64_usize, 65, 66, 85, 86, 128, 129, 130, 131, 151, 2049, 2050, 2070
        ]),
        0_usize..200,
    ];
    let bytes = length.prop_flat_map(|length| vec(any::<u8>(), length));
    let like = (0_u8..6, bytes, hash).prop_map(|(kind, mut bytes, hash)| {
        if let Some(first) = bytes.first_mut() {
            *first = kind;
        }
        (bytes, hash)
    });
    prop_oneof![3 => made, 1 => like]
}

/// A key authorisation as the chain's crate writes it, changed or not.
fn authorization() -> impl Strategy<Value = Vec<u8>> {
    let changes = prop_oneof![1 => Just(Vec::new()), 3 => changes()];
    (key_authorization(), changes).prop_map(|(bytes, changes)| changed(&bytes, &changes))
}

fn property<S: Strategy>(
    name: &'static str,
    cases: u32,
    seed: u64,
    strategy: S,
    check: impl Fn(S::Value, &dyn Fn(Verdict)) -> Result<(), TestCaseError>,
) -> Row {
    let config =
        Config { cases, failure_persistence: None, max_shrink_iters: 4096, ..Config::default() };
    let mut bytes = [0; 32];
    for (byte, of_seed) in bytes.iter_mut().zip(seed.to_be_bytes()) {
        *byte = of_seed;
    }
    let mut runner =
        TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let verdicts = RefCell::new(BTreeMap::new());
    let seen = |verdict| *verdicts.borrow_mut().entry(verdict).or_insert(0) += 1;
    let failure = runner.run(&strategy, |value| check(value, &seen)).err();
    let failure = failure.map(|error| error.to_string());
    Row { name, cases, verdicts: verdicts.into_inner(), failure }
}

impl Report {
    /// Whether no property failed.
    pub(crate) fn agrees(&self) -> bool {
        self.rows.iter().all(|row| row.failure.is_none())
    }

    /// One object: per property what came of its cases, and the classes in which we are stricter.
    pub(crate) fn to_json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let stricter = row.stricter().map(|(class, count)| (class.to_string(), json!(count)));
            json!({
                "name": row.name, "cases": row.cases, "accepted": row.count(Verdict::Accepted),
                "refused": row.count(Verdict::Refused), "failure": row.failure,
                "stricter": Value::Object(stricter.collect()),
            })
        });
        let rows = Vec::from_iter(rows);
        json!({ "ok": self.agrees(), "seed": self.seed, "seconds": self.seconds, "properties": rows })
    }
}

impl Row {
    fn count(&self, verdict: Verdict) -> u32 {
        self.verdicts.get(&verdict).copied().unwrap_or_default()
    }

    fn stricter(&self) -> impl Iterator<Item = (Class, u32)> {
        self.verdicts.iter().filter_map(|(verdict, count)| match verdict {
            Verdict::Stricter(class) => Some((*class, *count)),
            Verdict::Accepted | Verdict::Refused => None,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.rows {
            let (accepted, refused) = (row.count(Verdict::Accepted), row.count(Verdict::Refused));
            let stricter: u32 = row.stricter().map(|(_, count)| count).sum();
            writeln!(
                f,
                "{:<14} {:>8} cases: {accepted:>7} accepted by both, {refused:>7} refused by both, {stricter:>6} refused only here",
                row.name, row.cases
            )?;
            for (class, count) in row.stricter() {
                writeln!(f, "{count:>40}  {class}")?;
            }
            if let Some(failure) = &row.failure {
                writeln!(f, "    DISAGREE: {failure}")?;
            }
        }
        let word = if self.agrees() { "both sides agree" } else { "THEY DISAGREE" };
        writeln!(f, "differential: {word} (seed {}, {:.1} s)", self.seed, self.seconds)
    }
}
