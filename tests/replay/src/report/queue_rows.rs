//! The part of the table that tells of the queue.

use std::fmt::Write as _;

use super::{
    Report,
    table::{balance, latency, reasons, row},
};

/// How waits ended, how long they were, and what had been promised.
pub(super) fn write(text: &mut String, report: &Report) {
    let queue = &report.queue;
    let all = queue.queued;
    // Writing to a string cannot fail.
    let _ = writeln!(text, "\nQueue");
    row(text, "queued", all, report.claims.offered);
    row(text, "  served from the queue", queue.served, all);
    reasons(text, "  refused", &queue.refused, all);
    row(text, "  left the queue", queue.left, all);
    row(text, "  never came back", queue.never_came_back, all);
    row(text, "  without an answer", queue.unanswered, all);
    let _ = writeln!(text, "  {}", balance(all, queue.ended()));
    let longest = report.seconds.iter().map(|second| second.waiting).max();
    row(
        text,
        "waiting at once, at most",
        longest.unwrap_or_default(),
        all,
    );
    if queue.served == 0 {
        return;
    }
    let wait = &report.wait_ms;
    let _ = writeln!(
        text,
        "\nWait of those who did as told           p50         p99       p99.9"
    );
    latency(text, "from joining or the opening", wait.from_joining);
    latency(text, "promised: at most", wait.promised_at_most);
    latency(text, "and took from then on", wait.from_estimate);
    if let Some(kept) = report.audit.honest_answer.count("estimates_kept_percent") {
        let _ = writeln!(text, "  {kept} % were served within their first estimate");
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        audit::Audit,
        measures::{Quantiles, QueueCounts},
        report::{table, table::tests::report},
    };

    #[test]
    fn the_queue_is_told_with_its_ends_its_waits_and_what_was_promised() {
        let mut audit = Audit::default();
        audit.honest_answer.add("estimates_kept_percent", 97);
        let mut report = report(Default::default(), audit);
        report.queue = QueueCounts {
            queued: 10,
            served: 6,
            left: 2,
            never_came_back: 1,
            ..QueueCounts::default()
        };
        report.wait_ms.promised_at_most = Quantiles {
            p50: 4_321.0,
            ..Quantiles::default()
        };
        let text = table(&report);
        for expected in [
            "served from the queue",
            "1 of them are NOT ACCOUNTED FOR",
            "promised: at most",
            "4321.0 ms",
            "97 % were served within",
        ] {
            assert!(text.contains(expected), "{expected} is missing in {text}");
        }
        report.queue.unanswered = 1;
        assert!(!table(&report).contains("NOT ACCOUNTED FOR"));
    }
}
