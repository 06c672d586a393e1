//! Making campaigns, reading and changing them, and adding to their stock.

use tidegate_types::{
    CampaignId, CampaignNumber, ChangePage, ChangeQuery, ChangeReason, MAX_STOCK, RecordedChange,
    RequestId, TierId,
};

use crate::{
    domain::{Campaign, CampaignTerms, CampaignUpdate, WantedCampaigns, text::shown},
    error::{QuotaError, Result},
    staff::{self, StaffCall},
    store::{Store, Work},
    watch::{MAX_CURRENT_CAMPAIGNS, current_if_closing_after},
};

pub const MAX_LOOKED_UP: usize = 100;
pub const MAX_PAGE_SIZE: u8 = 100;
/// Areas and stores that the campaigns of one page name together: a page has to fit into one message. One campaign names 17,600 at most, so it always fits.
const MAX_NAMES_OF_PAGE: usize = 20_000;
/// What the changes of one page say of fields, in bytes, for the same reason; one change always fits.
const MAX_BYTES_OF_PAGE: usize = 1024 * 1024;

#[derive(Debug)]
pub struct Page {
    pub campaigns: Vec<Campaign>,
    pub next: Option<CampaignNumber>,
}

#[derive(Debug)]
pub struct Found {
    pub campaigns: Vec<Campaign>,
    pub unknown: WantedCampaigns,
}

#[derive(Debug, Clone)]
pub struct BudgetAddition {
    pub campaign: CampaignId,
    /// Chosen by the caller, the same on every retry.
    pub request_id: RequestId,
    pub tier: TierId,
    pub additional_stock: u64,
    pub reason: ChangeReason,
}

#[derive(Debug, Clone)]
pub struct UpdateRequest {
    pub campaign: CampaignId,
    pub reason: Option<ChangeReason>,
    pub wanted: CampaignUpdate,
}

#[derive(Clone)]
pub struct Campaigns {
    store: Store,
}

impl Campaigns {
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// Makes a campaign, once: the same terms again answer with the campaign there is, as it is now. [`QuotaError::CampaignIdTaken`] if the id has other terms.
    pub async fn create(
        &self,
        terms: &CampaignTerms,
        reason: Option<&ChangeReason>,
        call: &StaffCall,
    ) -> Result<Campaign> {
        let created = self.store.transaction(call.deadline, async |work| {
            if let Some(campaign) = work.find_campaign(&terms.id).await? {
                return made_before(work, campaign, terms).await;
            }
            let now = call.now();
            let since = current_if_closing_after(now);
            let current = work.count_campaigns_ending_after(since).await?;
            if current >= MAX_CURRENT_CAMPAIGNS as u64 {
                return Err(QuotaError::TooManyCampaigns);
            }
            if !work.insert_campaign(terms, now).await? {
                let campaign = work.campaign(&terms.id).await?;
                return made_before(work, campaign, terms).await;
            }
            let why = ("CreateCampaign", reason.map_or("", ChangeReason::as_str));
            staff::record(work, call, why, &terms.id, None).await
        });
        created.await
    }

    pub async fn get(&self, id: &CampaignId) -> Result<Campaign> {
        self.store.read(async |read| read.campaign(id).await).await
    }

    /// The campaigns that are asked for, as they are after this call began.
    ///
    /// What does not fit into one message is left out, and the caller asks for it again.
    pub async fn lookup(&self, wanted: &WantedCampaigns) -> Result<Found> {
        let found = self
            .store
            .read(async |read| read.lookup_campaigns(wanted).await);
        let mut campaigns = found.await?;
        let is_known = |is_it: &dyn Fn(&Campaign) -> bool| campaigns.iter().any(is_it);
        let mut unknown = wanted.clone();
        let ids = &mut unknown.ids;
        ids.retain(|id| !is_known(&|known| known.terms.id == *id));
        let numbers = &mut unknown.numbers;
        numbers.retain(|number| !is_known(&|known| known.number == *number));
        campaigns.truncate(fitting_by_names(&campaigns));
        Ok(Found { campaigns, unknown })
    }

    /// At most `size` campaigns that are older than `before`, or the newest; fewer if their terms name very many stores.
    pub async fn list(&self, before: Option<CampaignNumber>, size: u8) -> Result<Page> {
        // Campaign numbers have 24 bits, so none is left out.
        let before = before.map_or(i32::MAX, |number| number.get() as i32);
        // One more than asked for tells whether there is a next page.
        let limit = i64::from(size) + 1;
        let page = self
            .store
            .read(async |read| read.campaigns_before(before, limit).await);
        let mut campaigns = page.await?;
        let fitting = fitting_by_names(&campaigns).min(usize::from(size));
        let more = campaigns.len() > fitting;
        campaigns.truncate(fitting);
        let last = campaigns.last().map(|campaign| campaign.number);
        Ok(Page {
            next: last.filter(|_| more),
            campaigns,
        })
    }

