//! What is done to the fleet, step by step, while shoppers come.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use tidegate_chaos::workload::Scene;
use tidegate_local::stack::Service;
use tokio::time::{Instant, sleep, timeout};

use crate::{
    Settings,
    fleet::{Fleet, REPLICAS},
    timeline::{Sample, Timeline},
};

/// A replica that was published, or is connected again, issues within this time.
pub const SPREAD_LIMIT: Duration = Duration::from_secs(10);
/// How long the load is watched at least, once it has to be spread.
const WATCHED: Duration = Duration::from_secs(6);
/// How long a replica is cut off: longer than the lease TTL.
pub const CUT: Duration = Duration::from_secs(10);
/// From the publication of a new replica until an old one is withdrawn, so that the new one is in
/// every caller's list by then.
const KNOWN_TO_ALL: Duration = Duration::from_millis(2_500);
const POLL: Duration = Duration::from_millis(50);

/// How long a step lasts at least in which the load has to spread.
pub fn settled_step(step: Duration) -> Duration {
    SPREAD_LIMIT + step.max(WATCHED)
}

/// A stretch of time in which one thing is done.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    pub name: String,
    /// Whether calls may fail in it: something is broken, and not only changed.
    pub breaks: bool,
    pub from: Sample,
    pub to: Sample,
}

/// A replica of issuance that is to take its share.
#[derive(Debug, Clone, Serialize)]
pub struct Newcomer {
    pub replica: String,
    /// When it was published or connected.
    pub at_ms: u64,
    /// What it had issued by then.
    pub before: u64,
    /// When it was first seen to issue.
    pub issued_ms: Option<u64>,
}

/// Who takes claims from a moment on.
#[derive(Debug, Clone, Serialize)]
pub struct Change {
    pub at_ms: u64,
    /// The published replicas of issuance that can be reached.
    pub serving: Vec<String>,
}

/// A replica that was withdrawn and asked to end.
#[derive(Debug, Clone, Serialize)]
pub struct Departure {
    pub replica: String,
    /// Requests sent and not answered then, by all shoppers.
    pub in_flight: u64,
    /// Until it had ended.
    pub took_ms: u64,
    /// How it ended, if not by itself and with success.
    pub trouble: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct Acted {
    pub steps: Vec<Step>,
    pub changes: Vec<Change>,
    pub newcomers: Vec<Newcomer>,
    pub departures: Vec<Departure>,
    /// Requests under way when the replica was cut off.
    pub in_flight_at_cut: u64,
}

pub struct Director<'a> {
    pub fleet: &'a mut Fleet,
    pub scene: &'a Scene,
    pub timeline: &'a Timeline,
    pub settings: &'a Settings,
    pub acted: Acted,
}

