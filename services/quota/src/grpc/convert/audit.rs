use tidegate_proto::quota::v1 as proto;

use tidegate_rpc::wire;

use crate::domain::{AuditReport, Campaign, Coverage};

pub(in crate::grpc) fn audit_report(
    campaign: &Campaign,
    report: AuditReport,
) -> proto::AuditCampaignResponse {
    let tiers = campaign.terms.tiers.iter().zip(&report.tiers);
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
        leases: report.coverage.leases,
        coverage: Some(coverage(&report.coverage)),
    }
}

fn coverage(coverage: &Coverage) -> proto::AuditCoverage {
    proto::AuditCoverage {
        is_complete: coverage.is_complete,
        leases_compared: coverage.leases,
        leases_left_out: coverage.leases_left_out,
        oldest_lease_id: coverage
            .oldest_lease
            .map_or_else(String::new, |lease| lease.to_string()),
        last_complete_at: coverage.last_complete_at.map(wire::timestamp),
        leases_forgotten: coverage.leases_forgotten,
    }
}
