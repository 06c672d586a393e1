//! The rate of one real day: totals as the press reported them, minute by minute in the shape of another crowd.

use anyhow::{Context, Result, ensure};

const QWEN_FIRST_DAY: &str = include_str!("../../data/qwen-first-day.csv");
const WORLD_CUP_NINE_HOURS: &str = include_str!("../../data/worldcup98-nine-hours.csv");

/// How arrivals add up over the day, both axes from 0 to 1.
#[derive(Debug, Clone)]
pub struct Curve {
    /// One more value than there are minutes; never falling.
    cumulative: Vec<f64>,
}

impl Curve {
    pub fn qwen_day() -> Result<Self> {
        let points = pairs(QWEN_FIRST_DAY)?;
        let shape: Vec<f64> = pairs(WORLD_CUP_NINE_HOURS)?
            .into_iter()
            .map(|(_, requests)| requests)
            .collect();
        Self::between(&points, &shape)
    }

    /// Joins cumulative points (minute, total) with the shape of a rate per minute.
    fn between(points: &[(f64, f64)], shape: &[f64]) -> Result<Self> {
        let total = points.last().context("the curve has no points")?.1;
        let mut cumulative = vec![0.0];
        for pair in points.windows(2) {
            let [(from, before), (to, after)] = [pair[0], pair[1]];
            let minutes = shape
                .get(from as usize..to as usize)
                .context("the shape is shorter than the curve")?;
            let weight: f64 = minutes.iter().sum();
            ensure!(
                after >= before && weight > 0.0,
                "the curve falls or its shape is empty"
            );
            let mut sum = 0.0;
            for minute in minutes {
                sum += minute;
                cumulative.push((before + (after - before) * sum / weight) / total);
            }
        }
        Ok(Self { cumulative })
    }

    /// When, as a share of the day, a share of all arrivals has come: the inverse of the curve.
    pub fn time_of(&self, share: f64) -> f64 {
        let minutes = (self.cumulative.len() - 1) as f64;
        let above = self.cumulative.partition_point(|&value| value < share);
        if above == 0 {
            return 0.0;
        }
        let Some(&high) = self.cumulative.get(above) else {
            return 1.0;
        };
        let low = self.cumulative[above - 1];
        ((above - 1) as f64 + (share - low) / (high - low)) / minutes
    }
}

fn pairs(csv: &str) -> Result<Vec<(f64, f64)>> {
    csv.lines()
        .skip(1)
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            let (left, right) = line
                .split_once(',')
                .context("a row of the arrival data has no comma")?;
            Ok((left.trim().parse()?, right.trim().parse()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_passes_through_the_reported_points() {
        let curve = Curve::qwen_day().unwrap();
        assert_eq!(curve.cumulative.len(), 541);
        for (orders, minute) in [(1.0, 180.0), (2.0, 240.0), (5.0, 300.0), (10.0, 540.0)] {
            let reached = curve.time_of(orders / 10.0) * 540.0;
            assert!((reached - minute).abs() < 1e-6, "{orders} by {reached}");
        }
    }

    #[test]
    fn the_fifth_hour_brings_the_most_and_minutes_differ_within_it() {
        let curve = Curve::qwen_day().unwrap();
        let rates: Vec<f64> = curve
            .cumulative
            .windows(2)
            .map(|pair| pair[1] - pair[0])
            .collect();
        let hour = |hour: usize| rates[hour * 60..(hour + 1) * 60].iter().sum::<f64>();
        assert!((0..9).all(|other| hour(other) <= hour(4)));
        let differs = |rate: &f64| (rate - rates[240]).abs() > 1e-6;
        assert!(rates[240..300].iter().any(differs));
        assert!(rates.iter().all(|rate| *rate > 0.0));
    }

    #[test]
    fn the_inverse_never_runs_backwards_and_stays_within_the_day() {
        let curve = Curve::qwen_day().unwrap();
        let times: Vec<f64> = (0..=1_000)
            .map(|step| curve.time_of(f64::from(step) / 1_000.0))
            .collect();
        assert!(times.windows(2).all(|pair| pair[0] <= pair[1]));
        assert_eq!((times[0], curve.time_of(1.5)), (0.0, 1.0));
    }
}
