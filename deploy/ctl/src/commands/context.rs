//! Contexts.

use clap::{Args, Subcommand};
use serde_json::json;

use super::contexts_file;
use crate::{
    arguments::Global,
    context::{Context, Contexts},
    failure::Failure,
    output::{Column, Output},
};

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

/// A suite, and how it is called.
#[derive(Debug, Args)]
pub struct Add {
    name: String,
    #[command(flatten)]
    context: Context,
}

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
            // Paths are typed from where one is; the file is read from anywhere.
            let here = std::env::current_dir().map_err(anyhow::Error::from)?;
            let context = add.context.within(&here);
            contexts.contexts.insert(add.name.clone(), context);
            contexts.current_context = add.name;
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
