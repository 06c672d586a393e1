use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_proto::order_intake::v1::{OpeningHours, Store, StoreState, WeeklyHours};

/// Stores, as staff write them down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoresSpec {
    /// Any number of them.
    #[schemars(length(min = 1))]
    pub stores: Vec<StoreSpec>,
}

/// One store. What is left out stays as it is, or gets the value that a new store has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreSpec {
    /// 1 to 64 visible ASCII characters.
    #[schemars(length(min = 1, max = 64))]
    pub store_id: String,
    /// For people.
    #[schemars(length(min = 1, max = 100))]
    pub display_name: String,
    /// The part of town, for finding another store nearby.
    #[schemars(length(min = 1, max = 64))]
    pub area: String,
    /// When it is open, by its own clocks. A new store is always open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opening_hours: Option<HoursSpec>,
    /// How long a slot is: a number of minutes that divides 60. A new store has 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 60))]
    pub slot_minutes: Option<u32>,
    /// How many orders it makes in one slot. A new store makes none until it says how many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 10_000))]
    pub orders_per_slot: Option<u32>,
    /// A name of the IANA time zone database. A new store has UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
}

/// Opening hours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HoursSpec {
    /// None: always open.
    #[serde(default)]
    pub weekly: Vec<WeekdaySpec>,
    /// Days on which it stays shut, such as `2026-12-25`.
    #[serde(default)]
    pub closed_days: Vec<String>,
}

/// Hours on one day of every week.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WeekdaySpec {
    /// 1 is Monday, 7 is Sunday.
    #[schemars(range(min = 1, max = 7))]
    pub weekday: u32,
    /// Such as `08:30`.
    #[schemars(regex(pattern = r"^([01]\d|2[0-3]):[0-5]\d$"))]
    pub opens_at: String,
    /// Such as `22:00`; not later than `opens_at`: on the next day.
    #[schemars(regex(pattern = r"^([01]\d|2[0-3]):[0-5]\d$"))]
    pub closes_at: String,
}

impl StoreSpec {
    /// The store as an upsert takes it.
    pub fn on_the_wire(&self) -> Store {
        Store {
            store_id: self.store_id.clone(),
            display_name: self.display_name.clone(),
            area: self.area.clone(),
            opening_hours: self.opening_hours.as_ref().map(HoursSpec::on_the_wire),
            slot_minutes: self.slot_minutes,
            orders_per_slot: self.orders_per_slot,
            state: StoreState::Unspecified.into(),
            closed_because: String::new(),
            time_zone: self.time_zone.clone().unwrap_or_default(),
        }
    }

    /// The fields that are written down otherwise than they are.
    pub fn differences(&self, is: &Store) -> Vec<&'static str> {
        let wanted = self.on_the_wire();
        let hours = differs(&wanted.opening_hours, &is.opening_hours);
        let minutes = differs(&wanted.slot_minutes, &is.slot_minutes);
        let orders = differs(&wanted.orders_per_slot, &is.orders_per_slot);
        let zone = !wanted.time_zone.is_empty() && wanted.time_zone != is.time_zone;
        let differs = [
            ("display_name", wanted.display_name != is.display_name),
            ("area", wanted.area != is.area),
            ("opening_hours", hours),
            ("slot_minutes", minutes),
            ("orders_per_slot", orders),
            ("time_zone", zone),
        ];
        let named = differs.into_iter().filter(|(_, differs)| *differs);
        named.map(|(field, _)| field).collect()
    }
}

fn differs<T: PartialEq + Default>(wanted: &Option<T>, is: &Option<T>) -> bool {
    let nothing = T::default();
    let wanted = wanted.as_ref();
    wanted.is_some_and(|wanted| wanted != is.as_ref().unwrap_or(&nothing))
}

impl HoursSpec {
    fn on_the_wire(&self) -> OpeningHours {
        let weekly = self.weekly.iter().map(|hours| WeeklyHours {
            weekday: hours.weekday,
            opens_at_minute: minutes(&hours.opens_at),
            closes_at_minute: minutes(&hours.closes_at),
        });
        OpeningHours {
            weekly: weekly.collect(),
            closed_days: self.closed_days.clone(),
        }
    }
}

/// Minutes after midnight of `HH:MM`, which the schema has checked.
fn minutes(text: &str) -> u32 {
    let (hours, minutes) = text.split_once(':').unwrap_or(("0", "0"));
    let number = |text: &str| text.parse().unwrap_or(0);
    number(hours) * 60 + number(minutes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CORNER: &str = "
stores:
  - store_id: corner
    display_name: The corner
    area: north
    orders_per_slot: 30
    time_zone: Asia/Shanghai
    opening_hours:
      weekly:
        - {weekday: 5, opens_at: '08:30', closes_at: '02:00'}
";

    #[test]
    fn hours_are_written_as_clocks_show_them() {
        let stores: StoresSpec = super::super::parse(CORNER).unwrap();
        let hours = stores.stores[0].on_the_wire().opening_hours.unwrap().weekly;
        let (opens, closes) = (hours[0].opens_at_minute, hours[0].closes_at_minute);
        assert_eq!((opens, closes), (510, 120));
    }

    #[test]
    fn what_is_left_out_does_not_differ() {
        let stores: StoresSpec = super::super::parse(CORNER).unwrap();
        let is = Store {
            slot_minutes: Some(15),
            ..stores.stores[0].on_the_wire()
        };
        assert!(stores.stores[0].differences(&is).is_empty());
        let fuller = Store {
            orders_per_slot: Some(20),
            ..is
        };
        assert_eq!(stores.stores[0].differences(&fuller), ["orders_per_slot"]);
    }
}
