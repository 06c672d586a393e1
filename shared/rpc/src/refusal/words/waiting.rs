use std::time::Duration;

use tidegate_types::{HeldCoupons, Timestamp};

use super::{
    Words, held_coupons,
    moments::{spoken_moment, spoken_span},
};

/// Why a claim waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// The giveaway has not begun, and the order of those who came before is drawn when it does.
    ForOpening {
        /// When it begins.
        opens_at: Timestamp,
    },
    /// Others are first.
    ForOthers {
        /// How many are ahead, and this shopper.
        position: u64,
        /// From the fastest to the slowest that is likely, if anything is known of it.
        wait: Option<(Duration, Duration)>,
    },
    /// Staff issue nothing at present and turn nobody away.
    ForStaff {
        /// How many are ahead, and this shopper.
        position: u64,
        /// When they expect to go on, if they said so.
        resume_at: Option<Timestamp>,
    },
    /// So many are ahead that the coupons that are left will not do, unless some of them leave.
    BehindStock {
        /// How many are ahead, and this shopper.
        position: u64,
    },
    /// It is this shopper's turn, and every place where claims are served is taken for a moment.
    ForServing,
    /// It is this shopper's turn, and no coupon is free, but some that were lent may come back.
    ForStock,
}

impl Waiting {
    /// What a chatbot may say to who waits. `poll_after` is when it is to ask again.
    pub fn words(self, poll_after: Duration, held: HeldCoupons) -> Words {
        let seconds = poll_after.as_secs_f64().ceil().max(1.0) as u64;
        match self {
            Self::ForOpening { opens_at } => before_opening(opens_at).then(held_coupons(held)),
            Self::ForOthers { position, wait } => in_queue(position, wait).then(held_coupons(held)),
            Self::ForStaff {
                position,
                resume_at,
            } => held_by_staff(position, resume_at).then(held_coupons(held)),
            Self::BehindStock { position } => behind_stock(position).then(held_coupons(held)),
            Self::ForServing => Words::new(
                format!("轮到您了，正在为您办理，请在 {seconds} 秒后再查询一次。您的位置会保留。"),
                format!(
                    "It is your turn and your claim is about to be served. Please ask again in {seconds} s; your turn is kept."
                ),
            ),
            Self::ForStock => Words::new(
                format!(
                    "轮到您了，但优惠券即将发完，可能还有少量返还，请在 {seconds} 秒后再查询一次。您的位置会保留。"
                ),
                format!(
                    "It is your turn, but the coupons are nearly gone; a few may come back. Please ask again in {seconds} s; your turn is kept."
                ),
            ),
        }
    }
}

fn before_opening(opens_at: Timestamp) -> Words {
    let opens_at = spoken_moment(opens_at);
    Words::new(
        format!(
            "活动将于{}开始，您已进入等候室。先到的人开始时随机排序，早来或反复刷新都不会更靠前。",
            opens_at.zh
        ),
        format!(
            "The giveaway opens at {}, and you are in the waiting room. The order of all who wait is drawn at random at the opening; coming early or asking often gains nothing.",
            opens_at.en
        ),
    )
}

fn in_queue(position: u64, wait: Option<(Duration, Duration)>) -> Words {
    match wait.map(|(shortest, longest)| spoken_span(shortest, longest)) {
        Some(span) => Words::new(
            format!("您正在排队，当前是第 {position} 位，预计还需{}。", span.zh),
            format!(
                "You are in the queue at position {position}; it will probably take {}.",
                span.en
            ),
        ),
        None => Words::new(
            format!("您正在排队，当前是第 {position} 位，所需时间暂时无法估计。"),
            format!(
                "You are in the queue at position {position}; how long it will take is not known yet."
            ),
        ),
    }
}

fn behind_stock(position: u64) -> Words {
    Words::new(
        format!(
            "您正在排队，当前是第 {position} 位，剩余的优惠券少于排在前面的人数。如果有人离开或活动方追加，仍可能轮到您，您的位置会保留。"
        ),
        format!(
            "You are in the queue at position {position}, and there are fewer coupons left than people before you. If some leave or more coupons are added, yours may still come; your place is kept."
        ),
    )
}

fn held_by_staff(position: u64, resume_at: Option<Timestamp>) -> Words {
    match resume_at.map(spoken_moment) {
        Some(resume_at) => Words::new(
            format!(
                "活动方暂停了发放，预计{}恢复。您的排队位置是第 {position} 位，会为您保留。",
                resume_at.zh
            ),
            format!(
                "The organisers have paused the giveaway and expect to go on at {}. You are at position {position}, and your place is kept.",
                resume_at.en
            ),
        ),
        None => Words::new(
            format!("活动方暂停了发放，恢复时间待定。您的排队位置是第 {position} 位，会为您保留。"),
            format!(
                "The organisers have paused the giveaway, and it is not known yet when it goes on. You are at position {position}, and your place is kept."
            ),
        ),
    }
}
