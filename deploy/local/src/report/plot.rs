//! The replay as a picture: offered, issued and refused claims a second over time, and under them how many wait.

use super::svg::{Anchor, Svg};
use crate::replay::measures::Second;

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 640.0;
const LEFT: f64 = 74.0;
const RIGHT: f64 = 24.0;
/// Where the panel of claims begins and ends, and the one of those who wait.
const CLAIMS: (f64, f64) = (84.0, 384.0);
const WAITING: (f64, f64) = (464.0, 584.0);
/// Points along the time axis, at most: more would be finer than the eye.
const POINTS: usize = 160;
const GRID_LINES: f64 = 5.0;
const GRID_LINES_OF_WAITING: f64 = 2.0;

/// One line of a panel: its name, its colour, and what is drawn of each second.
type Series = (&'static str, &'static str, fn(&Second) -> u64);

const OF_CLAIMS: [Series; 3] = [
    ("offered", "c0", |second| second.offered),
    ("issued", "c1", |second| second.issued),
    ("refused", "c2", |second| second.refused),
];
const OF_WAITING: [Series; 1] = [("waiting", "c3", |second| second.waiting)];

/// Draws the replay second by second. `opening` is the second in which the campaign opened, `subtitle` says of which run.
pub fn draw(seconds: &[Second], opening: f64, subtitle: &str) -> String {
    let mut svg = Svg::new(WIDTH, HEIGHT);
    let title = "Claims offered, issued and refused";
    svg.text("ink title", LEFT, 32.0, Anchor::Start, title);
    svg.text("dim", LEFT, 52.0, Anchor::Start, subtitle);
    let step = seconds.len().div_ceil(POINTS).max(1);
    let span = (seconds.len().div_ceil(step).saturating_sub(1) * step).max(1) as f64;
    let claims = OF_CLAIMS.map(|(name, colour, of)| (name, colour, rates(seconds, step, of)));
    // The longest queue of the seconds drawn as one: an average would hide a short one.
    let waiting = OF_WAITING.map(|(name, colour, of)| (name, colour, peaks(seconds, step, of)));
    let panel = |(top, bottom), unit, grid_lines, series: &[Drawn]| Panel {
        top,
        bottom,
        unit,
        grid_lines,
        span,
        step,
        peak: peak(series),
    };
    let upper = panel(CLAIMS, "claims/s", GRID_LINES, &claims);
    upper.draw(&mut svg, &claims, opening);
    let lower = panel(WAITING, "waiting", GRID_LINES_OF_WAITING, &waiting);
    lower.draw(&mut svg, &waiting, opening);
    if opening > 0.0 {
        let x = upper.x(opening) + 4.0;
        svg.text("dim", x, CLAIMS.0 - 2.0, Anchor::Start, "opening");
    }
    let middle = (LEFT + WIDTH - RIGHT) / 2.0;
    let words = "seconds since the first arrival";
    svg.text("dim", middle, HEIGHT - 12.0, Anchor::Middle, words);
    svg.finish("Claims offered, issued and refused a second over the replay, and how many wait")
}

/// A line of a panel with its points.
type Drawn = (&'static str, &'static str, Vec<f64>);

/// A picture of its own over the time axis that all share.
struct Panel {
    top: f64,
    bottom: f64,
    unit: &'static str,
    grid_lines: f64,
    /// Seconds from the first point to the last.
    span: f64,
    /// Seconds from one point to the next.
    step: usize,
    /// The value at the top.
    peak: f64,
}

impl Panel {
    fn x(&self, second: f64) -> f64 {
        LEFT + (second / self.span).min(1.0) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        self.bottom - value / self.peak * (self.bottom - self.top)
    }

    fn draw(&self, svg: &mut Svg, series: &[Drawn], opening: f64) {
        self.axes(svg);
        if opening > 0.0 {
            let x = self.x(opening);
            svg.line("axis", (x, self.top), (x, self.bottom));
        }
        let legends = WIDTH - RIGHT - 90.0 * series.len() as f64;
        for (place, (name, colour, values)) in series.iter().enumerate() {
            self.curve(svg, colour, values);
            let legend = legends + 90.0 * place as f64;
            let y = self.top - 42.0;
            svg.rectangle(&format!("{colour} bar"), legend, y, 14.0, 10.0);
            svg.text("ink", legend + 20.0, y + 10.0, Anchor::Start, name);
        }
    }

    fn curve(&self, svg: &mut Svg, colour: &str, values: &[f64]) {
        let points = values.iter().enumerate();
        let line: Vec<_> = points
            .map(|(place, &value)| (self.x((place * self.step) as f64), self.y(value)))
            .collect();
        let (Some(first), Some(last)) = (line.first(), line.last()) else {
            return;
        };
        let ends = [(first.0, self.y(0.0)), (last.0, self.y(0.0))];
        let mut area = line.clone();
        area.insert(0, ends[0]);
        area.push(ends[1]);
        svg.path(&format!("{colour} area"), &area, true);
        svg.path(&format!("{colour} line"), &line, false);
    }

    fn axes(&self, svg: &mut Svg) {
        for line in 0..=self.grid_lines as u32 {
            let value = self.peak * f64::from(line) / self.grid_lines;
            let y = self.y(value);
            svg.line("grid", (LEFT, y), (WIDTH - RIGHT, y));
            let words = thousands(value);
            svg.text("dim", LEFT - 8.0, y + 4.0, Anchor::End, words);
        }
        let every = round_up(self.span / 8.0).max(1.0);
        let mut second = 0.0;
        while second <= self.span {
            let x = self.x(second);
            svg.line("axis", (x, self.bottom), (x, self.bottom + 5.0));
            svg.text("dim", x, self.bottom + 20.0, Anchor::Middle, second);
            second += every;
        }
        svg.line("axis", (LEFT, self.bottom), (WIDTH - RIGHT, self.bottom));
        svg.text("dim", LEFT - 8.0, self.top - 12.0, Anchor::End, self.unit);
    }
}

/// A round value that nothing drawn is above.
fn peak(series: &[Drawn]) -> f64 {
    let values = series.iter().flat_map(|(_, _, values)| values);
    let peak = values.fold(0.0_f64, |peak, &value| peak.max(value));
    round_up(peak.max(1.0))
}

fn peaks(seconds: &[Second], step: usize, of: impl Fn(&Second) -> u64) -> Vec<f64> {
    seconds
        .chunks(step)
        .map(|chunk| chunk.iter().map(&of).max().unwrap_or_default() as f64)
        .collect()
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
                waiting: 3 * second,
                served_from_queue: 10,
            })
            .collect()
    }

    #[test]
    fn the_plot_is_well_formed_and_has_title_axes_units_and_legend() {
        let svg = draw(&seconds(400), 5.0, "20,000 shoppers & <one> day");
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
            "waiting",
            "opening",
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
            let svg = draw(&seconds(count), 5.0, "");
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
                                && (CLAIMS.0 - 0.1..=WAITING.1 + 0.1).contains(&point[1])
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

    #[test]
    fn a_queue_of_one_second_is_seen_however_many_seconds_are_drawn_as_one() {
        let mut day = seconds(1_000);
        for second in &mut day {
            second.waiting = 0;
        }
        day[503].waiting = 70;
        let drawn = peaks(&day, 7, |second| second.waiting);
        assert_eq!(drawn.iter().sum::<f64>(), 70.0);
    }
}
