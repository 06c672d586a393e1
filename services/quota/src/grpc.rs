//! The gRPC services: decode, call, encode.

mod answers;
mod calls;
mod campaigns;
mod requests;

use tidegate_proto::quota::v1::{
    campaign_service_server, campaign_service_server::CampaignServiceServer, lease_service_server,
    lease_service_server::LeaseServiceServer, queue_service_server,
    queue_service_server::QueueServiceServer,
};
use tidegate_rpc::{MAX_MESSAGE_BYTES, access_rules, server::Rule};
use tonic::service::Routes;

use crate::{
    audit::Auditor, campaigns::Campaigns, control::Controls, leases::Leases, metrics::Metrics,
    queues::Queues, watch::Watch,
};

pub(crate) const SERVICE_NAMES: &[&str] = &[
    campaign_service_server::SERVICE_NAME,
    lease_service_server::SERVICE_NAME,
    queue_service_server::SERVICE_NAME,
];

/// Who may call what: staff by their token, services by their certificate.
pub const RULES: &[Rule] = access_rules! {
    "tidegate.quota.v1.CampaignService" {
        CreateCampaign: Staff, token CampaignsWrite;
        AddBudget: Staff, token CampaignsWrite;
        SetCampaignControl: Staff, token CampaignsWrite;
        ExtendValidity: Staff, token CampaignsWrite;
        UpdateCampaign: Staff, token CampaignsWrite;
        EndCampaign: Staff, token CampaignsWrite;
        HaltAllCampaigns: Staff, token CampaignsWrite;
        ListChanges: Staff, token ChangesRead;
        AuditCampaign: Staff, token CampaignsRead;
        GetCampaign: Staff, token CampaignsRead;
        ListCampaigns: Staff, token CampaignsRead;
        WatchCampaigns: Streams, by [Gateway, Issuance, OrderIntake], token CampaignsRead;
        LookupCampaigns: Inner, by [Gateway, Issuance];
    }
    "tidegate.quota.v1.LeaseService" {
        AcquireLease: Inner, by [Issuance];
        ReturnLease: Inner, by [Issuance];
        RenewLeases: Inner, by [Issuance];
    }
    "tidegate.quota.v1.QueueService" {
        ReportQueues: Inner, by [Gateway];
        GetQueue: Staff, token CampaignsRead;
    }
};

/// What answers calls. Refusals are counted.
#[derive(Clone)]
pub(crate) struct UseCases {
    pub(crate) campaigns: Campaigns,
    pub(crate) controls: Controls,
    pub(crate) auditor: Auditor,
    pub(crate) leases: Leases,
    pub(crate) queues: Queues,
    pub(crate) watch: Watch,
    pub(crate) metrics: Metrics,
}

pub(crate) fn add(routes: Routes, use_cases: UseCases) -> Routes {
    routes
        .add_service(
            CampaignServiceServer::new(use_cases.clone())
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES),
        )
        .add_service(
            LeaseServiceServer::new(use_cases.clone())
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES),
        )
        .add_service(
            QueueServiceServer::new(use_cases)
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES),
        )
}

#[cfg(test)]
mod tests {
    use tidegate_auth::{Identity, Scope};
    use tidegate_rpc::server::faults_of_rules;

    use super::*;

    #[test]
    fn every_method_has_one_rule_and_every_rule_a_method() {
        assert_eq!(faults_of_rules(RULES, SERVICE_NAMES), [""; 0]);
    }

    #[test]
    fn only_issuance_moves_stock_and_only_gateways_report_and_no_token_opens_that() {
        let of =
            |service: &'static str| RULES.iter().filter(move |rule| rule.path.contains(service));
        for rule in of("LeaseService") {
            assert_eq!(
                (rule.services, rule.scope),
                (&[Identity::Issuance][..], None)
            );
        }
        let reporting = of("ReportQueues").map(|rule| (rule.services, rule.scope));
        let gateways = (&[Identity::Gateway][..], None);
        assert_eq!(reporting.collect::<Vec<_>>(), [gateways]);
    }

    #[test]
    fn what_staff_change_and_what_was_changed_takes_a_token_with_the_scope_for_it() {
        const CHANGING: [&str; 7] = ["Create", "Update", "Add", "Set", "Extend", "End", "HaltAll"];
        for rule in RULES {
            let (_, method) = rule.path.rsplit_once('/').unwrap();
            let is_change = CHANGING.iter().any(|verb| method.starts_with(verb));
            let scope = match method {
                _ if is_change => Some(Scope::CampaignsWrite),
                "ListChanges" => Some(Scope::ChangesRead),
                _ if rule.scope.is_some() => Some(Scope::CampaignsRead),
                _ => None,
            };
            assert_eq!(rule.scope, scope, "{method}");
            let is_for_staff_alone = is_change || ["GetQueue", "ListChanges"].contains(&method);
            assert!(!is_for_staff_alone || rule.services.is_empty(), "{method}");
        }
    }
}
