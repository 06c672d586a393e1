//! Making campaigns, reading them, and adding to their stock.

use std::time::Instant;

use tidegate_types::{CampaignId, CampaignNumber, MAX_STOCK, RequestId, TierId, Timestamp};

use crate::{
    QuotaError,
    domain::{Campaign, CampaignTerms, WantedCampaigns},
    store::{Store, Work, within_limit},
    watch::{MAX_CURRENT_CAMPAIGNS, current_if_closing_after},
};

/// Campaigns of one look-up at most.
pub const MAX_LOOKED_UP: usize = 100;
/// The largest page of campaigns.
pub const MAX_PAGE_SIZE: u8 = 100;
/// Areas and stores that the campaigns of one page name together: a page has to fit into one message. One campaign names 17,600 at most, so it always fits.
const MAX_NAMES_OF_PAGE: usize = 20_000;

/// More coupons for a tier.
#[derive(Debug, Clone)]
pub struct BudgetAddition {
    /// Of which campaign.
    pub campaign: CampaignId,
    /// Chosen by the caller, the same on every retry.
    pub request_id: RequestId,
    /// To which tier.
    pub tier: TierId,
    /// How many.
    pub additional_stock: u64,
}

/// A page of campaigns, newest first.
#[derive(Debug)]
pub struct Page {
    /// The campaigns.
    pub campaigns: Vec<Campaign>,
    /// Where the next page begins; `None` if this is the last.
    pub next: Option<CampaignNumber>,
}

/// What there is of campaigns that were asked for.
#[derive(Debug)]
pub struct Found {
    /// The campaigns.
    pub campaigns: Vec<Campaign>,
    /// What there is not.
    pub unknown: WantedCampaigns,
}

/// The campaigns there are.
#[derive(Clone)]
pub struct Campaigns {
    store: Store,
}

impl Campaigns {
    /// Campaigns kept in a store.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// Makes a campaign, once: the same terms again answer with the campaign there is, as it is now. [`QuotaError::CampaignIdTaken`] if the id has other terms.
    pub async fn create(
        &self,
        terms: &CampaignTerms,
        now: Timestamp,
        deadline: Instant,
    ) -> Result<Campaign, QuotaError> {
        within_limit(async {
            let mut work = self.store.begin(deadline).await?;
            let outcome = create(&mut work, terms, now).await;
            work.end(outcome).await
        })
        .await
    }

    /// The campaign with this id.
    pub async fn get(&self, id: &CampaignId) -> Result<Campaign, QuotaError> {
        within_limit(async {
            let mut read = self.store.begin_read().await?;
            let found = read.campaign(id).await;
            read.end(found).await?.ok_or(QuotaError::CampaignNotFound)
        })
        .await
    }

    /// The campaigns that are asked for, as they are after this call began; `None` for what there is not.
    ///
    /// What does not fit into one message is left out, and the caller asks for it again.
    pub async fn lookup(&self, wanted: &WantedCampaigns) -> Result<Found, QuotaError> {
        let mut campaigns = within_limit(async {
            let mut read = self.store.begin_read().await?;
            let found = read.lookup_campaigns(wanted).await;
            read.end(found).await
        })
        .await?;
        let is_known = |known: &dyn Fn(&Campaign) -> bool| campaigns.iter().any(known);
        let ids = wanted.ids.iter();
        let unknown_ids = ids.filter(|id| !is_known(&|campaign| campaign.terms.id == **id));
        let numbers = wanted.numbers.iter();
        let unknown_numbers =
            numbers.filter(|number| !is_known(&|campaign| campaign.number == **number));
        let unknown = WantedCampaigns {
            ids: unknown_ids.cloned().collect(),
            numbers: unknown_numbers.copied().collect(),
        };
        campaigns.truncate(fitting(&campaigns));
        Ok(Found { campaigns, unknown })
    }

