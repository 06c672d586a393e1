use tidegate_types::Turn;

/// Pseudo-random, and the same in every run with the same seed.
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        let mut chance = Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        for _ in 0..10 {
            chance.next();
        }
        chance
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// From 0 up to and without 1.
    pub(super) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(super) fn draw(&mut self) -> u32 {
        (self.next() >> 32) as u32
    }

    pub(super) fn below(&mut self, count: usize) -> usize {
        (self.share() * count as f64) as usize
    }

    /// A whole number that is `mean` on average.
    pub(super) fn about(&mut self, mean: f64) -> usize {
        let whole = mean.floor();
        whole as usize + usize::from(self.share() < mean - whole)
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Shopper {
    pub(super) turn: Turn,
    pub(super) lane: usize,
    /// In seconds since the beginning.
    pub(super) came_at: f64,
    pub(super) gives_up_at: f64,
    /// Whether it comes back when it is told to wait.
    pub(super) returns: bool,
    /// Whether it has a place in the queue.
    pub(super) waits: bool,
    /// Whether its turn was shown.
    /// By when it was first told that it will be served.
    pub(super) estimate: Option<f64>,
    /// Counts what it did, so that what was planned before is dropped.
    pub(super) step: u32,
}
