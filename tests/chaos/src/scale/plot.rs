//! The run as a picture: coupons and refusals a second, and below them what each replica of issuance had of the coupons, with a mark where each step begins.

use tidegate_replay::svg::{Anchor, Panel, Svg, round_up};

use super::{report::Report, timeline::Sample};

const WIDTH: f64 = 1_040.0;
const HEIGHT: f64 = 620.0;
/// Where the panels are, from above.
const RATES: Panel = panel(112.0, 290.0);
const SHARES: Panel = panel(330.0, 470.0);
const REPLICAS: Panel = panel(510.0, 570.0);
/// Colours of replicas; one beyond them begins again.
const COLOURS: [&str; 6] = ["c1", "c3", "c4", "c5", "c6", "c7"];
/// A rate is that of so many readings, of which there are two a second: of one alone it would jump about.
const READINGS: usize = 4;
/// The words of one mark and the next are in different rows, so that they do not cover each other.
const ROWS: usize = 3;
const ROW_HEIGHT: f64 = 14.0;

const fn panel(top: f64, bottom: f64) -> Panel {
    Panel {
        left: 70.0,
        right: WIDTH - 24.0,
        top,
        bottom,
        peak: 100.0,
    }
}

/// A stretch between two readings.
struct Span {
    from_ms: u64,
    to_ms: u64,
    issued: f64,
    refused: f64,
    failed: f64,
}

/// One of the rates of a span.
type Rate = fn(&Span) -> f64;

pub fn draw(report: &Report) -> String {
    let (begin, end) = frame(report);
    let samples: Vec<Sample> = report
        .samples
        .iter()
        .filter(|sample| (begin..=end).contains(&sample.at_ms))
        .cloned()
        .collect();
    let x = |at_ms: u64| {
        let whole = end.saturating_sub(begin).max(1) as f64;
        RATES.x(at_ms.saturating_sub(begin) as f64 / whole)
    };
    let title = "Issuance scaled, restarted and cut off under load";
    let mut svg = Svg::new(WIDTH, HEIGHT, RATES.left, title, "");
    rates(&mut svg, &spans(&samples), x);
    shares(&mut svg, &samples, x);
    replicas(&mut svg, &samples, x);
    marks(&mut svg, report, x);
    REPLICAS.seconds(&mut svg, end.saturating_sub(begin).max(1) as f64 / 1_000.0);
    svg.caption(&REPLICAS, "seconds");
    svg.finish("Coupons and refusals a second, the share of each replica, and the number of replicas, over a scaling run")
}

/// From the first step's beginning to the last one's end.
fn frame(report: &Report) -> (u64, u64) {
    let steps = &report.acted.steps;
    let begin = steps.first().map_or(0, |step| step.from.at_ms);
    (begin, steps.last().map_or(begin, |step| step.to.at_ms))
}

fn spans(samples: &[Sample]) -> Vec<Span> {
    let windows = samples.windows(READINGS + 1);
    windows
        .map(|window| {
            let (first, last) = (&window[0], &window[READINGS]);
            let seconds = (last.at_ms - first.at_ms).max(1) as f64 / 1_000.0;
            let rate = |of: fn(&Sample) -> u64| of(last).saturating_sub(of(first)) as f64 / seconds;
            Span {
                from_ms: first.at_ms,
                to_ms: last.at_ms,
                issued: rate(|sample| sample.issued),
                refused: rate(Sample::refused),
                failed: rate(Sample::failed),
            }
        })
        .collect()
}

fn rates(svg: &mut Svg, spans: &[Span], x: impl Fn(u64) -> f64) {
    let peak = spans.iter().fold(1.0_f64, |peak, span| {
        peak.max(span.issued).max(span.refused)
    });
    let panel = Panel {
        peak: round_up(peak),
        ..RATES
    };
    panel.scale(svg, 2, "a second");
    let lines: [(&str, &str, Rate); 3] = [
        ("c1", "coupons issued", |span| span.issued),
        ("c2", "refusals", |span| span.refused),
        ("c8", "failed calls", |span| span.failed),
    ];
    for (place, (colour, words, of)) in lines.into_iter().enumerate() {
        let points = spans.iter().map(|span| {
            let middle = (span.from_ms + span.to_ms) / 2;
            (x(middle), panel.y(of(span)))
        });
        svg.path(&format!("{colour} line"), points);
        let at = panel.right - 390.0 + 140.0 * place as f64;
        svg.legend(colour, at, 30.0, words);
    }
}

