use std::sync::{Arc, Mutex, PoisonError};

use tidegate_telemetry::TraceContext;
use tokio::sync::Notify;

#[derive(Clone, Default)]
pub struct Wake(Arc<WakeShared>);

#[derive(Default)]
struct WakeShared {
    woken: Notify,
    cause: Mutex<Option<TraceContext>>,
}

impl Wake {
    /// There is something to do now, and the current call is why.
    pub fn up(&self) {
        let cause = Some(TraceContext::current());
        *self.0.cause.lock().unwrap_or_else(PoisonError::into_inner) = cause;
        self.0.woken.notify_one();
    }

    pub(crate) async fn woken(&self) {
        self.0.woken.notified().await;
    }

    /// Why it was woken last, told once.
    pub(crate) fn cause(&self) -> Option<TraceContext> {
        let mut cause = self.0.cause.lock().unwrap_or_else(PoisonError::into_inner);
        cause.take()
    }
}
