//! What two looks say together: what happened a second, and how long it took.

use std::collections::BTreeMap;

use prometheus_parse::Sample;
use serde::Serialize;
use serde_json::to_value;
use tidegate_auth::Identity;
use tidegate_proto::r#type::v1::{Campaign, TierStock};

use super::Seen;
use crate::{
    metrics::{Metrics, quantile},
    output::{Column, Output},
};

const CLAIM: &str = "tidegate.gateway.v1.ClaimService/ClaimCoupon";
const ORDER: &str = "tidegate.gateway.v1.OrderService/PlaceOrder";
const REPLICAS: &[Column] = &[
    ("SERVICE", "/service"),
    ("ADDRESS", "/address"),
    ("SERVING", "/is_serving"),
    ("CALLS/S", "/calls_per_second"),
    ("NOT OK/S", "/not_ok_per_second"),
    ("P99 MS", "/p99_ms"),
    ("IN FLIGHT", "/in_flight"),
];

#[derive(Debug, Serialize)]
pub struct View {
    pub claims: Flow,
    pub orders: Flow,
    /// Refusals a second by reason, over all services.
    pub refusals_per_second: BTreeMap<String, f64>,
    pub campaigns: Vec<CampaignView>,
    pub replicas: Vec<ReplicaView>,
}

#[derive(Debug, Default, Serialize)]
pub struct Flow {
    pub per_second: f64,
    pub ok_per_second: f64,
    pub p50_ms: Option<f64>,
    pub p99_ms: Option<f64>,
}

#[derive(Debug, Serialize)]
pub struct CampaignView {
    pub campaign_id: String,
    pub state: String,
    pub stock: u64,
    pub left: u64,
    pub issued_per_second: f64,
    pub waiting: u64,
    pub pace_per_second: f64,
}

#[derive(Debug, Serialize)]
pub struct ReplicaView {
    pub service: &'static str,
    pub address: String,
    pub is_serving: bool,
    /// Why it did not answer; empty if it did.
    pub error: String,
    pub calls_per_second: f64,
    pub not_ok_per_second: f64,
    pub p99_ms: Option<f64>,
    pub in_flight: f64,
}

impl View {
    pub fn between(before: &Seen, after: &Seen) -> Self {
        let seconds = (after.at - before.at).as_secs_f64().max(0.001);
        let nothing = Metrics::default();
        // What was not read both times has no rate.
        let pairs: Vec<_> = after
            .replicas
            .iter()
            .map(|(examined, now)| {
                let same = before.replicas.iter().find(|(other, _)| {
                    (other.service, &other.address) == (examined.service, &examined.address)
                });
                let both = same.and_then(|(_, before)| before.as_ref().zip(now.as_ref()));
                let (before, now) = both.unwrap_or((&nothing, &nothing));
                (examined, before, now)
            })
            .collect();
        let mut gateways = pairs.clone();
        gateways.retain(|(examined, ..)| examined.service == Identity::Gateway);
        let gateways = (
            &Metrics::together(gateways.iter().map(|(_, before, _)| *before)),
            &Metrics::together(gateways.iter().map(|(_, _, now)| *now)),
        );
        let mut refusals_per_second = BTreeMap::new();
        for (_, before, now) in &pairs {
            let earlier = before.sum_by("tidegate_refusals_total", "reason");
            for (reason, count) in now.sum_by("tidegate_refusals_total", "reason") {
                let new = (count - earlier.get(&reason).unwrap_or(&0.0)).max(0.0) / seconds;
                if new > 0.0 {
                    *refusals_per_second.entry(reason).or_insert(0.0) += rounded(new);
                }
            }
        }
        let replicas = pairs.iter().map(|(examined, before, now)| {
            let rate = |not_ok: bool| {
                let fits = |sample: &Sample| !not_ok || !is_ok(sample);
                handled((before, now), seconds, fits)
            };
            let status = examined.status.as_ref();
            ReplicaView {
                service: examined.service.name(),
                address: examined.address.clone(),
                is_serving: status.is_ok_and(|status| status.is_serving),
                error: status.map_or_else(ToString::to_string, |_| String::new()),
                calls_per_second: rate(false),
                not_ok_per_second: rate(true),
                p99_ms: share_ms((before, now), None, 0.99),
                in_flight: rounded(now.sum("grpc_server_in_flight")),
            }
        });
        Self {
            claims: flow(gateways, CLAIM, seconds),
            orders: flow(gateways, ORDER, seconds),
            refusals_per_second,
            campaigns: campaigns(before, after, seconds),
            replicas: replicas.collect(),
        }
    }

