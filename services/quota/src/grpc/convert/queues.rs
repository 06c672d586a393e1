use std::collections::BTreeMap;

use tidegate_proto::quota::v1 as proto;
use tidegate_rpc::wire;
use tidegate_types::{CampaignNumber, ReplicaId, Violations};

use super::{if_good, within};
use crate::{
    QuotaError,
    domain::{Cohort, CohortNews, CohortStanding, GatewayReport, QueueReport, QueueStanding},
};

const MAX_QUEUES: usize = 1_000;
const MAX_COHORTS: usize = 10_000;
/// Far more than a gateway can hand out between two reports, and few enough to be added up for ever.
const MAX_TICKETS: u64 = 1_000_000_000;
const MAX_VERSION: u64 = i64::MAX as u64;

pub(in crate::grpc) fn gateway_report(
    request: &proto::ReportQueuesRequest,
) -> Result<GatewayReport, QuotaError> {
    let mut bad = Violations::default();
    let gateway = bad.check("gateway_id", ReplicaId::parse(&request.gateway_id));
    let number = bad.check(
        "report_number",
        within(request.report_number, 1, MAX_VERSION),
    );
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
    let queue_delay = match queue.queue_delay {
        None => Some(None),
        Some(delay) => bad.check(
            format_args!("queues[{place}].queue_delay"),
            wire::span(delay)
                .map(Some)
                .ok_or("must be a span of time that is not negative"),
        ),
    };
    let known_version = bad.check(
        format_args!("queues[{place}].known_version"),
        within(queue.known_version, 0, MAX_VERSION),
    );
    let cohorts = cohorts(place, &queue.cohorts, bad);
    Some(QueueReport {
        campaign: campaign?,
        cohorts,
        wants_queue: queue.wants_queue,
        queue_delay: queue_delay?,
        issued: queue.issued,
        kept: queue.kept,
        known_version: known_version?,
    })
}

fn cohorts(place: usize, cohorts: &[proto::CohortReport], bad: &mut Violations) -> Vec<CohortNews> {
    if cohorts.len() > MAX_COHORTS {
        bad.add(
            format_args!("queues[{place}].cohorts"),
            format!("must name at most {MAX_COHORTS} cohorts"),
        );
        return Vec::new();
    }
    let mut sorted = BTreeMap::new();
    for (index, report) in cohorts.iter().enumerate() {
        let mut field = |name, count| {
            bad.check(
                format_args!("queues[{place}].cohorts[{index}].{name}"),
                within(count, 0, MAX_TICKETS),
            )
        };
        let counts = (
            field("joined", report.joined),
            field("served", report.served),
            field("left", report.left),
        );
        let cohort = bad.check(
            format_args!("queues[{place}].cohorts[{index}].cohort"),
            Cohort::new(report.cohort),
        );
        let (Some(cohort), (Some(joined), Some(served), Some(left))) = (cohort, counts) else {
            continue;
        };
        let news = CohortNews {
            cohort,
            joined,
            served,
            left,
        };
        if sorted.insert(cohort, news).is_some() {
            bad.add(
                format_args!("queues[{place}].cohorts[{index}].cohort"),
                "must be named once only",
            );
        }
    }
    sorted.into_values().collect()
}

pub(in crate::grpc) fn queue_standing(standing: &QueueStanding) -> proto::QueueStanding {
    let pace = standing.pace.as_ref();
    proto::QueueStanding {
        campaign_number: standing.campaign.get(),
        is_queueing: standing.is_queueing,
        current_cohort: standing.current_cohort.get(),
        watermark_cohort: standing.watermark.cohort.get(),
        watermark_draw: standing.watermark.draw,
        pace_per_second: pace.map_or(0.0, |pace| pace.per_second),
        slowest_pace_per_second: pace.map_or(0.0, |pace| pace.slowest_per_second),
        fastest_pace_per_second: pace.map_or(0.0, |pace| pace.fastest_per_second),
        version: standing.version,
        cohorts: standing.cohorts.iter().map(cohort_standing).collect(),
        oldest_cohort: standing.oldest_cohort.get(),
        remaining: standing.remaining,
        serving_second: standing.serving_second,
        current_cohort_age_ms: standing.current_cohort_age.subsec_millis(),
    }
}

fn cohort_standing(standing: &CohortStanding) -> proto::CohortStanding {
    proto::CohortStanding {
        cohort: standing.counts.cohort.get(),
        joined: standing.counts.joined,
        left: standing.counts.left,
        due_second: standing.due_second,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> proto::ReportQueuesRequest {
        let cohort = |cohort| proto::CohortReport {
            cohort,
            joined: 3,
            served: 2,
            left: 1,
        };
        let queue = |campaign_number| proto::QueueReport {
            campaign_number,
            cohorts: vec![cohort(9), cohort(0)],
            ..proto::QueueReport::default()
        };
        proto::ReportQueuesRequest {
            gateway_id: "gateway-0/9f3c01ab".to_owned(),
            report_number: 1,
            queues: vec![queue(8), queue(7)],
        }
    }

    #[test]
    fn campaigns_and_cohorts_are_sorted_as_their_locks_are_taken() {
        let report = gateway_report(&request()).unwrap();
        let campaigns: Vec<_> = report
            .queues
            .iter()
            .map(|queue| queue.campaign.get())
            .collect();
        assert_eq!(campaigns, [7, 8]);
        let cohorts = report.queues[0].cohorts.iter();
        assert_eq!(
            cohorts.map(|news| news.cohort.get()).collect::<Vec<_>>(),
            [0, 9]
        );
        assert_eq!(report.queues[0].totals(), (6, 4, 2));
    }

    #[test]
    fn every_bad_field_of_a_report_is_named() {
        let mut bad = request();
        bad.gateway_id = "a gateway".to_owned();
        bad.report_number = 0;
        bad.queues[0].campaign_number = 7;
        bad.queues[0].queue_delay = Some(prost_types::Duration {
            seconds: -1,
            nanos: 0,
        });
        bad.queues[0].cohorts[0].joined = u64::MAX;
        bad.queues[1].cohorts[1].cohort = 9;
        let Err(QuotaError::InvalidFields(named)) = gateway_report(&bad) else {
            panic!("bad fields must be named");
        };
        let fields: Vec<_> = named.into_vec().into_iter().map(|bad| bad.field).collect();
        assert_eq!(
            fields,
            [
                "gateway_id",
                "report_number",
                "queues[0].queue_delay",
                "queues[0].cohorts[0].joined",
                "queues[1].cohorts[1].cohort",
            ]
        );
        bad = request();
        bad.queues[1].campaign_number = 8;
        assert!(gateway_report(&bad).is_err());
        bad = request();
        bad.queues[0].cohorts = vec![proto::CohortReport::default(); MAX_COHORTS + 1];
        assert!(gateway_report(&bad).is_err());
    }
}
