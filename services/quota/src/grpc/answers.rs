use std::{collections::BTreeMap, iter::zip};

use tidegate_proto::{quota::v1 as proto, r#type::v1 as wire_types};
use tidegate_rpc::wire;
use tidegate_types::{CampaignId, Cohort};

use super::requests::MAX_COHORTS;
use crate::{
    campaigns::Found,
    control::Halted,
    domain::{
        AuditReport, Availability, Campaign, LeaseAnswer, QueueSnapshot, QueueStanding, Standing,
    },
    store::KeptReport,
    told,
};

/// Cohorts that all queues of one answer tell: it has to fit into one message.
const MAX_COHORTS_OF_ANSWER: usize = 50_000;
/// Gateways that staff are told of, in the order of their names.
const MAX_GATEWAYS_TOLD: usize = 1_000;

told::same_on_the_wire! {
    proto::Availability { Granted, Returning, SoldOut }
}

pub(super) fn found(found: &Found) -> proto::LookupCampaignsResponse {
    let (ids, numbers) = (found.unknown.ids.iter(), found.unknown.numbers.iter());
    proto::LookupCampaignsResponse {
        campaigns: found.campaigns.iter().map(told::campaign).collect(),
        unknown_campaign_ids: ids.map(CampaignId::to_string).collect(),
        unknown_campaign_numbers: numbers.map(|number| number.get()).collect(),
    }
}

pub(super) fn halted(halted: &Halted) -> proto::HaltAllCampaignsResponse {
    let campaign = |standing: &Standing| proto::HaltedCampaign {
        campaign_id: standing.id.to_string(),
        control_epoch: standing.control.epoch,
        issuance_state: wire_types::IssuanceState::from(standing.issuance_state()).into(),
        redemption_state: wire_types::RedemptionState::from(standing.redemption_state()).into(),
    };
    proto::HaltAllCampaignsResponse {
        campaigns: halted.campaigns.iter().map(campaign).collect(),
        all_halted: halted.is_all,
    }
}

pub(super) fn lease(answer: &LeaseAnswer) -> proto::AcquireLeaseResponse {
    let granted = answer.granted.some();
    let granted = granted.map(|(tier, quantity)| proto::TierQuantity {
        tier_number: tier.get().into(),
        quantity,
    });
    let availability = |of: Availability| proto::Availability::from(of).into();
    let tiers = answer.tier_availability.iter();
    proto::AcquireLeaseResponse {
        granted: granted.collect(),
        availability: availability(answer.availability),
        tier_availability: tiers.map(|tier| availability(*tier)).collect(),
    }
}

pub(super) fn audit_report(
    campaign: &Campaign,
    report: AuditReport,
) -> proto::AuditCampaignResponse {
    let coverage = report.coverage;
    let oldest_lease = coverage.oldest_lease.map(|lease| lease.to_string());
    let tiers = zip(&campaign.terms.tiers, &report.tiers);
    let differences = report.differences.into_iter();
    proto::AuditCampaignResponse {
        tiers: tiers
            .map(|(tier, found)| proto::TierAudit {
                tier_id: tier.id.to_string(),
                stock: found.stock,
                free: found.at.free,
                leased: found.at.leased,
                settled: found.at.settled,
                coupons: found.coupons,
                coupons_on_live_leases: found.coupons_on_live_leases,
            })
            .collect(),
        differences: differences
            .map(|difference| proto::AuditDifference {
                kind: difference.kind.name().to_owned(),
                description: difference.description,
            })
            .collect(),
        difference_count: report.difference_count,
        leases: coverage.leases,
        coverage: Some(proto::AuditCoverage {
            is_complete: coverage.is_complete,
            leases_compared: coverage.leases,
            leases_left_out: coverage.leases_left_out,
            oldest_lease_id: oldest_lease.unwrap_or_default(),
            last_complete_at: coverage.last_complete_at.map(wire::timestamp),
            leases_forgotten: coverage.leases_forgotten,
        }),
    }
}

pub(super) fn queue_snapshots(snapshots: &[QueueSnapshot]) -> Vec<proto::QueueSnapshot> {
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

pub(super) fn queue_standing(
    standing: &QueueStanding,
    reports: &[KeptReport],
) -> proto::GetQueueResponse {
    let snapshot = &standing.snapshot;
    let pace = snapshot.pace.unwrap_or_default();
    let gateways = reports.iter().take(MAX_GATEWAYS_TOLD);
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
        gateways: gateways.map(gateway).collect(),
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

#[cfg(test)]
mod tests {
    use super::*;

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
