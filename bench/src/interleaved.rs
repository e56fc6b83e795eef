//! Runs that alternate, so that a busy neighbour slows every side and not one.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

/// How long to look: rounds, and the work of one side in one round.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// How often every side has its turn.
    pub rounds: usize,
    /// How long one turn of a plain function takes, about.
    pub turn: Duration,
    /// How many requests one turn sends in process.
    pub requests: usize,
    /// How many requests one turn sends over each loopback connection.
    pub per_connection: usize,
}

impl Effort {
    /// For a table to be believed.
    pub const FULL: Self =
        Self { rounds: 41, turn: Duration::from_millis(4), requests: 400, per_connection: 200 };
    /// For a first look.
    pub const QUICK: Self =
        Self { rounds: 11, turn: Duration::from_millis(2), requests: 200, per_connection: 60 };
}

/// One side: a turn of it, in nanoseconds per operation.
pub type Side<'a> = Box<dyn FnMut() -> f64 + 'a>;

/// A side that calls a plain function again and again.
pub fn calling<'a, T>(effort: Effort, mut function: impl FnMut() -> T + 'a) -> Side<'a> {
    let mut calls = 1_u32;
    while turn(&mut function, calls) < effort.turn && calls < 1 << 24 {
        calls *= 2;
    }
    Box::new(move || per_call(turn(&mut function, calls), calls as usize))
}

/// Nanoseconds per operation.
pub fn per_call(elapsed: Duration, calls: usize) -> f64 {
    elapsed.as_nanos() as f64 / calls as f64
}

fn turn<T>(function: &mut impl FnMut() -> T, calls: u32) -> Duration {
    let began = Instant::now();
    for _ in 0..calls {
        black_box(function());
    }
    began.elapsed()
}

/// The least of every side: what the work costs when nobody disturbs it.
pub fn least<const N: usize>(effort: Effort, mut sides: [Side<'_>; N]) -> [f64; N] {
    let mut least = [f64::INFINITY; N];
    for round in 0..effort.rounds {
        for turn in 0..N {
            // Nobody is always first, nor always behind the same neighbour.
            let side = (round + turn) % N;
            least[side] = least[side].min(sides[side]());
        }
    }
    least
}

/// Every turn of every side, round by round.
pub fn all<const N: usize>(rounds: usize, mut sides: [Side<'_>; N]) -> Vec<[f64; N]> {
    let mut seen = Vec::with_capacity(rounds);
    for round in 0..rounds {
        let mut here = [0.0; N];
        for turn in 0..N {
            let side = (round + turn) % N;
            here[side] = sides[side]();
        }
        seen.push(here);
    }
    seen
}

/// The middle one.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values = Vec::from_iter(values);
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
