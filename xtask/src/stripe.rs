//! The Stripe simulator in the foreground, for whoever wants one to point at, and Stripe's own client as its judge.

use std::io::{self, Write};

use clap::Args;
use mpp_testkit::stripe::Simulator;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::{console::Console, interop::official, workspace::Workspace};

/// What is done with it.
#[derive(Debug, Args)]
pub(crate) struct Kind {
    /// The port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Let Stripe's own client call every endpoint instead, and stop.
    #[arg(long)]
    check: bool,
}

/// Starts a simulator, says in one line of JSON where it is and what its secrets are, and stays until SIGTERM or an interrupt.
pub(crate) fn command(
    workspace: &Workspace,
    console: Console,
    kind: &Kind,
) -> anyhow::Result<bool> {
    if kind.check {
        return official::check(workspace, console);
    }
    crate::runtime()?.block_on(async {
        // Before it starts: a signal in between must not be missed.
        let mut interrupted = signal(SignalKind::interrupt())?;
        let mut terminated = signal(SignalKind::terminate())?;
        let stripe = Simulator::start_at(kind.port).await?;
        console.note(format_args!("Stripe simulator at {}; interrupt to stop it", stripe.url()));
        let described = json!({
            "url": stripe.url(), "secret_key": stripe.secret_key(), "network_id": stripe.network_id(),
            "webhook_secret": stripe.webhook_secret(),
        });
        writeln!(io::stdout(), "{described}")?;
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
        Ok(true)
    })
}
