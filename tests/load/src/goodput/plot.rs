//! Goodput over the load as a picture: all crowds, with the waiting room and without.

use tidegate_replay::svg::{Anchor, Panel, Svg};

use super::{
    report::Report,
    series::{AT_ONCE, AT_ONCE_AND_GONE, Series},
};

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 478.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 28.0;
const TOP: f64 = 122.0;
const BOTTOM: f64 = 58.0;
/// The loads that have a mark on their axis, which is logarithmic; the first and the last are its
/// ends.
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

fn y(share: f64) -> f64 {
    let up = (share / HIGHEST_SHARE).clamp(0.0, 1.0);
    HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)
}

fn write_axes(out: &mut String) -> std::fmt::Result {
    let (right, foot) = (WIDTH - RIGHT, y(0.0));
    for share in SHARE_MARKS {
        let height = y(share);
        let line = format!("x1=\"{LEFT}\" y1=\"{height:.1}\" x2=\"{right}\" y2=\"{height:.1}\"");
        writeln!(out, "<line class=\"grid\" {line}/>")?;
        write_text(out, (LEFT - 8.0, height + 4.0), "end", &share.to_string())?;
    }
    for load in LOAD_MARKS {
        let (along, end) = (x(load), foot + 5.0);
        let line = format!("x1=\"{along:.1}\" y1=\"{foot:.1}\" x2=\"{along:.1}\" y2=\"{end:.1}\"");
        writeln!(out, "<line class=\"axis\" {line}/>")?;
        write_text(out, (along, foot + 20.0), "middle", &load.to_string())?;
    }
    let words = "shoppers that come, ÷ the peak";
    write_text(out, ((LEFT + right) / 2.0, HEIGHT - 14.0), "middle", words)
}

fn write_series(
    out: &mut String,
    series: &Series,
    peak_per_second: f64,
    row: usize,
) -> std::fmt::Result {
    let colour = if series.waiting_room { "on" } else { "off" };
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
            (
                x(point.load),
                y(point.figures.goodput_per_second / peak_per_second),
            )
        })
        .collect();
    let line = |points: &[(f64, f64)]| {
        let places = points.iter().map(|(x, y)| format!("{x:.1} {y:.1}"));
        let places = places.collect::<Vec<_>>().join("L");
        format!("<path class=\"{colour}{dashes} line\" d=\"M{places}\"/>")
    };
    if !points.is_empty() {
        writeln!(out, "{}", line(&points))?;
    }
    for (x, y) in &points {
        let circle = format!("class=\"{colour}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\"");
        writeln!(out, "<circle {circle}/>")?;
    }
    let (column, line_of_legend) = ((row / CROWDS) as f64, (row % CROWDS) as f64);
    let (left, height) = (LEFT + 360.0 * column, 70.0 + LEGEND_ROW * line_of_legend);
    writeln!(out, "{}", line(&[(left, height), (left + 28.0, height)]))?;
    let words = format!("sends again {}, waiting room {colour}", series.crowd);
    write_text(out, (left + 36.0, height + 4.0), "start", &words)
}

fn write_text(out: &mut String, (x, y): (f64, f64), anchor: &str, words: &str) -> std::fmt::Result {
    writeln!(
        out,
        "<text class=\"dim\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>"
    )
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
