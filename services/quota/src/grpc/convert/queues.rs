use std::collections::BTreeMap;

use tidegate_proto::quota::v1 as proto;
use tidegate_types::{CampaignNumber, Cohort, OutOfBounds, ReplicaId, Turn, Violations};

use super::{if_good, within};
use crate::{
    domain::{CohortWaiting, GatewayReport, QueueReport, QueueSnapshot},
    error::QuotaError,
};

const MAX_QUEUES: usize = 1_000;
const MAX_COHORTS: usize = 10_000;
/// Cohorts that all queues of one answer tell: it has to fit into one message.
const MAX_COHORTS_OF_ANSWER: usize = 50_000;
/// Far more than there can be at one gateway, and few enough to be added up.
const MAX_COUNT: u64 = 1_000_000_000;
/// What only grows may grow as far as the database can count.
const MAX_TOTAL: u64 = i64::MAX as u64;

pub(in crate::grpc) fn gateway_report(
    request: &proto::ReportQueuesRequest,
) -> Result<GatewayReport, QuotaError> {
    let mut bad = Violations::default();
    let gateway = bad.check("gateway_id", ReplicaId::parse(&request.gateway_id));
    let number = bad.check("report_number", within(request.report_number, 1, MAX_TOTAL));
    let queues = queues(&request.queues, &mut bad);
    let report = (|| {
        Some(GatewayReport {
            gateway: gateway?,
            number: number?,
            queues,
        })
    })();
    if_good(report, bad)
}

fn queues(queues: &[proto::QueueReport], bad: &mut Violations) -> Vec<QueueReport> {
    if queues.len() > MAX_QUEUES {
        bad.add(
            "queues",
            format!("must name at most {MAX_QUEUES} campaigns"),
        );
        return Vec::new();
    }
    let mut sorted = BTreeMap::new();
    for (place, queue) in queues.iter().enumerate() {
        let Some(report) = queue_report(place, queue, bad) else {
            continue;
        };
        if sorted.insert(report.campaign, report).is_some() {
            bad.add(
                format_args!("queues[{place}].campaign_number"),
                "must be named once only",
            );
        }
    }
    sorted.into_values().collect()
}

fn queue_report(
    place: usize,
    queue: &proto::QueueReport,
    bad: &mut Violations,
) -> Option<QueueReport> {
    let campaign = bad.check(
        format_args!("queues[{place}].campaign_number"),
        CampaignNumber::new(queue.campaign_number),
    );
    let mut rate =
        |name, value| bad.check(format_args!("queues[{place}].{name}"), finite_rate(value));
    let can_take = rate("can_take", queue.can_take);
    let served_per_second = rate("served_per_second", queue.served_per_second);
    let able_per_second = rate("able_per_second", queue.able_per_second);
    let mut count = |name, value, max| {
        bad.check(
            format_args!("queues[{place}].{name}"),
            within(value, 0, max),
        )
    };
    let at_door = count("at_door", queue.at_door, MAX_COUNT);
    let due_soon = count("due_soon", queue.due_soon, MAX_COUNT);
    let promises_ended = count("promises_ended", queue.promises_ended, MAX_TOTAL);
    let promises_kept = count("promises_kept", queue.promises_kept, MAX_TOTAL);
    let watermark_cohort = bad.check(
        format_args!("queues[{place}].watermark_cohort"),
        Cohort::new(queue.watermark_cohort),
    );
    let waiting = waiting(place, &queue.waiting, bad);
    Some(QueueReport {
        campaign: campaign?,
        wants_queue: queue.wants_queue,
        can_take: can_take?,
        served_per_second: served_per_second?,
        able_per_second: able_per_second?,
        at_door: at_door?,
        watermark: Turn {
            cohort: watermark_cohort?,
            draw: queue.watermark_draw,
        },
        due_soon: due_soon?,
        waiting,
        promises_ended: promises_ended?,
        promises_kept: promises_kept?,
    })
}

fn finite_rate(value: f64) -> Result<f64, OutOfBounds> {
    const BOUNDS: OutOfBounds = OutOfBounds {
        min: 0,
        max: MAX_COUNT,
    };
    let is_within = (0.0..=MAX_COUNT as f64).contains(&value);
    is_within.then_some(value).ok_or(BOUNDS)
}

fn waiting(
    place: usize,
    cohorts: &[proto::CohortWaiting],
    bad: &mut Violations,
) -> Vec<CohortWaiting> {
    if cohorts.len() > MAX_COHORTS {
        bad.add(
            format_args!("queues[{place}].waiting"),
            format!("must name at most {MAX_COHORTS} cohorts"),
        );
        return Vec::new();
    }
    let mut in_order: Vec<CohortWaiting> = Vec::with_capacity(cohorts.len());
    for (index, reported) in cohorts.iter().enumerate() {
        let mut field = |name, count| {
            bad.check(
                format_args!("queues[{place}].waiting[{index}].{name}"),
                within(count, 0, MAX_COUNT),
            )
        };
        let held = field("held", reported.held);
        let promised = field("promised", reported.promised);
        let promised_soon = field("promised_soon", reported.promised_soon);
        let last = in_order.last().map(|last| last.cohort);
        let cohort = Cohort::new(reported.cohort).map_err(|bounds| bounds.to_string());
        let cohort = cohort.and_then(|cohort| {
            let is_next = last.is_none_or(|last| last < cohort);
            is_next
                .then_some(cohort)
                .ok_or_else(|| "must be later than the one before".to_owned())
        });
        let cohort = bad.check(
            format_args!("queues[{place}].waiting[{index}].cohort"),
            cohort,
        );
        in_order.extend((|| {
            Some(CohortWaiting {
                cohort: cohort?,
                held: held?,
                promised: promised?,
                promised_soon: promised_soon?,
            })
        })());
    }
    in_order
}

