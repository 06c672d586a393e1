//! The table at the end of a run.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{Report, queue_rows};
use crate::{audit::BookedStore, replay::measures::Quantiles};

/// The result of a run for a person.
pub fn table(report: &Report) -> String {
    let mut text = String::new();
    let claims = &report.claims;
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "\nClaims on {} ({} coupons, {:.0} s)",
        report.run.campaign_id,
        grouped(report.run.stock),
        report.run.took_seconds
    );
    row(&mut text, "offered", claims.offered, claims.offered);
    row(&mut text, "  issued", claims.issued, claims.offered);
    row(
        &mut text,
        "  replayed (the coupon of an earlier send)",
        claims.replayed,
        claims.offered,
    );
    reasons(&mut text, "  refused", &claims.refused, claims.offered);
    for (name, count) in [
        ("  gave up a place in the queue", claims.left),
        ("  never came back to a place", claims.never_came_back),
        ("  without an answer", claims.unanswered),
    ] {
        row(&mut text, name, count, claims.offered);
    }
    let _ = writeln!(text, "  {}", balance(claims.offered, claims.ended()));
    queue_rows::write(&mut text, report);

    let orders = &report.orders;
    let _ = writeln!(text, "\nOrders");
    row(&mut text, "placed", orders.placed, orders.placed);
    row(&mut text, "  accepted", orders.accepted, orders.placed);
    reasons(&mut text, "  rejected", &orders.rejected, orders.placed);
    row(
        &mut text,
        "  without an answer",
        orders.unanswered,
        orders.placed,
    );
    let _ = writeln!(text, "  {}", balance(orders.placed, orders.ended()));
    let detours = &report.detours;
    for (name, count) in [
        ("answers that a store is full", detours.told_busy),
        ("accepted at a suggested store", detours.accepted_elsewhere),
        ("accepted for the later slot told", detours.accepted_later),
        ("cancelled after being accepted", detours.cancelled),
        ("accepted with a coupon given back", detours.accepted_anew),
    ] {
        row(&mut text, name, count, orders.placed);
    }
    busiest(&mut text, &report.busiest_stores);

    let _ = writeln!(
        text,
        "\nLatency from the scheduled send     p50         p99       p99.9"
    );
    latency(
        &mut text,
        "claim that never waited",
        report.latency_ms.claim,
    );
    latency(&mut text, "order", report.latency_ms.order);
    latency(&mut text, "late in sending", report.latency_ms.sending);
    if report.is_late() {
        let _ = writeln!(
            text,
            "  These figures are void: this machine was too busy to send claims when they were due"
        );
    }
    let _ = writeln!(
        text,
        "  sent again {} times; {} answers lost on purpose",
        grouped(report.run.retries),
        grouped(report.run.answers_lost)
    );

    let _ = writeln!(text, "\nPromises");
    for (name, finding) in report.audit.promises() {
        let facts: Vec<_> = finding
            .facts()
            .map(|(name, count)| format!("{} {count}", name.replace('_', " ")))
            .collect();
        let _ = writeln!(
            text,
            "  {} {name:<16}{}",
            if finding.holds() { "holds " } else { "BROKEN" },
            facts.join(", ")
        );
        for (wrong, count) in finding.wrong() {
            let _ = writeln!(
                text,
                "         {}: {count}, and should be 0",
                wrong.replace('_', " ")
            );
        }
    }
    text
}

pub(super) fn row(text: &mut String, name: &str, count: u64, of: u64) {
    let share = if of > 0 && count != of {
        format!("{:>7.2} %", count as f64 * 100.0 / of as f64)
    } else {
        String::new()
    };
    let _ = writeln!(text, "  {name:<44}{:>12}{share}", grouped(count));
}

