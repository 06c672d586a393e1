//! Sentences that name a time.

use tidegate_types::Timestamp;

use super::{
    Words,
    moments::{spoken_moment, spoken_store_moment},
};

pub(super) fn not_open(opens_at: Option<Timestamp>) -> Words {
    match opens_at.map(spoken_moment) {
        Some(opens_at) => Words::new(
            format!("本次活动尚未开始，开始时间为{}。", opens_at.zh),
            format!(
                "This giveaway has not started yet. It opens at {}.",
                opens_at.en
            ),
        ),
        None => Words::new("本次活动尚未开始。", "This giveaway has not started yet."),
    }
}

pub(super) fn redemption_halted(resume_at: Option<Timestamp>) -> Words {
    match resume_at.map(spoken_moment) {
        Some(resume_at) => Words::new(
            format!(
                "优惠券暂时不能使用，预计{}恢复。优惠券未被使用，仍归您所有。",
                resume_at.zh
            ),
            format!(
                "Coupons cannot be used right now; that is expected to go on at {}. The coupon was not used and stays yours.",
                resume_at.en
            ),
        ),
        None => Words::new(
            "优惠券暂时不能使用，恢复时间待定。优惠券未被使用，仍归您所有。",
            "Coupons cannot be used right now, and it is not known yet when that goes on. The coupon was not used and stays yours.",
        ),
    }
}

pub(super) fn store_busy(next_slot_at: Option<Timestamp>) -> Words {
    match next_slot_at.map(spoken_store_moment) {
        Some(slot) => Words::new(
            format!(
                "这家门店在您要求的时间之前已约满，最早可约{}。优惠券未被使用。",
                slot.zh
            ),
            format!(
                "This store is full until the time you asked for; its next free slot is at {}. The coupon was not used.",
                slot.en
            ),
        ),
        None => Words::new(
            "这家门店暂时没有空余名额，请稍后再试或换一家门店。优惠券未被使用。",
            "This store has no free slot now. Please try later or choose another store. The coupon was not used.",
        ),
    }
}

pub(super) fn store_closed(opens_at: Option<Timestamp>) -> Words {
    match opens_at.map(spoken_store_moment) {
        Some(opens_at) => Words::new(
            format!(
                "这家门店当前不营业，下次接单时间为{}。优惠券未被使用。",
                opens_at.zh
            ),
            format!(
                "This store is closed and takes orders again from {}. The coupon was not used.",
                opens_at.en
            ),
        ),
        None => Words::new(
            "这家门店目前不接单，请换一家门店。优惠券未被使用。",
            "This store takes no orders at present. Please choose another one. The coupon was not used.",
        ),
    }
}

pub(super) fn asked_too_often(seconds: u64) -> Words {
    Words::new(
        format!("请求过于频繁，请在 {seconds} 秒后重试。重试不会重复领取或重复下单。"),
        format!(
            "This was asked too often. Please try again in {seconds} s; trying again never counts twice."
        ),
    )
}

pub(super) fn overloaded(seconds: u64) -> Words {
    Words::new(
        format!("现在暂时无法完成这次请求，请在 {seconds} 秒后重试。重试不会重复领取或重复下单。"),
        format!(
            "This could not be done just now. Please try again in {seconds} s; trying again never counts twice."
        ),
    )
}

pub(super) fn queue_full(seconds: u64) -> Words {
    Words::new(
        format!("当前参与人数较多，请在 {seconds} 秒后重试。重试不会重复领取或重复下单。"),
        format!(
            "Very many people are here right now. Please try again in {seconds} s; trying again never counts twice."
        ),
    )
}

pub(super) fn wait_too_long(seconds: u64) -> Words {
    Words::new(
        format!("现在至少需要等待约 {seconds} 秒，超过了您愿意等待的时间，因此没有为您排队。"),
        format!(
            "It would take at least about {seconds} s now, longer than you want to wait, so you were not put in the queue."
        ),
    )
}

pub(super) fn stock_returning(seconds: u64) -> Words {
    Words::new(
        format!("优惠券即将发完，可能还有少量返还，请在 {seconds} 秒后重试。"),
        format!(
            "The coupons are nearly gone, but a few may come back. Please try again in {seconds} s."
        ),
    )
}

pub(super) fn coupon_key_missing(seconds: u64) -> Words {
    Words::new(
        format!(
            "暂时无法核对或显示这个券码。如为手动输入，请检查是否正确；若无误，优惠券仍归您所有，请在 {seconds} 秒后重试。"
        ),
        format!(
            "This coupon's code cannot be checked or shown right now. If it was typed, please check it; if it is right, the coupon is not lost, so please try again in {seconds} s."
        ),
    )
}
