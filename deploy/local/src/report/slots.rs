//! The busiest stores as a picture: orders in each slot against what the store can make.

use time::OffsetDateTime;

use super::{
    plot::{round_up, thousands},
    svg::{Anchor, Svg},
};
use crate::audit::{BookedSlot, BookedStore};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 74.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 110.0;
const BOTTOM: f64 = 56.0;
const GAP: f64 = 28.0;
const GRID_LINES: u32 = 4;
/// Times written under one store, at most.
const TIMES: usize = 6;
/// How much of its place a bar takes.
const BAR_SHARE: f64 = 0.7;

/// Draws a panel for each store, side by side on one scale. `subtitle` says of which run.
pub fn draw(stores: &[BookedStore], subtitle: &str) -> String {
    let slots = stores.iter().flat_map(|store| &store.slots);
    let peak = slots.map(|slot| slot.orders.max(slot.capacity)).max();
    let top = round_up(peak.unwrap_or_default().max(1) as f64);
    let mut svg = Svg::new(WIDTH, HEIGHT);
    svg.text("ink title", LEFT, 32.0, Anchor::Start, TITLE);
    svg.text("dim", LEFT, 52.0, Anchor::Start, subtitle);
    legend(&mut svg);
    axes(&mut svg, top);
    let count = stores.len().max(1) as f64;
    let width = (WIDTH - LEFT - RIGHT - GAP * (count - 1.0)) / count;
    for (place, store) in stores.iter().enumerate() {
        let panel = Panel {
            left: LEFT + place as f64 * (width + GAP),
            width,
            top,
        };
        panel.draw(&mut svg, store);
    }
    svg.finish("Orders by slot of the busiest stores, against what each can make in a slot")
}

const TITLE: &str = "Orders by slot at the busiest stores";

struct Panel {
    left: f64,
    width: f64,
    top: f64,
}

impl Panel {
    fn draw(&self, svg: &mut Svg, store: &BookedStore) {
        svg.text("ink", self.left, TOP - 14.0, Anchor::Start, &store.store_id);
        let step = self.width / store.slots.len().max(1) as f64;
        let every = store.slots.len().div_ceil(TIMES).max(1);
        let mut capacity = Vec::new();
        for (place, slot) in store.slots.iter().enumerate() {
            let left = self.left + place as f64 * step;
            let bar = height(slot.orders, self.top);
            let indent = step * (1.0 - BAR_SHARE) / 2.0;
            let width = step * BAR_SHARE;
            svg.rectangle("c1 bar", left + indent, HEIGHT - BOTTOM - bar, width, bar);
            let room = HEIGHT - BOTTOM - height(slot.capacity, self.top);
            capacity.extend([(left, room), (left + step, room)]);
            if place.is_multiple_of(every) {
                let middle = left + step / 2.0;
                svg.text(
                    "dim",
                    middle,
                    HEIGHT - BOTTOM + 20.0,
                    Anchor::Middle,
                    time_of(slot),
                );
            }
        }
        if !capacity.is_empty() {
            svg.path("c2 line", &capacity, false);
        }
    }
}

fn height(orders: i64, top: f64) -> f64 {
    orders as f64 / top * (HEIGHT - TOP - BOTTOM)
}

fn legend(svg: &mut Svg) {
    for (place, (name, class)) in [("orders", "c1 bar"), ("capacity", "c2 bar")]
        .into_iter()
        .enumerate()
    {
        let left = WIDTH - RIGHT - 180.0 + 90.0 * place as f64;
        svg.rectangle(class, left, 42.0, 14.0, 10.0);
        svg.text("ink", left + 20.0, 52.0, Anchor::Start, name);
    }
}

fn axes(svg: &mut Svg, top: f64) {
    for line in 0..=GRID_LINES {
        let orders = top * f64::from(line) / f64::from(GRID_LINES);
        let y = HEIGHT - BOTTOM - orders / top * (HEIGHT - TOP - BOTTOM);
        let class = if line == 0 { "axis" } else { "grid" };
        svg.line(class, (LEFT, y), (WIDTH - RIGHT, y));
        svg.text("dim", LEFT - 8.0, y + 4.0, Anchor::End, thousands(orders));
    }
    svg.text("dim", LEFT - 8.0, TOP - 14.0, Anchor::End, "orders/slot");
    let middle = (LEFT + WIDTH - RIGHT) / 2.0;
    let words = "slots by the time at which they begin, UTC";
    svg.text("dim", middle, HEIGHT - 12.0, Anchor::Middle, words);
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
    fn the_plot_is_well_formed_and_names_stores_times_and_what_is_drawn() {
        let svg = draw(&[store(2), store(4), store(5)], "20,000 shoppers & one day");
        let document = roxmltree::Document::parse(&svg).unwrap();
        let texts: Vec<_> = document
            .descendants()
            .filter(|node| node.has_tag_name("text"))
            .filter_map(|node| node.text())
            .collect();
        let expected = [
            TITLE,
            "store <1>",
            "orders",
            "capacity",
            "orders/slot",
            "09:00",
        ];
        for expected in expected {
            assert!(
                texts.contains(&expected),
                "{expected} is missing in {texts:?}"
            );
        }
    }

    #[test]
    fn every_bar_lies_within_the_frame_and_below_its_capacity() {
        for slots in [0, 1, 3, 540] {
            let svg = draw(&[store(slots), store(1)], "");
            let document = roxmltree::Document::parse(&svg).unwrap();
            let bars = document.descendants().filter(|node| {
                node.has_tag_name("rect") && node.attribute("class") == Some("c1 bar")
            });
            for bar in bars {
                let number = |name| bar.attribute(name).unwrap().parse::<f64>().unwrap();
                let (x, y) = (number("x"), number("y"));
                assert!(x >= 0.0 && x + number("width") <= WIDTH);
                assert!(y >= 0.0 && y + number("height") <= HEIGHT);
            }
        }
        let svg = draw(&[store(1)], "");
        let of_bar = HEIGHT - BOTTOM - height(40, 50.0);
        let of_capacity = HEIGHT - BOTTOM - height(50, 50.0);
        assert!(of_capacity < of_bar && svg.contains(&format!("{of_capacity:.1}")));
    }
}
