//! What a person sees while the replay runs: a block redrawn in place on a terminal, a line every few seconds elsewhere.

use std::{
    io::{IsTerminal, Write as _, stderr},
    time::Duration,
};

use tokio::time::{MissedTickBehavior, interval};

use crate::{
    measures::{Picture, Second},
    shoppers::Scene,
};

const REDRAW: Duration = Duration::from_millis(500);
const LINE_EVERY: Duration = Duration::from_secs(5);
/// Seconds shown as a sparkline.
const SPARKLINE_SECONDS: usize = 60;
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const ERASE_LINE: &str = "\x1b[2K";

/// Shows the replay until dropped. `stock` is what the campaign began with, `duration` how long arrivals last.
pub async fn show(scene: &Scene, stock: u64, duration: Duration) {
    let terminal = stderr().is_terminal();
    let mut ticks = interval(if terminal { REDRAW } else { LINE_EVERY });
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut drawn = 0;
    loop {
        ticks.tick().await;
        let elapsed = scene.started.elapsed();
        let picture = scene.measures.picture();
        let mut out = stderr().lock();
        if terminal {
            let block = block(&picture, stock, elapsed, duration);
            let up = match drawn {
                0 => String::new(),
                lines => format!("\x1b[{lines}A"),
            };
            drawn = block.lines().count();
            let lines = block.lines().map(|line| format!("{ERASE_LINE}{line}\n"));
            let lines: String = lines.collect();
            // A terminal that went away must not end the replay.
            let _ = write!(out, "{up}{lines}");
        } else {
            let _ = writeln!(out, "{}", line(&picture, stock, elapsed, duration));
        }
    }
}

/// Rates of the last whole second.
fn last_second(picture: &Picture, elapsed: Duration) -> Second {
    let second = (elapsed.as_secs() as usize).checked_sub(1);
    let second = second.and_then(|second| picture.seconds.get(second));
    second.copied().unwrap_or_default()
}

fn stock_left(picture: &Picture, stock: u64) -> u64 {
    stock.saturating_sub(picture.claims.issued + picture.claims.replayed)
}

fn line(picture: &Picture, stock: u64, elapsed: Duration, duration: Duration) -> String {
    let now = last_second(picture, elapsed);
    format!(
        "{:>4}/{} s  offered {:>6}/s  issued {:>6}/s  refused {:>6}/s  waiting {:>6}  pace {:>6}/s  stock left {:>8}  orders {:>8}  claim p50 {:.1} ms p99 {:.1} ms",
        elapsed.as_secs(),
        duration.as_secs(),
        now.offered,
        now.issued,
        now.refused,
        picture.queue.waiting(),
        now.served_from_queue,
        stock_left(picture, stock),
        picture.orders.accepted,
        picture.latency_ms.claim.p50,
        picture.latency_ms.claim.p99
    )
}

fn block(picture: &Picture, stock: u64, elapsed: Duration, duration: Duration) -> String {
    let now = last_second(picture, elapsed);
    let (claims, queue, orders) = (&picture.claims, &picture.queue, &picture.orders);
    let (claim, order) = (picture.latency_ms.claim, picture.latency_ms.order);
    let wait = picture.wait_ms.from_joining;
    let left = stock_left(picture, stock);
    let lines = [
        format!(
            "  {:>4} of {} s   {}",
            elapsed.as_secs(),
            duration.as_secs(),
            sparkline(&picture.seconds)
        ),
        format!(
            "  claims    offered {:>7}/s   issued {:>7}/s   refused {:>7}/s",
            now.offered, now.issued, now.refused
        ),
        format!(
            "  so far    offered {:>9}   issued {:>9}   replayed {:>7}   resent {}",
            claims.offered, claims.issued, claims.replayed, picture.retries
        ),
        format!(
            "  queue     waiting {:>7}     pace {:>7}/s   served {:>7}     wait p50 {:.1} s  p99 {:.1} s",
            queue.waiting(),
            now.served_from_queue,
            queue.served,
            wait.p50 / 1_000.0,
            wait.p99 / 1_000.0
        ),
        format!(
            "  stock     left {left:>12}   of {stock:>13}   {}",
            gauge(left, stock)
        ),
        format!(
            "  orders    placed {:>10}   accepted {:>7}",
            orders.placed, orders.accepted
        ),
        format!(
            "  latency   claim p50 {:.1} ms  p99 {:.1} ms   order p50 {:.1} ms  p99 {:.1} ms",
            claim.p50, claim.p99, order.p50, order.p99
        ),
        format!("  refusals  {}", most_refusals(picture)),
    ];
    lines.join("\n")
}

fn most_refusals(picture: &Picture) -> String {
    let mut refused: Vec<_> = picture.claims.refused.iter().collect();
    if refused.is_empty() {
        return "none".to_owned();
    }
    refused.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let refused = refused.iter().take(4);
    let refused = refused.map(|(reason, count)| format!("{reason} {count}"));
    refused.collect::<Vec<_>>().join("   ")
}

/// Offered claims of the last minute, one bar a second.
fn sparkline(seconds: &[Second]) -> String {
    let shown = &seconds[seconds.len().saturating_sub(SPARKLINE_SECONDS)..];
    let offered = || shown.iter().map(|second| second.offered);
    let peak = offered().max().unwrap_or(0).max(1);
    offered()
        .map(|offered| BARS[(offered * (BARS.len() as u64 - 1) / peak) as usize])
        .collect()
}

fn gauge(left: u64, of: u64) -> String {
    const WIDTH: u64 = 24;
    let full = (left * WIDTH).div_ceil(of.max(1)).min(WIDTH) as usize;
    format!("{}{}", "█".repeat(full), "░".repeat(WIDTH as usize - full))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measures::{ClaimEnd, Measures};

    fn picture() -> Picture {
        let measures = Measures::new().unwrap();
        for end in [
            ClaimEnd::Issued,
            ClaimEnd::Refused("BUDGET_EXHAUSTED".into()),
        ] {
            measures.claim_offered(Duration::from_millis(100));
            let latency = Some(Duration::from_millis(10));
            measures.claim_ended(Duration::from_millis(110), latency, &end);
        }
        measures.queued(Duration::from_millis(120));
        measures.queued(Duration::from_millis(120));
        measures.wait_ended(Duration::from_millis(900), &ClaimEnd::Issued);
        measures.picture()
    }

    #[test]
    fn the_block_has_the_same_height_with_and_without_refusals() {
        let minute = Duration::from_secs(60);
        let before = block(&Picture::default(), 10, Duration::ZERO, minute);
        let after = block(&picture(), 10, Duration::from_secs(1), minute);
        assert_eq!(before.lines().count(), after.lines().count());
        assert!(after.contains("BUDGET_EXHAUSTED 1"), "{after}");
    }

    #[test]
    fn the_line_shows_the_last_whole_second_the_queue_and_the_stock_left() {
        let elapsed = Duration::from_millis(1_900);
        let line = line(&picture(), 10, elapsed, Duration::from_secs(60));
        let queue = "waiting      1  pace      1/s";
        for words in ["offered      2/s", queue, "stock left        9"] {
            assert!(line.contains(words), "{words} is missing in {line}");
        }
    }

    #[test]
    fn the_sparkline_is_highest_at_its_peak() {
        let seconds = [0, 7, 14].map(|offered| Second {
            offered,
            ..Second::default()
        });
        assert_eq!(sparkline(&seconds), "▁▄█");
    }
}
