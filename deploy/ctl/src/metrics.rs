//! The metrics that replicas tell, as numbers.

use std::collections::BTreeMap;

use prometheus_parse::{Sample, Scrape, Value};

/// All samples of one replica, or of several, at one moment.
#[derive(Debug, Default)]
pub struct Metrics(Vec<Sample>);

impl Metrics {
    /// Reads the text of `/metrics`. What cannot be read is left out.
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().map(|line| Ok(line.to_owned()));
        Self(Scrape::parse(lines).map_or(Vec::new(), |scrape| scrape.samples))
    }

    pub fn together<'a>(replicas: impl Iterator<Item = &'a Self>) -> Self {
        Self(replicas.flat_map(|metrics| metrics.0.clone()).collect())
    }

    fn of(&self, name: &str) -> impl Iterator<Item = &Sample> {
        self.0.iter().filter(move |sample| sample.metric == name)
    }

    pub fn sum(&self, name: &str) -> f64 {
        self.sum_where(name, |_| true)
    }

    pub fn sum_where(&self, name: &str, fits: impl Fn(&Sample) -> bool) -> f64 {
        let samples = self.of(name).filter(|sample| fits(sample));
        samples.filter_map(|sample| number(&sample.value)).sum()
    }

    pub fn sum_by(&self, name: &str, label: &str) -> BTreeMap<String, f64> {
        let mut sums = BTreeMap::new();
        for sample in self.of(name) {
            if let (Some(value), Some(of)) = (number(&sample.value), sample.labels.get(label)) {
                *sums.entry(of.to_owned()).or_insert(0.0) += value;
            }
        }
        sums
    }

    /// How many observations of a histogram were at most so long, by the bucket's bound.
    pub fn buckets(&self, name: &str, fits: impl Fn(&Sample) -> bool) -> Vec<(f64, f64)> {
        let mut sums: Vec<(f64, f64)> = Vec::new();
        for sample in self.of(name).filter(|sample| fits(sample)) {
            let Value::Histogram(counts) = &sample.value else {
                continue;
            };
            for count in counts {
                match sums.iter_mut().find(|(bound, _)| *bound == count.less_than) {
                    Some((_, sum)) => *sum += count.count,
                    None => sums.push((count.less_than, count.count)),
                }
            }
        }
        sums.sort_by(|a, b| a.0.total_cmp(&b.0));
        sums
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Counter(value) | Value::Gauge(value) | Value::Untyped(value) => Some(*value),
        Value::Histogram(_) | Value::Summary(_) => None,
    }
}

/// What a share of the observations between two looks was at most, as far as the buckets tell.
pub fn quantile(before: &[(f64, f64)], after: &[(f64, f64)], share: f64) -> Option<f64> {
    let earlier = |bound: f64| {
        let found = before.iter().find(|(other, _)| *other == bound);
        found.map_or(0.0, |(_, count)| *count)
    };
    let since: Vec<_> = after
        .iter()
        .map(|(bound, count)| (*bound, count - earlier(*bound)))
        .collect();
    let all = since.last().map_or(0.0, |(_, count)| *count);
    if all <= 0.0 {
        return None;
    }
    let mut below = (0.0, 0.0);
    for (bound, count) in since {
        if count >= all * share {
            if bound.is_infinite() {
                return Some(below.0);
            }
            let within = (all * share - below.1) / (count - below.1).max(f64::MIN_POSITIVE);
            return Some(below.0 + (bound - below.0) * within.clamp(0.0, 1.0));
        }
        below = (bound, count);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# HELP grpc_server_handled Calls answered.
# TYPE grpc_server_handled counter
grpc_server_handled_total{method=\"a\",code=\"OK\"} 3
grpc_server_handled_total{method=\"b\",code=\"OK\"} 4
grpc_server_handled_total{method=\"b\",code=\"UNAVAILABLE\"} 1
# HELP took Seconds.
# TYPE took histogram
took_sum 1.0
took_count 4
took_bucket{le=\"0.1\"} 2
took_bucket{le=\"0.2\"} 4
took_bucket{le=\"+Inf\"} 4
# EOF
";

    #[test]
    fn what_replicas_tell_is_read() {
        let metrics = Metrics::parse(TEXT);
        assert_eq!(metrics.sum("grpc_server_handled_total"), 8.0);
        let by_code = metrics.sum_by("grpc_server_handled_total", "code");
        assert_eq!(by_code["OK"], 7.0);
        let buckets = metrics.buckets("took", |_| true);
        assert_eq!(quantile(&[], &buckets, 0.5), Some(0.1));
        let p75 = quantile(&[], &buckets, 0.75).unwrap();
        assert!((p75 - 0.15).abs() < 1e-9, "{p75}");
        assert_eq!(quantile(&buckets, &buckets, 0.5), None);
    }
}
