//! Who holds coupons of campaigns that are sold out, so that a crowd that comes too late is
//! answered without asking issuance for each.

mod filter;

use std::{collections::HashMap, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use filter::Filter;
use tidegate_proto::issuance::v1::{StreamShoppersRequest, StreamShoppersResponse};
use tidegate_rpc::{
    client::{Replicas, RetryPolicy},
    wire,
};
use tidegate_types::{CampaignNumber, ShopperId};
use tokio::time::{interval, timeout};
use tonic::Streaming;

use crate::clients;

/// How often the campaigns are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// A stream of holders that brings nothing for this long is given up for one from another replica.
const MAX_SILENCE: Duration = Duration::from_secs(10);
/// What all filters may take together, in bytes. Claims of a campaign that has no filter are asked
/// of issuance, as long as it is sold out.
const MAX_FILTER_BYTES: usize = 256 * 1024 * 1024;

/// A campaign of which nothing commits any more, and how many of its coupons were issued by then.
/// Only a coupon more makes other holders; other changes of the campaign make none.
pub type SoldOut = (CampaignNumber, u64);

/// The holders known. Cheap to clone.
#[derive(Clone, Default)]
pub struct CouponHolders(Arc<ArcSwap<HashMap<CampaignNumber, (u64, Known)>>>);

/// What was learned of a campaign's holders.
#[derive(Clone)]
enum Known {
    These(Arc<Filter>),
    TooManyToRemember,
}

impl Known {
    fn bytes(&self) -> usize {
        match self {
            Self::These(filter) => filter.bytes(),
            Self::TooManyToRemember => 0,
        }
    }
}

impl CouponHolders {
    /// Whether the shopper may hold a coupon of the sold-out campaign. `Some(false)` is certain,
    /// `Some(true)` is wrong for one shopper in a hundred, and `None` means that it is not known.
    pub fn may_have_coupon(&self, campaign: SoldOut, shopper: &ShopperId) -> Option<bool> {
        let known = self.0.load();
        let (number, issued) = campaign;
        let (issued_then, known) = known.get(&number)?;
        match known {
            // Those of fewer coupons say nothing of who got one since.
            _ if *issued_then != issued => None,
            Known::These(filter) => Some(filter.may_have_coupon(wire::shopper_hash(shopper))),
            Known::TooManyToRemember => None,
        }
    }

    /// Fetches the holders of each campaign that `sold_out` names, again only if coupons were
    /// issued since, and forgets those of others, until the task is aborted.
    pub async fn follow(self, sold_out: impl Fn() -> Vec<SoldOut>, issuance: Replicas) {
        let mut looks = interval(LOOK_INTERVAL);
        loop {
            looks.tick().await;
            let wanted = sold_out();
            self.forget_others(&wanted);
            let known = self.0.load_full();
            // One at a time: whatever sells out while it is fetched may have to go before the
            // others.
            let next = wanted.iter().find(|campaign| !is_known(&known, **campaign));
            let Some((number, issued)) = next else {
                continue;
            };
            if let Some(fetched) = self.fetch(*number, &issuance).await {
                let mut next = HashMap::clone(&self.0.load());
                next.insert(*number, (*issued, fetched));
                self.0.store(Arc::new(next));
            }
        }
    }

    fn forget_others(&self, wanted: &[SoldOut]) {
        let known = self.0.load();
        let is_wanted = |number: &CampaignNumber, issued: u64| wanted.contains(&(*number, issued));
        let mut held = known.iter();
        if held.any(|(number, (issued, _))| !is_wanted(number, *issued)) {
            let mut next = HashMap::clone(&known);
            // There may be room now for those that were too many before.
            next.retain(|number, (issued, known)| {
                is_wanted(number, *issued) && matches!(known, Known::These(_))
            });
            self.0.store(Arc::new(next));
        }
    }

    /// Nothing commits any more once a campaign is sold out, so what is streamed then is complete.
    async fn fetch(&self, campaign: CampaignNumber, issuance: &Replicas) -> Option<Known> {
        let held: usize = self.0.load().values().map(|(_, known)| known.bytes()).sum();
        let message = || StreamShoppersRequest {
            campaign_number: campaign.get(),
        };
        let send = |channel, request| async move {
            clients::issuance(channel).stream_shoppers(request).await
        };
        let policy = RetryPolicy::each_in_turn(MAX_SILENCE);
        let opened = issuance.call(policy, message, send).await;
        let max_bytes = MAX_FILTER_BYTES.saturating_sub(held);
        let known = read(opened.ok()?, campaign, max_bytes).await;
        if known.is_none() {
            tracing::debug!(campaign_number = %campaign, "a stream of holders broke off");
        }
        known
    }
}

fn is_known(known: &HashMap<CampaignNumber, (u64, Known)>, campaign: SoldOut) -> bool {
    let (number, issued) = campaign;
    known.get(&number).is_some_and(|(then, _)| *then == issued)
}

async fn read(
    mut pages: Streaming<StreamShoppersResponse>,
    campaign: CampaignNumber,
    max_bytes: usize,
) -> Option<Known> {
    let mut filter = Filter::default();
    while let Some(page) = timeout(MAX_SILENCE, pages.message()).await.ok()?.ok()? {
        for hash in page.shopper_hashes {
            filter.insert(hash);
        }
        if filter.bytes() > max_bytes {
            tracing::warn!(campaign_number = %campaign, "a sold-out campaign has more holders than this gateway can remember; issuance is asked for each claim that comes too late");
            return Some(Known::TooManyToRemember);
        }
    }
    tracing::info!(campaign_number = %campaign, bytes = filter.bytes(), "the holders of a sold-out campaign are known; claims of anybody else are answered here");
    Some(Known::These(Arc::new(filter)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holders_are_known_until_coupons_were_issued_whatever_else_changes() {
        let (holders, campaign) = (CouponHolders::default(), CampaignNumber::new(7u32).unwrap());
        let shopper = |id: &str| ShopperId::parse(id).unwrap();
        let mut filter = Filter::default();
        filter.insert(wire::shopper_hash(&shopper("ann")));
        let known = Known::These(Arc::new(filter));
        let all = HashMap::from([(campaign, (3, known))]);
        holders.0.store(Arc::new(all));
        let may_have_coupon =
            |issued, id| holders.may_have_coupon((campaign, issued), &shopper(id));
        assert_eq!(may_have_coupon(3, "ann"), Some(true));
        assert_eq!(may_have_coupon(3, "bob"), Some(false));
        // A coupon more may be bob's.
        assert_eq!(may_have_coupon(4, "bob"), None);
        assert!(is_known(&holders.0.load(), (campaign, 3)));
        assert!(!is_known(&holders.0.load(), (campaign, 4)));
        holders.forget_others(&[(campaign, 3)]);
        assert_eq!(may_have_coupon(3, "bob"), Some(false));
        holders.forget_others(&[(campaign, 4)]);
        assert_eq!(may_have_coupon(3, "bob"), None);
    }
}
