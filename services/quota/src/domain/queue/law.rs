//! Little's law: how many turns are called so that the gateways have as many claims as they can take, and no more.
//!
//! Nothing is estimated but the share of promises that are kept. What gateways can take, who waits at their doors, and who will come soon is counted there.

use std::collections::BTreeMap;

use tidegate_types::{Cohort, Turn};

use super::QueueReport;

/// Those of one cohort whose turns have not come, at all gateways.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Coming {
    pub all: f64,
    /// Those who would be there soon if they were called.
    pub soon: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Called {
    /// Turns before this one have come.
    pub watermark: Turn,
    /// Everybody is called, and the gateways could take more.
    pub is_all: bool,
}

/// Who waits, by cohort, of those whose turns have not come by now. What a gateway counted before it applied the watermark is corrected for: draws are spread evenly.
pub fn waiting(
    reports: &[QueueReport],
    watermark: Turn,
    share_kept: f64,
) -> BTreeMap<Cohort, Coming> {
    let mut cohorts = BTreeMap::<_, Coming>::new();
    for report in reports {
        for waiting in &report.waiting {
            let not_due = share_not_due(report.watermark, watermark, waiting.cohort);
            if not_due > 0.0 {
                let coming = cohorts.entry(waiting.cohort).or_default();
                coming.all += not_due * (waiting.held + waiting.promised) as f64;
                coming.soon +=
                    not_due * (waiting.held as f64 + share_kept * waiting.promised_soon as f64);
            }
        }
    }
    cohorts
}

/// Calls as many turns as the gateways can take beside those who are there, or will be soon.
pub fn call(reports: &[QueueReport], watermark: Turn, share_kept: f64, current: Cohort) -> Called {
    // Turns that wait at the door of one gateway do not fill the permits of another.
    let can_take = reports
        .iter()
        .map(|report| (report.can_take - report.at_door as f64).max(0.0));
    let mut missing = can_take.sum::<f64>() - to_come(reports, watermark, share_kept);
    let mut watermark = watermark;
    if missing <= 0.0 {
        return Called {
            watermark,
            is_all: false,
        };
    }
    for (cohort, coming) in waiting(reports, watermark, share_kept) {
        watermark = watermark.max(Turn::first_of(cohort));
        if coming.soon > missing {
            let due = watermark.share_before(cohort);
            let share = due + (1.0 - due) * missing / coming.soon;
            return Called {
                watermark: watermark.max(watermark.at_share(share)),
                is_all: false,
            };
        }
        missing -= coming.soon;
        // Those who join a cohort that is still to come are called one by one, or it would be used up before its time.
        watermark = if cohort <= current {
            Turn::first_of(cohort.plus(1))
        } else {
            watermark.at_share(1.0)
        };
    }
    Called {
        watermark: watermark.max(Turn::first_of(current.plus(1))),
        is_all: true,
    }
}

/// Turns that were called and are on their way.
fn to_come(reports: &[QueueReport], watermark: Turn, share_kept: f64) -> f64 {
    let of_one = |report: &QueueReport| {
        let unheard = report.waiting.iter().map(|waiting| {
            let due = 1.0 - share_not_due(report.watermark, watermark, waiting.cohort);
            due * (waiting.held as f64 + share_kept * waiting.promised_soon as f64)
        });
        share_kept * report.due_soon as f64 + unheard.sum::<f64>()
    };
    reports.iter().map(of_one).sum()
}

/// Turns that were called and have not come, whether or not they will.
pub fn called(reports: &[QueueReport], watermark: Turn) -> f64 {
    let of_one = |report: &QueueReport| {
        let unheard = report.waiting.iter().map(|waiting| {
            let due = 1.0 - share_not_due(report.watermark, watermark, waiting.cohort);
            due * (waiting.held + waiting.promised) as f64
        });
        report.due_soon as f64 + unheard.sum::<f64>()
    };
    reports.iter().map(of_one).sum()
}

/// Of those of a cohort whose turns had not come by one watermark, the share whose turns have not come by a later one.
fn share_not_due(before: Turn, now: Turn, cohort: Cohort) -> f64 {
    let not_due_before = 1.0 - before.share_before(cohort);
    if not_due_before <= 0.0 {
        return 0.0;
    }
    ((1.0 - now.share_before(cohort)) / not_due_before).min(1.0)
}
