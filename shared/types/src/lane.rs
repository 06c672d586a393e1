use std::{
    fmt,
    ops::{Index, IndexMut},
};

use crate::{OutOfBounds, ShopperId, numbers::bounded};

bounded! {
    /// How many lanes a database has, at most [`Lanes::MAX`]; fixed when the database is made.
    Lanes(u16) 1..=Lanes::MAX;
}

/// One lane: the unit of commit and of scale. Everything of one shopper is in one lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane(u16);

impl Lanes {
    /// The most lanes a deployment has.
    pub const MAX: u16 = 1024;

    /// The lane with this number, if there is one.
    pub fn lane(self, number: impl TryInto<u16>) -> Result<Lane, OutOfBounds> {
        match number.try_into() {
            Ok(number) if number < self.0 => Ok(Lane(number)),
            _ => Err(OutOfBounds {
                min: 0,
                max: u64::from(self.0) - 1,
            }),
        }
    }

    /// Every lane.
    pub fn all(self) -> impl Iterator<Item = Lane> {
        (0..self.0).map(Lane)
    }

    /// The lane of a shopper. Part of the data format: rows are where this function put them, so it must never change.
    pub fn of(self, shopper: &ShopperId) -> Lane {
        let hash = stable_hash(shopper.as_str().as_bytes());
        // The remainder of a u64 by a u16 fits a u16.
        Lane((hash % u64::from(self.0)) as u16)
    }
}

impl Lane {
    /// The lane's number, from 0.
    pub fn get(self) -> u16 {
        self.0
    }
}

/// One thing for each lane. A lane is of the same [`Lanes`], of which a process has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PerLane<T>(Box<[T]>);

impl<T> PerLane<T> {
    pub fn new(lanes: Lanes, make: impl FnMut(Lane) -> T) -> Self {
        Self(lanes.all().map(make).collect())
    }

    pub fn lanes(&self) -> Lanes {
        // As many as it was made with.
        Lanes(self.0.len() as u16)
    }

    pub fn iter(&self) -> impl Iterator<Item = (Lane, &T)> {
        self.lanes().all().zip(&self.0)
    }

    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }

    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut()
    }
}

impl<T> Index<Lane> for PerLane<T> {
    type Output = T;

    fn index(&self, lane: Lane) -> &T {
        &self.0[usize::from(lane.0)]
    }
}

impl<T> IndexMut<Lane> for PerLane<T> {
    fn index_mut(&mut self, lane: Lane) -> &mut T {
        &mut self.0[usize::from(lane.0)]
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// 64-bit FNV-1a with a final mix, because the low bits of plain FNV depend on the low bits of the input only.
fn stable_hash(bytes: &[u8]) -> u64 {
    let mut hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lane_of_a_shopper_never_changes() {
        let lanes = Lanes::new(64u16).unwrap();
        let lane = |id: &str| lanes.of(&ShopperId::parse(id).unwrap()).get();
        assert_eq!([lane("alice"), lane("bob"), lane("s-000001")], [45, 60, 7]);
    }

    #[test]
    fn shoppers_spread_evenly_over_lanes() {
        let lanes = Lanes::new(8u16).unwrap();
        let mut counts = PerLane::new(lanes, |_| 0u32);
        for n in 0..80_000 {
            counts[lanes.of(&ShopperId::parse(format!("shopper-{n}")).unwrap())] += 1;
        }
        let is_fair = |count: &u32| (9_500..10_500).contains(count);
        assert!(counts.values().all(is_fair), "{counts:?}");
    }

    #[test]
    fn each_lane_has_its_own_and_no_other() {
        let lanes = Lanes::new(3u16).unwrap();
        let mut numbers = PerLane::new(lanes, |lane| lane.get() * 10);
        assert_eq!(numbers.lanes(), lanes);
        for lane in lanes.all() {
            numbers[lane] += 1;
        }
        assert!(numbers.values().eq(&[1, 11, 21]));
        let mut pairs = numbers.iter();
        assert!(pairs.all(|(lane, value)| *value == lane.get() * 10 + 1));
    }

    #[test]
    fn a_lane_beyond_the_last_is_refused() {
        assert!(Lanes::new(4u16).unwrap().lane(4u32).is_err());
        assert!(Lanes::new(0u16).is_err());
        assert!(Lanes::new(1025u16).is_err());
    }
}
