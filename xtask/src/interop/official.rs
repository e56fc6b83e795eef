//! Stripe's own client against the simulator: what we test against is what that client sends and accepts.

use std::{path::Path, process::Stdio, time::Duration};

use anyhow::{Context, bail, ensure};
use mpp_testkit::stripe::{Fault, Simulator};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, Command},
};

use super::{
    install,
    matrix::{Cell, Matrix},
};
use crate::{console::Console, workspace::Workspace};

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Installs the client where it is missing, and lets it call every endpoint. Tells whether all it saw was as it should be.
pub(crate) fn check(workspace: &Workspace, console: Console) -> anyhow::Result<bool> {
    let folder = install::official(workspace, console)?;
    let told = crate::runtime()?.block_on(told(&folder))?;
    let passed = told["passed"].as_array().map_or(0, Vec::len);
    for failed in told["failed"].as_array().into_iter().flatten() {
        console.say(format_args!("  stripe's own client: {failed}"));
    }
    let good = passed > 0 && told["failed"].as_array().is_some_and(Vec::is_empty);
    console.say(format_args!("stripe's own client: {passed} checks passed"));
    console.object(&told);
    Ok(good)
}

/// A cell for each thing that it saw.
pub(super) async fn play(folder: &Path, console: Console) -> anyhow::Result<Matrix> {
    let told = told(folder).await?;
    let mut matrix = Matrix::default();
    let seen = |of: &str| {
        let seen = told[of].as_array().into_iter().flatten().filter_map(Value::as_str);
        Vec::from_iter(seen.map(str::to_owned))
    };
    let good = seen("passed").into_iter().map(|name| (name, Ok("as it should be".to_owned())));
    let bad = seen("failed").into_iter().map(|said| match said.split_once(": ") {
        Some((name, why)) => (name.to_owned(), Err(why.to_owned())),
        None => (said.clone(), Err(said)),
    });
    for (name, got) in good.chain(bad) {
        let cell = Cell::of_official(name, got);
        console.note(cell.line());
        matrix.add(cell);
    }
    ensure!(!seen("passed").is_empty(), "Stripe's client saw nothing");
    Ok(matrix)
}

/// What it says that it saw.
async fn told(folder: &Path) -> anyhow::Result<Value> {
    let stripe = Simulator::start().await?;
    let mut node = Command::new("node");
    node.arg("check.mjs").current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
    node.env("STRIPE_URL", stripe.url()).env("STRIPE_SECRET_KEY", stripe.secret_key());
    node.env("STRIPE_WEBHOOK_SECRET", stripe.webhook_secret())
        .env("STRIPE_NETWORK_ID", stripe.network_id());
    let child = node.kill_on_drop(true).spawn().context("node could not be run")?;
    let conversed = tokio::time::timeout(PATIENCE, converse(&stripe, child)).await;
    conversed.context("Stripe's client took too long")?
}

/// The program says what it needs of the simulator, a line of JSON each, and at last what it saw.
async fn converse(stripe: &Simulator, mut child: Child) -> anyhow::Result<Value> {
    let (mut stdin, stdout) =
        (child.stdin.take().context("no input")?, child.stdout.take().context("no output")?);
    let mut lines = BufReader::new(stdout).lines();
    while let Some(line) = lines.next_line().await? {
        let said: Value = serde_json::from_str(&line).with_context(|| line.clone())?;
        if said.get("passed").is_some() {
            drop(stdin);
            child.wait().await?;
            return Ok(said);
        }
        serve(stripe, &said, &mut stdin).await?;
    }
    bail!("Stripe's client ended without a word: {}", child.wait().await?)
}

async fn serve(stripe: &Simulator, said: &Value, stdin: &mut ChildStdin) -> anyhow::Result<()> {
    let text = |name: &str| said[name].as_str().unwrap_or_default();
    match text("do") {
        "deliver" => drop(stripe.deliver(text("to")).await?),
        "advance" => {
            stripe.advance(Duration::from_secs(said["seconds"].as_u64().unwrap_or_default()))
        }
        "conclude" => stripe.conclude(text("id"), true)?,
        "fault" => stripe.next(match text("is") {
            "answer_lost" => Fault::AnswerLost,
            "server_error_stored" => Fault::ServerErrorStored,
            "rate_limited" => Fault::RateLimited,
            "slow" => Fault::Slow(Duration::from_millis(400)),
            other => bail!("no fault {other:?}"),
        }),
        other => bail!("Stripe's client asks for {other:?}"),
    }
    stdin.write_all(b"done\n").await?;
    Ok(stdin.flush().await?)
}
