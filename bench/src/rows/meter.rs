//! Units of one stream, through its meter: no events, no socket.

use std::time::Instant;

use mpp_core::store::Memory;
use mpp_server::permit::Ending;

use crate::{
    channels::{Payer, Shop},
    inprocess::runtime,
    interleaved::{Effort, median},
    row::{Goal, Row},
};

/// How many units are set aside at a time: unless a stream says otherwise, and in bulk.
const BATCHES: [(u64, bool); 2] = [(16, false), (256, true)];

/// Measures.
pub fn rows(effort: Effort) -> Vec<Row> {
    let one = |(batch, bulk): (u64, bool)| {
        let rate = median((0..effort.rounds).map(|_| units_per_second(batch)));
        let name = format!("units of a stream, {batch} set aside at a time");
        let row = Row::rate(name, "units/s", rate, None);
        if bulk { row.to_reach(Goal::Rate(1_000_000.0)) } else { row }
    };
    BATCHES.map(one).into()
}

/// Of one short stream: most of them are disturbed by nobody.
fn units_per_second(batch: u64) -> f64 {
    let units = batch * 50;
    runtime().block_on(async {
        let shop = Shop::over(Memory::volatile());
        let (payer, challenge) = (Payer::numbered(1), shop.challenge().await);
        // A unit for the request that opens, one for the request that streams, and the stream's own.
        let opens = shop.take(&payer.pays(&challenge, 1)).await;
        opens.finish(Ending::Delivered).await.expect("nothing is to be written");
        let permit = shop.take(&payer.pays(&challenge, u128::from(units) + 2)).await;
        let session = permit.session().expect("the route is metered");
        let mut meter = session.meter().in_batches_of(batch);
        let began = Instant::now();
        for _ in 0..units {
            meter.charge(1).await.expect("it is paid");
        }
        meter.finish().await.expect("the store answers");
        let taken = began.elapsed();
        permit.finish(Ending::Delivered).await.expect("nothing is to be written");
        units as f64 / taken.as_secs_f64()
    })
}
