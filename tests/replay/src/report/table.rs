//! The table at the end of a run.

use std::{collections::BTreeMap, fmt::Write as _};

use super::Report;
use crate::measures::Quantiles;

pub fn table(report: &Report) -> String {
    let mut table = Table::default();
    table.claims(report);
    table.queue(report);
    table.orders(report);
    table.latencies(report);
    table.promises(report);
    table.0
}

#[derive(Default)]
struct Table(String);

impl Table {
    fn claims(&mut self, report: &Report) {
        let (claims, run) = (&report.picture.claims, &report.run);
        let (stock, seconds) = (grouped(run.stock), run.took_seconds);
        self.line(format_args!(
            "\nClaims on {} ({stock} coupons, {seconds:.0} s)",
            run.campaign_id
        ));
        let all = claims.offered;
        self.row("offered", all, all);
        self.row("  issued", claims.issued, all);
        let earlier = "  replayed (the coupon of an earlier send)";
        self.row(earlier, claims.replayed, all);
        self.reasons("  refused", &claims.refused, all);
        self.row("  gave up a place in the queue", claims.left, all);
        self.row("  never came back to a place", claims.never_came_back, all);
        self.row("  without an answer", claims.unanswered, all);
        self.balance(all, claims.ended());
    }

    /// How waits ended, how long they were, and what had been promised.
    fn queue(&mut self, report: &Report) {
        let (queue, wait) = (&report.picture.queue, &report.picture.wait_ms);
        let all = queue.queued;
        self.line("\nQueue");
        self.row("queued", all, report.picture.claims.offered);
        self.row("  served from the queue", queue.served, all);
        self.reasons("  refused", &queue.refused, all);
        self.row("  left the queue", queue.left, all);
        self.row("  never came back", queue.never_came_back, all);
        self.row("  without an answer", queue.unanswered, all);
        self.balance(all, queue.ended());
        let waiting = report.picture.seconds.iter().map(|now| now.waiting);
        let longest = waiting.max();
        self.row("waiting at once, at most", longest.unwrap_or_default(), all);
        if queue.served == 0 {
            return;
        }
        self.line("\nWait of those who did as told           p50         p99       p99.9");
        self.latency("from joining or the opening", wait.from_joining);
        self.latency("promised: at most", wait.promised_at_most);
        self.latency("and took from then on", wait.from_estimate);
        if let Some(kept) = report.audit.honest_answer.count("estimates_kept_percent") {
            self.line(format_args!(
                "  {kept} % were served within their first estimate"
            ));
        }
    }

    fn orders(&mut self, report: &Report) {
        let (orders, detours) = (&report.picture.orders, &report.picture.detours);
        let all = orders.placed;
        self.line("\nOrders");
        self.row("placed", all, all);
        self.row("  accepted", orders.accepted, all);
        self.reasons("  rejected", &orders.rejected, all);
        self.row("  without an answer", orders.unanswered, all);
        self.balance(all, orders.ended());
        for (name, count) in [
            ("answers that a store is full", detours.told_busy),
            ("accepted at a suggested store", detours.accepted_elsewhere),
            ("accepted for the later slot told", detours.accepted_later),
            ("cancelled after being accepted", detours.cancelled),
            ("accepted with a coupon given back", detours.accepted_anew),
        ] {
            self.row(name, count, all);
        }
        // What a plot shows at a glance, for those who read text.
        for store in &report.busiest_stores {
            let slots = &store.slots;
            let orders: i64 = slots.iter().map(|slot| slot.orders).sum();
            let full = slots.iter().filter(|slot| slot.orders >= slot.capacity);
            let capacity = slots.iter().map(|slot| slot.capacity).max();
            self.line(format_args!(
                "  {}: {orders} orders in {} slots of up to {}, {} of them full",
                store.store_id,
                slots.len(),
                capacity.unwrap_or_default(),
                full.count()
            ));
        }
    }

    fn latencies(&mut self, report: &Report) {
        let latency = &report.picture.latency_ms;
        self.line("\nLatency from the scheduled send     p50         p99       p99.9");
        self.latency("claim that never waited", latency.claim);
        self.latency("order", latency.order);
        self.latency("late in sending", latency.sending);
        if report.is_late() {
            self.line("  These figures are void: this machine was too busy to send claims when they were due");
        }
        let (again, lost) = (report.picture.retries, report.picture.answers_lost);
        self.line(format_args!(
            "  sent again {} times; {} answers lost on purpose",
            grouped(again),
            grouped(lost)
        ));
    }

    fn promises(&mut self, report: &Report) {
        self.line("\nPromises");
        for (name, finding) in report.audit.promises() {
            let holds = if finding.holds() { "holds " } else { "BROKEN" };
            let facts = finding.facts();
            let facts = facts.map(|(name, count)| format!("{} {count}", name.replace('_', " ")));
            let facts = facts.collect::<Vec<_>>().join(", ");
            self.line(format_args!("  {holds} {name:<16}{facts}"));
            for (wrong, count) in finding.wrong() {
                let wrong = wrong.replace('_', " ");
                self.line(format_args!("         {wrong}: {count}, and should be 0"));
            }
        }
    }

