//! Tokens for development. In production an identity provider signs them.

use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};

use clap::{Args, Subcommand, ValueEnum};
use tidegate_auth::{Scope, SigningKey, TokenClaims};

use super::{contexts_file, keys::write_secret};
use crate::{
    arguments::Global, context::Contexts, failure::Failure, moment::parse_length, output::Output,
};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Sign a token with the context's signing key, and write it where the context reads it
    Mint(Mint),
}

/// What a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Run campaigns and the suite, and do what fulfilment does
    Staff,
    /// Claim and order for shoppers
    Chatbot,
    /// Make and hand out orders
    Fulfilment,
}

/// What the token says.
#[derive(Debug, Args)]
pub struct Mint {
    /// Whom it speaks for; the record of changes tells this name
    #[arg(long, default_value = "staff")]
    subject: String,
    #[arg(long, value_enum, default_value = "staff")]
    role: Role,
    /// Scopes in place of the role's, such as campaigns:read
    #[arg(long)]
    scope: Vec<String>,
    /// How long it is good
    #[arg(long, value_parser = parse_length, default_value = "1d")]
    lifetime: Duration,
    /// Bind it to one shopper
    #[arg(long)]
    shopper: Option<String>,
    #[arg(long, default_value = "https://tidegate.local/issuer")]
    issuer: String,
    #[arg(long, default_value = "tidegate")]
    audience: String,
    /// The key to sign with; the context's if none is named
    #[arg(long)]
    signing_key_file: Option<PathBuf>,
    /// Where to write it; `-` is standard output. The context's own file for staff and chatbots
    #[arg(long)]
    to: Option<PathBuf>,
}

pub fn run(command: Command, global: &Global) -> Result<Output, Failure> {
    let Command::Mint(mint) = command;
    let file = contexts_file(global)?;
    let context = Contexts::read(&file)?.find(global.context.as_deref(), &file);
    let context = match (context, &mint.signing_key_file, &mint.to) {
        (Err(_), Some(_), Some(_)) => None,
        (context, _, _) => Some(context?),
    };
    let key_file = mint.signing_key_file.clone();
    let of_context = || context.as_ref()?.signing_key_file.clone();
    let key_file = key_file.or_else(of_context).ok_or_else(|| {
        Failure::Usage(
            "the context has no signing_key_file: tokens come from your identity provider".into(),
        )
    })?;
    let to = mint.to.clone().or_else(|| match mint.role {
        Role::Staff => Some(context.as_ref()?.token_file.clone()),
        Role::Chatbot => context.as_ref()?.shopper_token_file.clone(),
        Role::Fulfilment => None,
    });
    let to = to.ok_or_else(|| Failure::Usage("say where to write it: --to FILE".to_owned()))?;
    let scopes = scopes(&mint)?;
    let now = SystemTime::now();
    let key = SigningKey::load(&key_file).map_err(|error| Failure::Usage(error.to_string()))?;
    let token = key.sign(&TokenClaims {
        subject: &mint.subject,
        scopes: &scopes,
        shopper_id: mint.shopper.as_deref(),
        audience: &mint.audience,
        issuer: &mint.issuer,
        issued_at: now,
        expires_at: now + mint.lifetime,
    });
    let token = token.map_err(anyhow::Error::from)?;
    if to == std::path::Path::new("-") {
        return Ok(Output::one(token.clone().into(), &[]).with_note(token));
    }
    write_secret(&to, &token)?;
    let hours = mint.lifetime.as_secs() / 3_600;
    Ok(Output::said(format!(
        "A token for {} is in {}; it is good for {hours} h.",
        mint.subject,
        to.display()
    )))
}

fn scopes(mint: &Mint) -> Result<Vec<Scope>, Failure> {
    if mint.scope.is_empty() {
        return Ok(match mint.role {
            Role::Staff => [Scope::STAFF.as_slice(), &Scope::FULFILMENT].concat(),
            Role::Chatbot => Scope::CHATBOT.to_vec(),
            Role::Fulfilment => Scope::FULFILMENT.to_vec(),
        });
    }
    let unknown = |name: &String| Failure::Usage(format!("there is no scope {name:?}"));
    let scopes = mint.scope.iter();
    scopes
        .map(|name| Scope::from_name(name).ok_or_else(|| unknown(name)))
        .collect()
}
