use sqlx::migrate::Migrator;

use super::*;
use crate::domain::{OpeningHours, StoreZone};

/// The schema as it was when stores had a fixed offset.
fn with_offsets() -> Migrator {
    let mut old = migrations();
    let migrations = old.migrations.iter();
    old.migrations = migrations
        .filter(|step| step.version <= 5)
        .cloned()
        .collect();
    old
}

#[tokio::test]
async fn stores_with_a_fixed_offset_get_a_zone_that_is_as_far_ahead_and_hours_on_every_day() {
    let database = TestDatabase::create().await;
    let opened = Database::parse(&database.url(), "migration").unwrap();
    opened.migrate(&with_offsets()).await.unwrap();
    let offsets = [0, 480, 345, -300, 720, -720, 840, -90, 20];
    for offset in offsets {
        let insert = format!(
            "INSERT INTO stores (store_id, display_name, area, opens_at_minute, closes_at_minute, utc_offset_minutes)
             VALUES ('at{offset}', 'tea', 'west', {}, 1260, {offset})",
            if offset == 0 { 1_260 } else { 540 }
        );
        database.execute(&insert).await;
    }
    opened.migrate(&migrations()).await.unwrap();
    let store = open(&opened, Lanes::new(1u16).unwrap());
    let mut zones = Vec::new();
    for offset in offsets {
        let id = StoreId::parse(format!("at{offset}")).unwrap();
        let kept = store.get_store(&id).await.unwrap();
        zones.push(kept.zone.name().to_owned());
        let days = if offset == 0 { 0 } else { 7 };
        assert_eq!(kept.hours.weekly().count(), days, "{offset}");
        assert_eq!(kept.hours == OpeningHours::default(), offset == 0);
    }
    assert_eq!(
        zones,
        [
            "UTC",
            "Asia/Shanghai",
            "Asia/Kathmandu",
            "Etc/GMT+5",
            "Etc/GMT-12",
            "Etc/GMT+12",
            "Etc/GMT-14",
            "Etc/GMT+2",
            "UTC"
        ]
    );
    let noon = time::macros::datetime!(2026-07-01 12:00 UTC);
    for (zone, offset) in zones.iter().zip(offsets).take(7) {
        let shown = StoreZone::parse(zone).unwrap().shown(noon);
        assert_eq!(i32::from(shown.offset().whole_minutes()), offset, "{zone}");
    }
}
