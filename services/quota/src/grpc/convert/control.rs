use tidegate_proto::{quota::v1 as proto, r#type::v1 as wire_types};
use tidegate_types::{CampaignId, ChangeReason, Timestamp, Violations};

use super::{if_good, moment};
use crate::{
    QuotaError,
    control::ControlRequest,
    domain::{IssuanceControl, RedemptionControl, WantedControl},
};

pub(in crate::grpc) fn control_request(
    request: &proto::SetCampaignControlRequest,
) -> Result<ControlRequest, QuotaError> {
    let mut bad = Violations::default();
    let campaign = bad.check("campaign_id", CampaignId::parse(&request.campaign_id));
    let issuance = bad.check(
        "issuance",
        issuance_control(request.issuance()).ok_or("must be OPEN, QUEUE_ONLY or HALTED"),
    );
    let redemption = bad.check(
        "redemption",
        redemption_control(request.redemption()).ok_or("must be OPEN or HALTED"),
    );
    let reason = bad.check("reason", ChangeReason::parse(&request.reason));
    let resume_at = match request.resume_at {
        None => Some(None),
        given => moment("resume_at", given, &mut bad).map(Some),
    };
    let wanted = (|| {
        Some(ControlRequest {
            campaign: campaign?,
            wanted: WantedControl {
                issuance: issuance?,
                redemption: redemption?,
                reason: reason?,
                resume_at: resume_at?,
            },
            seen_epoch: request.epoch,
        })
    })();
    if_good(wanted, bad)
}

pub(in crate::grpc) fn validity_extension(
    request: &proto::ExtendValidityRequest,
) -> Result<(CampaignId, Timestamp), QuotaError> {
    let mut bad = Violations::default();
    let campaign = bad.check("campaign_id", CampaignId::parse(&request.campaign_id));
    let valid_until = moment("valid_until", request.valid_until, &mut bad);
    if_good(campaign.zip(valid_until), bad)
}

fn issuance_control(control: wire_types::IssuanceControl) -> Option<IssuanceControl> {
    match control {
        wire_types::IssuanceControl::Unspecified => None,
        wire_types::IssuanceControl::Open => Some(IssuanceControl::Open),
        wire_types::IssuanceControl::QueueOnly => Some(IssuanceControl::QueueOnly),
        wire_types::IssuanceControl::Halted => Some(IssuanceControl::Halted),
    }
}

fn redemption_control(control: wire_types::RedemptionControl) -> Option<RedemptionControl> {
    match control {
        wire_types::RedemptionControl::Unspecified => None,
        wire_types::RedemptionControl::Open => Some(RedemptionControl::Open),
        wire_types::RedemptionControl::Halted => Some(RedemptionControl::Halted),
    }
}
