//! Measures every row and prints one JSON object; `--quick` looks less closely, `--stores`, `--tempo`, `--stripe` and `--sessions` at those alone.

use std::{env, error::Error, io::Write, process::Command};

use bench::{
    interleaved::Effort,
    row::Row,
    rows::{self, allocations::Count},
};

fn main() -> Result<(), Box<dyn Error>> {
    let given = |flag: &str| env::args().skip(1).any(|argument| argument == flag);
    let effort = if given("--quick") { Effort::QUICK } else { Effort::FULL };
    if given("--stores") {
        return print(&rows::stores::rows(effort)?);
    }
    if given("--tempo") {
        let mut table = rows::check::rows(effort);
        table.extend(rows::charge::rows());
        return print(&table);
    }
    if given("--stripe") {
        return print(&rows::stripe::rows(effort));
    }
    if given("--sessions") {
        return print(&sessions(effort, &counted()?)?);
    }
    let mut table = vec![
        rows::id::row(effort),
        rows::issue::row(effort),
        rows::parse::row(effort),
        rows::verify::row(effort),
        rows::payer::row(effort),
        rows::paid::row(effort),
        rows::loopback::row(effort),
    ];
    table.extend(rows::check::rows(effort));
    table.extend(rows::charge::rows());
    table.extend(rows::stripe::rows(effort));
    table.extend(rows::stores::rows(effort)?);
    let counted = counted()?;
    table.extend(sessions(effort, &counted)?);
    table.splice(2..2, rows::allocations::rows(&counted));
    print(&table)
}

fn sessions(effort: Effort, counted: &Count) -> Result<Vec<Row>, Box<dyn Error>> {
    let mut table = rows::voucher::rows(effort);
    table.extend(rows::accept::rows(effort)?);
    table.extend(rows::meter::rows(effort));
    table.push(rows::events::row(effort));
    table.push(rows::idle::row(counted.idle));
    Ok(table)
}

fn print(table: &[Row]) -> Result<(), Box<dyn Error>> {
    writeln!(std::io::stdout(), "{}", serde_json::json!({ "rows": table }))?;
    Ok(())
}

/// What the program beside this one counts.
fn counted() -> Result<Count, Box<dyn Error>> {
    let mut program = env::current_exe()?;
    program.set_file_name(format!("allocations{}", env::consts::EXE_SUFFIX));
    let output = Command::new(&program).output()?;
    if !output.status.success() {
        return Err(format!("{}: {}", program.display(), output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
