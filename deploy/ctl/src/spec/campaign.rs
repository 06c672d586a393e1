use std::{fmt::Display, time::Duration};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_proto::{
    quota::v1::{AddBudgetRequest, CreateCampaignRequest, UpdateCampaignRequest},
    r#type::v1::{Campaign, Tier},
};

use super::tier::{TierSpec, listed};
use crate::moment::{Moment, from_the_wire, on_the_wire, parse_length};

const MAX_REQUEST_ID_CHARACTERS: usize = 64;

/// A campaign, as staff write it down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CampaignSpec {
    /// 1 to 64 lower-case letters, digits, `-` or `_`.
    #[schemars(regex(pattern = r"^[a-z0-9_-]{1,64}$"))]
    pub campaign_id: String,
    /// For people.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub display_name: String,
    /// For staff.
    #[serde(default)]
    #[schemars(length(max = 1_000))]
    pub description: String,
    /// ISO 4217, such as `CNY`.
    #[schemars(regex(pattern = r"^[A-Z]{3}$"))]
    pub currency_code: String,
    /// A moment, such as `2026-12-24T18:00:00+08:00`; `now` or `+5m` for a campaign that is new. One
    /// that is there already keeps its own where a time from now on is written.
    pub opens_at: String,
    /// After `opens_at`; written the same way.
    pub closes_at: String,
    /// How long a coupon works once it is issued, such as `14d` or `2h 30m`.
    pub coupon_validity: String,
    /// How many coupons one shopper may have.
    #[schemars(range(min = 1, max = 100))]
    pub limit_per_shopper: u32,
    /// Claims that name no tier are served in this order.
    #[schemars(length(min = 1, max = 16))]
    pub tiers: Vec<TierSpec>,
}

/// One field that is written down otherwise than it is.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub field: &'static str,
    pub now: String,
    pub wanted: String,
}

/// A campaign that is there, held against what is written down.
#[derive(Debug, Default)]
pub struct Comparison {
    pub differences: Vec<Difference>,
    /// The change that mends all but the stock, if anything else differs.
    pub change: Option<UpdateCampaignRequest>,
    /// Coupons to add.
    pub budgets: Vec<AddBudgetRequest>,
}

impl Comparison {
    fn differs(&mut self, field: &'static str, now: impl Display, wanted: impl Display) -> bool {
        let (now, wanted) = (now.to_string(), wanted.to_string());
        let differs = now != wanted;
        if differs {
            self.differences.push(Difference { field, now, wanted });
        }
        differs
    }

    /// The moment that is wanted, if it differs. A time from now on differs from none.
    fn moment(
        &mut self,
        field: &'static str,
        now: Option<prost_types::Timestamp>,
        text: &str,
    ) -> Result<Option<prost_types::Timestamp>, String> {
        let wanted = Moment::parse(text).map_err(|error| format!("{field}: {error}"))?;
        let now = now.and_then(from_the_wire);
        let now = now.map_or(String::new(), |now| now.to_string());
        Ok(match wanted {
            Moment::At(wanted) if self.differs(field, now, wanted) => Some(on_the_wire(wanted)),
            Moment::At(_) | Moment::FromNow(_) => None,
        })
    }
}

impl CampaignSpec {
    pub fn create(&self, reason: &str, now: Timestamp) -> Result<CreateCampaignRequest, String> {
        let at = |field, text: &str| -> Result<_, String> {
            let moment = Moment::parse(text).map_err(|error| format!("{field}: {error}"))?;
            Ok(on_the_wire(moment.at(now)))
        };
        Ok(CreateCampaignRequest {
            campaign_id: self.campaign_id.clone(),
            currency_code: self.currency_code.clone(),
            tiers: self.tiers(),
            limit_per_shopper: self.limit_per_shopper,
            opens_at: Some(at("opens_at", &self.opens_at)?),
            closes_at: Some(at("closes_at", &self.closes_at)?),
            coupon_validity: Some(validity(&self.coupon_validity)?),
            display_name: self.display_name.clone(),
            description: self.description.clone(),
            reason: reason.to_owned(),
        })
    }

    /// What differs between the campaign there is and what is written down, and what mends it.
    pub fn compare(&self, is: &Campaign) -> Result<Comparison, String> {
        if self.currency_code != is.currency_code {
            return Err(format!(
                "currency_code: {} cannot become {}; make another campaign",
                is.currency_code, self.currency_code
            ));
        }
        let mut found = Comparison::default();
        let mut change = UpdateCampaignRequest::default();
        if found.differs("display_name", &is.display_name, &self.display_name) {
            change.display_name = Some(self.display_name.clone());
        }
        if found.differs("description", &is.description, &self.description) {
            change.description = Some(self.description.clone());
        }
        let (now, limit) = (is.limit_per_shopper, self.limit_per_shopper);
        if found.differs("limit_per_shopper", now, limit) {
            change.limit_per_shopper = Some(limit);
        }
        change.opens_at = found.moment("opens_at", is.opens_at, &self.opens_at)?;
        change.closes_at = found.moment("closes_at", is.closes_at, &self.closes_at)?;
        let wanted = validity(&self.coupon_validity)?;
        let now = is.coupon_validity.unwrap_or_default();
        if found.differs("coupon_validity", seconds(&now), seconds(&wanted)) {
            change.coupon_validity = Some(wanted);
        }
        if found.differs("tiers", listed(&is.tiers), listed(&self.tiers())) {
            found.budgets = self.budgets(&is.tiers);
            if found.budgets.is_empty() {
                change.tiers = self.tiers();
            }
        }
        if change != UpdateCampaignRequest::default() {
            change.campaign_id = self.campaign_id.clone();
            found.change = Some(change);
        }
        Ok(found)
    }

