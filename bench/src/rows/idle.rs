//! What an open channel takes in memory that nobody uses right now. Counted in a program of its own, since counting slows.

use mpp_core::store::Memory;
use mpp_server::permit::Ending;

use crate::{
    channels::{Payer, Shop},
    inprocess::{rest, runtime},
    row::{Goal, Row},
};

/// Over how many channels a mean is taken.
const CHANNELS: u64 = 1000;

/// The row of a count.
pub fn row(bytes: f64) -> Row {
    let name = format!("an idle channel, of {CHANNELS} in memory");
    Row::rate(name, "bytes", bytes, None).to_reach(Goal::Ours(2048.0))
}

/// Bytes per channel, where `kept` tells how many more are allocated after a function than before it.
pub fn bytes(kept: impl Fn(&mut dyn FnMut()) -> i64) -> f64 {
    let (runtime, shop) = (runtime(), Shop::over(Memory::volatile()));
    let challenge = runtime.block_on(shop.challenge());
    let heads = |payer: &Payer| [1, 2, 3].map(|total| payer.pays(&challenge, total));
    let heads = Vec::from_iter((1..=2 * CHANNELS).map(|n| heads(&Payer::numbered(n))));
    let (warm, counted) = heads.split_at(CHANNELS as usize);
    let pay = |heads: &[_]| {
        runtime.block_on(async {
            for head in heads.iter().flatten() {
                let permit = shop.take(head).await;
                permit.finish(Ending::Delivered).await.expect("nothing is to be written");
            }
            rest().await;
        });
    };
    // What is made once is no channel's own.
    pay(warm);
    kept(&mut || pay(counted)) as f64 / CHANNELS as f64
}
