//! The run as a picture: coupons and refusals a second, and below them what each replica of issuance had of the coupons, with a mark where each step begins.

use super::{
    picture::{COLOURS, HEIGHT, LEFT, Picture, RIGHT, WIDTH, height, round_up},
    report::Report,
    timeline::Sample,
};

/// Where the panels begin and end, from above: rates, shares, replicas.
const RATES: (f64, f64) = (112.0, 290.0);
const SHARES: (f64, f64) = (330.0, 470.0);
const REPLICAS: (f64, f64) = (510.0, 570.0);
/// A rate is that of so many readings, of which there are two a second: of one alone it would jump about.
const READINGS: usize = 4;
/// From the beginning of one mark's words to the next one's, at least; they go to the next row else.
const ROWS: usize = 3;
const ROW_HEIGHT: f64 = 14.0;

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
        LEFT + at_ms.saturating_sub(begin) as f64 / whole * (WIDTH - LEFT - RIGHT)
    };
    let mut out = Picture::default();
    out.text(
        "ink title",
        LEFT,
        30.0,
        "start",
        "Issuance scaled, restarted and cut off under load",
    );
    let spans = spans(&samples);
    rates(&mut out, &spans, x);
    shares(&mut out, &samples, x);
    replicas(&mut out, &samples, x);
    marks(&mut out, report, x);
    seconds(&mut out, begin, end, x);
    out.finish("Coupons and refusals a second, the share of each replica, and the number of replicas, over a scaling run")
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

fn rates(out: &mut Picture, spans: &[Span], x: impl Fn(u64) -> f64) {
    let peak = spans.iter().fold(1.0_f64, |peak, span| {
        peak.max(span.issued).max(span.refused)
    });
    let top = round_up(peak);
    out.scale(RATES, top, "a second");
    let lines: [(&str, &str, Rate); 3] = [
        ("issued", "coupons issued", |span| span.issued),
        ("refused", "refusals", |span| span.refused),
        ("failed", "failed calls", |span| span.failed),
    ];
    for (place, (class, words, of)) in lines.into_iter().enumerate() {
        let points = spans.iter().map(|span| {
            let middle = (span.from_ms + span.to_ms) / 2;
            (x(middle), height(RATES, of(span) / top))
        });
        out.path(&format!("{class} line"), points, false);
        let at = WIDTH - RIGHT - 390.0 + 140.0 * place as f64;
        out.legend(class, at, 30.0, words);
    }
}

/// What each replica had of the coupons, one above the other.
fn shares(out: &mut Picture, samples: &[Sample], x: impl Fn(u64) -> f64) {
    out.scale(SHARES, 100.0, "share, %");
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
                below += issued / all;
                below
            });
            (x((first.at_ms + last.at_ms) / 2), tops.collect())
        })
        .collect();
    for (place, name) in names.iter().enumerate() {
        let upper = windows
            .iter()
            .map(|(x, tops)| (*x, height(SHARES, tops[place])));
        let lower = windows.iter().rev().map(|(x, tops)| {
            let below = place.checked_sub(1).map_or(0.0, |below| tops[below]);
            (*x, height(SHARES, below))
        });
        let class = format!("r{} area", place % COLOURS);
        out.path(&class, upper.chain(lower), true);
        let at = LEFT + 100.0 * place as f64;
        out.legend(&class, at, SHARES.0 - 8.0, name);
    }
}

fn replicas(out: &mut Picture, samples: &[Sample], x: impl Fn(u64) -> f64) {
    let most = samples
        .iter()
        .map(|sample| sample.replicas)
        .max()
        .unwrap_or(1);
    let top = most.max(1) as f64;
    out.scale(REPLICAS, top, "issuance");
    let mut points = Vec::new();
    let mut before = None;
    for sample in samples {
        let y = |replicas: usize| height(REPLICAS, replicas as f64 / top);
        if let Some(before) = before.filter(|before| *before != sample.replicas) {
            points.push((x(sample.at_ms), y(before)));
        }
        points.push((x(sample.at_ms), y(sample.replicas)));
        before = Some(sample.replicas);
    }
    out.path("replicas line", points.into_iter(), false);
}

fn marks(out: &mut Picture, report: &Report, x: impl Fn(u64) -> f64) {
    for (place, step) in report.acted.steps.iter().enumerate() {
        let at = x(step.from.at_ms);
        out.line("mark", (at, RATES.0 - 4.0), (at, REPLICAS.1));
        let row = (place % ROWS) as f64;
        let y = RATES.0 - 10.0 - ROW_HEIGHT * (ROWS as f64 - 1.0 - row);
        out.text("dim", at + 3.0, y, "start", &step.name);
    }
}

fn seconds(out: &mut Picture, begin: u64, end: u64, x: impl Fn(u64) -> f64) {
    let every = round_up((end.saturating_sub(begin)) as f64 / 10_000.0).max(1.0) as u64 * 1_000;
    let mut at = begin;
    while at <= end {
        let words = (at - begin) / 1_000;
        out.line("axis", (x(at), REPLICAS.1), (x(at), REPLICAS.1 + 5.0));
        out.text("dim", x(at), REPLICAS.1 + 20.0, "middle", words);
        at += every;
    }
    let middle = (LEFT + WIDTH - RIGHT) / 2.0;
    out.text("dim", middle, HEIGHT - 10.0, "middle", "seconds");
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
