//! How long things took.

use std::time::Duration;

/// The value that this share of all values is not above.
pub fn quantile(values: impl IntoIterator<Item = Duration>, share: f64) -> Option<Duration> {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_unstable();
    let place = (values.len() as f64 * share).ceil() as usize;
    values.get(place.saturating_sub(1)).copied()
}

/// The same in milliseconds.
pub fn quantile_ms(values: impl IntoIterator<Item = Duration>, share: f64) -> Option<f64> {
    quantile(values, share).map(milliseconds)
}

pub fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_of_nothing_is_unknown() {
        assert_eq!(quantile_ms([], 0.99), None);
        let values = || (1..=100).map(Duration::from_millis);
        assert_eq!(quantile_ms(values(), 0.99), Some(99.0));
        assert_eq!(quantile_ms(values(), 0.5), Some(50.0));
    }
}
