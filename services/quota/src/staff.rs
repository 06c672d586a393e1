//! What staff call for: who they are, and the record of what they change.

use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash as _, Hasher as _},
    time::Instant,
};

use tidegate_types::{Actor, CampaignId, Change, ResourceKind, Timestamp};
use time::format_description::well_known::Rfc3339;

use crate::{
    domain::{Campaign, Control, Tier, text},
    error::Result,
    store::Work,
};

/// The most of what a tier asks that is shown in the record, in bytes. Beyond it a hash tells whether
/// it is the same.
const MAX_TIER_SHOWN_BYTES: usize = 900;

#[derive(Debug, Clone)]
pub struct StaffCall {
    /// Who calls; a change by nobody in particular is not recorded.
    pub actor: Option<Actor>,
    pub came_at: Timestamp,
    /// The same moment, by the clock that only goes on.
    pub began: Instant,
    pub deadline: Instant,
}

impl StaffCall {
    /// The present moment in whole microseconds: calls may have waited for a lock meanwhile.
    pub fn now(&self) -> Timestamp {
        let now = self.came_at + self.began.elapsed();
        now.replace_microsecond(now.microsecond()).unwrap_or(now)
    }

    /// A change of a campaign by this call of which no field is named yet; `None` if it is nobody's.
    pub(crate) fn change(
        &self,
        action: &str,
        campaign: &CampaignId,
        reason: &str,
    ) -> Option<Change> {
        let resource = (ResourceKind::Campaign, campaign.as_str());
        let actor = self.actor.as_ref()?;
        Some(Change::new(actor, self.now(), action, resource, reason))
    }
}

/// Records what this transaction has made of a campaign, by which action and for which reason; the
/// campaign as it is now.
pub(crate) async fn record(
    work: &mut Work,
    call: &StaffCall,
    (action, reason): (&str, &str),
    campaign: &CampaignId,
    before: Option<&Campaign>,
) -> Result<Campaign> {
    let after = work.campaign(campaign).await?;
    let change = call.change(action, campaign, reason);
    let change = change.map(|change| compared(change, before, &after));
    work.record(change.as_slice()).await?;
    Ok(after)
}

/// Names what is different of a campaign; of one that was made, everything.
pub(crate) fn compared(mut change: Change, before: Option<&Campaign>, after: &Campaign) -> Change {
    let is = fields(after);
    let nothing = is.each_ref().map(|(name, _)| (*name, String::new()));
    change = with_fields(change, before.map_or(nothing, fields), is);
    if let Some(before) = before {
        change = controls(change, &before.control, &after.control);
    }
    tiers(change, before, after)
}

fn with_fields<const COUNT: usize>(
    change: Change,
    was: [(&str, String); COUNT],
    is: [(&str, String); COUNT],
) -> Change {
    let fields = was.into_iter().zip(is);
    fields.fold(change, |change, ((name, was), (_, is))| {
        change.with_field(name, was, is)
    })
}

fn fields(campaign: &Campaign) -> [(&'static str, String); 9] {
    let terms = &campaign.terms;
    let validity_seconds = terms.coupon_validity.as_secs();
    let extended_valid_until = campaign.extended_valid_until;
    [
        ("display_name", text::shown(&terms.display_name).to_owned()),
        ("description", text::shown(&terms.description).to_owned()),
        ("currency_code", terms.currency.to_string()),
        ("limit_per_shopper", terms.limit_per_shopper.to_string()),
        ("opens_at", moment(Some(terms.opens_at))),
        ("closes_at", moment(Some(terms.closes_at))),
        ("coupon_validity", format!("{validity_seconds} s")),
        ("ended_at", moment(campaign.ended_at)),
        ("extended_valid_until", moment(extended_valid_until)),
    ]
}

pub(crate) fn controls(change: Change, before: &Control, after: &Control) -> Change {
    let fields = |control: &Control| {
        [
            ("control.issuance", control.issuance.name().to_owned()),
            ("control.redemption", control.redemption.name().to_owned()),
            ("control.reason", text::shown(&control.reason).to_owned()),
            ("control.resume_at", moment(control.resume_at)),
            ("control.epoch", control.epoch.to_string()),
        ]
    };
    with_fields(change, fields(before), fields(after))
}

/// Names what is different of the tiers, by their places.
fn tiers(mut change: Change, before: Option<&Campaign>, after: &Campaign) -> Change {
    let count = |campaign: &Campaign| campaign.terms.tiers.len();
    let places = before.map_or(0, count).max(count(after));
    for place in 0..places {
        let shown = |campaign: &Campaign| {
            let tier = campaign.terms.tiers.get(place);
            tier.map(shown).unwrap_or_default()
        };
        let stock = |campaign: &Campaign| {
            let stock = campaign.stock.get(place);
            stock.map_or(String::new(), |stock| stock.stock().to_string())
        };
        let was = |field: &dyn Fn(&Campaign) -> String| before.map(field).unwrap_or_default();
        change = change
            .with_field(&format!("tiers[{place}]"), was(&shown), shown(after))
            .with_field(&format!("tiers[{place}].stock"), was(&stock), stock(after));
    }
    change
}

fn shown(tier: &Tier) -> String {
    let (id, value) = (&tier.id, tier.face_value_minor_units);
    let mut text = format!("{id}: {value}");
    let minimum_spend = tier.terms.minimum_spend_minor_units();
    if minimum_spend > 0 {
        text += &format!(", from {minimum_spend}");
    }
    for (what, names) in [
        ("areas", tier.terms.areas_text()),
        ("stores", tier.terms.stores_text()),
    ] {
        if !names.is_empty() {
            text += &format!(", {what} {names}");
        }
    }
    if text.len() <= MAX_TIER_SHOWN_BYTES {
        return text;
    }
    let mut hash = DefaultHasher::new();
    text.hash(&mut hash);
    // Names are ASCII, so that any byte ends a character.
    text.truncate(MAX_TIER_SHOWN_BYTES);
    format!("{text}… #{:016x}", hash.finish())
}

fn moment(moment: Option<Timestamp>) -> String {
    let text = moment.and_then(|moment| moment.format(&Rfc3339).ok());
    text.unwrap_or_default()
}
