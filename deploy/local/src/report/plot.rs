//! The replay as a picture: offered, issued and refused claims a second over time.

use super::svg::{Anchor, Svg};
use crate::replay::measures::Second;

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 74.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 84.0;
const BOTTOM: f64 = 56.0;
/// Points along the time axis, at most: more would be finer than the eye.
const POINTS: usize = 160;
const GRID_LINES: f64 = 5.0;

/// Draws the claims second by second. `subtitle` says of which run.
pub fn draw(seconds: &[Second], subtitle: &str) -> String {
    let step = seconds.len().div_ceil(POINTS).max(1);
    let series: [(&str, &str, Vec<f64>); 3] = [
        (
            "offered",
            "c0",
            rates(seconds, step, |second| second.offered),
        ),
        ("issued", "c1", rates(seconds, step, |second| second.issued)),
        (
            "refused",
            "c2",
            rates(seconds, step, |second| second.refused),
        ),
    ];
    let peak = series
        .iter()
        .flat_map(|(_, _, rates)| rates)
        .fold(0.0_f64, |peak, &rate| peak.max(rate));
    let top = round_up(peak.max(1.0));
    let span = (series[0].2.len().saturating_sub(1) * step).max(1) as f64;
    let x = |place: usize| LEFT + (place * step) as f64 / span * (WIDTH - LEFT - RIGHT);
    let y = |rate: f64| HEIGHT - BOTTOM - rate / top * (HEIGHT - TOP - BOTTOM);

    let mut svg = Svg::new(WIDTH, HEIGHT);
    svg.text(
        "ink title",
        LEFT,
        32.0,
        Anchor::Start,
        "Claims offered, issued and refused",
    );
    svg.text("dim", LEFT, 52.0, Anchor::Start, subtitle);
    axes(&mut svg, top, span, y);
    for (place, (name, colour, rates)) in series.iter().enumerate() {
        let line: Vec<_> = rates
            .iter()
            .enumerate()
            .map(|(place, &rate)| (x(place), y(rate)))
            .collect();
        let (Some(first), Some(last)) = (line.first(), line.last()) else {
            continue;
        };
        let area: Vec<_> = [(first.0, y(0.0))]
            .into_iter()
            .chain(line.iter().copied())
            .chain([(last.0, y(0.0))])
            .collect();
        svg.path(&format!("{colour} area"), &area, true);
        svg.path(&format!("{colour} line"), &line, false);
        let legend = WIDTH - RIGHT - 270.0 + 90.0 * place as f64;
        svg.rectangle(&format!("{colour} bar"), legend, 42.0, 14.0, 10.0);
        svg.text("ink", legend + 20.0, 52.0, Anchor::Start, name);
    }
    svg.finish("Claims offered, issued and refused a second over the replay")
}

fn axes(svg: &mut Svg, top: f64, span: f64, y: impl Fn(f64) -> f64) {
    for line in 0..=GRID_LINES as u32 {
        let rate = top * f64::from(line) / GRID_LINES;
        svg.line("grid", (LEFT, y(rate)), (WIDTH - RIGHT, y(rate)));
        svg.text(
            "dim",
            LEFT - 8.0,
            y(rate) + 4.0,
            Anchor::End,
            thousands(rate),
        );
    }
    let every = round_up(span / 8.0).max(1.0);
    let mut second = 0.0;
    while second <= span {
        let x = LEFT + second / span * (WIDTH - LEFT - RIGHT);
        svg.line("axis", (x, y(0.0)), (x, y(0.0) + 5.0));
        svg.text("dim", x, y(0.0) + 20.0, Anchor::Middle, second);
        second += every;
    }
    svg.line("axis", (LEFT, y(0.0)), (WIDTH - RIGHT, y(0.0)));
    svg.text(
        "dim",
        (LEFT + WIDTH - RIGHT) / 2.0,
        HEIGHT - 12.0,
        Anchor::Middle,
        "seconds since the first arrival",
    );
    svg.text("dim", LEFT - 8.0, TOP - 12.0, Anchor::End, "claims/s");
}

fn rates(seconds: &[Second], step: usize, of: impl Fn(&Second) -> u64) -> Vec<f64> {
    seconds
        .chunks(step)
        .map(|chunk| chunk.iter().map(&of).sum::<u64>() as f64 / chunk.len() as f64)
        .collect()
}

/// The next of 1, 2, 5, 10, 20, 50 and so on.
pub(super) fn round_up(value: f64) -> f64 {
    let magnitude = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|step| step * magnitude)
        .find(|&step| step >= value * 0.999_999)
        .unwrap_or(value)
}

pub(super) fn thousands(value: f64) -> String {
    if value >= 10_000.0 {
        format!("{}k", value / 1_000.0)
    } else {
        format!("{value}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: u64) -> Vec<Second> {
        (0..count)
            .map(|second| Second {
                offered: 100 + second,
                issued: 60,
                refused: 40 + second,
            })
            .collect()
    }

    #[test]
    fn the_plot_is_well_formed_and_has_title_axes_units_and_legend() {
        let svg = draw(&seconds(400), "20,000 shoppers & <one> day");
        let document = roxmltree::Document::parse(&svg).unwrap();
        let texts: Vec<_> = document
            .descendants()
            .filter(|node| node.has_tag_name("text"))
            .filter_map(|node| node.text())
            .collect();
        for expected in [
            "Claims offered, issued and refused",
            "offered",
            "issued",
            "refused",
            "claims/s",
            "seconds since the first arrival",
        ] {
            assert!(
                texts.contains(&expected),
                "{expected} is missing in {texts:?}"
            );
        }
        assert!(svg.contains("prefers-color-scheme:dark"));
    }

    #[test]
    fn every_point_lies_within_the_frame() {
        for count in [0, 1, 2, 61, 1_000] {
            let svg = draw(&seconds(count), "");
            let document = roxmltree::Document::parse(&svg).unwrap();
            for path in document
                .descendants()
                .filter(|node| node.has_tag_name("path"))
            {
                let numbers = path
                    .attribute("d")
                    .unwrap()
                    .split(|letter: char| letter.is_alphabetic() || letter == ' ')
                    .filter(|number| !number.is_empty());
                let numbers: Vec<f64> = numbers.map(|number| number.parse().unwrap()).collect();
                assert!(
                    numbers
                        .chunks(2)
                        .all(
                            |point| (LEFT - 0.1..=WIDTH - RIGHT + 0.1).contains(&point[0])
                                && (TOP - 0.1..=HEIGHT - BOTTOM + 0.1).contains(&point[1])
                        ),
                    "{count}: {numbers:?}"
                );
            }
        }
    }

    #[test]
    fn scales_end_at_round_numbers() {
        assert_eq!(
            [0.4, 1.0, 3.0, 47.0, 51.0, 100.0].map(round_up),
            [0.5, 1.0, 5.0, 50.0, 100.0, 100.0]
        );
    }
}
