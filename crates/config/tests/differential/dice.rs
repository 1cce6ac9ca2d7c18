//! Numbers that look random and are the same for the same seed.

/// A generator of the xorshift family.
pub(crate) struct Dice {
    state: u64,
    /// Whether the user it plays makes mistakes.
    pub(crate) careless: bool,
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        let state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut dice = Self { state, careless: true };
        dice.roll(2);
        dice
    }

    /// A number from 0 to one less than the number of sides.
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let high = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).unwrap_or(0) % sides
    }

    /// Whether a one-in-so-many chance came true.
    pub(crate) fn chance(&mut self, sides: usize) -> bool {
        self.roll(sides) == 0
    }

    /// One of the items; a careful user takes one of the first ones.
    pub(crate) fn pick_of<T: Copy>(&mut self, items: &[T], good: usize) -> T {
        let count = if self.careless { items.len() } else { items.len().min(good) };
        self.pick(&items[..count])
    }

    /// One of the items.
    pub(crate) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.roll(items.len())]
    }

    /// That many of the items, one behind the other.
    pub(crate) fn text(&mut self, items: &[&str], count_max: usize) -> String {
        (0..self.roll(count_max + 1)).map(|_| self.pick(items)).collect()
    }
}
