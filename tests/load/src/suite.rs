//! The suite as it is delivered, with nothing turned off, and claims through it.

use std::{path::Path, sync::Arc};

use anyhow::{Context, Result};
use sqlx::{Connection, PgConnection};
use tidegate_local::{
    credentials::{Identity, Scope, Token},
    replay::{
        campaign::{self, Staff},
        door::Door,
    },
    stack::{Service, Stack, StackOptions},
};

use crate::{
    arguments::Arguments,
    commits::CommitSums,
    crowd::{CAMPAIGN_ID, Crowd},
    processor_time::{Part, ProcessorTime},
    report::ClaimPoint,
    tell,
};

const COUPONS_KEPT: &str = include_str!("../queries/coupons_kept.sql");
/// More than a day of claims can take, so that no lease is made small because stock runs out.
const STOCK: (u64, u64) = (500_000_000, 1_000_000);

/// Of the database, for whoever looks and for superusers.
const OTHER_CONNECTIONS: u32 = 50;

/// How much of everything there is.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub lanes: u16,
    /// Gateways, and as many issuances.
    pub replicas: u16,
}

/// A running suite with a campaign that is open.
pub struct Suite {
    stack: Stack,
    door: Arc<Door>,
    campaign_number: u32,
}

impl Suite {
    /// Starts one on empty databases.
    pub async fn open(
        shape: Shape,
        folder: &Path,
        arguments: &Arguments,
        crowd: &Crowd,
    ) -> Result<Self> {
        let stack = Stack::start(StackOptions {
            reset: true,
            issuance_replicas: shape.replicas,
            gateway_replicas: shape.replicas,
            lanes: shape.lanes,
            other_connections: OTHER_CONNECTIONS + most_clients(arguments),
            say: tell,
            ..StackOptions::new(folder)
        })
        .await?;
        let campaign = staff(&stack)?.create_campaign(CAMPAIGN_ID, STOCK).await?;
        let door = door(&stack, arguments, crowd)?;
        campaign::wait_until_known(&door, CAMPAIGN_ID).await?;
        Ok(Self {
            stack,
            door: Arc::new(door),
            campaign_number: campaign.campaign_number,
        })
    }

    pub fn stack(&self) -> &Stack {
        &self.stack
    }

    /// Measures claims with so many shoppers at a time.
    pub async fn claim(
        &self,
        shoppers: u32,
        arguments: &Arguments,
        crowd: &Crowd,
    ) -> Result<ClaimPoint> {
        let parts = self.parts()?;
        let look = async || {
            let commits = CommitSums::read(&self.stack).await?;
            Ok((commits, ProcessorTime::read(&parts)?))
        };
        let round = format!("shopper-{shoppers}");
        let stretch = crowd
            .claim(&self.door, &round, shoppers, arguments.timing(), look)
            .await?;
        let (commits_before, processor_before) = stretch.before;
        let (commits_after, processor_after) = stretch.after;
        Ok(ClaimPoint {
            shoppers,
            commits: commits_after.since(&commits_before, stretch.outcomes.seconds),
            processor: processor_after.since(&processor_before, stretch.outcomes.issued),
            outcomes: stretch.outcomes,
        })
    }

    /// Every process whose time a claim can cost.
    pub fn parts(&self) -> Result<Vec<Part>> {
        parts(&self.stack)
    }

    /// The coupons that are in the database, to be held against those that shoppers were given.
    pub async fn coupons_kept(&self) -> Result<u64> {
        coupons_kept(&self.stack, self.campaign_number).await
    }

    /// Stops everything and removes its files.
    pub async fn close(self) -> Result<()> {
        self.stack.shutdown_and_remove().await
    }
}

fn most_clients(arguments: &Arguments) -> u32 {
    arguments.pgbench_clients.iter().copied().max().unwrap_or(0)
}

/// Those who make campaigns and stores.
pub fn staff(stack: &Stack) -> Result<Staff> {
    Ok(Staff {
        quota: stack.channel(Some(Identity::Staff), "quota-0")?,
        order_intake: stack.channel(Some(Identity::Staff), "order-intake-0")?,
        token: stack
            .credentials()
            .sign(&Token::new("staff", &Scope::STAFF))?,
    })
}

/// Every process of a stack, and this one.
pub fn parts(stack: &Stack) -> Result<Vec<Part>> {
    let mut parts = vec![Part::shoppers(), Part::harness()];
    for replica in stack.replicas() {
        let process = replica
            .process_id()
            .with_context(|| format!("{} does not run", replica.name()))?;
        parts.push(Part::process(replica.name(), process));
    }
    // A server that is not ours may be on another machine; its time is then among the others'.
    if let Some(process) = stack.postgres().process_id() {
        parts.push(Part::family("postgres", process));
    }
    Ok(parts)
}

/// The coupons of a campaign that are in the database.
pub async fn coupons_kept(stack: &Stack, campaign_number: u32) -> Result<u64> {
    let url = stack
        .database_url(Service::Issuance)
        .context("issuance has no database")?;
    let mut connection = PgConnection::connect(&url).await?;
    let kept: i64 = sqlx::query_scalar(COUPONS_KEPT)
        .bind(i64::from(campaign_number))
        .fetch_one(&mut connection)
        .await?;
    connection.close().await?;
    Ok(u64::try_from(kept)?)
}

/// The connections that all shoppers share, spread over the gateways.
fn door(stack: &Stack, arguments: &Arguments, crowd: &Crowd) -> Result<Door> {
    let gateways: Vec<_> = stack
        .replicas()
        .iter()
        .filter(|replica| replica.service() == Service::Gateway)
        .collect();
    let channels = gateways
        .iter()
        .cycle()
        .take(gateways.len().max(arguments.connections as usize))
        .map(|gateway| crowd.connect(|| stack.channel(Some(Identity::Chatbot), gateway.name())));
    let token = stack
        .credentials()
        .sign(&Token::new("load", &Scope::CHATBOT))?;
    Door::new(channels.collect::<Result<_>>()?, &token)
}
