use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

/// Seconds from 0.1 ms to about 13 s, each bucket twice the one before.
pub fn duration_histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.000_1, 2.0, 18))
}

/// Counts from 1 to 4,096, each bucket twice the one before.
pub fn size_histogram() -> Histogram {
    Histogram::new(exponential_buckets(1.0, 2.0, 13))
}
