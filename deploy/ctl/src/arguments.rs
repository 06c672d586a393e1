//! What can be typed.

use std::{path::PathBuf, time::Duration};

use clap::{
    Parser, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};

use crate::{
    commands::{
        campaign, claim, context, coupon, feed, history, keys, order, queue, store, support_bundle,
        token, top, trace,
    },
    moment::parse_length,
    output::Format,
    spec::Kind,
};

/// What staff do with Tidegate: campaigns, coupons, stores, orders, and how the suite is.
///
/// Exit codes: 0 done; 1 something failed; 2 typed or written wrongly; 3 refused; 4 there is no such
/// thing; 5 not allowed; 6 not reachable, or not in time; 7 something compared or examined is not
/// as it should be.
#[derive(Debug, Parser)]
#[command(name = "tidegatectl", version, propagate_version = true)]
pub struct Arguments {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, clap::Args)]
pub struct Global {
    /// Which context to use; the current one if none is named
    #[arg(long, global = true, env = "TIDEGATE_CONTEXT", value_name = "NAME")]
    pub context: Option<String>,
    /// The file of contexts [default: tidegate/contexts.yaml in $XDG_CONFIG_HOME or ~/.config]
    #[arg(long, global = true, env = "TIDEGATE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How to tell what there is to tell
    #[arg(long, short, global = true, value_enum, default_value = "table")]
    pub output: Format,
    /// How long one call may take, with its retries
    #[arg(long, global = true, value_parser = parse_length, default_value = "10s", value_name = "LENGTH")]
    pub timeout: Duration,
    /// Don't ask before what cannot be undone
    #[arg(long, short, global = true)]
    pub yes: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Campaigns: make, watch, halt, change and compare them
    #[command(subcommand)]
    Campaign(campaign::Command),
    /// Halt a campaign, or all of them
    Halt(campaign::Halt),
    /// Coupons: find, revoke, grant
    #[command(subcommand)]
    Coupon(coupon::Command),
    /// Stores: make, change, close them
    #[command(subcommand)]
    Store(store::Command),
    /// Orders: find, list, cancel, fail, and place one for trying
    #[command(subcommand)]
    Order(order::Command),
    /// Waiting rooms
    #[command(subcommand)]
    Queue(queue::Command),
    /// Claim a coupon as a shopper, for trying
    Claim(claim::Claim),
    /// The feed of orders
    #[command(subcommand)]
    Feed(feed::Command),
    /// Who changed what, the newest first
    History(history::History),
    /// How the suite is at this moment, live
    Top(top::Top),
    /// One claim, coupon or order over all services, as a waterfall
    Trace(trace::Trace),
    /// Look at every replica: reach, certificates, tokens, clocks, versions, databases
    Doctor,
    /// Collect what a supporter needs into a folder; no secrets
    SupportBundle(support_bundle::SupportBundle),
    /// Tokens for development
    #[command(subcommand)]
    Token(token::Command),
    /// Keys: make them, rotate them, print them as Secrets
    #[command(subcommand)]
    Keys(keys::Command),
    /// Contexts: which suite is talked to, and as whom
    #[command(subcommand)]
    Context(context::Command),
    /// What a refusal's reason means; all of them without one
    #[command(long_flag = "explain")]
    Explain {
        /// Such as BUDGET_EXHAUSTED
        reason: Option<String>,
    },
    /// The JSON Schema of what can be written down
    Schema {
        #[arg(value_enum)]
        kind: Kind,
    },
    /// Completions for a shell
    Completions { shell: clap_complete::Shell },
    /// The manual page
    Man,
}

/// Reads one of some values of an enum of the contract, whose names begin with `prefix` there. Typed
/// are they in lower case, with dashes.
pub fn one_of<T: Clone + Send + Sync + 'static>(
    prefix: &'static str,
    names: &'static [&str],
    from_name: fn(&str) -> Option<T>,
) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(names.iter().copied()).try_map(move |typed| {
        let name = typed.to_uppercase().replace('-', "_");
        from_name(&format!("{prefix}{name}")).ok_or("the contract has no such value")
    })
}
