/// CouponHolders that the first part takes; each further part takes twice as many as the one
/// before.
const FIRST_CAPACITY: usize = 1 << 12;
const BITS_PER_HOLDER: usize = 16;
const PROBES: u64 = 8;

/// A Bloom filter that grows: it never denies a holder, and takes one stranger in a hundred for
/// one, up to about a hundred million holders.
///
/// One part is wrong for one stranger in 1,700; there are about as many parts as the number of
/// holders doubles.
#[derive(Default)]
pub struct Filter {
    parts: Vec<Part>,
}

struct Part {
    bits: Box<[u64]>,
    free: usize,
}

impl Filter {
    /// Remembers a holder by the hash of its id.
    pub fn insert(&mut self, hash: u64) {
        if self.may_have_coupon(hash) {
            return;
        }
        if self.parts.last().is_none_or(|part| part.free == 0) {
            self.parts
                .push(Part::new(FIRST_CAPACITY << self.parts.len()));
        }
        if let Some(part) = self.parts.last_mut() {
            part.insert(hash);
        }
    }

    /// Whether the holder may have been inserted.
    pub fn may_have_coupon(&self, hash: u64) -> bool {
        self.parts.iter().any(|part| part.may_have_coupon(hash))
    }

    pub fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.bits.len() * 8).sum()
    }
}

impl Part {
    /// The capacity is a power of two.
    fn new(capacity: usize) -> Self {
        Self {
            bits: vec![0; capacity * BITS_PER_HOLDER / 64].into(),
            free: capacity,
        }
    }

    fn insert(&mut self, hash: u64) {
        for place in self.places(hash) {
            self.bits[place / 64] |= 1 << (place % 64);
        }
        self.free -= 1;
    }

    fn may_have_coupon(&self, hash: u64) -> bool {
        self.places(hash)
            .all(|place| self.bits[place / 64] & 1 << (place % 64) != 0)
    }

    /// The two halves of a cryptographic hash are as good as two hashes, and the odd step visits
    /// every place.
    fn places(&self, hash: u64) -> impl Iterator<Item = usize> + use<> {
        let (first, step) = (hash, hash.rotate_right(32) | 1);
        let mask = self.bits.len() as u64 * 64 - 1;
        (0..PROBES).map(move |probe| (first.wrapping_add(step.wrapping_mul(probe)) & mask) as usize)
    }
}

#[cfg(test)]
mod tests {
    use tidegate_rpc::wire::shopper_hash;
    use tidegate_types::ShopperId;

    use super::*;

    fn hash(number: usize) -> u64 {
        shopper_hash(&ShopperId::parse(format!("s-{number}")).unwrap())
    }

    #[test]
    fn no_holder_is_denied_and_few_strangers_are_taken_for_one() {
        const HOLDERS: usize = 100_000;
        let mut filter = Filter::default();
        (0..HOLDERS).for_each(|number| filter.insert(hash(number)));
        assert!((0..HOLDERS).all(|number| filter.may_have_coupon(hash(number))));
        let strangers =
            (HOLDERS..2 * HOLDERS).filter(|number| filter.may_have_coupon(hash(*number)));
        let taken = strangers.count();
        assert!(taken < HOLDERS / 100, "{taken}");
        assert!(filter.bytes() < HOLDERS * 6, "{}", filter.bytes());
    }

    #[test]
    fn a_filter_of_nobody_knows_nobody_and_one_told_twice_grows_once() {
        let mut filter = Filter::default();
        assert!(!filter.may_have_coupon(hash(1)));
        (0..10 * FIRST_CAPACITY).for_each(|_| filter.insert(hash(1)));
        assert_eq!(filter.parts.len(), 1);
    }
}
