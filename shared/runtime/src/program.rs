use std::{future::Future, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};
use tidegate_auth::{Identity, PeerRequirement};
use tidegate_telemetry::{export_spans, flush, init};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{Environment, Host, HostSettings, Service, TaskEnded};

/// Why a process cannot start or go on. Its text is one sentence for the operator.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

const EXIT_FAILED: u8 = 1;
const EXIT_BAD_CONFIG: u8 = 2;
const EXIT_TASK_ENDED: u8 = 3;
const EXIT_INTERRUPTED_TWICE: i32 = 130;
/// How long a process that is done waits for what cannot be interrupted.
const END_LIMIT: Duration = Duration::from_secs(1);

#[derive(Parser)]
#[command(
    about = "One service of Tidegate. Settings come from TIDEGATE_* environment variables; the service's README lists them.",
    version
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand, Clone, Copy)]
enum Command {
    /// Serve until SIGTERM or SIGINT (the default)
    Serve,
    /// Bring the database's schema up to date and exit
    Migrate,
    /// Check the settings, report every fault, and exit
    CheckConfig,
}

/// The life of a service process, from arguments to exit code.
///
/// `read` reads the service's own settings; `migrate` brings its database up to date; `build` makes the service.
pub fn run<Config, Migrated, Built>(
    identity: Identity,
    peers: PeerRequirement,
    read: impl FnOnce(&mut Environment) -> Option<Config>,
    migrate: impl FnOnce(Config) -> Migrated,
    build: impl FnOnce(Config, Host) -> Built,
) -> ExitCode
where
    Migrated: Future<Output = Result<(), Failure>>,
    Built: Future<Output = Result<(Service, Host), Failure>>,
{
    // A test build is told by FAILPOINTS where it is to do wrong.
    let _points = fail::has_failpoints().then(fail::FailScenario::setup);
    let command = Arguments::parse().command.unwrap_or(Command::Serve);
    let mut environment = Environment::of_process();
    let settings = HostSettings::read(&mut environment);
    let config = read(&mut environment);
    let faults = environment.into_faults();
    let (Some(settings), Some(config), true) = (settings, config, faults.is_empty()) else {
        faults
            .iter()
            .for_each(|fault| eprintln!("tidegate-{identity}: {fault}"));
        return ExitCode::from(EXIT_BAD_CONFIG);
    };
    let outcome = match command {
        Command::CheckConfig => Ok(()),
        Command::Migrate => in_runtime(migrate(config)),
        Command::Serve => in_runtime(with_telemetry(identity, settings.clone(), async {
            warn_of_fail_points();
            let stop = stop_on_signal()?;
            let host = Host::prepare(identity, settings, peers, stop.clone())?;
            // A start may wait for its database. Who is asked to end meanwhile has nothing to finish.
            let built = stop.run_until_cancelled(build(config, host)).await;
            let Some(built) = built else { return Ok(()) };
            let (service, host) = built?;
            host.serve(service).await
        })),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tidegate-{identity}: {error}");
            ExitCode::from(if error.is::<TaskEnded>() {
                EXIT_TASK_ENDED
            } else {
                EXIT_FAILED
            })
        }
    }
}

/// Logs and records what `served` does, and sends the last spans when it is over.
async fn with_telemetry(
    identity: Identity,
    settings: HostSettings,
    served: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let replica = settings.replica.as_str();
    let export =
        |endpoint: String| export_spans(&endpoint, identity.name(), replica, settings.sampling);
    let spans = settings.otlp_endpoint.map(export).transpose()?;
    init(&settings.log_filter, spans.as_ref())?;
    let outcome = served.await;
    if let Some(spans) = spans {
        tokio::task::spawn_blocking(move || flush(&spans)).await?;
    }
    if outcome.is_ok() {
        tracing::info!("stopped");
    }
    outcome
}

fn warn_of_fail_points() {
    let points = std::env::var("FAILPOINTS").unwrap_or_default();
    if fail::has_failpoints() && !points.is_empty() {
        tracing::error!(
            points,
            "this build does wrong where it is told to; it must never serve shoppers"
        );
    }
}

fn in_runtime(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(work);
    // A name that is being resolved would else hold the process up.
    runtime.shutdown_timeout(END_LIMIT);
    outcome
}

/// The first SIGTERM or SIGINT begins the drain, the second ends the process at once.
fn stop_on_signal() -> Result<CancellationToken, Failure> {
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let stop = CancellationToken::new();
    let token = stop.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if stop.is_cancelled() {
                std::process::exit(EXIT_INTERRUPTED_TWICE);
            }
            stop.cancel();
        }
    });
    Ok(token)
}
