//! Draws the waiting room's curves: `cargo run --release -p tidegate-model --example curves`.

use std::time::Duration;

use tidegate_model::waiting_room::{Outcome, Scenario, run};

const SECONDS: u64 = 30;
const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

fn main() {
    println!(
        "Served each second, {SECONDS} s, as a share of what can be (a full bar is all of it)"
    );
    let flood = |capacity: f64, times: f64| Scenario {
        seconds: SECONDS,
        capacity: Box::new(move |_| capacity),
        arrivals: Box::new(move |_| capacity * times),
        commit_every: Duration::from_millis(if capacity < 1_000.0 { 26 } else { 5 }),
        ..Scenario::default()
    };
    for capacity in [150.0, 2_000.0] {
        for times in [0.8, 2.0, 5.0, 10.0, 50.0] {
            let title = format!("{times} times {capacity}/s");
            draw(&title, capacity, &run(&flood(capacity, times)));
        }
    }
    let half_after = |at: f64| move |now: f64| if now < at { 2_000.0 } else { 1_000.0 };
    let scenarios = [
        (
            "half of 2000/s from 10 s on, 3 times as many come",
            Scenario {
                capacity: Box::new(half_after(10.0)),
                arrivals: Box::new(|_| 6_000.0),
                ..flood(2_000.0, 3.0)
            },
        ),
        (
            "nothing from 10 s to 13 s, 0.8 times 2000/s come",
            Scenario {
                capacity: Box::new(|now| {
                    if (10.0..13.0).contains(&now) {
                        0.0
                    } else {
                        2_000.0
                    }
                }),
                ..flood(2_000.0, 0.8)
            },
        ),
        (
            "half of those who wait never come back, 5 times 2000/s",
            Scenario {
                returning: 0.5,
                ..flood(2_000.0, 5.0)
            },
        ),
        (
            "20000 wait for the opening at 10000/s",
            Scenario {
                early: 20_000,
                ..flood(10_000.0, 0.2)
            },
        ),
    ];
    for (title, scenario) in scenarios {
        let capacity = (scenario.capacity)(0.0);
        draw(title, capacity, &run(&scenario));
    }
}

fn draw(title: &str, capacity: f64, outcome: &Outcome) {
    let bar = |served: &u64| {
        let share = (*served as f64 / capacity).clamp(0.0, 1.0);
        BARS[(share * 8.0).round() as usize]
    };
    let line: String = outcome.served.iter().map(bar).collect();
    let (half, most) = if outcome.waits.is_empty() {
        (0.0, 0.0)
    } else {
        (outcome.wait(0.5), outcome.wait(0.99))
    };
    println!(
        "{line}  {title}; waits of those served: median {half:.1} s, p99 {most:.1} s; {} asks",
        outcome.asks
    );
}
