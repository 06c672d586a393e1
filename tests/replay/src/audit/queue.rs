//! The queue as shoppers saw it: who was served before whom, what was promised, and who was left waiting. Databases are asked elsewhere.

use std::time::Duration;

use super::Finding;
use crate::{
    crowd::habits::InQueue,
    ledger::{Told, ToldService},
    queue_wait::QueueWait,
};

/// Two that join this far apart have tickets of different seconds, although gateways learn several times a second only which second it is.
const JOINED_LATER: Duration = Duration::from_millis(1_500);
/// How long a gateway may take to hear from quota whose turn it is.
const HEARD_WITHIN: Duration = Duration::from_secs(1);
/// Whoever asks so long after the last coupon was made is told that waiting is over.
const WAITING_LIMIT: Duration = Duration::from_secs(5);
const BROKEN_ONE_IN: usize = 10;

/// Whether nobody who did as told was overtaken and no position grew. Before the `opening` nobody is earlier than anybody.
pub fn order_of_service(told: &Told, opening: Duration) -> Finding {
    let latest_joined = LatestJoined::new(&told.services);
    let (mut grown, mut overtaken, mut comparable) = (0, 0, 0);
    let mut waited_for_stock = 0;
    let (mut served_late, mut watchers_served_late) = (0, 0);
    for wait in &told.waits {
        grown += i64::from(wait.grown > 0);
        let is_late = is_served_after_a_later_one(wait, &latest_joined, opening);
        served_late += i64::from(is_late);
        watchers_served_late += i64::from(is_late && wait.kind == InQueue::Watches);
        let Some(span) = could_be_overtaken(wait, opening) else {
            continue;
        };
        comparable += 1;
        let latest = latest_joined.of_those_served_before(span.served_before);
        let is_after_a_later_one = latest.is_some_and(|latest| latest > span.joined_after);
        if wait.was_for_stock {
            waited_for_stock += i64::from(is_after_a_later_one);
        } else {
            overtaken += i64::from(is_after_a_later_one);
        }
    }
    let mut finding = Finding::of([
        ("queued", told.waits.len() as i64),
        ("queued_long_enough_to_compare", comparable),
        ("wrong_shoppers_whose_position_grew", grown),
        // Who polls comes to a turn when told to come, who watches at once: the two together say what polling has to do with it.
        ("watchers_served_after_later_ones", watchers_served_late),
        ("shoppers_served_after_later_ones", served_late),
        // The last coupons are on lease lane by lane: their turns had come, and their lanes had none.
        ("waited_for_stock_after_later_ones", waited_for_stock),
        ("wrong_shoppers_overtaken", overtaken),
    ]);
    let median = |as_told: bool| {
        let is_meant = |wait: &&QueueWait| wait.is_served && wait.kind.does_as_told() == as_told;
        median_wait_ms(told.waits.iter().filter(is_meant), opening)
    };
    if let (Some(patient), Some(storming)) = (median(true), median(false)) {
        finding.add("median_wait_ms_as_told", patient);
        finding.add("median_wait_ms_of_bots", storming);
    }
    finding
}

/// Served, having done as told, after somebody who surely joined later.
fn is_served_after_a_later_one(
    wait: &QueueWait,
    latest_joined: &LatestJoined,
    opening: Duration,
) -> bool {
    let joined_by = wait.joined.told_at.max(opening);
    wait.ended_at
        .filter(|_| wait.is_served && wait.kind.does_as_told())
        .and_then(|ended_at| latest_joined.of_those_served_before(ended_at))
        .is_some_and(|latest| latest > joined_by + JOINED_LATER)
}

/// Whoever joined after the one moment and was served before the other overtook somebody.
struct Overtaking {
    joined_after: Duration,
    served_before: Duration,
}

/// Who overtakes this shopper: those that joined surely later, and were served surely before it was told, with the newest ticket, to wait
/// once more. None if it did not do as told, or not for so long.
fn could_be_overtaken(wait: &QueueWait, opening: Duration) -> Option<Overtaking> {
    let overtaking = Overtaking {
        joined_after: wait.joined.told_at.max(opening) + JOINED_LATER,
        served_before: wait.last_asked_at.checked_sub(HEARD_WITHIN)?,
    };
    let is_long = overtaking.served_before > overtaking.joined_after;
    (wait.kind.does_as_told() && is_long).then_some(overtaking)
}

/// The latest that anybody joined of all who had been served by some moment.
struct LatestJoined(Vec<(Duration, Duration)>);

impl LatestJoined {
    fn new(services: &[ToldService]) -> Self {
        let mut by_time: Vec<_> = services
            .iter()
            .map(|service| (service.told_at, service.joined_after))
            .collect();
        by_time.sort_unstable();
        let mut latest = Duration::ZERO;
        for (_, joined_after) in &mut by_time {
            latest = latest.max(*joined_after);
            *joined_after = latest;
        }
        Self(by_time)
    }

    fn of_those_served_before(&self, moment: Duration) -> Option<Duration> {
        let count = self.0.partition_point(|(told_at, _)| *told_at < moment);
        Some(self.0.get(count.checked_sub(1)?)?.1)
    }
}

fn median_wait_ms<'a>(
    waits: impl Iterator<Item = &'a QueueWait>,
    opening: Duration,
) -> Option<i64> {
    let mut waits: Vec<_> = waits.filter_map(|wait| wait.waited(opening)).collect();
    waits.sort_unstable();
    let median = waits.get(waits.len() / 2)?;
    i64::try_from(median.as_millis()).ok()
}

/// Whether answers said all that they owe, and estimates were kept.
pub fn words_and_estimates(told: &Told) -> Finding {
    let mut finding = told.answers.clone();
    let told_as_told = told.waits.iter().filter(|wait| wait.kind.does_as_told());
    let waits: Vec<_> = told_as_told
        .filter_map(QueueWait::waited_of_promised)
        .collect();
    let kept = waits.iter().filter(|(waited, most)| waited <= most).count();
    let broken = waits.len() - kept;
    finding.add("estimates", waits.len() as i64);
    if !waits.is_empty() {
        finding.add("estimates_kept_percent", (100 * kept / waits.len()) as i64);
    }
    let beyond = broken.saturating_sub(waits.len() / BROKEN_ONE_IN);
    finding.add("wrong_estimates_broken_beyond_one_in_ten", beyond as i64);
    finding
}

/// Whether those who did as told heard that waiting was over when they asked, once the last coupon was made; none: some coupons are left. Whoever polls asks when told to, which so many as wait decide.
pub fn left_waiting(told: &Told, sold_out_at: Option<Duration>) -> Finding {
    let (mut waiting, mut too_long) = (0, 0);
    let patient = told.waits.iter().filter(|wait| wait.kind.does_as_told());
    for (wait, sold_out_at) in patient.filter_map(|wait| Some((wait, sold_out_at?))) {
        let began = sold_out_at.max(wait.first_told_at);
        waiting += i64::from(wait.ended_at.is_some_and(|ended_at| ended_at >= began));
        too_long += i64::from(wait.last_asked_at > sold_out_at + WAITING_LIMIT);
    }
    Finding::of([
        ("waiting_at_the_sell_out_or_later", waiting),
        ("wrong_shoppers_left_waiting", too_long),
    ])
}

#[cfg(test)]
mod tests;