pub(in crate::grpc) fn queue_snapshots(snapshots: &[QueueSnapshot]) -> Vec<proto::QueueSnapshot> {
    let waited_for = snapshots
        .iter()
        .filter(|snapshot| !snapshot.waiting.is_empty());
    let limit = (MAX_COHORTS_OF_ANSWER / waited_for.count().max(1)).min(MAX_COHORTS);
    let told = snapshots.iter().map(|snapshot| {
        let pace = snapshot.pace.unwrap_or_default();
        proto::QueueSnapshot {
            campaign_number: snapshot.campaign.get(),
            is_queueing: snapshot.is_queueing,
            current_cohort: snapshot.current_cohort.get(),
            current_cohort_age_ms: snapshot.current_cohort_age.subsec_millis(),
            watermark_cohort: snapshot.watermark.cohort.get(),
            watermark_draw: snapshot.watermark.draw,
            expired_before_cohort: snapshot.expired_before.cohort.get(),
            expired_before_draw: snapshot.expired_before.draw,
            slowest_pace_per_second: pace.slowest,
            fastest_pace_per_second: pace.fastest,
            able_per_second: snapshot.able_per_second,
            remaining: snapshot.remaining,
            waiting: cohort_counts(&snapshot.waiting, limit),
        }
    });
    told.collect()
}

/// At most so many cohorts: those beyond are counted into the last of them.
fn cohort_counts(waiting: &BTreeMap<Cohort, u64>, limit: usize) -> Vec<proto::CohortCount> {
    let mut counts: Vec<proto::CohortCount> = Vec::with_capacity(waiting.len().min(limit));
    for (cohort, waiting) in waiting {
        let is_full = counts.len() == limit;
        match counts.last_mut().filter(|_| is_full) {
            Some(last) => last.waiting += waiting,
            None => counts.push(proto::CohortCount {
                cohort: cohort.get(),
                waiting: *waiting,
            }),
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> proto::ReportQueuesRequest {
        let waiting = |cohort| proto::CohortWaiting {
            cohort,
            held: 3,
            promised: 2,
            promised_soon: 1,
        };
        let queue = |campaign_number| proto::QueueReport {
            campaign_number,
            waiting: vec![waiting(0), waiting(9)],
            ..proto::QueueReport::default()
        };
        proto::ReportQueuesRequest {
            gateway_id: "gateway-0/9f3c01ab".to_owned(),
            report_number: 1,
            queues: vec![queue(8), queue(7)],
        }
    }

    #[test]
    fn campaigns_are_sorted_as_their_locks_are_taken() {
        let report = gateway_report(&request()).unwrap();
        let campaigns = report.queues.iter().map(|queue| queue.campaign.get());
        assert_eq!(campaigns.collect::<Vec<_>>(), [7, 8]);
        assert_eq!(
            report.of(report.queues[1].campaign).unwrap().waiting.len(),
            2
        );
    }

    #[test]
    fn every_bad_field_of_a_report_is_named() {
        let mut bad = request();
        bad.gateway_id = "a gateway".to_owned();
        bad.report_number = 0;
        bad.queues[0].campaign_number = 7;
        bad.queues[0].can_take = f64::NAN;
        bad.queues[0].able_per_second = f64::INFINITY;
        bad.queues[0].at_door = u64::MAX;
        bad.queues[0].watermark_cohort = u64::MAX;
        bad.queues[0].waiting[0].held = u64::MAX;
        bad.queues[1].waiting[1].cohort = 0;
        let Err(QuotaError::InvalidFields(named)) = gateway_report(&bad) else {
            panic!("bad fields must be named");
        };
        let fields: Vec<_> = named.into_vec().into_iter().map(|bad| bad.field).collect();
        assert_eq!(
            fields,
            [
                "gateway_id",
                "report_number",
                "queues[0].can_take",
                "queues[0].able_per_second",
                "queues[0].at_door",
                "queues[0].watermark_cohort",
                "queues[0].waiting[0].held",
                "queues[1].waiting[1].cohort",
            ]
        );
        bad = request();
        bad.queues[1].campaign_number = 8;
        assert!(gateway_report(&bad).is_err());
        bad = request();
        bad.queues[0].waiting = vec![proto::CohortWaiting::default(); MAX_COHORTS + 1];
        assert!(gateway_report(&bad).is_err());
    }

    #[test]
    fn cohorts_beyond_what_an_answer_tells_are_counted_into_the_last() {
        let waiting = (0..5).map(|number| (Cohort::new(number).unwrap(), 10 + number));
        let waiting: BTreeMap<_, _> = waiting.collect();
        let told = |limit| {
            let counts = cohort_counts(&waiting, limit);
            let counts = counts.iter().map(|count| (count.cohort, count.waiting));
            counts.collect::<Vec<_>>()
        };
        assert_eq!(told(3), [(0, 10), (1, 11), (2, 12 + 13 + 14)]);
        assert_eq!(told(9).len(), 5);
    }
}
