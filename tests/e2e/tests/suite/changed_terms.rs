//! What staff change of a campaign that runs counts at once.

use anyhow::Result;
use tidegate_client::{CampaignTerms, claim_of};
use tidegate_e2e::{GATEWAYS, Suite};
use tidegate_proto::quota::v1::{EndCampaignRequest, UpdateCampaignRequest};

use crate::never::{Told, is_served, is_told, never, told};

/// The moment before, the refusals were true, and every replica had just heard so.
#[tokio::test(flavor = "multi_thread")]
async fn a_higher_limit_and_a_later_end_count_at_once_for_those_who_were_refused() -> Result<()> {
    let suite = Suite::start().await?;
    let staff = suite.staff()?;
    staff.open(CampaignTerms::open("tea", 100)).await?;
    is_served(&suite, GATEWAYS[0], claim_of("tea", "ann", "r-1")).await;
    for gateway in GATEWAYS {
        let again = claim_of("tea", "ann", "r-2");
        is_told(&suite, gateway, again, never("SHOPPER_LIMIT_REACHED")).await;
    }
    let change = UpdateCampaignRequest {
        campaign_id: "tea".into(),
        limit_per_shopper: Some(2),
        ..UpdateCampaignRequest::default()
    };
    let changed = staff.request(change);
    staff.campaigns().update_campaign(changed).await?;
    is_served(&suite, GATEWAYS[1], claim_of("tea", "ann", "r-2")).await;
    let third = claim_of("tea", "ann", "r-3");
    is_told(&suite, GATEWAYS[0], third, never("SHOPPER_LIMIT_REACHED")).await;

    let end = EndCampaignRequest {
        campaign_id: "tea".into(),
        reason: "enough".into(),
    };
    let ended = staff.request(end);
    staff.campaigns().end_campaign(ended).await?;
    for gateway in GATEWAYS {
        let late = claim_of("tea", "bob", "r-1");
        is_told(&suite, gateway, late, never("CAMPAIGN_CLOSED")).await;
        let mine = claim_of("tea", "ann", "r-1");
        assert_eq!(told(&suite, gateway, mine).await?, Told::Issued);
    }
    suite.end().await
}
