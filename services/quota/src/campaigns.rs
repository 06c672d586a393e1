//! Making campaigns, reading and changing them, and adding to their stock.

mod budget;
mod updating;

use tidegate_types::{CampaignId, CampaignNumber, ChangePage, ChangeQuery, ChangeReason};

pub use self::{budget::BudgetAddition, updating::UpdateRequest};
use crate::{
    QuotaError,
    domain::{Campaign, CampaignTerms, WantedCampaigns},
    staff::{self, StaffCall},
    store::{Store, Work, within_limit},
    watch::{MAX_CURRENT_CAMPAIGNS, current_if_closing_after},
};

/// Campaigns of one look-up at most.
pub const MAX_LOOKED_UP: usize = 100;
/// The largest page of campaigns.
pub const MAX_PAGE_SIZE: u8 = 100;
/// Areas and stores that the campaigns of one page name together: a page has to fit into one message. One campaign names 17,600 at most, so it always fits.
const MAX_NAMES_OF_PAGE: usize = 20_000;
/// What the changes of one page say of fields, in bytes, for the same reason; one change always fits.
const MAX_BYTES_OF_PAGE: usize = 1024 * 1024;

/// A page of campaigns, newest first.
#[derive(Debug)]
pub struct Page {
    pub campaigns: Vec<Campaign>,
    /// Where the next page begins; `None` if this is the last.
    pub next: Option<CampaignNumber>,
}

/// What there is of campaigns that were asked for.
#[derive(Debug)]
pub struct Found {
    pub campaigns: Vec<Campaign>,
    /// What there is not.
    pub unknown: WantedCampaigns,
}

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
        reason: Option<&ChangeReason>,
        call: &StaffCall,
    ) -> Result<Campaign, QuotaError> {
        within_limit(async {
            let mut work = self.store.begin(call.deadline).await?;
            let outcome = create(&mut work, terms, reason, call).await;
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

    /// What staff changed, the newest first: fewer if so many do not fit into a message.
    pub async fn changes(&self, query: &ChangeQuery) -> Result<ChangePage, QuotaError> {
        let mut page = within_limit(async {
            let mut read = self.store.begin_read().await?;
            let found = read.changes(query).await;
            read.end(found).await
        })
        .await?;
        let bytes = page.changes.iter().scan(0, |bytes, recorded| {
            let fields = recorded.change.fields.iter();
            let fields = fields.map(|field| field.before.len() + field.after.len());
            *bytes += fields.sum::<usize>();
            Some(*bytes)
        });
        let fitting = bytes.take_while(|bytes| *bytes <= MAX_BYTES_OF_PAGE);
        let fitting = fitting.count().max(1);
        if fitting < page.changes.len() {
            page.changes.truncate(fitting);
            page.next = page.changes.last().map(|last| last.id);
        }
        Ok(page)
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
    reason: Option<&ChangeReason>,
    call: &StaffCall,
) -> Result<Campaign, QuotaError> {
    if let Some(campaign) = work.campaign(&terms.id).await? {
        return made_before(work, campaign, terms).await;
    }
    let now = call.now();
    let current = work
        .count_campaigns_ending_after(current_if_closing_after(now))
        .await?;
    if current >= MAX_CURRENT_CAMPAIGNS {
        return Err(QuotaError::TooManyCampaigns);
    }
    let is_new = work.insert_campaign(terms, now).await?;
    let campaign = find(work, &terms.id).await?;
    if !is_new {
        return made_before(work, campaign, terms).await;
    }
    let reason = reason.map_or("", ChangeReason::as_str);
    let change = call.change("CreateCampaign", &terms.id, reason);
    let change = change.map(|change| staff::compared(change, None, &campaign));
    work.record(change.as_slice()).await?;
    Ok(campaign)
}

/// The campaign there is, if it was made with the same terms, whatever they are now.
async fn made_before(
    work: &mut Work,
    campaign: Campaign,
    terms: &CampaignTerms,
) -> Result<Campaign, QuotaError> {
    if campaign.terms == *terms || work.was_made_with(campaign.number, terms).await? {
        Ok(campaign)
    } else {
        Err(QuotaError::CampaignIdTaken)
    }
}

/// The campaign as it is under its locks. It is read after they were taken: a statement that waits
/// for a lock shows other tables as they were before the wait.
pub(crate) async fn lock(work: &mut Work, id: &CampaignId) -> Result<Campaign, QuotaError> {
    let number = find(work, id).await?.number;
    let locked = work.lock_tiers(number).await?;
    locked.ok_or(QuotaError::CampaignNotFound)?;
    find(work, id).await
}

/// The campaign with this id.
pub(crate) async fn find(work: &mut Work, id: &CampaignId) -> Result<Campaign, QuotaError> {
    work.campaign(id).await?.ok_or(QuotaError::CampaignNotFound)
}