    fn line(&mut self, words: impl std::fmt::Display) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{words}");
    }

    fn row(&mut self, name: &str, count: u64, of: u64) {
        let share = match of > 0 && count != of {
            true => format!("{:>7.2} %", count as f64 * 100.0 / of as f64),
            false => String::new(),
        };
        self.line(format_args!("  {name:<44}{:>12}{share}", grouped(count)));
    }

    fn reasons(&mut self, verb: &str, reasons: &BTreeMap<String, u64>, of: u64) {
        for (reason, count) in reasons {
            self.row(&format!("{verb}: {reason}"), *count, of);
        }
    }

    fn balance(&mut self, all: u64, ended: u64) {
        match all.abs_diff(ended) {
            0 => self.line("  every one of them ended in exactly one of these"),
            lost => self.line(format_args!("  {lost} of them are NOT ACCOUNTED FOR")),
        }
    }

    fn latency(&mut self, name: &str, Quantiles { p50, p99, p999 }: Quantiles) {
        self.line(format_args!(
            "  {name:<28}{p50:>9.1} ms{p99:>9.1} ms{p999:>9.1} ms"
        ));
    }
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().collect();
    String::from_utf8_lossy(&groups.join(&b',')).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        audit::Audit,
        measures::{ClaimCounts, Picture, QueueCounts},
        report::RunFacts,
    };

    fn report(claims: ClaimCounts, audit: Audit) -> Report {
        let run = RunFacts {
            campaign_id: "day".to_owned(),
            stock: 1_234_567,
            ..RunFacts::default()
        };
        let picture = Picture {
            claims,
            ..Picture::default()
        };
        Report::new(run, picture, audit, Vec::new(), None)
    }

    fn assert_says(text: &str, words: &[&str]) {
        for words in words {
            assert!(text.contains(words), "{words} is missing in {text}");
        }
    }

    fn sound_audit() -> Audit {
        let mut audit = Audit::default();
        for finding in [
            &mut audit.never_oversold,
            &mut audit.exactly_once,
            &mut audit.acked_is_kept,
            &mut audit.redeemed_once,
            &mut audit.stores_survive,
            &mut audit.honest_answer,
            &mut audit.no_overtaking,
        ] {
            finding.add("wrong_rows", 0);
        }
        audit
    }

    #[test]
    fn claims_that_add_up_are_said_to_and_others_are_named() {
        let mut claims = ClaimCounts {
            offered: 10,
            issued: 6,
            replayed: 1,
            ..ClaimCounts::default()
        };
        claims.refused.insert("BUDGET_EXHAUSTED".to_owned(), 2);
        let short = report(claims.clone(), sound_audit());
        assert!(table(&short).contains("1 of them are NOT ACCOUNTED FOR") && !short.holds());
        claims.unanswered = 1;
        let whole = report(claims, sound_audit());
        let text = table(&whole);
        assert!(!text.contains("NOT ACCOUNTED") && whole.holds(), "{text}");
        assert_says(&text, &["refused: BUDGET_EXHAUSTED", "1,234,567 coupons"]);
    }

    #[test]
    fn a_broken_promise_is_named_with_its_count_and_fails_the_run() {
        let mut audit = sound_audit();
        audit.exactly_once.add("wrong_over_limit", 3);
        let report = report(ClaimCounts::default(), audit);
        let text = table(&report);
        let other = "holds  no-overtaking";
        assert_says(
            &text,
            &["BROKEN exactly-once", "wrong over limit: 3", other],
        );
        assert!(!report.holds());
    }

    #[test]
    fn the_queue_is_told_with_its_ends_its_waits_and_what_was_promised() {
        let mut audit = sound_audit();
        audit.honest_answer.add("estimates_kept_percent", 97);
        let mut report = report(ClaimCounts::default(), audit);
        report.picture.queue = QueueCounts {
            queued: 10,
            served: 6,
            left: 2,
            never_came_back: 1,
            ..QueueCounts::default()
        };
        report.picture.wait_ms.promised_at_most.p50 = 4_321.0;
        let text = table(&report);
        assert_says(
            &text,
            &["served from the queue", "1 of them are NOT ACCOUNTED FOR"],
        );
        assert_says(
            &text,
            &["promised: at most", "4321.0 ms", "97 % were served within"],
        );
        report.picture.queue.unanswered = 1;
        assert!(!table(&report).contains("NOT ACCOUNTED FOR"));
    }

    #[test]
    fn the_file_for_machines_has_the_documented_shape() {
        let value = serde_json::to_value(report(ClaimCounts::default(), sound_audit())).unwrap();
        let documented = "
            claims/offered claims/issued claims/replayed claims/refused queue/served queue/never_came_back
            wait_ms/from_joining/p50 wait_ms/promised_at_most/p99 orders/placed orders/accepted orders/rejected
            detours/told_busy busiest_stores latency_ms/claim/p50 latency_ms/order/p999 latency_ms/sending/p99
            audit/never_oversold/holds audit/redeemed_once/holds audit/stores_survive/holds
            audit/honest_answer/holds audit/no_overtaking/holds trace/trace_id trace/services";
        for place in documented.split_whitespace() {
            assert!(value.pointer(&format!("/{place}")).is_some(), "{place}");
        }
    }
}
