mod moments;
mod timed;
mod waiting;

use std::time::Duration;

use tidegate_types::{HeldCoupons, Reason, Refusal};

pub use waiting::Waiting;

use moments::spoken_moment;

/// What a chatbot can pass on as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// In zh-CN. Moments are those of Beijing.
    pub zh: String,
    /// In en. Moments are in UTC.
    pub en: String,
}

impl Words {
    fn new(zh: impl Into<String>, en: impl Into<String>) -> Self {
        Self {
            zh: zh.into(),
            en: en.into(),
        }
    }

    /// What is said when nobody knows what went wrong.
    pub(super) fn of_defect() -> Self {
        Self::new(
            "系统内部出现问题。请稍后重试，重试不会重复领取或重复下单。",
            "Something went wrong on our side. Please try again later; trying again never counts twice.",
        )
    }

    /// These and then those.
    fn then(self, next: Self) -> Self {
        Self {
            zh: self.zh + &next.zh,
            en: self.en + " " + &next.en,
        }
    }
}

/// Bad fields that the words name. `BadRequest` names all that fit.
const MAX_SPOKEN_FIELDS: usize = 4;

/// The detail of a BUDGET_EXHAUSTED that is told while there are coupons, to those whom they will not reach.
pub const QUEUE_IS_LONGER_THAN_STOCK: &str = "queue_is_longer_than_stock";

/// The detail of a BUDGET_EXHAUSTED that is told of one tier while there may be coupons of others.
pub const TIER_IS_GONE: &str = "tier_is_gone";

/// The detail of an OVERLOADED that is the caller's own doing, however few others there are.
pub const ASKED_TOO_OFTEN: &str = "asked_too_often";

/// The one catalogue of what shoppers hear. Each sentence must be true whenever its reason is.
pub(super) fn say(refusal: &Refusal, delay: Option<Duration>) -> Words {
    let seconds = delay.map_or(1, |delay| delay.as_secs_f64().ceil().max(1.0) as u64);
    let fact = |key: &str| refusal.fact(key);
    let held = held_coupons(refusal.held_coupons());
    let (zh, en) = match refusal.reason {
        Reason::BudgetExhausted => return exhausted(refusal).then(held),
        Reason::ShopperLimitReached => (
            "您已领取本次活动允许的全部优惠券，可在卡包中查看和使用。".into(),
            "You already hold every coupon this giveaway allows you; you can find and use them in your wallet.".into(),
        ),
        Reason::CampaignClosed => {
            return Words::new("本次活动已结束。", "This giveaway has ended.").then(held);
        }
        Reason::CampaignNotOpen => return timed::not_open(refusal.moment("opens_at")),
        Reason::IssuanceHalted => return halted(refusal).then(held),
        Reason::RedemptionHalted => return timed::redemption_halted(refusal.moment("resume_at")),
        Reason::ControlEpochConflict => (
            "活动控制已被他人修改，请重新读取后再决定。".into(),
            "Somebody else changed this campaign's control first. Read the campaign again and decide anew.".into(),
        ),
        Reason::CampaignNotFound => ("没有找到这个活动。".into(), "There is no such giveaway.".into()),
        Reason::Overloaded if fact("detail") == Some(ASKED_TOO_OFTEN) => return timed::asked_too_often(seconds),
        Reason::Overloaded => return timed::overloaded(seconds),
        Reason::QueueFull => return timed::queue_full(seconds),
        Reason::StockReturning => return timed::stock_returning(seconds),
        Reason::WaitTooLong => return timed::wait_too_long(seconds),
        Reason::RequestIdConflict => (
            "这个请求编号已用于另一项内容，请使用新的请求编号。".into(),
            "This request id was used for something else before. Please use a new one.".into(),
        ),
        Reason::ClaimNotFound => ("没有找到这次领取记录，可以放心重新领取。".into(), "No coupon came of this claim. Claiming again is safe.".into()),
        Reason::CouponNotFound => ("没有找到这张优惠券，请核对券码。".into(), "There is no such coupon in this wallet. Please check the code.".into()),
        Reason::CouponKeyMissing => return timed::coupon_key_missing(seconds),
        Reason::CampaignBegun => (
            "活动已经开始，这些内容不能再更改。".into(),
            with_detail("The campaign has begun, and this was promised to shoppers", fact("fields")),
        ),
        Reason::CouponRedeemed => ("这张优惠券已被另一笔订单使用。".into(), "This coupon has already paid for another order.".into()),
        Reason::CouponExpired => ("这张优惠券已过期。".into(), "This coupon has expired.".into()),
        Reason::CouponRevoked => ("这张优惠券已被撤回，不能再使用。".into(), "This coupon was withdrawn and can no longer be used.".into()),
        Reason::OrderNotFound => ("没有找到这笔订单。".into(), "There is no such order.".into()),
        Reason::StoreNotFound => ("没有找到这家门店，优惠券未被使用。".into(), "There is no such store. The coupon was not used.".into()),
        Reason::LeaseNotFound => ("没有找到这份库存租约。".into(), "There is no such lease.".into()),
        Reason::InvalidField => return bad_fields(refusal),
        Reason::Unauthenticated => ("身份凭证缺失或无效。".into(), with_detail("The credentials are missing or not valid", fact("detail"))),
        Reason::PermissionDenied => ("没有进行此操作的权限。".into(), with_detail("This caller may not do this", fact("detail"))),
        Reason::StoreBusy => return timed::store_busy(refusal.moment("next_slot_at")),
        Reason::StoreClosed => return timed::store_closed(refusal.moment("opens_at")),
        Reason::CouponNotApplicable => (
            "这张优惠券不适用于这笔订单，请查看使用条件。优惠券未被使用。".into(),
            "This coupon's terms do not fit this order. The coupon was not used.".into(),
        ),
        Reason::OrderStateConflict => return order_state(fact("state")),
        Reason::OrderTooLate => (
            "这笔订单未能在您要求的时间内确认，因此不会制作。优惠券未被使用，可用于其他订单。".into(),
            "This order could not be confirmed in time and will not be made. The coupon was not used by it and can pay for another order.".into(),
        ),
        Reason::StoreFailed => (
            "很抱歉，门店无法完成这笔订单。优惠券正在退还给您，退还后至少一小时内有效，请在其他门店下单。".into(),
            "Sorry, the store cannot make this order. The coupon comes back to you and is valid for another hour at least; please order at another store.".into(),
        ),
        Reason::OpenOrderLimitReached => (
            "您待制作的订单已达上限，请等其中一笔完成或取消后再下单。优惠券未被使用。".into(),
            "You already have as many orders to be made as one may have. Please order again when one of them is done or cancelled. The coupon was not used.".into(),
        ),
        Reason::Misconfigured => ("系统配置不一致，请联系运维人员。".into(), with_detail("The deployment's settings disagree; an operator has to mend them", fact("detail"))),
    };
    Words { zh, en }
}

