use std::collections::BTreeSet;

use super::{Day, Minute, MinuteOfDay, StoreZone, Weekday};

/// When a store is open on one day of every week, by its own clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WeeklyHours {
    pub weekday: Weekday,
    /// From this minute of the day on.
    pub opens_at: MinuteOfDay,
    /// Until this minute; of the next day, unless it is later than the one at which it opens.
    pub closes_at: MinuteOfDay,
}

/// A stretch of time in which a store is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct OpenSpan {
    pub begins: Minute,
    /// The minute after its last one.
    pub ends: Minute,
}

impl OpenSpan {
    /// Whether all of the minutes that begin with `begins` lie within.
    pub fn covers(self, begins: Minute, minutes: i64) -> bool {
        self.begins <= begins && begins.plus(minutes) <= self.ends
    }
}

/// When a store is open. Without weekly hours: on every day that is not a closed one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OpeningHours {
    weekly: BTreeSet<WeeklyHours>,
    closed_days: BTreeSet<Day>,
}

impl OpeningHours {
    pub fn new(
        weekly: impl IntoIterator<Item = WeeklyHours>,
        closed_days: impl IntoIterator<Item = Day>,
    ) -> Self {
        Self {
            weekly: weekly.into_iter().collect(),
            closed_days: closed_days.into_iter().collect(),
        }
    }

    pub fn weekly(&self) -> impl Iterator<Item = WeeklyHours> {
        self.weekly.iter().copied()
    }

    pub fn closed_days(&self) -> impl Iterator<Item = Day> {
        self.closed_days.iter().copied()
    }

    /// Every stretch that touches the time from one minute to another, in order and with gaps
    /// between them.
    pub fn open_between(&self, zone: &StoreZone, from: Minute, until: Minute) -> Vec<OpenSpan> {
        if self.weekly.is_empty() && self.closed_days.is_empty() {
            return vec![OpenSpan {
                begins: from,
                ends: until,
            }];
        }
        // What began the day before may last until now.
        let (mut day, last) = (zone.day_of(from).plus(-1), zone.day_of(until));
        let mut spans = Vec::new();
        while day <= last {
            if !self.closed_days.contains(&day) {
                self.add_day(zone, day, &mut spans);
            }
            day = day.plus(1);
        }
        spans.sort();
        merged(spans)
    }

    fn add_day(&self, zone: &StoreZone, day: Day, spans: &mut Vec<OpenSpan>) {
        let midnight = MinuteOfDay::default();
        let mut add = |opens_at, closes_at| {
            let closing_day = if closes_at > opens_at {
                day
            } else {
                day.plus(1)
            };
            let begins = zone.minute_of(day, opens_at);
            let ends = zone.minute_of(closing_day, closes_at);
            if begins < ends {
                spans.push(OpenSpan { begins, ends });
            }
        };
        if self.weekly.is_empty() {
            add(midnight, midnight);
        }
        let today = day.weekday();
        self.weekly
            .iter()
            .filter(|hours| Some(hours.weekday) == today)
            .for_each(|hours| add(hours.opens_at, hours.closes_at));
    }
}

/// Sorted spans, without those that touch or overlap.
fn merged(spans: Vec<OpenSpan>) -> Vec<OpenSpan> {
    let mut merged: Vec<OpenSpan> = Vec::with_capacity(spans.len());
    for span in spans {
        match merged.last_mut() {
            Some(last) if last.ends >= span.begins => last.ends = last.ends.max(span.ends),
            _ => merged.push(span),
        }
    }
    merged
}

#[cfg(test)]
mod tests;
