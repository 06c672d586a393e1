//! What `tidegatectl` and other tools need to talk to a stack: a context, and the tokens it names.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::Result;
use tidegate_ctl::{Context, Contexts, keys::write_secret};
use time::Duration;

use crate::{
    credentials::{Identity, Scope, Token},
    stack::{Service, Stack},
};

pub const CONTEXT: &str = "local";
/// Tokens are made anew whenever a stack comes up.
const TOKEN_LIFETIME: Duration = Duration::days(7);

/// The context of a stack, and the files of the tokens that it names. `traces` is where traces are read.
pub fn context(stack: &Stack, traces: Option<SocketAddr>) -> Result<Context> {
    let staff: Vec<_> = [Scope::STAFF.as_slice(), &Scope::FULFILMENT].concat();
    let credentials = stack.credentials();
    let write = |name: &str, scopes: &[Scope]| -> Result<PathBuf> {
        let token = credentials.sign(&Token {
            lifetime: TOKEN_LIFETIME,
            ..Token::new(name, scopes)
        })?;
        let file = credentials.folder().join(format!("{name}.token"));
        write_secret(&file, token)?;
        Ok(file)
    };
    let addresses = |service| -> Vec<String> {
        let addresses = stack.addresses(service).into_iter();
        addresses.map(|address| address.to_string()).collect()
    };
    Ok(Context {
        gateway: addresses(Service::Gateway),
        quota: addresses(Service::Quota),
        issuance: addresses(Service::Issuance),
        order_intake: addresses(Service::OrderIntake),
        ca_file: credentials.ca_file(),
        certificate_file: credentials.certificate_file(Identity::Staff),
        key_file: credentials.key_file(Identity::Staff),
        token_file: write("staff", &staff)?,
        shopper_token_file: Some(write("chatbot", &Scope::CHATBOT)?),
        signing_key_file: Some(credentials.signing_key_file()),
        traces: traces.map(|address| format!("http://{address}")),
    })
}

/// Puts a context into a file of contexts. It is the current one if no other is. Tells whether it is.
pub fn write(context: Context, file: &Path) -> Result<bool> {
    let mut contexts = Contexts::read(file)?;
    contexts.contexts.insert(CONTEXT.to_owned(), context);
    if contexts.current_context.is_empty() {
        contexts.current_context = CONTEXT.to_owned();
    }
    let is_current = contexts.current_context == CONTEXT;
    contexts.write(file)?;
    Ok(is_current)
}
