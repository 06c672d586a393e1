//! One shopper's trace over all hops as a picture.

use std::collections::BTreeSet;

use tidegate_ctl::waterfall::{NAME_COLUMNS, Waterfall, clip, duration};

use crate::svg::{Anchor, Svg};

/// Services beyond so many begin with the first colour again.
const COLOURS: usize = 6;

pub fn draw(waterfall: &Waterfall, subtitle: &str) -> String {
    const WIDTH: f64 = 1_080.0;
    const ROW: f64 = 22.0;
    const TOP: f64 = 84.0;
    const BARS: f64 = 430.0;
    const BAR_WIDTH: f64 = 540.0;
    let height = TOP + ROW * waterfall.rows.len() as f64 + 24.0;
    let services: BTreeSet<_> = waterfall.rows.iter().map(|row| &row.service).collect();
    let title = "One shopper, from claim to order";
    let mut svg = Svg::new(WIDTH, height, 24.0, title, subtitle);
    for (cut, idle) in &waterfall.cuts {
        let x = BARS + cut * BAR_WIDTH;
        svg.line("grid", (x, TOP - 8.0), (x, height - 20.0));
        let words = format!("{} idle", duration(*idle));
        svg.text("dim", x, TOP - 12.0, Anchor::Middle, words);
    }
    for (place, row) in waterfall.rows.iter().enumerate() {
        let top = TOP + ROW * place as f64;
        let foot = top + 14.0;
        svg.text("dim", 24.0, foot, Anchor::Start, &row.service);
        let label = row.label.trim_start();
        let indent = (row.label.len() - label.len()) as f64 * 5.0;
        let words = clip(label, NAME_COLUMNS);
        svg.text("ink", 124.0 + indent, foot, Anchor::Start, words);
        let colour = services.iter().position(|service| **service == row.service);
        let class = format!("c{} bar", colour.unwrap_or_default() % COLOURS);
        let (from, width) = (row.from * BAR_WIDTH, (row.to - row.from) * BAR_WIDTH);
        svg.rectangle(&class, BARS + from, top + 4.0, width.max(1.5), ROW - 8.0);
        let class = if row.failed { "c2 bar" } else { "dim" };
        let took = duration(row.duration_ns);
        svg.text(class, WIDTH - 24.0, foot, Anchor::End, took);
    }
    svg.finish("One shopper's claim and order over all services")
}

#[cfg(test)]
mod tests {
    use tidegate_ctl::waterfall::Row;

    use super::*;
    use crate::svg::tests::assert_sound;

    #[test]
    fn the_picture_has_a_bar_for_each_span_and_keeps_within_its_frame() {
        let row = |label: &str, from: f64, to: f64| Row {
            service: "shopper".to_owned(),
            label: label.to_owned(),
            failed: false,
            from,
            to,
            duration_ns: 1_000,
        };
        let waterfall = Waterfall {
            rows: vec![row("<&\">", 0.0, 0.5), row("  orders", 0.5, 1.0)],
            cuts: vec![(0.5, 1_990_000_000)],
        };
        let svg = draw(&waterfall, "trace");
        assert_sound(&svg, &["<&\">", "trace", "1.99 s idle"]);
        assert_eq!(svg.matches(" bar\" x=").count(), 2);
    }
}
