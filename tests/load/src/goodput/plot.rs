//! Goodput over the load as a picture: all crowds, with the waiting room and without.

use tidegate_replay::svg::{Anchor, Panel, Svg};

use super::{
    report::Report,
    series::{AT_ONCE, AT_ONCE_AND_GONE, Series},
};

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 478.0;
const PANEL: Panel = Panel {
    left: 64.0,
    right: WIDTH - 28.0,
    top: 122.0,
    bottom: HEIGHT - 58.0,
    // Head room for a door that serves a little more than the closed loop did.
    peak: 1.1,
};
/// The loads that have a mark on their axis, which is logarithmic; the first and the last are its ends.
const LOAD_MARKS: [f64; 7] = [0.2, 0.5, 0.8, 1.0, 2.0, 5.0, 10.0];
/// Shares of the peak that have a line.
const SHARE_MARKS: [f64; 6] = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0];
const LEGEND_ROW: f64 = 18.0;
/// With and without a waiting room, one below the other.
const CROWDS: usize = 3;

/// Draws goodput over load, both as multiples of the peak.
pub fn draw(report: &Report) -> String {
    let title = "Goodput over the load that is offered";
    let subtitle = format!(
        "coupons within {} s, ÷ the peak of {:.0}/s",
        report.patience_seconds, report.peak_per_second
    );
    let mut svg = Svg::new(WIDTH, HEIGHT, PANEL.left, title, &subtitle);
    for share in SHARE_MARKS {
        PANEL.level(&mut svg, share);
    }
    for load in LOAD_MARKS {
        PANEL.tick(&mut svg, x(load), load);
    }
    svg.caption(&PANEL, "shoppers that come, ÷ the peak");
    for (row, series) in report.series.iter().enumerate() {
        draw_series(&mut svg, series, report.peak_per_second, row);
    }
    svg.finish(title)
}

fn x(load: f64) -> f64 {
    let (first, last) = (LOAD_MARKS[0], LOAD_MARKS[LOAD_MARKS.len() - 1]);
    PANEL.x((load / first).ln() / (last / first).ln())
}

fn draw_series(svg: &mut Svg, series: &Series, peak_per_second: f64, row: usize) {
    let (colour, waiting_room) = match series.waiting_room {
        true => ("c1", "on"),
        false => ("c2", "off"),
    };
    let dashes = match series.crowd {
        AT_ONCE => " dashed",
        AT_ONCE_AND_GONE => " dotted",
        _ => "",
    };
    let class = format!("{colour}{dashes} line");
    // A void point is not the load that its place says.
    let points = series.points.iter().filter(|point| !point.figures.is_void);
    let points: Vec<_> = points
        .map(|point| {
            let share = point.figures.goodput_per_second / peak_per_second;
            (x(point.load), PANEL.y(share))
        })
        .collect();
    for point in &points {
        svg.circle(colour, *point);
    }
    svg.path(&class, points);
    let (column, line) = ((row / CROWDS) as f64, (row % CROWDS) as f64);
    let (left, height) = (PANEL.left + 360.0 * column, 70.0 + LEGEND_ROW * line);
    svg.path(&class, [(left, height), (left + 28.0, height)]);
    let words = format!("sends again {}, waiting room {waiting_room}", series.crowd);
    svg.text("dim", left + 36.0, height + 4.0, Anchor::Start, words);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::goodput::report::examples;

    #[test]
    fn every_crowd_has_its_line_and_its_words_and_void_points_are_left_out() {
        let mut report = examples::report();
        let whole = draw(&report);
        assert_eq!(whole.matches("<circle").count(), 4);
        for words in [
            "sends again as told, waiting room on",
            "sends again at once, waiting room off",
        ] {
            assert!(whole.contains(words), "{words} is not in\n{whole}");
        }
        report.series[0].points[1].figures.is_void = true;
        assert_eq!(draw(&report).matches("<circle").count(), 3);
    }

    #[test]
    fn the_axes_end_at_the_frame_and_nothing_leaves_it() {
        assert_eq!((x(0.2), x(10.0)), (PANEL.left, PANEL.right));
        assert_eq!((PANEL.y(0.0), PANEL.y(5.0)), (PANEL.bottom, PANEL.top));
        assert!(x(1.0) > x(0.8) && PANEL.y(1.0) < PANEL.y(0.8));
    }
}
