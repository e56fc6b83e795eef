//! What became of every cell, for people and for programs.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::flow::{Expect, Pair};

/// Every cell that was played.
#[derive(Default)]
pub(super) struct Matrix(Vec<Cell>);

/// One of them.
pub(super) struct Cell {
    /// What is bought by: `charge`, `session` or `stripe`; `official`: what Stripe's own client saw.
    intent: &'static str,
    client: &'static str,
    server: &'static str,
    flow: Cow<'static, str>,
    expect: &'static str,
    /// How it went, or what went wrong.
    got: Result<String, String>,
}

impl Cell {
    pub(super) fn new(
        pair: &Pair,
        flow: &'static str,
        expect: Expect,
        got: Result<String, String>,
    ) -> Self {
        let (client, server) = (pair.client.name(), pair.server.name());
        Self { intent: "charge", client, server, flow: flow.into(), expect: expect.word(), got }
    }

    /// Something that Stripe's own client saw at the simulator.
    pub(super) fn of_official(flow: String, got: Result<String, String>) -> Self {
        let (client, server) = ("stripe", "simulator");
        Self { intent: "official", client, server, flow: flow.into(), expect: "ok", got }
    }

    /// The same, in the table of this name.
    pub(super) fn under(self, intent: &'static str) -> Self {
        Self { intent, ..self }
    }

    /// What `--only` looks in.
    pub(super) fn name(pair: &Pair, flow: &str) -> String {
        format!("{} → {}: {flow}", pair.client.name(), pair.server.name())
    }

    /// One line for people.
    pub(super) fn line(&self) -> String {
        let mark = if self.got.is_ok() { "ok    " } else { "FAILED" };
        let (Ok(got) | Err(got)) = &self.got;
        let Self { client, server, flow, .. } = self;
        format!("{mark} {client:>6} → {server:<9} {flow:<32} {got}")
    }
}

impl Matrix {
    pub(super) fn add(&mut self, cell: Cell) {
        self.0.push(cell);
    }

    /// These cells, and those.
    pub(super) fn join(&mut self, more: Self) {
        self.0.extend(more.0);
    }

    pub(super) fn failed(&self) -> usize {
        self.0.iter().filter(|cell| cell.got.is_err()).count()
    }

    /// Flows by pairs, and below what failed.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = vec![String::new()];
        for intent in ["charge", "session", "official", "stripe"] {
            lines.extend(self.table(intent));
        }
        lines.extend(self.0.iter().filter(|cell| cell.got.is_err()).map(Cell::line));
        lines.push(format!("interop: {} cells, {} failed", self.0.len(), self.failed()));
        lines
    }

    fn table(&self, intent: &str) -> Vec<String> {
        let cells = Vec::from_iter(self.0.iter().filter(|cell| cell.intent == intent));
        if cells.is_empty() {
            return Vec::new();
        }
        let mut pairs = Vec::new();
        let mut flows = Vec::new();
        for cell in &cells {
            let pair = (cell.client, cell.server);
            pairs.extend((!pairs.contains(&pair)).then_some(pair));
            flows.extend((!flows.contains(&&cell.flow)).then_some(&cell.flow));
        }
        let width = flows.iter().map(|flow| flow.chars().count()).max().unwrap_or(0).max(32);
        let row = |name: &str, cells: Vec<String>| {
            let cells = Vec::from_iter(cells.iter().map(|cell| format!("{cell:<15}")));
            format!("{name:<width$} {}", cells.join(" ")).trim_end().to_owned()
        };
        let heads = pairs.iter().map(|(client, server)| format!("{client} → {server}"));
        let mut lines = vec![row(intent, heads.collect())];
        for flow in flows {
            let found = pairs.iter().map(|pair| {
                cells.iter().find(|cell| (cell.client, cell.server) == *pair && cell.flow == *flow)
            });
            let words = found.map(|cell| match cell {
                Some(cell) if cell.got.is_ok() => cell.expect,
                Some(_) => "FAILED",
                None => "–",
            });
            lines.push(row(flow, words.map(str::to_owned).collect()));
        }
        lines.push(String::new());
        lines
    }

    pub(super) fn to_json(&self) -> Value {
        let cells = Vec::from_iter(self.0.iter().map(|cell| {
            let got = match &cell.got {
                Ok(_) => cell.expect,
                Err(wrong) => wrong,
            };
            json!({
                "intent": cell.intent, "client": cell.client, "server": cell.server, "flow": cell.flow,
                "expect": cell.expect, "got": got, "ok": cell.got.is_ok(),
            })
        }));
        json!({ "cells": cells, "failed": self.failed() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interop::party::Sdk;

    #[test]
    fn a_failed_cell_is_counted_shown_and_quoted() {
        let pair = Pair::new(Sdk::Ours, Sdk::Mppx);
        let mut matrix = Matrix::default();
        matrix.add(Cell::new(&pair, "charge", Expect::Paid, Ok("paid".into())));
        matrix.add(Cell::new(&pair, "garbage", Expect::Refused, Err("it was served".into())));
        let json = matrix.to_json();
        assert_eq!(json["failed"], 1);
        assert_eq!(json["cells"][0]["got"], "paid");
        assert_eq!(
            json["cells"][1],
            json!({
                "intent": "charge", "client": "ours", "server": "mppx", "flow": "garbage",
                "expect": "refused", "got": "it was served", "ok": false,
            })
        );
        let lines = matrix.lines().join("\n");
        assert!(lines.contains("2 cells, 1 failed") && lines.contains("it was served"), "{lines}");
    }
}
