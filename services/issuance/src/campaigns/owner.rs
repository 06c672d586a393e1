use std::{collections::HashMap, sync::Arc, time::Duration};

use tidegate_proto::quota::v1::{
    LookupCampaignsRequest, LookupCampaignsResponse, campaign_service_client::CampaignServiceClient,
};
use tidegate_rpc::{
    MAX_MESSAGE_BYTES,
    client::{QuestionLimits, Replicas, RetryPolicy},
};
use tidegate_types::{CampaignId, CampaignNumber};

use super::{Kept, campaign_from};
use crate::domain::campaign::Campaign;

/// Work that waits for quota's word at once, and campaigns of one question.
pub(super) const LIMITS: QuestionLimits = QuestionLimits {
    callers: 10_000,
    keys: 100,
};
/// A replica of quota that has not answered by then is given up for the next one.
const MAX_ATTEMPT: Duration = Duration::from_millis(400);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum CampaignKey {
    Id(CampaignId),
    Number(CampaignNumber),
}

pub(super) type Answers = HashMap<CampaignKey, Option<Arc<Campaign>>>;

/// Asks quota what campaigns there are. What it answers is kept before it is used.
pub(super) async fn ask(quota: Replicas, kept: Kept, keys: Vec<CampaignKey>) -> Answers {
    let mut message = LookupCampaignsRequest::default();
    for key in &keys {
        match key {
            CampaignKey::Id(id) => message.campaign_ids.push(id.to_string()),
            CampaignKey::Number(number) => message.campaign_numbers.push(number.get()),
        }
    }
    let policy = RetryPolicy::each_in_turn(MAX_ATTEMPT);
    let look_up = |channel, request| async move {
        CampaignServiceClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .lookup_campaigns(request)
            .await
    };
    let answer = quota.call(policy, || message.clone(), look_up).await;
    let mut answers = match answer {
        Ok(response) => read(&kept, response).await,
        Err(_) => Answers::new(),
    };
    // A campaign answers to both its names.
    answers.retain(|key, _| keys.contains(key));
    answers
}

async fn read(kept: &Kept, response: LookupCampaignsResponse) -> Answers {
    let mut answers = Answers::new();
    for campaign in response.campaigns {
        let Some(campaign) = campaign_from(campaign) else {
            continue;
        };
        let (id, number) = (campaign.id.clone(), campaign.number);
        if let Err(error) = kept.keep(campaign).await {
            tracing::warn!(%error, campaign = %id, "a campaign cannot be kept in the database, so it is not used yet");
            continue;
        }
        let known = kept.get(number);
        answers.insert(CampaignKey::Id(id), known.clone());
        answers.insert(CampaignKey::Number(number), known);
    }
    let ids = response
        .unknown_campaign_ids
        .into_iter()
        .flat_map(CampaignId::parse);
    let numbers = response.unknown_campaign_numbers.into_iter();
    let numbers = numbers
        .flat_map(CampaignNumber::new)
        .map(CampaignKey::Number);
    let unknown = ids.map(CampaignKey::Id).chain(numbers);
    answers.extend(unknown.map(|key| (key, None)));
    answers
}
