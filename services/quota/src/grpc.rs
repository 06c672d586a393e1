//! The gRPC services: decode, call, encode.

mod campaigns;
mod convert;
mod leases;
mod queues;
mod status;

use tidegate_proto::quota::v1::{
    campaign_service_server, campaign_service_server::CampaignServiceServer, lease_service_server,
    lease_service_server::LeaseServiceServer, queue_service_server,
    queue_service_server::QueueServiceServer,
};
use tidegate_rpc::{MAX_MESSAGE_BYTES, access_rules, server::Rule};
use tonic::service::Routes;

use self::{campaigns::CampaignGrpc, leases::LeaseGrpc, queues::QueueGrpc, status::Answers};
use crate::{
    Metrics, audit::Auditor, campaigns::Campaigns, control::Controls, leases::Leases,
    queues::Queues, watch::Watch,
};

/// Full names of the gRPC services.
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

pub(crate) struct UseCases {
    pub(crate) campaigns: Campaigns,
    pub(crate) controls: Controls,
    pub(crate) auditor: Auditor,
    pub(crate) leases: Leases,
    pub(crate) queues: Queues,
    pub(crate) watch: Watch,
    #[cfg(feature = "mutations")]
    pub(crate) mutation: Option<crate::mutation::Mutation>,
}

pub(crate) fn add(routes: Routes, use_cases: UseCases, metrics: Metrics) -> Routes {
    let answers = Answers::new(metrics);
    let UseCases {
        campaigns,
        controls,
        auditor,
        leases,
        queues,
        watch,
        #[cfg(feature = "mutations")]
        mutation,
    } = use_cases;
    let campaigns = CampaignServiceServer::new(CampaignGrpc {
        campaigns,
        controls,
        auditor,
        watch,
        answers: answers.clone(),
        #[cfg(feature = "mutations")]
        mutation,
    });
    let leases = LeaseServiceServer::new(LeaseGrpc {
        leases,
        answers: answers.clone(),
    });
    let queues = QueueServiceServer::new(QueueGrpc { queues, answers });
    routes
        .add_service(
            campaigns
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES),
        )
        .add_service(
            leases
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES),
        )
        .add_service(
            queues
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES),
        )
}

#[cfg(test)]
mod tests {
    use tidegate_auth::Identity;
    use tidegate_rpc::server::faults_of_rules;

    use super::*;

    #[test]
    fn every_method_has_one_rule_and_every_rule_a_method() {
        assert_eq!(faults_of_rules(RULES, SERVICE_NAMES), [""; 0]);
    }

    #[test]
    fn only_issuance_moves_stock_and_no_token_opens_that() {
        let lease_rules = RULES
            .iter()
            .filter(|rule| rule.path.contains("LeaseService"));
        for rule in lease_rules {
            assert_eq!(rule.services, [Identity::Issuance]);
            assert_eq!(rule.scope, None);
        }
    }

    #[test]
    fn only_gateways_report_queues_and_no_token_opens_that() {
        let rules = RULES.iter();
        let reporting: Vec<_> = rules
            .filter(|rule| rule.path.contains("QueueService") && !rule.path.ends_with("/GetQueue"))
            .collect();
        assert_eq!(reporting.len(), 1);
        for rule in reporting {
            assert_eq!(rule.path, "/tidegate.quota.v1.QueueService/ReportQueues");
            assert_eq!(rule.services, [Identity::Gateway]);
            assert_eq!(rule.scope, None);
        }
    }

    #[test]
    fn no_certificate_alone_opens_what_staff_change_and_what_was_changed() {
        let of_services = RULES.iter().filter(|rule| !rule.services.is_empty());
        for rule in of_services {
            let (_, method) = rule.path.rsplit_once('/').unwrap();
            let is_change = ["Create", "Update", "Add", "Set", "Extend", "End", "HaltAll"]
                .iter()
                .any(|verb| method.starts_with(verb));
            let is_told_to_staff = ["GetQueue", "ListChanges"].contains(&method);
            assert!(!is_change && !is_told_to_staff, "{}", rule.path);
        }
    }
}
