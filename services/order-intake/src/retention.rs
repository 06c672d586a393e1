//! Forgets what is no longer needed: day by day, and in bounded steps.
//!
//! Details of orders and events of the feed live in a table a day, which is dropped whole. Keys
//! live as long as their campaign, so that a late retry finds its order, and are deleted by the
//! thousand. Several replicas may sweep at once: each step may be done twice.

use std::{
    collections::{BTreeMap, HashSet},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tidegate_types::{CouponCode, Lane, Timestamp};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::{
    domain::{OrderId, RetentionPeriod},
    error::Result,
    store::{OldKey, Store},
};

const SWEEP_INTERVAL: Duration = Duration::from_secs(3_600);
/// How soon the end of a campaign is remembered beyond this process.
const NOTE_INTERVAL: Duration = Duration::from_secs(1);
/// Days whose tables are made ahead, so that a sweep may fail for a week.
const DAYS_AHEAD: u16 = 8;
/// Tables that one sweep drops: two a day.
const MAX_TABLES_DROPPED: u16 = 28;
const STEP_ROWS: u16 = 1_000;
/// Statements of one sweep for rows, and for the keys of one lane.
const MAX_STEPS: u32 = 1_000;
/// Campaigns whose end is known to this process; of more, those that end first are forgotten, and
/// noted again by their next redemption.
const MAX_CAMPAIGNS: usize = 10_000;

/// Gathers when campaigns end, as issuance says with every redemption. Cheap to clone.
#[derive(Clone, Default)]
pub struct CampaignEnds(Arc<Mutex<Noted>>);

#[derive(Default)]
struct Noted {
    known: BTreeMap<u32, Timestamp>,
    fresh: BTreeMap<u32, Timestamp>,
}

impl Noted {
    fn note(&mut self, campaign: u32, closes_at: Timestamp) {
        let is_noted = |ends: &BTreeMap<u32, Timestamp>| {
            let known = ends.get(&campaign);
            known.is_some_and(|known| *known >= closes_at)
        };
        if !is_noted(&self.known) && !is_noted(&self.fresh) {
            self.known.insert(campaign, closes_at);
            self.fresh.insert(campaign, closes_at);
            self.bound();
        }
    }

    fn bound(&mut self) {
        for campaign in forget_first_ended(&mut self.fresh) {
            self.known.remove(&campaign);
        }
        forget_first_ended(&mut self.known);
    }
}

/// Forgets so many that ended first that no more than [`MAX_CAMPAIGNS`] are left, and tells which.
fn forget_first_ended(ends: &mut BTreeMap<u32, Timestamp>) -> Vec<u32> {
    let Some(excess @ 1..) = ends.len().checked_sub(MAX_CAMPAIGNS) else {
        return Vec::new();
    };
    let mut campaigns: Vec<_> = ends.keys().copied().collect();
    campaigns.sort_unstable_by_key(|campaign| ends[campaign]);
    campaigns.truncate(excess);
    for campaign in &campaigns {
        ends.remove(campaign);
    }
    campaigns
}

impl CampaignEnds {
    /// Notes the end of the campaign that a code names; the code has just been redeemed, so it
    /// names a true one.
    pub fn note(&self, code: CouponCode, closes_at: Timestamp) {
        self.noted().note(code.claimed_campaign(), closes_at);
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub struct Retention {
    pub store: Store,
    pub campaigns: CampaignEnds,
    pub period: RetentionPeriod,
}

impl Retention {
    /// Makes the tables of the next days. What is written without them is kept as well, but has to
    /// be deleted row by row later.
    pub async fn prepare(&self, now: Timestamp) {
        if self.store.make_days(now.date(), DAYS_AHEAD).await.is_err() {
            tracing::warn!(
                "the tables of the next days could not be made, as the line before says; orders are kept in the table of other days until they are, and the next try is within the hour"
            );
        }
    }

    /// Sweeps again and again until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let (mut sweeps, mut notes) = (interval(SWEEP_INTERVAL), interval(NOTE_INTERVAL));
        sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
        notes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = notes.tick() => self.note_campaign_ends().await,
                _ = sweeps.tick() => {
                    let now = Timestamp::now_utc();
                    self.prepare(now).await;
                    tokio::select! {
                        () = stop.cancelled() => return,
                        // A failed step is logged where it failed, and the next sweep goes on.
                        _ = self.sweep(now) => {}
                    }
                }
            }
        }
    }

    async fn note_campaign_ends(&self) {
        let fresh = mem::take(&mut self.campaigns.noted().fresh);
        if !fresh.is_empty() && self.store.note_campaign_ends(&fresh).await.is_err() {
            // Those that could not be remembered wait for the next time.
            let mut noted = self.campaigns.noted();
            for (campaign, closes_at) in fresh {
                noted.fresh.entry(campaign).or_insert(closes_at);
            }
            noted.bound();
        }
    }

    /// Forgets what is older than the period at `now`, except what a worker still needs.
    pub async fn sweep(&self, now: Timestamp) -> Result<()> {
        let store = &self.store;
        let cutoff = self.period.cutoff(now);
        let unfinished = store.oldest_unfinished().await?;
        let first_kept = unfinished.map_or(cutoff, |unfinished| unfinished.min(cutoff));
        let first_kept = first_kept.to_offset(time::UtcOffset::UTC).date();
        let dropped = store.drop_days(first_kept, MAX_TABLES_DROPPED).await?;
        if dropped > 0 {
            tracing::info!(tables = dropped, %first_kept, "orders and events of days before the retention period were forgotten");
        }
        for _ in 0..MAX_STEPS {
            if store.forget_rows(first_kept, STEP_ROWS).await? == 0 {
                break;
            }
        }
        let false_before = self.period.false_order_cutoff(now);
        for lane in store.lanes().all() {
            for _ in 0..MAX_STEPS {
                let forgotten = store.forget_false_orders(lane, false_before, STEP_ROWS);
                if forgotten.await? < i64::from(STEP_ROWS) {
                    break;
                }
            }
            self.forget_keys(lane, cutoff, now).await?;
        }
        Ok(())
    }

    async fn forget_keys(&self, lane: Lane, cutoff: Timestamp, now: Timestamp) -> Result<()> {
        let before = OrderId::first_at(cutoff);
        let mut after = OrderId::first_at(Timestamp::UNIX_EPOCH);
        for _ in 0..MAX_STEPS {
            let keys = self.store.old_keys(lane, after, before, STEP_ROWS).await?;
            let Some(last) = keys.last() else {
                return Ok(());
            };
            after = last.order_id();
            let campaigns: HashSet<_> = keys.iter().filter_map(OldKey::campaign).collect();
            let ends = self.store.campaign_ends(campaigns.into_iter()).await?;
            let is_needed = |key: &OldKey| {
                let closes_at = key.campaign().and_then(|campaign| ends.get(&campaign));
                let closes_at = closes_at.copied();
                self.period.needs_key(key.created_at, closes_at, now)
            };
            let ended = keys.iter().filter(|key| !is_needed(key));
            let ended: Vec<_> = ended.map(OldKey::order_id).collect();
            if !ended.is_empty() {
                self.store.forget_keys(lane, &ended).await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_too_many_campaigns_those_that_ended_first_are_forgotten_and_can_be_noted_again() {
        let second = |second: u32| Timestamp::UNIX_EPOCH + Duration::from_secs(second.into());
        let too_many = MAX_CAMPAIGNS as u32 + 2;
        let mut noted = Noted::default();
        for campaign in 0..too_many {
            noted.note(campaign, second(campaign));
        }
        for ends in [&noted.known, &noted.fresh] {
            assert!(ends.keys().copied().eq(2..too_many));
        }
        noted.note(2, second(1));
        assert_eq!(noted.fresh[&2], second(2), "an end is never earlier");
        noted.note(0, second(too_many));
        assert_eq!(noted.fresh[&0], second(too_many));
        assert!(noted.known.contains_key(&0) && !noted.known.contains_key(&2));

        // What is remembered beyond this process is known until others need its place.
        mem::take(&mut noted.fresh);
        noted.note(3, second(3));
        assert!(noted.fresh.is_empty());
        noted.note(1, second(1));
        assert_eq!(noted.fresh, BTreeMap::from([(1, second(1))]));
        assert!(!noted.known.contains_key(&1), "it ended first");
    }
}