/// What still works of what the shopper has.
fn held_coupons(held: HeldCoupons) -> Words {
    match (held.usable, held.valid_until.map(spoken_moment)) {
        (false, _) => Words::new(
            "您已领取的优惠券仍归您所有，但暂时不能使用。",
            "Coupons you already hold stay yours, though they cannot be used at the moment.",
        ),
        (true, Some(until)) => Words::new(
            format!("您已领取且未使用的优惠券至少可使用至{}。", until.zh),
            format!(
                "Unused coupons you already hold work at least until {}.",
                until.en
            ),
        ),
        (true, None) => Words::new(
            "您已领取且未使用的优惠券在有效期内仍可使用。",
            "Unused coupons you already hold still work until they expire.",
        ),
    }
}

fn exhausted(refusal: &Refusal) -> Words {
    match refusal.fact("detail") {
        Some(QUEUE_IS_LONGER_THAN_STOCK) => behind_the_stock(refusal),
        Some(TIER_IS_GONE) => Words::new(
            "您要领取的这种优惠券已全部发完，本次活动的其他优惠券可能还有。",
            "All coupons of the kind you asked for have been given out; there may still be others in this giveaway.",
        ),
        _ => Words::new(
            "本次活动的优惠券已全部发完。",
            "All coupons of this giveaway have been given out.",
        ),
    }
}

/// Some of those ahead may not come for theirs, so that nothing is certain but the order.
fn behind_the_stock(refusal: &Refusal) -> Words {
    let words = Words::new(
        "排在您前面的人数已超过剩余的优惠券数量，这次领取很可能无法成功，不必继续等待。",
        "More people are ahead of you than there are coupons left, so there will very probably be none for this claim; there is no need to wait.",
    );
    if refusal.fact("ticket_kept") == Some("true") {
        words.then(Words::new(
            "如果活动增加优惠券，您的排队位置仍然有效。",
            "Should coupons be added, your place in the queue counts again.",
        ))
    } else {
        words
    }
}

fn halted(refusal: &Refusal) -> Words {
    let words = match refusal.moment("resume_at").map(spoken_moment) {
        Some(resume_at) => Words::new(
            format!("本次活动的领取已暂停，预计{}恢复。", resume_at.zh),
            format!(
                "Claiming is paused and expected to go on at {}.",
                resume_at.en
            ),
        ),
        None => Words::new(
            "本次活动的领取已暂停，恢复时间待定。",
            "Claiming is paused, and it is not known yet when it goes on.",
        ),
    };
    if refusal.fact("ticket_kept") == Some("true") {
        words.then(Words::new(
            "您的排队位置已为您保留。",
            "Your place in the queue is kept.",
        ))
    } else {
        words
    }
}

fn order_state(state: Option<&str>) -> Words {
    match state {
        Some(state) => Words::new(
            format!("订单当前状态为 {state}，无法进行此操作。"),
            format!("The order is {state}, which does not allow this."),
        ),
        None => Words::new(
            "订单当前状态不允许此操作。",
            "The order's state does not allow this.",
        ),
    }
}

fn with_detail(sentence: &str, detail: Option<&str>) -> String {
    match detail {
        Some(detail) => format!("{sentence}: {detail}."),
        None => format!("{sentence}."),
    }
}

fn bad_fields(refusal: &Refusal) -> Words {
    let fields = refusal.violations.iter().take(MAX_SPOKEN_FIELDS);
    let mut named: Vec<_> = fields
        .map(|bad| format!("{} {}", bad.field, bad.description))
        .collect();
    let all = refusal.violations.len() + refusal.violations_left_out();
    let more = all - named.len();
    if more > 0 {
        named.push(format!("and {more} more"));
    }
    match named.as_slice() {
        [] => Words::new(
            "请求中有不正确的内容，请修改后再试。",
            "The request has a field that is out of its bounds.",
        ),
        named => Words::new(
            format!("请求中有 {all} 处不正确的内容，请修改后再试。"),
            format!("The request cannot be used: {}.", named.join("; ")),
        ),
    }
}

#[cfg(test)]
mod tests;
