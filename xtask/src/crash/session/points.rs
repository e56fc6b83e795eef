//! What a channel goes through in its life, and where its seller dies in each part of it.

use super::super::plan::Dice;

/// A part of a channel's life, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Open,
    Stream,
    Voucher,
    TopUp,
    Collect,
    Close,
}

/// A moment that a fuse does not name.
pub(super) const AT_RANDOM: &str = "at random";

/// All parts.
pub(super) const PHASES: [Phase; 6] =
    [Phase::Open, Phase::Stream, Phase::Voucher, Phase::TopUp, Phase::Collect, Phase::Close];

impl Phase {
    /// Where a seller dies in it: before and after each durable write, on either side of what it sends, and whenever.
    pub(super) fn points(self) -> &'static [&'static str] {
        match self {
            Self::Open => &[
                "before opening",
                "after opening",
                "before send open",
                "after send open",
                "before opened",
                "after opened",
                AT_RANDOM,
            ],
            Self::Stream => &[
                "before hold",
                "after hold",
                "in batch",
                "before booked",
                "after booked",
                AT_RANDOM,
            ],
            Self::Voucher => &["before raised", "after raised", AT_RANDOM],
            Self::TopUp => &[
                "before topping",
                "after topping",
                "before send top-up",
                "after send top-up",
                "before topped",
                "after topped",
                AT_RANDOM,
            ],
            Self::Collect => &[
                "before collecting",
                "after collecting",
                "before send collect",
                "after send collect",
                "before collected",
                "after collected",
                AT_RANDOM,
            ],
            Self::Close => &[
                "before shut",
                "after shut",
                "before closing",
                "after closing",
                "before send close",
                "after send close",
                "before closed",
                "after closed",
                AT_RANDOM,
            ],
        }
    }

    /// One of its named points.
    pub(super) fn any(self, dice: &mut Dice) -> &'static str {
        let named = self.points().len().saturating_sub(1);
        let at = usize::try_from(dice.below(named as u64)).unwrap_or(0);
        self.points().get(at).copied().unwrap_or(AT_RANDOM)
    }

    pub(super) fn label(self, point: &str) -> String {
        format!("{self:?}: {point}").to_lowercase()
    }
}

/// Where the seller dies in each part of one life; `None`: it lives through it.
type Points = [Option<&'static str>; PHASES.len()];

/// One life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) points: Points,
    /// After the first kill in a stream the payer never comes back, and the seller closes by itself.
    pub(super) leaves: bool,
}

/// So many plans that every point stands in one of them, if there are enough; the points of each part in a random order.
pub(super) fn plans(lives: usize, dice: &mut Dice) -> Vec<Plan> {
    let mut plans = vec![Plan::default(); lives];
    for (at, phase) in PHASES.into_iter().enumerate() {
        let mut left = Vec::new();
        for plan in &mut plans {
            if left.is_empty() {
                left.extend_from_slice(phase.points());
            }
            let drawn = usize::try_from(dice.below(left.len() as u64)).unwrap_or(0);
            if let Some(point) = plan.points.get_mut(at) {
                *point = Some(left.swap_remove(drawn));
            }
        }
    }
    plans
}

/// A life that its payer leaves, in a part that has a stream.
pub(super) fn leaving(phase: Phase, dice: &mut Dice) -> Plan {
    let mut plan = Plan { leaves: true, ..Plan::default() };
    plan.put(phase, phase.any(dice));
    plan
}

/// Plans for what was to be died at and was not, as few as there can be.
pub(super) fn again(missed: &[(Phase, &'static str)]) -> Vec<Plan> {
    let mut plans = Vec::<Plan>::new();
    for (phase, point) in missed {
        if !plans.iter_mut().any(|plan| plan.put(*phase, point)) {
            let mut plan = Plan::default();
            plan.put(*phase, point);
            plans.push(plan);
        }
    }
    plans
}

impl Plan {
    /// Puts a point in, if its part has none yet.
    fn put(&mut self, phase: Phase, point: &'static str) -> bool {
        let mut slots = self.points.iter_mut().zip(PHASES);
        let free = slots.find(|(slot, known)| *known == phase && slot.is_none());
        free.map(|(slot, _)| *slot = Some(point)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn nine_lives_pass_every_point_and_a_seed_repeats_them() {
        let drawn = plans(9, &mut Dice::new(7));
        assert_eq!(drawn, plans(9, &mut Dice::new(7)));
        assert_ne!(drawn, plans(9, &mut Dice::new(8)));
        for (at, phase) in PHASES.into_iter().enumerate() {
            let passed = BTreeSet::from_iter(drawn.iter().filter_map(|plan| plan.points[at]));
            assert_eq!(passed, BTreeSet::from_iter(phase.points().iter().copied()), "{phase:?}");
        }
    }

    #[test]
    fn what_was_missed_is_tried_again_and_nothing_else() {
        let missed = [
            (Phase::Voucher, "after raised"),
            (Phase::Open, "after opened"),
            (Phase::Voucher, "before raised"),
        ];
        let points = Vec::from_iter(again(&missed).into_iter().map(|plan| plan.points));
        let first = [Some("after opened"), None, Some("after raised"), None, None, None];
        assert_eq!(points, [first, [None, None, Some("before raised"), None, None, None]]);
    }
}
