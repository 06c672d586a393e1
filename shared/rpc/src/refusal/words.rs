use std::time::Duration;

use tidegate_types::{Reason, Refusal};

/// A refusal in words a chatbot can pass on as they stand.
pub(super) struct Words {
    pub(super) zh: String,
    pub(super) en: String,
}

/// The one catalogue of what shoppers hear. Each sentence must be true whenever its reason is.
pub(super) fn say(refusal: &Refusal, delay: Option<Duration>) -> Words {
    let seconds = delay.map_or(1, |delay| delay.as_secs_f64().ceil().max(1.0) as u64);
    let fact = |key: &str| {
        refusal
            .metadata
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    };
    let (zh, en) = match refusal.reason {
        Reason::BudgetExhausted => (
            "本次活动的优惠券已全部发完。您已领取的优惠券仍可正常使用。".into(),
            "All coupons of this giveaway have been given out. Coupons you already hold still work.".into(),
        ),
        Reason::ShopperLimitReached => (
            "您已领取本次活动允许的全部优惠券，可在卡包中查看和使用。".into(),
            "You already hold every coupon this giveaway allows you; you can find and use them in your wallet.".into(),
        ),
        Reason::CampaignClosed => (
            "本次活动已结束。您已领取的优惠券在有效期内仍可使用。".into(),
            "This giveaway has ended. Coupons you already hold work until they expire.".into(),
        ),
        Reason::CampaignNotOpen => match fact("opens_at") {
            Some(opens_at) => (
                format!("本次活动尚未开始，开始时间为 {opens_at}。"),
                format!("This giveaway has not started yet. It opens at {opens_at}."),
            ),
            None => ("本次活动尚未开始。".into(), "This giveaway has not started yet.".into()),
        },
        Reason::IssuanceHalted => match fact("resume_at") {
            Some(resume_at) => (
                format!("本次活动的领取已暂停，预计 {resume_at} 恢复。您已领取的优惠券仍可正常使用。"),
                format!("Claiming is paused and expected to go on at {resume_at}. Coupons you already hold still work."),
            ),
            None => (
                "本次活动的领取已暂停，恢复时间待定。您已领取的优惠券仍可正常使用。".into(),
                "Claiming is paused, and it is not known yet when it goes on. Coupons you already hold still work.".into(),
            ),
        },
        Reason::RedemptionHalted => match fact("resume_at") {
            Some(resume_at) => (
                format!("优惠券暂时不能使用，预计 {resume_at} 恢复。优惠券未被使用，仍归您所有。"),
                format!("Coupons cannot be used right now; that is expected to go on at {resume_at}. The coupon was not used and stays yours."),
            ),
            None => (
                "优惠券暂时不能使用，恢复时间待定。优惠券未被使用，仍归您所有。".into(),
                "Coupons cannot be used right now, and it is not known yet when that goes on. The coupon was not used and stays yours.".into(),
            ),
        },
        Reason::ControlEpochConflict => (
            "活动控制已被他人修改，请重新读取后再决定。".into(),
            "Somebody else changed this campaign's control first. Read the campaign again and decide anew.".into(),
        ),
        Reason::CampaignNotFound => ("没有找到这个活动。".into(), "There is no such giveaway.".into()),
        Reason::Overloaded | Reason::QueueFull => (
            format!("当前参与人数较多，请在 {seconds} 秒后重试。重试不会重复领取或重复下单。"),
            format!("Very many people are here right now. Please try again in {seconds} s; trying again never counts twice."),
        ),
        Reason::StockReturning => (
            format!("优惠券即将发完，可能还有少量返还，请在 {seconds} 秒后重试。"),
            format!("The coupons are nearly gone, but a few may come back. Please try again in {seconds} s."),
        ),
        Reason::RequestIdConflict => (
            "这个请求编号已用于另一项内容，请使用新的请求编号。".into(),
            "This request id was used for something else before. Please use a new one.".into(),
        ),
        Reason::ClaimNotFound => ("没有找到这次领取记录，可以放心重新领取。".into(), "No coupon came of this claim. Claiming again is safe.".into()),
        Reason::CouponNotFound => ("没有找到这张优惠券，请核对券码。".into(), "There is no such coupon in this wallet. Please check the code.".into()),
        Reason::CouponRedeemed => ("这张优惠券已被另一笔订单使用。".into(), "This coupon has already paid for another order.".into()),
        Reason::CouponExpired => ("这张优惠券已过期。".into(), "This coupon has expired.".into()),
        Reason::CouponRevoked => ("这张优惠券已被撤回，不能再使用。".into(), "This coupon was withdrawn and can no longer be used.".into()),
        Reason::OrderNotFound => ("没有找到这笔订单。".into(), "There is no such order.".into()),
        Reason::StoreNotFound => ("没有找到这家门店，优惠券未被使用。".into(), "There is no such store. The coupon was not used.".into()),
        Reason::LeaseNotFound => ("没有找到这份库存租约。".into(), "There is no such lease.".into()),
        Reason::InvalidField => ("请求中有不正确的内容，请修改后再试。".into(), bad_fields(refusal)),
        Reason::Unauthenticated => ("身份凭证缺失或无效。".into(), with_detail("The credentials are missing or not valid", fact("detail"))),
        Reason::PermissionDenied => ("没有进行此操作的权限。".into(), with_detail("This caller may not do this", fact("detail"))),
        Reason::StoreBusy => match fact("next_slot_at") {
            Some(slot) => (
                format!("这家门店在您要求的时间之前已约满，最早可约 {slot}。优惠券未被使用。"),
                format!("This store is full until the time you asked for; its next free slot is at {slot}. The coupon was not used."),
            ),
            None => (
                "这家门店暂时没有空余名额，请稍后再试或换一家门店。优惠券未被使用。".into(),
                "This store has no free slot now. Please try later or choose another store. The coupon was not used.".into(),
            ),
        },
        Reason::StoreClosed => match fact("opens_at") {
            Some(opens_at) => (
                format!("这家门店当前不营业，下次接单时间为 {opens_at}。优惠券未被使用。"),
                format!("This store is closed and takes orders again from {opens_at}. The coupon was not used."),
            ),
            None => (
                "这家门店目前不接单，请换一家门店。优惠券未被使用。".into(),
                "This store takes no orders at present. Please choose another one. The coupon was not used.".into(),
            ),
        },
        Reason::CouponNotApplicable => (
            "这张优惠券不适用于这笔订单，请查看使用条件。优惠券未被使用。".into(),
            "This coupon's terms do not fit this order. The coupon was not used.".into(),
        ),
        Reason::OrderStateConflict => match fact("state") {
            Some(state) => (
                format!("订单当前状态为 {state}，无法进行此操作。"),
                format!("The order is {state}, which does not allow this."),
            ),
            None => (
                "订单当前状态不允许此操作。".into(),
                "The order's state does not allow this.".into(),
            ),
        },
        Reason::Misconfigured => ("系统配置不一致，请联系运维人员。".into(), with_detail("The deployment's settings disagree; an operator has to mend them", fact("detail"))),
    };
    Words { zh, en }
}

fn with_detail(sentence: &str, detail: Option<&str>) -> String {
    match detail {
        Some(detail) => format!("{sentence}: {detail}."),
        None => format!("{sentence}."),
    }
}

fn bad_fields(refusal: &Refusal) -> String {
    let fields: Vec<_> = refusal
        .violations
        .iter()
        .map(|bad| format!("{} {}", bad.field, bad.description))
        .collect();
    match fields.as_slice() {
        [] => "The request has a field that is out of its bounds.".into(),
        fields => format!("The request cannot be used: {}.", fields.join("; ")),
    }
}
