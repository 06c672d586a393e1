//! What a replica tells on its page of metrics.

use std::net::SocketAddr;

use anyhow::Result;
use reqwest::Client;

/// The page of a replica, by the address of its admin port.
pub async fn page(admin: SocketAddr) -> Result<String> {
    let client = Client::builder().no_proxy().build()?;
    let answer = client.get(format!("http://{admin}/metrics")).send().await?;
    Ok(answer.text().await?)
}

/// The sum of all samples of a name whose labels hold `label`; none if there is no such sample.
pub fn sum(page: &str, name: &str, label: &str) -> Option<f64> {
    let samples = page.lines().filter(|line| {
        let sample = line.split([' ', '{']).next();
        sample == Some(name) && line.contains(label)
    });
    samples
        .filter_map(|line| line.rsplit(' ').next()?.parse().ok())
        .fold(None, |sum, value: f64| Some(sum.unwrap_or(0.0) + value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_added_up_by_name_and_label_and_what_is_missing_is_no_zero() {
        let page = "# TYPE a counter\na_total{lane=\"0\"} 2\na_total{lane=\"1\"} 3\nab_total 9\n";
        assert_eq!(sum(page, "a_total", ""), Some(5.0));
        assert_eq!(sum(page, "a_total", "lane=\"1\""), Some(3.0));
        assert_eq!(sum(page, "a", ""), None);
    }
}
