//! The replay as a picture: offered, issued and refused claims a second over time, and under them how many wait.

use crate::{
    measures::Second,
    svg::{Anchor, Panel, Svg, round_up},
};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 640.0;
const LEFT: f64 = 74.0;
const RIGHT: f64 = WIDTH - 24.0;
/// Where the panel of claims begins and ends, and the one of those who wait.
const CLAIMS: (f64, f64) = (84.0, 384.0);
const WAITING: (f64, f64) = (464.0, 584.0);
/// Points along the time axis, at most: more would be finer than the eye.
const POINTS: usize = 160;
const LEGEND_WIDTH: f64 = 90.0;

/// One line of a panel: its name, its classes, and its points.
type Series = (&'static str, &'static str, Vec<f64>);

/// Draws the replay second by second. `opening` is the second in which the campaign opened, `subtitle` says of which run.
pub fn draw(seconds: &[Second], opening: f64, subtitle: &str) -> String {
    let title = "Claims offered, issued and refused";
    let mut svg = Svg::new(WIDTH, HEIGHT, LEFT, title, subtitle);
    let step = seconds.len().div_ceil(POINTS).max(1);
    let rates = |of: fn(&Second) -> u64| rates(seconds, step, of);
    let claims = [
        ("offered", "c0 wide", rates(|second| second.offered)),
        ("issued", "c1 line", rates(|second| second.issued)),
        ("refused", "c2 line", rates(|second| second.refused)),
    ];
    // The longest queue of the seconds drawn as one: an average would hide a short one.
    let waiting = [(
        "waiting",
        "c3 line",
        peaks(seconds, step, |second| second.waiting),
    )];
    let time = Time {
        step,
        span: (seconds.len().div_ceil(step).saturating_sub(1) * step).max(1) as f64,
        opening,
    };
    let upper = time.draw(&mut svg, CLAIMS, 5, "claims/s", &claims);
    time.draw(&mut svg, WAITING, 2, "waiting", &waiting);
    if opening > 0.0 {
        let x = upper.x(opening / time.span) + 4.0;
        svg.text("dim", x, upper.top - 2.0, Anchor::Start, "opening");
    }
    svg.caption(&upper, "seconds since the first arrival");
    svg.finish("Claims offered, issued and refused a second over the replay, and how many wait")
}

struct Time {
    step: usize,
    span: f64,
    opening: f64,
}

impl Time {
    fn draw(
        &self,
        svg: &mut Svg,
        (top, bottom): (f64, f64),
        grid_lines: u32,
        unit: &str,
        series: &[Series],
    ) -> Panel {
        let values = series.iter().flat_map(|(_, _, values)| values);
        let panel = Panel {
            left: LEFT,
            right: RIGHT,
            top,
            bottom,
            peak: round_up(values.fold(1.0, |peak, &value| peak.max(value))),
        };
        panel.scale(svg, grid_lines, unit);
        panel.seconds(svg, self.span);
        if self.opening > 0.0 {
            let x = panel.x(self.opening / self.span);
            svg.line("axis", (x, top), (x, bottom));
        }
        let legends = RIGHT - LEGEND_WIDTH * series.len() as f64;
        for (place, (name, class, values)) in series.iter().enumerate() {
            let colour = &class[..2];
            let x = |point: usize| panel.x((point * self.step) as f64 / self.span);
            let points = values.iter().enumerate();
            let line: Vec<_> = points.map(|(at, &value)| (x(at), panel.y(value))).collect();
            let last = values.len().saturating_sub(1);
            let foot = [(x(last), bottom), (x(0), bottom)];
            svg.shape(&format!("{colour} area"), line.iter().copied().chain(foot));
            svg.path(class, line);
            let left = legends + LEGEND_WIDTH * place as f64;
            svg.legend(colour, left, top - 32.0, name);
        }
        panel
    }
}

fn peaks(seconds: &[Second], step: usize, of: impl Fn(&Second) -> u64) -> Vec<f64> {
    let peak = |chunk: &[Second]| chunk.iter().map(&of).max().unwrap_or_default() as f64;
    seconds.chunks(step).map(peak).collect()
}

fn rates(seconds: &[Second], step: usize, of: impl Fn(&Second) -> u64) -> Vec<f64> {
    let rate = |chunk: &[Second]| chunk.iter().map(&of).sum::<u64>() as f64 / chunk.len() as f64;
    seconds.chunks(step).map(rate).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::svg::tests::assert_sound;

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
    fn the_plot_names_what_it_shows_and_keeps_within_its_frame() {
        let words = [
            "Claims offered, issued and refused",
            "offered",
            "issued",
            "refused",
            "claims/s",
            "waiting",
            "opening",
            "seconds since the first arrival",
        ];
        for count in [0, 1, 2, 61, 1_000] {
            assert_sound(&draw(&seconds(count), 5.0, "one day"), &words);
        }
    }

    #[test]
    fn a_queue_of_one_second_is_seen_however_many_seconds_are_drawn_as_one() {
        let mut day = seconds(1_000);
        day.iter_mut().for_each(|second| second.waiting = 0);
        day[503].waiting = 70;
        let drawn = peaks(&day, 7, |second| second.waiting);
        assert_eq!(drawn.iter().sum::<f64>(), 70.0);
    }
}
