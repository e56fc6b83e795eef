//! The fuzz targets of `fuzz/` on any compiler: seeds, changed at random, and what was accepted changed again.

use std::{
    panic::{self, AssertUnwindSafe},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::bail;
use clap::Args;
use fuzz::{TARGETS, Target};
use serde_json::{Value, json};

use crate::console::Console;

/// What `cargo xtask fuzz` is told.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Seconds for each target.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Where the randomness starts; otherwise the time.
    #[arg(long)]
    seed: Option<u64>,
    /// One target; otherwise all.
    target: Option<String>,
}

/// What came of one target.
struct Outcome {
    name: &'static str,
    inputs: u64,
    accepted: u64,
    /// The input that made it panic, in hex.
    failure: Option<String>,
}

/// A second for each target.
pub(crate) fn gate(console: Console) -> anyhow::Result<bool> {
    command(console, &Options { seconds: 1, seed: None, target: None })
}

/// Runs the targets, and tells whether none panicked.
pub(crate) fn command(console: Console, options: &Options) -> anyhow::Result<bool> {
    let wanted = |target: &&Target| options.target.as_ref().is_none_or(|name| name == target.name);
    let targets = Vec::from_iter(TARGETS.iter().filter(wanted));
    if targets.is_empty() {
        bail!(
            "no such target; there are {}",
            Vec::from_iter(TARGETS.iter().map(|t| t.name)).join(", ")
        );
    }
    let seed = options.seed.unwrap_or_else(now);
    let time = Duration::from_secs(options.seconds);
    let outcomes = Vec::from_iter(targets.iter().map(|target| {
        let outcome = run(target, seed, time);
        say(console, &outcome);
        outcome
    }));
    let ok = outcomes.iter().all(|outcome| outcome.failure.is_none());
    let listed = outcomes.iter().map(|outcome| {
        json!({
            "name": outcome.name, "inputs": outcome.inputs, "accepted": outcome.accepted,
            "failure": outcome.failure,
        })
    });
    let report = json!({ "ok": ok, "seed": seed, "targets": Value::from_iter(listed) });
    console.object(&report);
    Ok(ok)
}

fn say(console: Console, outcome: &Outcome) {
    let Outcome { name, inputs, accepted, failure } = outcome;
    console.say(format_args!("{name:<14} {inputs:>9} inputs, {accepted:>8} accepted"));
    if let Some(input) = failure {
        console.say(format_args!("    PANICKED on {input}"));
    }
}

/// Until the time is over, or the first panic. Every seed is run, however short the time.
fn run(target: &Target, seed: u64, time: Duration) -> Outcome {
    let mut outcome = Outcome { name: target.name, inputs: 0, accepted: 0, failure: None };
    let mut corpus = (target.seeds)();
    let seeds = corpus.clone();
    let mut random = Random(seed);
    let end = Instant::now() + time;
    let mut given = seeds.into_iter();
    loop {
        let first = given.next();
        let fresh = first.is_none();
        let input = first.unwrap_or_else(|| random.changed(&corpus));
        outcome.inputs += 1;
        match panic::catch_unwind(AssertUnwindSafe(|| (target.run)(&input))) {
            Ok(true) => {
                outcome.accepted += 1;
                if fresh && input.len() <= LONGEST {
                    random.keep(&mut corpus, input);
                }
            }
            Ok(false) => {}
            Err(_) => {
                outcome.failure = Some(hex(&input));
                return outcome;
            }
        }
        if fresh && Instant::now() >= end {
            return outcome;
        }
    }
}

/// SplitMix64: enough to choose what to change.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound.max(1)).unwrap_or(u64::MAX);
        usize::try_from(self.next() % bound).unwrap_or_default()
    }

    fn byte(&mut self) -> u8 {
        const TELLING: [u8; 16] =
            [0, 1, 2, 3, 4, 0x7f, 0x80, 0x81, 0x94, 0xa0, 0xb8, 0xc0, 0xf8, 0xff, b'"', b'\\'];
        let [random, ..] = self.next().to_le_bytes();
        if self.below(2) == 0 {
            random
        } else {
            TELLING.get(self.below(16)).copied().unwrap_or(random)
        }
    }

    /// One of the corpus with one to four changes.
    fn changed(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = corpus.get(self.below(corpus.len())).cloned().unwrap_or_default();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            match self.below(8) {
                0..=2 => {
                    bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << self.below(8))
                }
                3 | 4 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = self.byte()),
                5 => bytes.insert(at, self.byte()),
                6 => bytes.truncate(at + self.below(bytes.len())),
                _ => self.splice(&mut bytes, at, corpus),
            }
        }
        bytes
    }

    /// A piece of another of the corpus in place of as much.
    fn splice(&mut self, bytes: &mut Vec<u8>, at: usize, corpus: &[Vec<u8>]) {
        let Some(other) = corpus.get(self.below(corpus.len())) else { return };
        let from = self.below(other.len());
        let length = self.below(other.len() - from.min(other.len()));
        let end = (at + length).min(bytes.len());
        bytes.splice(at.min(end)..end, other.iter().skip(from).take(length).copied());
    }

    /// A corpus does not grow for ever: what comes late takes the place of another, never of a seed.
    fn keep(&mut self, corpus: &mut Vec<Vec<u8>>, input: Vec<u8>) {
        if corpus.len() < CORPUS {
            corpus.push(input);
        } else {
            let place = CORPUS / 2 + self.below(CORPUS / 2);
            if let Some(old) = corpus.get_mut(place) {
                *old = input;
            }
        }
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or_default()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const CORPUS: usize = 512;
const LONGEST: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_runs_and_the_same_seed_gives_the_same_inputs() {
        for target in TARGETS {
            let outcome = run(target, 7, Duration::from_millis(20));
            assert_eq!(outcome.failure, None, "{}", target.name);
            assert!(outcome.accepted > 0, "{}", target.name);
        }
        let corpus = fuzz::seeds::transactions();
        let inputs = |seed| {
            let mut random = Random(seed);
            Vec::from_iter((0..50).map(|_| random.changed(&corpus)))
        };
        assert_eq!(inputs(3), inputs(3));
        assert_ne!(inputs(3), inputs(4));
    }

    #[test]
    fn a_panic_is_told_with_the_input_that_made_it() {
        fn refuses_the_letter_x(data: &[u8]) -> bool {
            assert!(!data.contains(&b'x'), "an x");
            true
        }
        let seeds = || vec![b"abc".to_vec(), b"xyz".to_vec()];
        let target = Target { name: "letters", run: refuses_the_letter_x, seeds };
        let outcome = run(&target, 1, Duration::from_secs(60));
        assert_eq!(outcome.failure.as_deref(), Some("78797a"));
    }
}
