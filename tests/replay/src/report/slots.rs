//! The busiest stores as a picture: orders in each slot against what the store can make.

use time::OffsetDateTime;

use crate::{
    audit::{BookedSlot, BookedStore},
    svg::{Anchor, Panel, Svg, round_up},
};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 74.0;
const RIGHT: f64 = WIDTH - 24.0;
const TOP: f64 = 110.0;
const BOTTOM: f64 = HEIGHT - 56.0;
const GAP: f64 = 28.0;
const GRID_LINES: u32 = 4;
const TIMES: usize = 6;
const BAR_SHARE: f64 = 0.7;

/// Draws a panel for each store, side by side on one scale. `subtitle` says of which run.
pub fn draw(stores: &[BookedStore], subtitle: &str) -> String {
    let title = "Orders by slot at the busiest stores";
    let mut svg = Svg::new(WIDTH, HEIGHT, LEFT, title, subtitle);
    let slots = stores.iter().flat_map(|store| &store.slots);
    let peak = slots.map(|slot| slot.orders.max(slot.capacity)).max();
    let whole = Panel {
        left: LEFT,
        right: RIGHT,
        top: TOP,
        bottom: BOTTOM,
        peak: round_up(peak.unwrap_or_default().max(1) as f64),
    };
    whole.scale(&mut svg, GRID_LINES, "orders/slot");
    svg.legend("c1", RIGHT - 180.0, 52.0, "orders");
    svg.legend("c2", RIGHT - 90.0, 52.0, "capacity");
    let count = stores.len().max(1) as f64;
    let width = (RIGHT - LEFT - GAP * (count - 1.0)) / count;
    for (place, store) in stores.iter().enumerate() {
        let left = LEFT + place as f64 * (width + GAP);
        let right = left + width;
        draw_store(
            &mut svg,
            &Panel {
                left,
                right,
                ..whole
            },
            store,
        );
    }
    svg.caption(&whole, "slots by the time at which they begin, UTC");
    svg.finish("Orders by slot of the busiest stores, against what each can make in a slot")
}

fn draw_store(svg: &mut Svg, panel: &Panel, store: &BookedStore) {
    let name = &store.store_id;
    svg.text("ink", panel.left, TOP - 14.0, Anchor::Start, name);
    let slots = store.slots.len();
    let step = (panel.right - panel.left) / slots.max(1) as f64;
    let mut capacity = Vec::new();
    for (place, slot) in store.slots.iter().enumerate() {
        let left = panel.left + place as f64 * step;
        let indent = step * (1.0 - BAR_SHARE) / 2.0;
        let top = panel.y(slot.orders as f64);
        svg.rectangle("c1 bar", left + indent, top, step * BAR_SHARE, BOTTOM - top);
        let room = panel.y(slot.capacity as f64);
        capacity.extend([(left, room), (left + step, room)]);
        if place.is_multiple_of(slots.div_ceil(TIMES)) {
            let middle = left + step / 2.0;
            let time = time_of(slot);
            svg.text("dim", middle, BOTTOM + 20.0, Anchor::Middle, time);
        }
    }
    svg.path("c2 line", capacity);
}

fn time_of(slot: &BookedSlot) -> String {
    match OffsetDateTime::from_unix_timestamp(slot.starts_at_unix_seconds) {
        Ok(time) => format!("{:02}:{:02}", time.hour(), time.minute()),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::svg::tests::assert_sound;

    fn store(slots: i64) -> BookedStore {
        let slot = |number| BookedSlot {
            starts_at_unix_seconds: 1_770_368_400 + 60 * number,
            orders: 40,
            capacity: 50,
        };
        BookedStore {
            store_id: "store <1>".to_owned(),
            slots: (0..slots).map(slot).collect(),
        }
    }

    #[test]
    fn the_plot_names_stores_times_and_what_is_drawn_and_keeps_within_its_frame() {
        let words = ["store <1>", "orders", "capacity", "orders/slot", "09:00"];
        for slots in [0, 1, 3, 540] {
            assert_sound(&draw(&[store(slots), store(1)], "one day"), &words);
        }
    }

    #[test]
    fn a_bar_ends_below_what_the_store_can_make() {
        let svg = draw(&[store(1)], "");
        // Of 194 from the scale's foot to its top, 50: four fifths, and all of it.
        for part in ["y=\"148.8\"", "M74.0 110.0L936.0 110.0"] {
            assert!(svg.contains(part), "{part} is missing in {svg}");
        }
    }
}
