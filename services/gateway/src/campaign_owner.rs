//! What the owner of campaigns says of them, for whatever a copy must not decide: that there is no
//! such campaign, and that the last coupon is gone.
//!
//! A copy is a moment behind, and what staff were told is in force counts from that moment on. So
//! whoever is to be refused for good waits for a question that is sent after the claim came. All
//! who wait in the same few milliseconds share it.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tidegate_proto::quota::v1::{
    LookupCampaignsRequest, LookupCampaignsResponse, campaign_service_client::CampaignServiceClient,
};
use tidegate_rpc::{
    MAX_MESSAGE_BYTES,
    client::{QuestionLimits, Questions, Replicas, RetryPolicy, Unanswered},
};
use tidegate_types::CampaignId;

use crate::{campaigns::campaign_from, domain::campaign::Campaign};

/// Claims of campaigns that this gateway knows: there are not many of those, and crowds ask.
const KNOWN: QuestionLimits = QuestionLimits {
    callers: 50_000,
    keys: 100,
};
/// Claims of campaigns that it does not know. Anybody can make names up, so they wait apart and few
/// at once: five thousand names a second cost quota 50 reads by its index, and the others come
/// again.
const STRANGERS: QuestionLimits = QuestionLimits {
    callers: 1_000,
    keys: 100,
};
/// A replica of quota that has not answered by then is given up for the next one.
const MAX_ATTEMPT: Duration = Duration::from_millis(400);

type Answers = HashMap<CampaignId, Option<Arc<Campaign>>>;
type CampaignQuestions = Questions<CampaignId, Option<Arc<Campaign>>>;

/// Asks quota. Cheap to clone.
#[derive(Clone)]
pub struct CampaignOwner {
    known: CampaignQuestions,
    strangers: CampaignQuestions,
}

impl CampaignOwner {
    /// The tasks that ask come with it, which the caller runs.
    pub fn new(quota: &Replicas) -> (Self, [impl Future<Output = ()> + Send + use<>; 2]) {
        let questions = |limits| {
            let quota = quota.clone();
            Questions::new(limits, move |ids| ask(quota.clone(), ids))
        };
        let (known, asking_known) = questions(KNOWN);
        let (strangers, asking_strangers) = questions(STRANGERS);
        (Self { known, strangers }, [asking_known, asking_strangers])
    }

    /// A campaign that this gateway knows, as it is after this call.
    pub async fn of_known(
        &self,
        id: &CampaignId,
        until: Instant,
    ) -> Result<Option<Arc<Campaign>>, Unanswered> {
        self.known.ask(id.clone(), until).await
    }

    /// A campaign that it does not know; `None` if there is none.
    pub async fn of_stranger(
        &self,
        id: &CampaignId,
        until: Instant,
    ) -> Result<Option<Arc<Campaign>>, Unanswered> {
        self.strangers.ask(id.clone(), until).await
    }
}

async fn ask(quota: Replicas, ids: Vec<CampaignId>) -> Answers {
    let message = LookupCampaignsRequest {
        campaign_ids: ids.iter().map(CampaignId::to_string).collect(),
        campaign_numbers: Vec::new(),
    };
    let answer = quota
        .call(
            RetryPolicy::each_in_turn(MAX_ATTEMPT),
            || message.clone(),
            |channel, request| async move {
                CampaignServiceClient::new(channel)
                    .max_decoding_message_size(MAX_MESSAGE_BYTES)
                    .lookup_campaigns(request)
                    .await
            },
        )
        .await;
    answer.map(read).unwrap_or_default()
}

/// What quota said of each. A campaign that this version cannot read has no answer.
fn read(response: LookupCampaignsResponse) -> Answers {
    let campaigns = response.campaigns.into_iter().filter_map(campaign_from);
    let known = campaigns.map(|campaign| (campaign.id.clone(), Some(Arc::new(campaign))));
    let unknown = response.unknown_campaign_ids.into_iter();
    let unknown = unknown.filter_map(|id| Some((CampaignId::parse(id).ok()?, None)));
    known.chain(unknown).collect()
}
