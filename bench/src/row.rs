//! One line of the table.

use serde::Serialize;

/// What a row is to reach.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// The ratio is at least this.
    Ratio(f64),
    /// Our own figure is at most this.
    Ours(f64),
    /// Our own figure, a rate, is at least this.
    Rate(f64),
}

/// One piece of work, by us, by the peer, and by nobody who does less.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What was done.
    pub name: String,
    /// What the figures count.
    pub unit: &'static str,
    /// Our figure; nothing where it could not be measured.
    pub ours: Option<f64>,
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
    pub fn cost(name: impl Into<String>, unit: &'static str, ours: f64, peer: f64) -> Self {
        let (name, ratio) = (name.into(), Some(peer / ours));
        Self {
            name,
            unit,
            ours: Some(ours),
            peer: Some(peer),
            floor: None,
            ratio,
            goal: None,
            met: None,
        }
    }

    /// A cost in nanoseconds that the peer, as it is built here, does not have: the ratio is the part of the floor we reach.
    pub fn alone(name: impl Into<String>, ours: f64, floor: f64) -> Self {
        let (name, unit, ratio) = (name.into(), "ns", Some(floor / ours));
        Self {
            name,
            unit,
            ours: Some(ours),
            peer: None,
            floor: Some(floor),
            ratio,
            goal: None,
            met: None,
        }
    }

    /// A rate that no peer has; `floor` is the rate of the one thing it cannot do without, where there is one.
    pub fn rate(
        name: impl Into<String>,
        unit: &'static str,
        ours: f64,
        floor: Option<f64>,
    ) -> Self {
        let (name, ratio) = (name.into(), floor.map(|floor| ours / floor));
        Self { name, unit, ours: Some(ours), peer: None, floor, ratio, goal: None, met: None }
    }

    /// What could not be measured, and why.
    pub fn missing(name: impl Into<String>) -> Self {
        let (name, unit) = (name.into(), "ns");
        Self { name, unit, ours: None, peer: None, floor: None, ratio: None, goal: None, met: None }
    }

    /// Says what the least is.
    pub fn over(self, floor: f64) -> Self {
        Self { floor: Some(floor), ..self }
    }

    /// Says what is to be reached.
    pub fn to_reach(self, goal: Goal) -> Self {
        let (goal, met) = match goal {
            Goal::Ratio(least) => (least, self.ratio.is_some_and(|ratio| ratio >= least)),
            Goal::Ours(most) => (most, self.ours.is_some_and(|ours| ours <= most)),
            Goal::Rate(least) => (least, self.ours.is_some_and(|ours| ours >= least)),
        };
        Self { goal: Some(goal), met: Some(met), ..self }
    }
}
