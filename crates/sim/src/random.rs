//! Numbers that only look random: the same seed gives the same ones for ever.

/// A generator (splitmix64): small, fast, and good enough to be unkind.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The generator of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A generator whose numbers do not depend on how many were drawn here, only
    /// on the seed and a name.
    #[must_use]
    pub fn named(seed: u64, name: &str) -> Self {
        let mut state = seed ^ 0x6a09_e667_f3bc_c908;
        for byte in name.bytes() {
            state = Self(state ^ u64::from(byte)).number();
        }
        Self(state)
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`; zero when there is none.
    pub fn below(&mut self, limit: u64) -> u64 {
        match limit {
            0 => 0,
            limit => self.number() % limit,
        }
    }

    /// A place in something of this length.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).expect("it is below a usize")
    }

    /// Whether something happens that happens so many times in a thousand.
    pub fn happens(&mut self, per_thousand: u64) -> bool {
        self.below(1000) < per_thousand
    }

    /// One of these.
    ///
    /// # Panics
    /// When there are none.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.index(choices.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_again() {
        let draw = || {
            let mut random = Random::new(0x5eed);
            [random.number(), random.below(10), random.number()]
        };

        assert_eq!(draw(), draw());
    }

    #[test]
    fn a_name_changes_the_numbers() {
        let first = |name| Random::named(1, name).number();

        assert_ne!(first("one"), first("two"));
        assert_eq!(first("one"), first("one"));
    }
}