    /// At most `size` campaigns that are older than `before`, or the newest; fewer if their terms name very many stores.
    pub async fn list(&self, before: Option<CampaignNumber>, size: u8) -> Result<Page, QuotaError> {
        // Campaign numbers have 24 bits, so none is left out.
        let before = before.map_or(i32::MAX, |number| number.get() as i32);
        let mut campaigns = within_limit(async {
            let mut read = self.store.begin_read().await?;
            // One more than asked for tells whether there is a next page.
            let found = read.campaigns_before(before, size.saturating_add(1)).await;
            read.end(found).await
        })
        .await?;
        let fitting = fitting(&campaigns).min(usize::from(size));
        let more = campaigns.len() > fitting;
        campaigns.truncate(fitting);
        let last = campaigns.last().map(|campaign| campaign.number);
        Ok(Page {
            next: last.filter(|_| more),
            campaigns,
        })
    }

    /// Adds to a tier's stock, once for each request id. Answers with the campaign as it is now and whether an earlier call had added it.
    pub async fn add_budget(
        &self,
        addition: &BudgetAddition,
        now: Timestamp,
        deadline: Instant,
    ) -> Result<(Campaign, bool), QuotaError> {
        within_limit(async {
            let mut work = self.store.begin(deadline).await?;
            let outcome = add_budget(&mut work, addition, now).await;
            work.end(outcome).await
        })
        .await
    }
}

/// How many of the first campaigns fit into a page by what their terms name.
fn fitting(campaigns: &[Campaign]) -> usize {
    let names = campaigns.iter().scan(0, |names, campaign| {
        *names += campaign.terms.names();
        Some(*names)
    });
    names
        .take_while(|names| *names <= MAX_NAMES_OF_PAGE)
        .count()
}

async fn create(
    work: &mut Work,
    terms: &CampaignTerms,
    now: Timestamp,
) -> Result<Campaign, QuotaError> {
    let campaign = match work.campaign(&terms.id).await? {
        Some(campaign) => campaign,
        None => {
            let current = work
                .count_campaigns_ending_after(current_if_closing_after(now))
                .await?;
            if current >= MAX_CURRENT_CAMPAIGNS {
                return Err(QuotaError::TooManyCampaigns);
            }
            work.insert_campaign(terms, now).await?;
            find(work, &terms.id).await?
        }
    };
    if campaign.terms == *terms {
        Ok(campaign)
    } else {
        Err(QuotaError::CampaignIdTaken)
    }
}

async fn add_budget(
    work: &mut Work,
    addition: &BudgetAddition,
    now: Timestamp,
) -> Result<(Campaign, bool), QuotaError> {
    let campaign = find(work, &addition.campaign).await?;
    let Some(locked) = work.lock_tiers(campaign.number).await? else {
        return Err(QuotaError::CampaignNotFound);
    };
    let tier = campaign.tier_number(&addition.tier);
    if let Some(before) = work
        .budget_addition(campaign.number, &addition.request_id)
        .await?
    {
        return if tier.map(|tier| (tier, addition.additional_stock)) == Some(before) {
            Ok((find(work, &addition.campaign).await?, true))
        } else {
            Err(QuotaError::BudgetRequestIdTaken)
        };
    }
    if locked.closes_at <= now {
        return Err(QuotaError::CampaignClosed);
    }
    let tier = tier.ok_or_else(|| {
        QuotaError::invalid_field("tier_id", "must be one of the campaign's tiers")
    })?;
    let stock = locked
        .stock
        .get(usize::from(tier.get()))
        .map_or(MAX_STOCK, |stock| stock.stock());
    if stock + addition.additional_stock > MAX_STOCK {
        let most = format!("must leave the tier with at most {MAX_STOCK} coupons; it has {stock}");
        return Err(QuotaError::invalid_field("additional_stock", most));
    }
    work.add_budget(
        campaign.number,
        &addition.request_id,
        tier,
        addition.additional_stock,
        now,
    )
    .await?;
    work.bump_revision(campaign.number).await?;
    Ok((find(work, &addition.campaign).await?, false))
}

async fn find(work: &mut Work, id: &CampaignId) -> Result<Campaign, QuotaError> {
    work.campaign(id).await?.ok_or(QuotaError::CampaignNotFound)
}