/// What each replica had of the coupons, one above the other.
fn shares(svg: &mut Svg, samples: &[Sample], x: impl Fn(u64) -> f64) {
    SHARES.scale(svg, 2, "share, %");
    let Some(last) = samples.last() else { return };
    let names: Vec<&String> = last.by_replica.keys().collect();
    let windows: Vec<(f64, Vec<f64>)> = samples
        .windows(READINGS + 1)
        .map(|window| {
            let (first, last) = (&window[0], &window[READINGS]);
            let issued = |name: &String| {
                let of = |sample: &Sample| sample.by_replica.get(name).copied().unwrap_or(0);
                of(last).saturating_sub(of(first)) as f64
            };
            let issued: Vec<f64> = names.iter().map(|name| issued(name)).collect();
            let all = issued.iter().sum::<f64>().max(1.0);
            let mut below = 0.0;
            let tops = issued.iter().map(|issued| {
                below += 100.0 * issued / all;
                below
            });
            (x((first.at_ms + last.at_ms) / 2), tops.collect())
        })
        .collect();
    for (place, name) in names.iter().enumerate() {
        let upper = windows.iter().map(|(x, tops)| (*x, SHARES.y(tops[place])));
        let lower = windows.iter().rev().map(|(x, tops)| {
            let below = place.checked_sub(1).map_or(0.0, |below| tops[below]);
            (*x, SHARES.y(below))
        });
        let colour = COLOURS[place % COLOURS.len()];
        svg.shape(&format!("{colour} band"), upper.chain(lower));
        let at = SHARES.left + 100.0 * place as f64;
        svg.legend(colour, at, SHARES.top - 8.0, name);
    }
}

fn replicas(svg: &mut Svg, samples: &[Sample], x: impl Fn(u64) -> f64) {
    let most = samples.iter().map(|sample| sample.replicas).max();
    let panel = Panel {
        peak: most.unwrap_or(1).max(1) as f64,
        ..REPLICAS
    };
    panel.scale(svg, 2, "issuance");
    let mut points = Vec::new();
    let mut before = None;
    for sample in samples {
        let y = panel.y(sample.replicas as f64);
        if let Some(before) = before.filter(|before| *before != y) {
            points.push((x(sample.at_ms), before));
        }
        points.push((x(sample.at_ms), y));
        before = Some(y);
    }
    svg.path("c3 line", points);
}

fn marks(svg: &mut Svg, report: &Report, x: impl Fn(u64) -> f64) {
    for (place, step) in report.acted.steps.iter().enumerate() {
        let at = x(step.from.at_ms);
        svg.line("mark", (at, RATES.top - 4.0), (at, REPLICAS.bottom));
        let row = (place % ROWS) as f64;
        let y = RATES.top - 10.0 - ROW_HEIGHT * (ROWS as f64 - 1.0 - row);
        svg.text("dim", at + 3.0, y, Anchor::Start, &step.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scale::report::good;

    #[test]
    fn the_plot_names_its_steps_and_every_number_in_it_is_one() {
        let mut report = good();
        for at in 0..200 {
            report.samples.push(Sample {
                at_ms: 60_000 * at / 200,
                ..report.samples[1].clone()
            });
        }
        report.samples.sort_by_key(|sample| sample.at_ms);
        let svg = draw(&report);
        for words in [
            "up",
            "cut",
            "issuance-1",
            "coupons issued",
            "refusals",
            "seconds",
        ] {
            assert!(svg.contains(&format!(">{words}</text>")), "{words}: {svg}");
        }
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
        assert_eq!(svg.matches("<svg").count(), svg.matches("</svg>").count());
    }

    #[test]
    fn a_run_without_readings_has_a_plot_too() {
        let mut report = good();
        report.samples.clear();
        report.acted.steps.clear();
        assert!(draw(&report).ends_with("</svg>\n"));
    }
}
