//! One file a command: what it takes, what it asks of the services, and what it tells.

pub mod campaign;
pub mod claim;
pub mod context;
pub mod coupon;
pub mod doctor;
pub mod feed;
pub mod history;
pub mod keys;
pub mod order;
pub mod queue;
pub mod store;
pub mod support_bundle;
pub mod token;
pub mod top;
pub mod trace;

use std::path::PathBuf;

use clap::CommandFactory as _;

use crate::{
    arguments::{Arguments, Command, Global},
    context::Contexts,
    explain::explain,
    failure::Failure,
    output::{Format, Output},
    session::Session,
    spec,
};

pub async fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { global, command } = arguments;
    let session = || session(&global);
    let output = match command {
        Command::Campaign(command) => campaign::run(command, &session()?, &global).await?,
        Command::Halt(halt) => campaign::halt(halt, &session()?, &global).await?,
        Command::Coupon(command) => coupon::run(command, &session()?, &global).await?,
        Command::Store(command) => store::run(command, &session()?, &global).await?,
        Command::Order(command) => order::run(command, &session()?, &global).await?,
        Command::Queue(command) => queue::run(command, &session()?).await?,
        Command::Claim(claim) => claim::run(claim, &session()?).await?,
        Command::Feed(command) => return feed::run(command, &session()?, global.output).await,
        Command::History(history) => history::run(history, &session()?).await?,
        Command::Top(top) => match top::run(top, &session()?).await? {
            Some(output) => output,
            None => return Ok(()),
        },
        Command::Trace(trace) => trace::run(trace, &session()?, global.output).await?,
        Command::Doctor => doctor::run(&session()?).await?,
        Command::SupportBundle(bundle) => support_bundle::run(bundle, &session()?).await?,
        Command::Token(command) => token::run(command, &global)?,
        Command::Keys(command) => keys::run(command)?,
        Command::Context(command) => context::run(command, &global)?,
        Command::Explain { reason } => explain(reason.as_deref())?,
        Command::Schema { kind } => {
            return Output::one(spec::schema(kind), &[]).print(Format::Json);
        }
        Command::Completions { shell } => {
            let mut command = Arguments::command();
            clap_complete::generate(shell, &mut command, "tidegatectl", &mut std::io::stdout());
            return Ok(());
        }
        Command::Man => {
            let page = clap_mangen::Man::new(Arguments::command());
            let written = page.render(&mut std::io::stdout());
            return Ok(written.map_err(anyhow::Error::from)?);
        }
    };
    output.tell(global.output)
}

pub fn contexts_file(global: &Global) -> Result<PathBuf, Failure> {
    let file = global.config.clone().or_else(Contexts::usual_file);
    file.ok_or_else(|| Failure::Usage("there is no home folder: say --config FILE".to_owned()))
}

fn session(global: &Global) -> Result<Session, Failure> {
    let file = contexts_file(global)?;
    let context = Contexts::read(&file)?.find(global.context.as_deref(), &file)?;
    Session::new(context, global.timeout)
}
