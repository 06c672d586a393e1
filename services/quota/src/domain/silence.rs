use std::collections::BTreeMap;

use tidegate_types::ReplicaId;

/// A lease holder is silent once this many readings in a row after the first have found no sign of life.
pub const SILENT_AFTER_READINGS: u32 = 10;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseHolderReading {
    pub holder: ReplicaId,
    /// How many signs of life it has given; 0 if none.
    pub beats: u64,
    /// Whether it holds a lease that is not settled.
    pub is_holding: bool,
}

/// Tells which lease holders have fallen silent, without a clock.
///
/// It counts readings and not time: a process that was stopped for an hour has made no readings in that hour, so it calls nobody silent when it goes on, and a clock that jumps changes nothing. A
/// reading that failed is not one, so neither does a database that was away make anybody silent.
#[derive(Debug, Default)]
pub struct SilenceWatch(BTreeMap<ReplicaId, (Beats, ReadingsWithoutABeat)>);

type Beats = u64;
type ReadingsWithoutABeat = u32;

impl SilenceWatch {
    /// Takes a reading of all lease holders and tells those that are silent, in the order of the reading. A lease holder that is not in it is forgotten.
    pub fn observe(&mut self, readings: Vec<LeaseHolderReading>) -> Vec<LeaseHolderReading> {
        let mut before = std::mem::take(&mut self.0);
        let mut silent = Vec::new();
        for reading in readings {
            let without_a_beat = match before.remove(&reading.holder) {
                Some((beats, readings)) if beats == reading.beats => readings.saturating_add(1),
                _ => 0,
            };
            let watched = (reading.beats, without_a_beat);
            self.0.insert(reading.holder.clone(), watched);
            if without_a_beat >= SILENT_AFTER_READINGS {
                silent.push(reading);
            }
        }
        silent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(holder: &str, beats: u64) -> LeaseHolderReading {
        LeaseHolderReading {
            holder: ReplicaId::parse(holder).unwrap(),
            beats,
            is_holding: true,
        }
    }

    #[test]
    fn a_holder_that_never_gave_a_sign_of_life_is_silent_as_well() {
        let mut watch = SilenceWatch::default();
        for _ in 0..SILENT_AFTER_READINGS {
            assert_eq!(watch.observe(vec![reading("a", 0)]), []);
        }
        assert_eq!(watch.observe(vec![reading("a", 0)]), [reading("a", 0)]);
    }

    #[test]
    fn each_holder_is_counted_for_itself_and_those_that_are_gone_are_forgotten() {
        let mut watch = SilenceWatch::default();
        for beats in 0..u64::from(SILENT_AFTER_READINGS) {
            let silent = watch.observe(vec![reading("living", beats), reading("dead", 1)]);
            assert_eq!(silent, []);
        }
        let silent = watch.observe(vec![reading("living", 100), reading("dead", 1)]);
        assert_eq!(silent, [reading("dead", 1)]);
        watch.observe(vec![reading("living", 101)]);
        assert_eq!(watch.observe(vec![reading("dead", 1)]), []);
        assert_eq!(watch.0.len(), 1);
    }
}
