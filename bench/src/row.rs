//! One line of the table.

use serde::Serialize;

/// What a row is to reach.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// The ratio is at least this.
    Ratio(f64),
    /// Our own figure is at most this.
    Ours(f64),
}

/// One piece of work, by us, by the peer, and by nobody who does less.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What was done.
    pub name: &'static str,
    /// What the figures count.
    pub unit: &'static str,
    /// Our figure.
    pub ours: f64,
    /// The peer's.
    pub peer: Option<f64>,
    /// That of the least anybody could do.
    pub floor: Option<f64>,
    /// How many times better than the peer we are, or the part of the floor we reach.
    pub ratio: Option<f64>,
    /// What the ratio, or for counts our figure, is to reach.
    pub goal: Option<f64>,
    /// Whether it does.
    pub met: Option<bool>,
}

impl Row {
    /// A cost, in a unit of which less is better.
    pub fn cost(name: &'static str, unit: &'static str, ours: f64, peer: f64) -> Self {
        let ratio = Some(peer / ours);
        Self { name, unit, ours, peer: Some(peer), floor: None, ratio, goal: None, met: None }
    }

    /// A cost in nanoseconds that the peer, as it is built here, does not have: the ratio is the part of the floor we reach.
    pub fn alone(name: &'static str, ours: f64, floor: f64) -> Self {
        let (unit, ratio) = ("ns", Some(floor / ours));
        Self { name, unit, ours, peer: None, floor: Some(floor), ratio, goal: None, met: None }
    }

    /// Says what the least is.
    pub fn over(self, floor: f64) -> Self {
        Self { floor: Some(floor), ..self }
    }

    /// Says what is to be reached.
    pub fn to_reach(self, goal: Goal) -> Self {
        let (goal, met) = match goal {
            Goal::Ratio(least) => (least, self.ratio.is_some_and(|ratio| ratio >= least)),
            Goal::Ours(most) => (most, self.ours <= most),
        };
        Self { goal: Some(goal), met: Some(met), ..self }
    }
}