    /// What staff changed, the newest first: fewer if so many do not fit into a message.
    pub async fn changes(&self, query: &ChangeQuery) -> Result<ChangePage> {
        let page = self.store.read(async |read| read.changes(query).await);
        let mut page = page.await?;
        let bytes = |recorded: &RecordedChange| {
            let fields = recorded.change.fields.iter();
            let bytes = fields.map(|field| field.before.len() + field.after.len());
            bytes.sum()
        };
        let fitting = fitting(&page.changes, bytes, MAX_BYTES_OF_PAGE).max(1);
        if fitting < page.changes.len() {
            page.changes.truncate(fitting);
            page.next = page.changes.last().map(|last| last.id);
        }
        Ok(page)
    }

    /// Adds to a tier's stock, once for each request id. Answers with the campaign as it is now and whether an earlier call had added it.
    pub async fn add_budget(
        &self,
        addition: &BudgetAddition,
        call: &StaffCall,
    ) -> Result<(Campaign, bool)> {
        let added = self.store.transaction(call.deadline, async |work| {
            let BudgetAddition {
                request_id,
                additional_stock,
                ..
            } = addition;
            let campaign = work.lock_campaign(&addition.campaign).await?;
            let tier = campaign.tier_number(&addition.tier);
            if let Some(before) = work.budget_addition(campaign.number, request_id).await? {
                return if tier.map(|tier| (tier, *additional_stock)) == Some(before) {
                    Ok((campaign, true))
                } else {
                    Err(QuotaError::BudgetRequestIdTaken)
                };
            }
            let now = call.now();
            if campaign.is_over(now) {
                return Err(QuotaError::CampaignClosed);
            }
            let tier = tier.ok_or_else(|| {
                QuotaError::invalid_field("tier_id", "must be one of the campaign's tiers")
            })?;
            let stock = campaign
                .stock
                .get(usize::from(tier.get()))
                .map_or(MAX_STOCK, |stock| stock.stock());
            if stock + additional_stock > MAX_STOCK {
                let most =
                    format!("must leave the tier with at most {MAX_STOCK} coupons; it has {stock}");
                return Err(QuotaError::invalid_field("additional_stock", most));
            }
            work.add_budget(campaign.number, request_id, tier, *additional_stock, now)
                .await?;
            work.bump_revision(campaign.number).await?;
            let after = work.campaign(&addition.campaign).await?;
            let change = call.change("AddBudget", &addition.campaign, addition.reason.as_str());
            let change = change.map(|change| {
                let change = change.with_field("request_id", "", request_id);
                staff::compared(change, Some(&campaign), &after)
            });
            work.record(change.as_slice()).await?;
            Ok((after, false))
        });
        added.await
    }

    /// Changes what a campaign is, so far as nothing else was promised. The same change again answers with the campaign as it is.
    pub async fn update(&self, request: UpdateRequest, call: &StaffCall) -> Result<Campaign> {
        let updated = self.store.transaction(call.deadline, async |work| {
            let before = work.lock_campaign(&request.campaign).await?;
            let facts = work.update_facts(before.number).await?;
            let Some(terms) = before.update(request.wanted, facts, call.now())? else {
                return Ok(before);
            };
            work.update_campaign(before.number, &before.terms, &terms, None)
                .await?;
            let why = ("UpdateCampaign", shown(&request.reason));
            staff::record(work, call, why, &request.campaign, Some(&before)).await
        });
        updated.await
    }
}

/// How many of the first of these fit into a page by their sizes.
fn fitting<T>(all: &[T], size: impl Fn(&T) -> usize, most: usize) -> usize {
    let sizes = all.iter().scan(0, |sum, one| {
        *sum += size(one);
        Some(*sum)
    });
    sizes.take_while(|sum| *sum <= most).count()
}

fn fitting_by_names(campaigns: &[Campaign]) -> usize {
    let names = |campaign: &Campaign| campaign.terms.names();
    fitting(campaigns, names, MAX_NAMES_OF_PAGE)
}

/// The campaign there is, if it was made with the same terms, whatever they are now.
async fn made_before(
    work: &mut Work,
    campaign: Campaign,
    terms: &CampaignTerms,
) -> Result<Campaign> {
    if campaign.terms == *terms || work.was_made_with(campaign.number, terms).await? {
        Ok(campaign)
    } else {
        Err(QuotaError::CampaignIdTaken)
    }
}
