use tidegate_proto::quota::v1 as proto;
use tidegate_rpc::wire;

use crate::{domain::QueueStanding, store::KeptReport};

/// Gateways that staff are told of, in the order of their names.
const MAX_GATEWAYS_TOLD: usize = 1_000;

pub(in crate::grpc) fn queue_standing(
    standing: &QueueStanding,
    reports: &[KeptReport],
) -> proto::GetQueueResponse {
    let snapshot = &standing.snapshot;
    let pace = snapshot.pace.unwrap_or_default();
    proto::GetQueueResponse {
        is_queueing: snapshot.is_queueing,
        waiting: standing.waiting(),
        oldest_joined_at: standing.oldest_joined_at.map(wire::timestamp),
        slowest_pace_per_second: pace.slowest,
        fastest_pace_per_second: pace.fastest,
        able_per_second: snapshot.able_per_second,
        called: standing.called,
        at_door: standing.at_door,
        credit: standing.credit,
        remaining: snapshot.remaining,
        gateways: reports
            .iter()
            .take(MAX_GATEWAYS_TOLD)
            .map(gateway)
            .collect(),
    }
}

fn gateway(kept: &KeptReport) -> proto::GatewayQueue {
    let report = &kept.report;
    let waiting = report.waiting.iter();
    proto::GatewayQueue {
        gateway_id: kept.gateway.to_string(),
        reported_at: Some(wire::timestamp(kept.reported_at)),
        wants_queue: kept.wanted_queue,
        can_take: report.can_take,
        served_per_second: report.served_per_second,
        able_per_second: report.able_per_second,
        at_door: report.at_door,
        waiting: waiting.map(|cohort| cohort.held + cohort.promised).sum(),
    }
}