    /// The replicas as a table; all of it for machines.
    pub fn table(&self) -> Output {
        let value = to_value(self).unwrap_or_default();
        Output::one(value, REPLICAS).rows_at("/replicas")
    }

    pub fn words(&self) -> String {
        let mut text = format!(
            "\nclaims  {}\norders  {}\n",
            self.claims.words(),
            self.orders.words()
        );
        for (reason, rate) in &self.refusals_per_second {
            text += &format!("refused {rate:.1}/s {reason}\n");
        }
        let is_silent = |replica: &&ReplicaView| !replica.error.is_empty();
        for replica in self.replicas.iter().filter(is_silent) {
            let error = replica.error.lines().next().unwrap_or_default();
            text += &format!("! {} at {}: {error}\n", replica.service, replica.address);
        }
        for campaign in &self.campaigns {
            text += &format!(
                "{}: {}, {} of {} left, {:.1}/s issued, {} wait, pace {:.1}/s\n",
                campaign.campaign_id,
                campaign.state,
                campaign.left,
                campaign.stock,
                campaign.issued_per_second,
                campaign.waiting,
                campaign.pace_per_second
            );
        }
        text.trim_end().to_owned()
    }
}

impl Flow {
    fn words(&self) -> String {
        let ms = |value: Option<f64>| value.map_or("-".to_owned(), |ms| format!("{ms:.1} ms"));
        format!(
            "{:.1}/s, {:.1}/s OK, p50 {}, p99 {}",
            self.per_second,
            self.ok_per_second,
            ms(self.p50_ms),
            ms(self.p99_ms)
        )
    }
}

fn flow(gateways: (&Metrics, &Metrics), method: &str, seconds: f64) -> Flow {
    let rate = |only_ok: bool| {
        handled(gateways, seconds, |sample| {
            sample.labels.get("method") == Some(method) && (!only_ok || is_ok(sample))
        })
    };
    Flow {
        per_second: rate(false),
        ok_per_second: rate(true),
        p50_ms: share_ms(gateways, Some(method), 0.5),
        p99_ms: share_ms(gateways, Some(method), 0.99),
    }
}

fn is_ok(sample: &Sample) -> bool {
    sample.labels.get("code") == Some("OK")
}

fn handled(
    (before, now): (&Metrics, &Metrics),
    seconds: f64,
    fits: impl Fn(&Sample) -> bool,
) -> f64 {
    let count = |metrics: &Metrics| metrics.sum_where("grpc_server_handled_total", &fits);
    rounded((count(now) - count(before)).max(0.0) / seconds)
}

fn share_ms((before, now): (&Metrics, &Metrics), method: Option<&str>, share: f64) -> Option<f64> {
    let buckets = |metrics: &Metrics| {
        metrics.buckets("grpc_server_handling_seconds", |sample| {
            method.is_none() || sample.labels.get("method") == method
        })
    };
    let took = quantile(&buckets(before), &buckets(now), share);
    took.map(|seconds| rounded(seconds * 1_000.0))
}

fn campaigns(before: &Seen, after: &Seen, seconds: f64) -> Vec<CampaignView> {
    let sum = |campaign: &Campaign, of: fn(&TierStock) -> u64| -> u64 {
        campaign.stock.iter().map(of).sum()
    };
    let left_of = |campaign: &Campaign| sum(campaign, |tier| tier.free + tier.leased);
    let views = after.campaigns.iter().map(|campaign| {
        let id = &campaign.campaign_id;
        let mut earlier = before.campaigns.iter();
        let earlier = earlier.find(|other| other.campaign_id == *id);
        let left = left_of(campaign);
        let left_before = earlier.map_or(left, left_of);
        let mut queues = after.queues.iter();
        let queue = queues.find(|(of, _)| of == id).map(|(_, queue)| queue);
        let control = campaign.control.clone().unwrap_or_default();
        let state = control.issuance_state().as_str_name();
        CampaignView {
            campaign_id: id.clone(),
            state: state.trim_start_matches("ISSUANCE_STATE_").to_owned(),
            stock: sum(campaign, |tier| tier.stock),
            left,
            issued_per_second: rounded(left_before.saturating_sub(left) as f64 / seconds),
            waiting: queue.map_or(0, |queue| queue.waiting),
            pace_per_second: queue.map_or(0.0, |queue| rounded(queue.fastest_pace_per_second)),
        }
    });
    views.collect()
}

/// A tenth is more than anybody reads.
fn rounded(value: f64) -> f64 {
    // Nothing summed up is -0.
    (value * 10.0).round() / 10.0 + 0.0
}
