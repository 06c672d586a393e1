//! Why a command did not do what was asked, what to do next, and the exit code that says so.

use std::process::ExitCode;

use tidegate_rpc::refusal::{from_status, reason_of};
use tidegate_types::Reason;
use tonic::{Code, Status};

/// Exit codes, which scripts may rely on.
pub mod exit {
    pub const FAILED: u8 = 1;
    /// clap's own.
    pub const USAGE: u8 = 2;
    pub const REFUSED: u8 = 3;
    pub const NOT_FOUND: u8 = 4;
    pub const NOT_ALLOWED: u8 = 5;
    pub const UNAVAILABLE: u8 = 6;
    /// Something was compared, or examined, and is not as it should be.
    pub const DIFFERENT: u8 = 7;
}

/// Where the header of the trace is in an answer.
const TRACE_ID_HEADER: &str = "tidegate-trace-id";

#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// What was typed, or a file, cannot be used as it is.
    #[error("{0}")]
    Usage(String),
    /// A service refused, or could not be reached.
    #[error("{}", told(.0))]
    Refused(Box<Status>),
    /// It was found that something is not as it should be; the output says what.
    #[error("{0}")]
    Different(String),
    #[error("{0}")]
    NotFound(String),
    /// What was waited for did not come in time.
    #[error("{0}")]
    NotInTime(String),
    /// Some of what was asked for was refused; the output says what.
    #[error("{0}")]
    NotAll(String),
    #[error("{0:#}")]
    Machine(#[from] anyhow::Error),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Refused(Box::new(status))
    }
}

impl Failure {
    /// Whether a service refused for this reason.
    pub fn is_because(&self, reason: Reason) -> bool {
        matches!(self, Self::Refused(status) if reason_of(status) == Some(reason))
    }

    /// The exit code that says which kind of failure it is.
    pub fn exit_code(&self) -> ExitCode {
        let code = match self {
            Self::Usage(_) => exit::USAGE,
            Self::Different(_) => exit::DIFFERENT,
            Self::NotFound(_) => exit::NOT_FOUND,
            Self::NotInTime(_) => exit::UNAVAILABLE,
            Self::NotAll(_) => exit::REFUSED,
            Self::Machine(_) => exit::FAILED,
            Self::Refused(status) => match status.code() {
                Code::NotFound => exit::NOT_FOUND,
                Code::PermissionDenied | Code::Unauthenticated => exit::NOT_ALLOWED,
                Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => exit::UNAVAILABLE,
                Code::InvalidArgument => exit::USAGE,
                Code::FailedPrecondition
                | Code::AlreadyExists
                | Code::Aborted
                | Code::ResourceExhausted
                | Code::OutOfRange => exit::REFUSED,
                Code::Ok
                | Code::Unknown
                | Code::Unimplemented
                | Code::Internal
                | Code::DataLoss => exit::FAILED,
            },
        };
        ExitCode::from(code)
    }

    /// What to do next, if that is known.
    pub fn advice(&self) -> Option<String> {
        let Self::Refused(status) = self else {
            return None;
        };
        let next = match reason_of(status) {
            Some(reason) => next_step(reason)?.to_owned(),
            None if status.code() == Code::Unavailable => {
                "tidegatectl doctor tells which replicas can be reached".to_owned()
            }
            None => return None,
        };
        Some(next)
    }
}

/// Waits for a write with a request id that was made for it. If its outcome is not known, the id is
/// told: with it the same command counts once, however often it is typed.
pub async fn with_request_id<T>(
    id: &str,
    call: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let outcome = call.await;
    if let Err(Failure::Refused(status)) = &outcome
        && matches!(
            status.code(),
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Internal
        )
    {
        eprintln!("It may have been done. Again, so that it counts once: --request-id {id}");
    }
    outcome
}

/// The refusal as a person reads it: reason, words, bad fields, and the trace for whoever is asked.
fn told(status: &Status) -> String {
    let Some(reason) = reason_of(status) else {
        return format!("{:?}: {}", status.code(), status.message());
    };
    let refusal = from_status(status);
    let mut text = format!("{}: {}", reason.name(), status.message());
    for bad in &refusal.violations {
        text += &format!("\n  {} {}", bad.field, bad.description);
    }
    for (name, value) in &refusal.metadata {
        text += &format!("\n  {name}: {value}");
    }
    let trace = status.metadata().get(TRACE_ID_HEADER);
    if let Some(trace) = trace.and_then(|trace| trace.to_str().ok()) {
        text += &format!("\n  trace: {trace}");
    }
    text
}

fn next_step(reason: Reason) -> Option<&'static str> {
    match reason {
        Reason::CampaignNotFound => Some("tidegatectl campaign list shows the campaigns there are"),
        Reason::StoreNotFound => Some("tidegatectl store list shows the stores there are"),
        Reason::CouponNotFound => {
            Some("tidegatectl coupon find --shopper SHOPPER lists the coupons of a shopper")
        }
        Reason::OrderNotFound => Some(
            "tidegatectl order list --shopper SHOPPER, or --store STORE, lists the orders there are",
        ),
        Reason::Unauthenticated => {
            Some("the token may have ended: tidegatectl token mint makes one for development")
        }
        Reason::PermissionDenied => {
            Some("tidegatectl context show tells whose certificate and token are used")
        }
        Reason::ControlEpochConflict => Some(
            "somebody changed the campaign meanwhile: tidegatectl history --campaign ID tells who",
        ),
        Reason::Overloaded | Reason::QueueFull | Reason::StockReturning => {
            Some("try again, with the same --request-id where the command has one")
        }
        Reason::RequestIdConflict => Some("choose another --request-id, or leave it out"),
        Reason::Misconfigured => Some("tidegatectl doctor looks at every replica"),
        _ => None,
    }
}