    /// The coupons to add, if that is all in which the tiers differ: it can be done at any time.
    fn budgets(&self, are: &[Tier]) -> Vec<AddBudgetRequest> {
        let wanted = self.tiers();
        let same_but_more = wanted.len() == are.len()
            && wanted.iter().zip(are).all(|(wanted, is)| {
                let as_many = TierSpec {
                    stock: is.stock,
                    ..TierSpec::of(wanted)
                };
                as_many == TierSpec::of(is) && wanted.stock >= is.stock
            });
        if !same_but_more {
            return Vec::new();
        }
        let both = wanted.iter().zip(are);
        let more = both.filter(|(wanted, is)| wanted.stock > is.stock);
        let additions = more.map(|(wanted, is)| AddBudgetRequest {
            campaign_id: self.campaign_id.clone(),
            // Named by what it leads to, so that the same file applied again adds nothing.
            request_id: format!("to-{}-{}", wanted.stock, wanted.tier_id)
                .chars()
                .take(MAX_REQUEST_ID_CHARACTERS)
                .collect(),
            tier_id: wanted.tier_id.clone(),
            additional_stock: wanted.stock - is.stock,
            reason: String::new(),
        });
        additions.collect()
    }

    pub fn of(campaign: &Campaign) -> Self {
        let moment = |at: Option<prost_types::Timestamp>| {
            at.and_then(from_the_wire)
                .map_or(String::new(), |at| at.to_string())
        };
        Self {
            campaign_id: campaign.campaign_id.clone(),
            display_name: campaign.display_name.clone(),
            description: campaign.description.clone(),
            currency_code: campaign.currency_code.clone(),
            opens_at: moment(campaign.opens_at),
            closes_at: moment(campaign.closes_at),
            coupon_validity: seconds(&campaign.coupon_validity.unwrap_or_default()),
            limit_per_shopper: campaign.limit_per_shopper,
            tiers: campaign.tiers.iter().map(TierSpec::of).collect(),
        }
    }

    fn tiers(&self) -> Vec<Tier> {
        self.tiers.iter().map(TierSpec::on_the_wire).collect()
    }
}

fn validity(text: &str) -> Result<prost_types::Duration, String> {
    let length = parse_length(text).map_err(|error| format!("coupon_validity: {error}"))?;
    prost_types::Duration::try_from(length)
        .map_err(|_| "coupon_validity: longer than can be written".to_owned())
}

fn seconds(length: &prost_types::Duration) -> String {
    const DAY_SECONDS: u64 = 86_400;
    let length = Duration::try_from(*length).unwrap_or_default();
    match length.as_secs() {
        whole if whole > 0 && whole % DAY_SECONDS == 0 => format!("{}d", whole / DAY_SECONDS),
        whole => format!("{whole}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEA: &str = "
campaign_id: tea
display_name: Tea for all
currency_code: CNY
opens_at: +1m
closes_at: 2026-12-31T23:59:59Z
coupon_validity: 14d
limit_per_shopper: 1
tiers:
  - {tier_id: cup, face_value_minor_units: 2500, stock: 100}
";

    fn made(spec: &CampaignSpec) -> Campaign {
        let now = "2026-12-01T00:00:00Z".parse().unwrap();
        let request = spec.create("spring", now).unwrap();
        Campaign {
            campaign_id: request.campaign_id,
            currency_code: request.currency_code,
            tiers: request.tiers,
            limit_per_shopper: request.limit_per_shopper,
            opens_at: request.opens_at,
            closes_at: request.closes_at,
            coupon_validity: request.coupon_validity,
            display_name: request.display_name,
            ..Campaign::default()
        }
    }

    fn tea() -> CampaignSpec {
        super::super::parse(TEA).unwrap()
    }

    #[test]
    fn what_was_made_from_a_file_does_not_differ_from_it() {
        let compared = tea().compare(&made(&tea())).unwrap();
        assert_eq!(compared.differences, []);
        assert!(compared.change.is_none() && compared.budgets.is_empty());
    }

    #[test]
    fn only_what_differs_is_changed() {
        let more = CampaignSpec {
            limit_per_shopper: 2,
            ..tea()
        };
        let compared = more.compare(&made(&tea())).unwrap();
        let expected = Difference {
            field: "limit_per_shopper",
            now: "1".to_owned(),
            wanted: "2".to_owned(),
        };
        assert_eq!(compared.differences, [expected]);
        let change = compared.change.unwrap();
        assert_eq!(change.limit_per_shopper, Some(2));
        assert!(change.tiers.is_empty() && change.closes_at.is_none());
    }

    #[test]
    fn more_coupons_are_added_and_fewer_are_another_tier() {
        let with_stock = |stock| {
            let mut spec = tea();
            spec.tiers[0].stock = stock;
            spec.compare(&made(&tea())).unwrap()
        };
        let more = with_stock(150);
        assert_eq!(more.budgets.len(), 1);
        assert_eq!(more.budgets[0].additional_stock, 50);
        assert!(more.change.is_none());
        let fewer = with_stock(50);
        assert!(fewer.budgets.is_empty() && fewer.change.unwrap().tiers.len() == 1);
    }

    #[test]
    fn a_campaign_that_is_written_down_does_not_differ_from_itself() {
        let campaign = made(&tea());
        let compared = CampaignSpec::of(&campaign).compare(&campaign).unwrap();
        assert_eq!(compared.differences, []);
    }
}