/// The fullest slot of each of the busiest stores: what a plot shows at a glance, for those who read text.
fn busiest(text: &mut String, stores: &[BookedStore]) {
    for store in stores {
        let orders: i64 = store.slots.iter().map(|slot| slot.orders).sum();
        let full = store
            .slots
            .iter()
            .filter(|slot| slot.orders >= slot.capacity);
        let capacity = store.slots.iter().map(|slot| slot.capacity).max();
        let _ = writeln!(
            text,
            "  {}: {orders} orders in {} slots of up to {}, {} of them full",
            store.store_id,
            store.slots.len(),
            capacity.unwrap_or_default(),
            full.count()
        );
    }
}

pub(super) fn reasons(text: &mut String, verb: &str, reasons: &BTreeMap<String, u64>, of: u64) {
    for (reason, count) in reasons {
        row(text, &format!("{verb}: {reason}"), *count, of);
    }
}

pub(super) fn balance(offered: u64, ended: u64) -> String {
    if offered == ended {
        "every one of them ended in exactly one of these".to_owned()
    } else {
        format!("{} of them are NOT ACCOUNTED FOR", offered.abs_diff(ended))
    }
}

pub(super) fn latency(text: &mut String, name: &str, quantiles: Quantiles) {
    let _ = writeln!(
        text,
        "  {name:<28}{:>9.1} ms{:>9.1} ms{:>9.1} ms",
        quantiles.p50, quantiles.p99, quantiles.p999
    );
}

/// Digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{
        audit::Audit,
        replay::measures::{ClaimCounts, Picture},
        report::RunFacts,
    };

    pub(in crate::report) fn report(claims: ClaimCounts, audit: Audit) -> Report {
        let run = RunFacts {
            campaign_id: "day".to_owned(),
            stock: 1_234_567,
            planned_orders: 10,
            minutes: 1.0,
            early_share: 0.1,
            opening_second: 5.0,
            seed: 1,
            took_seconds: 60.0,
            retries: 0,
            answers_lost: 0,
            gateways: Vec::new(),
        };
        Report::new(
            run,
            Picture {
                claims,
                ..Picture::default()
            },
            audit,
            Vec::new(),
            None,
        )
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
        assert!(
            text.contains("refused: BUDGET_EXHAUSTED") && text.contains("1,234,567 coupons"),
            "{text}"
        );
    }

    #[test]
    fn a_broken_promise_is_named_with_its_count_and_fails_the_run() {
        let mut audit = sound_audit();
        audit.exactly_once.add("wrong_over_limit", 3);
        audit.no_overtaking.add("wrong_shoppers_overtaken", 1);
        let report = report(ClaimCounts::default(), audit);
        assert!(table(&report).contains("BROKEN no-overtaking"));
        assert!(
            table(&report).contains("BROKEN exactly-once")
                && table(&report).contains("wrong over limit: 3"),
            "{}",
            table(&report)
        );
        assert!(!report.holds());
    }

    #[test]
    fn the_file_for_machines_has_the_documented_shape() {
        let value = serde_json::to_value(report(ClaimCounts::default(), sound_audit())).unwrap();
        for pointer in [
            "/claims/offered",
            "/claims/issued",
            "/claims/replayed",
            "/claims/refused",
            "/orders/placed",
            "/orders/accepted",
            "/orders/rejected",
        ] {
            assert!(value.pointer(pointer).is_some(), "{pointer}");
        }
        for pointer in [
            "/latency_ms/claim/p50",
            "/latency_ms/order/p999",
            "/latency_ms/sending/p99",
            "/audit/never_oversold/holds",
            "/audit/redeemed_once/holds",
            "/audit/stores_survive/holds",
            "/audit/honest_answer/holds",
            "/audit/no_overtaking/holds",
            "/queue/served",
            "/queue/never_came_back",
            "/wait_ms/from_joining/p50",
            "/wait_ms/promised_at_most/p99",
            "/detours/told_busy",
            "/busiest_stores",
            "/trace/trace_id",
            "/trace/services",
        ] {
            assert!(value.pointer(pointer).is_some(), "{pointer}");
        }
    }
}
