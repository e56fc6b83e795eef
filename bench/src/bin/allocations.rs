//! Counts allocations and prints them as one JSON object: a counting allocator slows what it counts, so it times nothing.

use std::{error::Error, io::Write};

use bench::rows::allocations;

fn main() -> Result<(), Box<dyn Error>> {
    let count = allocations::count(
        |run| allocation_counter::measure(run).count_total,
        |run| allocation_counter::measure(run).bytes_current,
    );
    writeln!(std::io::stdout(), "{}", serde_json::to_string(&count)?)?;
    Ok(())
}
