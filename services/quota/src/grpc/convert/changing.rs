use tidegate_proto::quota::v1 as proto;
use tidegate_rpc::wire;
use tidegate_types::{
    CampaignId, ChangeQuery, ChangeReason, InvalidPrintedText, LimitPerShopper, PrintedText,
    Violations,
};

use super::{coupon_validity, if_good, moment, tiers};
use crate::{
    QuotaError,
    campaigns::UpdateRequest,
    control::{EndRequest, Halted},
    domain::{CampaignUpdate, Halt, Standing},
    told,
};

pub(in crate::grpc) fn update_request(
    request: &proto::UpdateCampaignRequest,
) -> Result<UpdateRequest, QuotaError> {
    let mut bad = Violations::default();
    let campaign = bad.check("campaign_id", CampaignId::parse(&request.campaign_id));
    let reason = bad.check("reason", printed(&request.reason));
    let wanted = CampaignUpdate {
        display_name: request
            .display_name
            .as_deref()
            .and_then(|name| bad.check("display_name", printed(name))),
        description: request
            .description
            .as_deref()
            .and_then(|text| bad.check("description", printed(text))),
        limit_per_shopper: request
            .limit_per_shopper
            .and_then(|limit| bad.check("limit_per_shopper", LimitPerShopper::new(limit))),
        opens_at: request
            .opens_at
            .and_then(|opens_at| moment("opens_at", Some(opens_at), &mut bad)),
        closes_at: request
            .closes_at
            .and_then(|closes_at| moment("closes_at", Some(closes_at), &mut bad)),
        coupon_validity: request
            .coupon_validity
            .and_then(|span| bad.check("coupon_validity", coupon_validity(Some(span)))),
        tiers: Some(&request.tiers)
            .filter(|given| !given.is_empty())
            .map(|given| tiers(given, &mut bad)),
    };
    let update = (|| {
        Some(UpdateRequest {
            campaign: campaign?,
            reason: reason?,
            wanted,
        })
    })();
    if_good(update, bad)
}

/// A text for people that may be left empty.
pub(super) fn printed<const MAX: usize>(
    text: &str,
) -> Result<Option<PrintedText<MAX>>, InvalidPrintedText> {
    Some(text)
        .filter(|text| !text.is_empty())
        .map(PrintedText::parse)
        .transpose()
}

pub(in crate::grpc) fn end_request(
    request: &proto::EndCampaignRequest,
) -> Result<EndRequest, QuotaError> {
    let mut bad = Violations::default();
    let campaign = bad.check("campaign_id", CampaignId::parse(&request.campaign_id));
    let reason = bad.check("reason", ChangeReason::parse(&request.reason));
    let end = campaign.zip(reason);
    if_good(
        end.map(|(campaign, reason)| EndRequest { campaign, reason }),
        bad,
    )
}

pub(in crate::grpc) fn halt(request: &proto::HaltAllCampaignsRequest) -> Result<Halt, QuotaError> {
    let mut bad = Violations::default();
    let reason = bad.check("reason", ChangeReason::parse(&request.reason));
    let resume_at = match request.resume_at {
        None => Some(None),
        given => moment("resume_at", given, &mut bad).map(Some),
    };
    let halt = reason.zip(resume_at).map(|(reason, resume_at)| Halt {
        reason,
        with_redemption: request.halt_redemption,
        resume_at,
    });
    if_good(halt, bad)
}

pub(in crate::grpc) fn halted(halted: &Halted) -> proto::HaltAllCampaignsResponse {
    let campaign = |standing: &Standing| proto::HaltedCampaign {
        campaign_id: standing.id.to_string(),
        control_epoch: standing.control.epoch,
        issuance_state: told::issuance_state(standing.issuance_state()).into(),
        redemption_state: told::redemption_state(standing.redemption_state()).into(),
    };
    proto::HaltAllCampaignsResponse {
        campaigns: halted.campaigns.iter().map(campaign).collect(),
        all_halted: halted.is_all,
    }
}

pub(in crate::grpc) fn change_query(
    request: proto::ListChangesRequest,
) -> Result<ChangeQuery, QuotaError> {
    let query = wire::change_query(request.filter, request.page_size, &request.page_token);
    Ok(query?)
}
