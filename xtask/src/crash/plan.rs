//! Where processes die, and in which order: a shuffled deck, so that every point comes as often as any other.

/// Where a process can be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) victim: Victim,
    /// What its fuse calls it; `None`: at a random time.
    pub(super) name: Option<&'static str>,
    /// The route on which it is passed.
    pub(super) kind: Kind,
}

/// Which of the two processes dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Victim {
    Seller,
    Buyer,
}

/// A route of the paid API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The money first.
    Item,
    /// The handler first.
    Late,
    /// The money first, and a handler that fails the first time.
    Flaky,
}

impl Kind {
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Item => "item",
            Self::Late => "late",
            Self::Flaky => "flaky",
        }
    }
}

const fn seller(name: &'static str, kind: Kind) -> Point {
    Point { victim: Victim::Seller, name: Some(name), kind }
}

const fn buyer(name: &'static str) -> Point {
    Point { victim: Victim::Buyer, name: Some(name), kind: Kind::Item }
}

/// Every point, in the order in which one payment passes them.
pub(super) const POINTS: &[Point] = &[
    buyer("before intent"),
    buyer("after intent"),
    buyer("before signed"),
    buyer("after signed"),
    seller("before mark", Kind::Item),
    seller("after mark", Kind::Item),
    seller("before reserved", Kind::Late),
    seller("after reserved", Kind::Late),
    seller("before settling", Kind::Item),
    seller("after settling", Kind::Item),
    seller("before send", Kind::Item),
    seller("after send", Kind::Item),
    seller("before settled", Kind::Item),
    seller("after settled", Kind::Item),
    seller("in handler", Kind::Item),
    seller("before returned", Kind::Flaky),
    seller("after returned", Kind::Flaky),
    seller("before redeemed", Kind::Flaky),
    seller("after redeemed", Kind::Flaky),
    seller("in body", Kind::Item),
    seller("before delivered", Kind::Item),
    seller("after delivered", Kind::Item),
    buyer("before receipt"),
    buyer("after receipt"),
    buyer("answered"),
    buyer("before read"),
    buyer("after read"),
    Point { victim: Victim::Seller, name: None, kind: Kind::Item },
    Point { victim: Victim::Buyer, name: None, kind: Kind::Item },
];

impl Point {
    pub(super) fn label(self) -> String {
        let victim = match self.victim {
            Victim::Seller => "seller",
            Victim::Buyer => "buyer",
        };
        format!("{victim} {}", self.name.unwrap_or("at random"))
    }
}

/// Chance that can be had again: SplitMix64.
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound.max(1)
    }

    pub(super) fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }
}

/// The points still to come before all have come as often again.
#[derive(Debug)]
pub(super) struct Deck<P = Point>(Vec<P>);

impl<P> Default for Deck<P> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<P: Copy> Deck<P> {
    pub(super) fn draw(&mut self, dice: &mut Dice, of: &[P]) -> P {
        if self.0.is_empty() {
            self.0.extend_from_slice(of);
        }
        let at = dice.below(self.0.len() as u64);
        self.0.swap_remove(usize::try_from(at).unwrap_or(0))
    }

    /// Puts one back that was drawn and not reached.
    pub(super) fn put_back(&mut self, point: P) {
        self.0.push(point);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_comes_once_before_any_comes_twice_and_a_seed_repeats_it() {
        let draw = |seed| {
            let (mut dice, mut deck) = (Dice::new(seed), Deck::default());
            Vec::from_iter((0..POINTS.len()).map(|_| deck.draw(&mut dice, POINTS).label()))
        };
        let mut drawn = draw(7);
        assert_eq!(drawn, draw(7));
        assert_ne!(drawn, draw(8));
        drawn.sort();
        drawn.dedup();
        assert_eq!(drawn.len(), POINTS.len());
    }
}
