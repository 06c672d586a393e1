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

macro_rules! campaigns {
    ($method:literal) => {
        concat!("/tidegate.quota.v1.CampaignService/", $method)
    };
}

/// Who may call what: staff by their token, services by their certificate.
pub const RULES: &[Rule] = &[
    staff(campaigns!("CreateCampaign"), Scope::CampaignsWrite),
    staff(campaigns!("AddBudget"), Scope::CampaignsWrite),
    staff(campaigns!("SetCampaignControl"), Scope::CampaignsWrite),
    staff(campaigns!("ExtendValidity"), Scope::CampaignsWrite),
    staff(campaigns!("UpdateCampaign"), Scope::CampaignsWrite),
    staff(campaigns!("EndCampaign"), Scope::CampaignsWrite),
    staff(campaigns!("HaltAllCampaigns"), Scope::CampaignsWrite),
    staff(campaigns!("ListChanges"), Scope::ChangesRead),
    staff(campaigns!("AuditCampaign"), Scope::CampaignsRead),
    staff(campaigns!("GetCampaign"), Scope::CampaignsRead),
    staff(campaigns!("ListCampaigns"), Scope::CampaignsRead),
    Rule {
        services: &[Identity::Gateway, Identity::Issuance, Identity::OrderIntake],
        ..staff(campaigns!("WatchCampaigns"), Scope::CampaignsRead)
    },
    Rule {
        services: &[Identity::Gateway, Identity::Issuance],
        ..issuance(campaigns!("LookupCampaigns"))
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