impl Director<'_> {
    pub async fn act(mut self) -> Result<Acted> {
        self.begin("1 issuance", false).await;
        self.changed(None);
        sleep(self.settings.step).await;
        self.scale_up().await?;
        self.scale_down().await?;
        for service in Service::START_ORDER {
            self.restart(service).await?;
        }
        self.cut_off().await?;
        let last = self.timeline.read().await;
        if let Some(step) = self.acted.steps.last_mut() {
            step.to = last;
        }
        for newcomer in &mut self.acted.newcomers {
            newcomer.issued_ms = first_issued(self.timeline, newcomer);
        }
        Ok(self.acted)
    }

    /// Ends the step that there was.
    async fn begin(&mut self, name: &str, breaks: bool) {
        (self.settings.say)(&format!("Step: {name}."));
        let from = self.timeline.read().await;
        if let Some(step) = self.acted.steps.last_mut() {
            step.to = from.clone();
        }
        self.acted.steps.push(Step {
            name: name.to_owned(),
            breaks,
            to: from.clone(),
            from,
        });
    }

    async fn scale_up(&mut self) -> Result<()> {
        let most = self.settings.most_issuance;
        self.begin(&format!("up to {most} issuance"), false).await;
        let first = self.acted.newcomers.len();
        while self.fleet.published(Service::Issuance).len() < most {
            self.grow(Service::Issuance).await?;
        }
        self.settle(Instant::now(), first).await;
        Ok(())
    }

    async fn scale_down(&mut self) -> Result<()> {
        let name = format!("down to {REPLICAS} issuance");
        self.begin(&name, false).await;
        // The oldest go: the others have to take over what they have held all along.
        let mut leaving = self.fleet.published(Service::Issuance);
        leaving.truncate(leaving.len().saturating_sub(REPLICAS));
        let mut departures = Vec::new();
        for name in leaving {
            departures.push(self.shrink(Service::Issuance, &name).await?);
        }
        let whole = Instant::now();
        self.see_off(departures).await;
        self.settle(whole, self.acted.newcomers.len()).await;
        Ok(())
    }

    /// As a Deployment's rolling update that may have one replica more and none less: each new one
    /// is ready and known before an old one goes.
    async fn restart(&mut self, service: Service) -> Result<()> {
        let name = format!("restart {}", service.name());
        self.begin(&name, false).await;
        let mut departures = Vec::new();
        for old in self.fleet.published(service) {
            self.grow(service).await?;
            sleep(KNOWN_TO_ALL).await;
            departures.push(self.shrink(service, &old).await?);
        }
        self.see_off(departures).await;
        Ok(())
    }

    async fn cut_off(&mut self) -> Result<()> {
        let name = self.fleet.newest(Service::Issuance)?;
        self.begin(&format!("{name} cut off"), true).await;
        self.acted.in_flight_at_cut = self.scene.tally.prey().await;
        self.fleet.cut(&name)?;
        self.changed(Some(&name));
        sleep(CUT).await;
        self.fleet.mend(&name)?;
        self.changed(None);
        self.begin(&format!("{name} back"), true).await;
        let (whole, first) = (Instant::now(), self.acted.newcomers.len());
        self.newcomer(&name);
        self.settle(whole, first).await;
        Ok(())
    }

    async fn grow(&mut self, service: Service) -> Result<()> {
        let name = self.fleet.grow(service).await?;
        if service == Service::Issuance {
            let page = self.fleet.stack.replica(&name)?.admin_address();
            self.timeline.joined(&name, page);
            self.newcomer(&name);
        }
        self.tell_of_change(service)
    }

    fn tell_of_change(&mut self, service: Service) -> Result<()> {
        match service {
            Service::Issuance => self.changed(None),
            Service::Gateway => self.scene.door.lead_to(self.fleet.gateways()?),
            Service::Quota | Service::OrderIntake => (),
        }
        Ok(())
    }

    /// Notes who takes claims from now on: all published replicas of issuance but the one that is
    /// cut off.
    fn changed(&mut self, cut_off: Option<&str>) {
        let mut serving = self.fleet.published(Service::Issuance);
        serving.retain(|name| Some(name.as_str()) != cut_off);
        let at_ms = self.timeline.now_ms();
        self.acted.changes.push(Change { at_ms, serving });
    }

    fn newcomer(&mut self, name: &str) {
        let last = self.timeline.samples().pop().unwrap_or_default();
        self.acted.newcomers.push(Newcomer {
            replica: name.to_owned(),
            at_ms: self.timeline.now_ms(),
            before: last.issued_by(name),
            issued_ms: None,
        });
    }

    /// Withdraws a replica while requests are under way, and lets it drain.
    async fn shrink(&mut self, service: Service, name: &str) -> Result<(Departure, Instant)> {
        let in_flight = self.scene.tally.prey().await;
        self.fleet.shrink(name)?;
        self.tell_of_change(service)?;
        let departure = Departure {
            replica: name.to_owned(),
            in_flight,
            took_ms: 0,
            trouble: None,
        };
        Ok((departure, Instant::now()))
    }

    /// Waits until they have ended by themselves.
    async fn see_off(&mut self, departures: Vec<(Departure, Instant)>) {
        for (mut departure, asked) in departures {
            let ended = self.fleet.stack.wait_for_exit(&departure.replica).await;
            departure.took_ms = asked.elapsed().as_millis() as u64;
            departure.trouble = match ended {
                Ok(status) if status.success() => None,
                Ok(status) => Some(status.to_string()),
                Err(error) => Some(format!("{error:#}")),
            };
            self.timeline.ended(&departure.replica);
            self.acted.departures.push(departure);
        }
    }

    /// Waits until each newcomer from this one on has issued, or its time is over, and then until
    /// the load was watched since the fleet is `whole`.
    async fn settle(&self, whole: Instant, first: usize) {
        let newcomers = &self.acted.newcomers[first..];
        let issues = |newcomer| first_issued(self.timeline, newcomer).is_some();
        let all_issue = async {
            while !newcomers.iter().all(issues) {
                sleep(POLL).await;
            }
        };
        // Who was late is told in the report.
        let _ = timeout(SPREAD_LIMIT, all_issue).await;
        sleep(settled_step(self.settings.step).saturating_sub(whole.elapsed())).await;
    }
}

fn first_issued(timeline: &Timeline, newcomer: &Newcomer) -> Option<u64> {
    timeline.first_beyond(&newcomer.replica, newcomer.before, newcomer.at_ms)
}
