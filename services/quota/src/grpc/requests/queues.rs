use std::{collections::BTreeMap, fmt};

use tidegate_proto::quota::v1 as proto;
use tidegate_types::{CampaignNumber, Cohort, OutOfBounds, ReplicaId, Turn, Violations};

use super::{if_good, within};
use crate::{
    domain::{CohortWaiting, GatewayReport, QueueReport},
    error::Result,
};

const MAX_QUEUES: usize = 1_000;
pub(in crate::grpc) const MAX_COHORTS: usize = 10_000;
/// Far more than there can be at one gateway, and few enough to be added up.
const MAX_COUNT: u64 = 1_000_000_000;
/// What only grows may grow as far as the database can count.
const MAX_TOTAL: u64 = i64::MAX as u64;

pub(in crate::grpc) fn gateway_report(
    request: &proto::ReportQueuesRequest,
) -> Result<GatewayReport> {
    let mut bad = Violations::default();
    let report = all!(GatewayReport {
        gateway: bad.check("gateway_id", ReplicaId::parse(&request.gateway_id)),
        number: bad.check("report_number", within(request.report_number, 1, MAX_TOTAL)),
        queues: Some(queues(&request.queues, &mut bad)),
    });
    if_good(report, bad)
}

fn queues(queues: &[proto::QueueReport], bad: &mut Violations) -> Vec<QueueReport> {
    if queues.len() > MAX_QUEUES {
        let what = format!("must name at most {MAX_QUEUES} campaigns");
        bad.add("queues", what);
        return Vec::new();
    }
    let mut sorted = BTreeMap::new();
    for (place, queue) in queues.iter().enumerate() {
        let field = |name| fmt::from_fn(move |f| write!(f, "queues[{place}].{name}"));
        let Some(report) = queue_report(field, queue, bad) else {
            continue;
        };
        if sorted.insert(report.campaign, report).is_some() {
            bad.add(field("campaign_number"), "must be named once only");
        }
    }
    sorted.into_values().collect()
}

fn queue_report<Field: fmt::Display>(
    field: impl Fn(&'static str) -> Field,
    queue: &proto::QueueReport,
    bad: &mut Violations,
) -> Option<QueueReport> {
    let campaign = CampaignNumber::new(queue.campaign_number);
    let campaign = bad.check(field("campaign_number"), campaign);
    let mut rate = |name, value| bad.check(field(name), finite_rate(value));
    let can_take = rate("can_take", queue.can_take);
    let served_per_second = rate("served_per_second", queue.served_per_second);
    let able_per_second = rate("able_per_second", queue.able_per_second);
    let mut count = |name, value, max| bad.check(field(name), within(value, 0, max));
    all!(QueueReport {
        campaign,
        wants_queue: Some(queue.wants_queue),
        can_take,
        served_per_second,
        able_per_second,
        at_door: count("at_door", queue.at_door, MAX_COUNT),
        due_soon: count("due_soon", queue.due_soon, MAX_COUNT),
        promises_ended: count("promises_ended", queue.promises_ended, MAX_TOTAL),
        promises_kept: count("promises_kept", queue.promises_kept, MAX_TOTAL),
        watermark: all!(Turn {
            cohort: bad.check(
                field("watermark_cohort"),
                Cohort::new(queue.watermark_cohort)
            ),
            draw: Some(queue.watermark_draw),
        }),
        waiting: Some(waiting(field("waiting"), &queue.waiting, bad)),
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
    field: impl fmt::Display,
    cohorts: &[proto::CohortWaiting],
    bad: &mut Violations,
) -> Vec<CohortWaiting> {
    if cohorts.len() > MAX_COHORTS {
        bad.add(field, format!("must name at most {MAX_COHORTS} cohorts"));
        return Vec::new();
    }
    let mut in_order: Vec<CohortWaiting> = Vec::with_capacity(cohorts.len());
    for (index, reported) in cohorts.iter().enumerate() {
        let mut count = |name, count| {
            let field = format_args!("{field}[{index}].{name}");
            bad.check(field, within(count, 0, MAX_COUNT))
        };
        let held = count("held", reported.held);
        let promised = count("promised", reported.promised);
        let promised_soon = count("promised_soon", reported.promised_soon);
        let last = in_order.last().map(|last| last.cohort);
        let cohort = match Cohort::new(reported.cohort) {
            Ok(cohort) if last.is_some_and(|last| last >= cohort) => {
                Err("must be later than the one before".to_owned())
            }
            cohort => cohort.map_err(|bounds| bounds.to_string()),
        };
        in_order.extend(all!(CohortWaiting {
            cohort: bad.check(format_args!("{field}[{index}].cohort"), cohort),
            held,
            promised,
            promised_soon,
        }));
    }
    in_order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::QuotaError;

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
        let later = report.of(report.queues[1].campaign).unwrap();
        assert_eq!(later.waiting.len(), 2);
    }

    #[test]
    fn every_bad_field_of_a_report_is_named() {
        let bad_fields = |make_bad: fn(&mut proto::ReportQueuesRequest)| {
            let mut bad = request();
            make_bad(&mut bad);
            let Err(QuotaError::InvalidFields(named)) = gateway_report(&bad) else {
                panic!("bad fields must be named");
            };
            let fields = named.into_vec().into_iter().map(|bad| bad.field);
            fields.collect::<Vec<_>>().join(" ")
        };
        let fields = bad_fields(|bad| {
            bad.gateway_id = "a gateway".to_owned();
            bad.report_number = 0;
            bad.queues[0].campaign_number = 7;
            bad.queues[0].can_take = f64::NAN;
            bad.queues[0].able_per_second = f64::INFINITY;
            bad.queues[0].at_door = u64::MAX;
            bad.queues[0].watermark_cohort = u64::MAX;
            bad.queues[0].waiting[0].held = u64::MAX;
            bad.queues[1].waiting[1].cohort = 0;
        });
        let expected = "gateway_id report_number queues[0].can_take queues[0].able_per_second \
            queues[0].at_door queues[0].watermark_cohort queues[0].waiting[0].held \
            queues[1].waiting[1].cohort";
        assert_eq!(fields, expected);
        let fields = bad_fields(|bad| bad.queues[1].campaign_number = 8);
        assert_eq!(fields, "queues[1].campaign_number");
        let fields = bad_fields(|bad| {
            bad.queues[0].waiting = vec![proto::CohortWaiting::default(); MAX_COHORTS + 1];
        });
        assert_eq!(fields, "queues[0].waiting");
    }
}
