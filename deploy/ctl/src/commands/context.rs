//! Contexts.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::contexts_file;
use crate::{
    arguments::Global,
    context::{Context, Contexts},
    failure::Failure,
    output::{Column, Output},
};

/// What can be done with contexts.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List them
    List,
    /// Show the one that is used: addresses and files, no secrets
    Show,
    /// Use another one from now on
    Use { name: String },
    /// Add one, or replace it
    Add(Box<Add>),
    /// Forget one; its files stay
    Remove { name: String },
}

/// One suite, and what is needed to talk to it.
#[derive(Debug, Args)]
pub struct Add {
    name: String,
    /// `host:port`, once for each replica
    #[arg(long, required = true)]
    gateway: Vec<String>,
    #[arg(long, required = true)]
    quota: Vec<String>,
    #[arg(long, required = true)]
    issuance: Vec<String>,
    #[arg(long, required = true)]
    order_intake: Vec<String>,
    /// Whom the suite's certificates are signed by
    #[arg(long)]
    ca_file: PathBuf,
    /// The certificate of staff, and its key
    #[arg(long)]
    certificate_file: PathBuf,
    #[arg(long)]
    key_file: PathBuf,
    /// The token of staff
    #[arg(long)]
    token_file: PathBuf,
    /// The token of a chatbot's backend, for trying claims and orders
    #[arg(long)]
    shopper_token_file: Option<PathBuf>,
    /// The key that tokens are signed with, in development
    #[arg(long)]
    signing_key_file: Option<PathBuf>,
    /// A backend of traces with Tempo's API, such as http://localhost:3200
    #[arg(long)]
    traces: Option<String>,
}

/// Does one of them.
pub fn run(command: Command, global: &Global) -> Result<Output, Failure> {
    const LIST: &[Column] = &[
        ("CONTEXT", "/name"),
        ("CURRENT", "/current"),
        ("QUOTA", "/quota"),
    ];
    let file = contexts_file(global)?;
    let mut contexts = Contexts::read(&file)?;
    match command {
        Command::List => {
            let listed = contexts.contexts.iter().map(|(name, context)| {
                let current = *name == contexts.current_context;
                json!({ "name": name, "current": current, "quota": context.quota })
            });
            return Ok(Output::list(listed.collect(), LIST));
        }
        Command::Show => {
            let context = contexts.find(global.context.as_deref(), &file)?;
            let value = serde_json::to_value(&context).map_err(anyhow::Error::from)?;
            return Ok(Output::one(value, SHOW));
        }
        Command::Use { name } => {
            contexts.find(Some(&name), &file)?;
            contexts.current_context = name;
        }
        Command::Add(add) => {
            let (name, context) = whole(*add)?;
            contexts.contexts.insert(name.clone(), context);
            contexts.current_context = name;
        }
        Command::Remove { name } => {
            contexts.find(Some(&name), &file)?;
            contexts.contexts.remove(&name);
            if contexts.current_context == name {
                contexts.current_context.clear();
            }
        }
    }
    contexts.write(&file)?;
    let current = match contexts.current_context.as_str() {
        "" => "No context is current now.".to_owned(),
        name => format!("The current context is {name}."),
    };
    Ok(Output::said(current))
}

const SHOW: &[Column] = &[
    ("gateway", "/gateway"),
    ("quota", "/quota"),
    ("issuance", "/issuance"),
    ("order-intake", "/order_intake"),
    ("CA", "/ca_file"),
    ("certificate", "/certificate_file"),
    ("key", "/key_file"),
    ("token", "/token_file"),
    ("shoppers' token", "/shopper_token_file"),
    ("signing key", "/signing_key_file"),
    ("traces", "/traces"),
];

/// Paths are typed from where one is; the file is read from anywhere.
fn whole(add: Add) -> Result<(String, Context), Failure> {
    let here = std::env::current_dir().map_err(anyhow::Error::from)?;
    let whole = |path: PathBuf| here.join(path);
    let context = Context {
        gateway: add.gateway,
        quota: add.quota,
        issuance: add.issuance,
        order_intake: add.order_intake,
        ca_file: whole(add.ca_file),
        certificate_file: whole(add.certificate_file),
        key_file: whole(add.key_file),
        token_file: whole(add.token_file),
        shopper_token_file: add.shopper_token_file.map(whole),
        signing_key_file: add.signing_key_file.map(whole),
        traces: add.traces,
    };
    Ok((add.name, context))
}
