//! The time axis of a trace, with the long idle stretches cut out.

use super::{Span, WAIT};

/// Idle time longer than this part of the busy time is cut.
const CUT_BEYOND: f64 = 0.15;
/// How wide a cut is drawn, as a part of the busy time.
const CUT_WIDTH: f64 = 0.04;

/// Time with the long idle stretches taken out.
pub(super) struct Axis {
    /// Busy stretches: beginning, end, and where the beginning is drawn, in nanoseconds of drawn time.
    busy: Vec<(u64, u64, f64)>,
    drawn: f64,
    cut_width: f64,
}

impl Axis {
    pub(super) fn new(spans: &[Span]) -> Self {
        let waits: Vec<_> = spans.iter().filter(|span| span.name == WAIT).collect();
        // Waiting is not doing something, and neither is whatever lasts as long as a wait.
        let covers =
            |span: &Span, wait: &Span| span.start_ns <= wait.start_ns && wait.end_ns <= span.end_ns;
        let is_busy = |span: &&Span| !waits.iter().any(|wait| covers(span, wait));
        let busy = spans.iter().filter(is_busy);
        let mut intervals: Vec<_> = busy.map(|span| (span.start_ns, span.end_ns)).collect();
        intervals.sort_unstable();
        let busy = merge(&intervals, 0);
        let total: u64 = busy.iter().map(|(from, to)| to - from).sum();
        let stretches = merge(&intervals, (total as f64 * CUT_BEYOND) as u64);
        let cut_width = total as f64 * CUT_WIDTH;
        let mut drawn = 0.0;
        let placed = stretches.into_iter().map(|(from, to)| {
            let at = drawn;
            drawn += (to - from) as f64 + cut_width;
            (from, to, at)
        });
        let busy = placed.collect();
        Self {
            busy,
            drawn: (drawn - cut_width).max(1.0),
            cut_width,
        }
    }

    pub(super) fn place(&self, ns: u64) -> f64 {
        let begun = self.busy.iter().rfind(|(from, ..)| *from <= ns);
        begun.or(self.busy.first()).map_or(0.0, |(from, to, at)| {
            (at + ns.clamp(*from, *to).saturating_sub(*from) as f64) / self.drawn
        })
    }

    /// Where time was cut, and how much.
    pub(super) fn cuts(&self) -> Vec<(f64, u64)> {
        let cuts = self.busy.windows(2).map(|pair| {
            let place = (pair[1].2 - self.cut_width / 2.0) / self.drawn;
            (place, pair[1].0 - pair[0].1)
        });
        cuts.collect()
    }
}

/// Joins sorted intervals that lie closer than `gap`.
fn merge(intervals: &[(u64, u64)], gap: u64) -> Vec<(u64, u64)> {
    let mut merged: Vec<(u64, u64)> = Vec::new();
    for &(from, to) in intervals {
        match merged.last_mut() {
            Some(last) if from <= last.1.saturating_add(gap) => last.1 = last.1.max(to),
            _ => merged.push((from, to)),
        }
    }
    merged
}
