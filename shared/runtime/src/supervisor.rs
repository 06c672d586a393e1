use std::{any::Any, collections::HashMap, sync::Arc};

use fail::fail_point;
use tokio::{
    sync::oneshot,
    task::{Id, JoinError, JoinSet},
};

/// The tasks that a process lives by. If one of them ends, so does the process: an orchestrator that
/// starts it anew mends more than a process that answers its probes and nobody else. Tasks end when
/// this is dropped.
#[derive(Default)]
pub struct Supervisor {
    tasks: JoinSet<()>,
    names: HashMap<Id, Supervised>,
}

struct Supervised {
    name: Arc<str>,
    may_end: bool,
}

/// A task ended without which the process is of no use.
#[derive(Debug, thiserror::Error)]
#[error(
    "the task \"{task}\" {how}; this process cannot go on without it and has to be started anew"
)]
pub struct TaskEnded {
    task: Arc<str>,
    how: String,
}

impl Supervisor {
    /// Starts a task that has to run until the process stops. The returned receiver resolves when
    /// it has ended, however it did.
    pub fn start(
        &mut self,
        name: impl Into<Arc<str>>,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> oneshot::Receiver<()> {
        self.spawn(name.into(), false, task)
    }

    /// Starts a task that may end by itself, and must not panic.
    pub fn start_errand(
        &mut self,
        name: impl Into<Arc<str>>,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        self.spawn(name.into(), true, task);
    }

    fn spawn(
        &mut self,
        name: Arc<str>,
        may_end: bool,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> oneshot::Receiver<()> {
        let (ended, has_ended) = oneshot::channel::<()>();
        let started = Arc::clone(&name);
        let handle = self.tasks.spawn(async move {
            let _ended = ended;
            tracing::debug!(task = %started, "a task starts that the process lives by");
            fail_point!(&started);
            task.await;
        });
        self.names.insert(handle.id(), Supervised { name, may_end });
        has_ended
    }

    /// Waits until a task ends that should not have. Without one it waits for ever.
    pub(crate) async fn failed(&mut self) -> TaskEnded {
        while let Some(ended) = self.tasks.join_next_with_id().await {
            let (id, how) = match ended {
                Ok((id, ())) => (id, None),
                Err(error) => (error.id(), Some(words(error))),
            };
            let Some(task) = self.names.remove(&id) else {
                continue;
            };
            let how = match how {
                None if task.may_end => continue,
                None => "ended".to_owned(),
                Some(how) => how,
            };
            return TaskEnded {
                task: task.name,
                how,
            };
        }
        std::future::pending().await
    }
}

fn words(error: JoinError) -> String {
    match error.try_into_panic() {
        Ok(panic) => format!("panicked: {}", panic_message(&*panic)),
        Err(_) => "was aborted".to_owned(),
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_is_named_with_what_it_said() {
        let mut supervisor = Supervisor::default();
        supervisor.start("idle", std::future::pending());
        let ended = supervisor.start("writer of lane 3", async { panic!("index {}", 7) });
        let failed = supervisor.failed().await.to_string();
        assert!(failed.contains("writer of lane 3"), "{failed}");
        assert!(failed.contains("panicked: index 7"), "{failed}");
        assert!(ended.await.is_err(), "it resolves");
    }

    #[tokio::test]
    async fn a_task_that_just_ends_is_a_failure_and_an_errand_that_does_is_none() {
        let mut supervisor = Supervisor::default();
        supervisor.start_errand("errand", async {});
        let nothing =
            tokio::time::timeout(std::time::Duration::from_millis(50), supervisor.failed());
        assert!(nothing.await.is_err());
        supervisor.start("auditor", async {});
        assert!(supervisor.failed().await.to_string().contains("auditor"));
    }
}
