//! The gRPC services: decode, call, encode.

mod campaigns;
mod convert;
mod leases;
mod queues;
mod status;

use tidegate_auth::{Identity, Scope};
use tidegate_proto::quota::v1::{
    campaign_service_server, campaign_service_server::CampaignServiceServer, lease_service_server,
    lease_service_server::LeaseServiceServer, queue_service_server,
    queue_service_server::QueueServiceServer,
};
use tidegate_rpc::{MAX_MESSAGE_BYTES, server::Rule};
use tonic::service::Routes;

use self::{campaigns::CampaignGrpc, leases::LeaseGrpc, queues::QueueGrpc, status::Answers};
use crate::{
    audit::Auditor, campaigns::Campaigns, control::Controls, leases::Leases, metrics::Metrics,
    queues::Queues, watch::Watch,
};

/// Full names of the gRPC services.
pub(crate) const SERVICE_NAMES: &[&str] = &[
    campaign_service_server::SERVICE_NAME,
    lease_service_server::SERVICE_NAME,
    queue_service_server::SERVICE_NAME,
];

const fn staff(path: &'static str, scope: Scope) -> Rule {
    Rule {
        path,
        services: &[],
        scope: Some(scope),
    }
}

const fn issuance(path: &'static str) -> Rule {
    Rule {
        path,
        services: &[Identity::Issuance],
        scope: None,
    }
}

const fn gateway(path: &'static str) -> Rule {
    Rule {
        services: &[Identity::Gateway],
        ..issuance(path)
    }
}

/// Who may call what: staff by their token, services by their certificate.
pub const RULES: &[Rule] = &[
    staff(
        "/tidegate.quota.v1.CampaignService/CreateCampaign",
        Scope::CampaignsWrite,
    ),
    staff(
        "/tidegate.quota.v1.CampaignService/AddBudget",
        Scope::CampaignsWrite,
    ),
    staff(
        "/tidegate.quota.v1.CampaignService/SetCampaignControl",
        Scope::CampaignsWrite,
    ),
    staff(
        "/tidegate.quota.v1.CampaignService/ExtendValidity",
        Scope::CampaignsWrite,
    ),
    staff(
        "/tidegate.quota.v1.CampaignService/UpdateCampaign",
        Scope::CampaignsWrite,
    ),
    staff(
        "/tidegate.quota.v1.CampaignService/EndCampaign",
        Scope::CampaignsWrite,
    ),
    staff(
        "/tidegate.quota.v1.CampaignService/HaltAllCampaigns",
        Scope::CampaignsWrite,
    ),
    staff(
        "/tidegate.quota.v1.CampaignService/ListChanges",
        Scope::ChangesRead,
    ),
    staff(
        "/tidegate.quota.v1.CampaignService/AuditCampaign",
        Scope::CampaignsRead,
    ),
    staff(
        "/tidegate.quota.v1.CampaignService/GetCampaign",
        Scope::CampaignsRead,
    ),
    staff(
        "/tidegate.quota.v1.CampaignService/ListCampaigns",
        Scope::CampaignsRead,
    ),
    Rule {
        services: &[Identity::Gateway, Identity::Issuance, Identity::OrderIntake],
        ..staff(
            "/tidegate.quota.v1.CampaignService/WatchCampaigns",
            Scope::CampaignsRead,
        )
    },
    Rule {
        services: &[Identity::Gateway, Identity::Issuance],
        ..issuance("/tidegate.quota.v1.CampaignService/LookupCampaigns")
    },
    issuance("/tidegate.quota.v1.LeaseService/AcquireLease"),
    issuance("/tidegate.quota.v1.LeaseService/ReturnLease"),
    issuance("/tidegate.quota.v1.LeaseService/RenewLeases"),
    gateway("/tidegate.quota.v1.QueueService/ReportQueues"),
    staff(
        "/tidegate.quota.v1.QueueService/GetQueue",
        Scope::CampaignsRead,
    ),
];

pub(crate) struct UseCases {
    pub(crate) campaigns: Campaigns,
    pub(crate) controls: Controls,
    pub(crate) auditor: Auditor,
    pub(crate) leases: Leases,
    pub(crate) queues: Queues,
    pub(crate) watch: Watch,
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
    } = use_cases;
    let campaigns = CampaignServiceServer::new(CampaignGrpc {
        campaigns,
        controls,
        auditor,
        watch,
        answers: answers.clone(),
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
    use std::collections::BTreeSet;

    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    use super::*;

    #[test]
    fn every_method_has_one_rule_and_every_rule_a_method() {
        let files = FileDescriptorSet::decode(tidegate_proto::FILE_DESCRIPTOR_SET).unwrap();
        let mut methods = BTreeSet::new();
        for file in &files.file {
            for service in &file.service {
                let name = format!("{}.{}", file.package(), service.name());
                if SERVICE_NAMES.contains(&name.as_str()) {
                    methods.extend(
                        service
                            .method
                            .iter()
                            .map(|method| format!("/{name}/{}", method.name())),
                    );
                }
            }
        }
        let ruled: BTreeSet<_> = RULES.iter().map(|rule| rule.path.to_owned()).collect();
        assert_eq!(methods, ruled);
        assert_eq!(ruled.len(), RULES.len());
        let in_package = files
            .file
            .iter()
            .filter(|file| file.package() == "tidegate.quota.v1")
            .map(|file| file.service.len());
        assert_eq!(in_package.sum::<usize>(), SERVICE_NAMES.len());
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
