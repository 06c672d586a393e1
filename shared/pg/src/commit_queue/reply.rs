use std::time::Duration;

use tokio::sync::oneshot;

use super::NotCommitted;

/// What a caller hears: the outcome, and how long the item waited before its commit began.
pub type Answer<T> = Result<(T, Duration), NotCommitted>;

/// Who waits for what becomes of an item.
pub struct Reply<T> {
    caller: oneshot::Sender<Answer<T>>,
    outcome: Option<T>,
}

pub(super) fn channel<T>() -> (Reply<T>, oneshot::Receiver<Answer<T>>) {
    let (caller, answer) = oneshot::channel();
    let reply = Reply {
        caller,
        outcome: None,
    };
    (reply, answer)
}

/// The writer answers every item it has taken; it is gone only if the process is ending.
pub(super) async fn wait<T>(answer: oneshot::Receiver<Answer<T>>) -> Answer<T> {
    answer.await.unwrap_or(Err(NotCommitted::Unknown))
}

impl<T> Reply<T> {
    /// Notes what became of the item. Its caller hears it once the batch has committed.
    pub fn put(&mut self, outcome: T) {
        self.outcome = Some(outcome);
    }

    /// What was noted last.
    pub fn outcome(&self) -> Option<&T> {
        self.outcome.as_ref()
    }

    /// Tells the caller. One that has gone does not need the answer; its item is committed all the same.
    pub fn end(self, ended: Result<Duration, NotCommitted>) {
        // Of a committed item without an outcome nobody can say more than that it is not known.
        let outcome = self.outcome.ok_or(NotCommitted::Unknown);
        let answer = ended.and_then(|waited| Ok((outcome?, waited)));
        let _ = self.caller.send(answer);
    }
}
