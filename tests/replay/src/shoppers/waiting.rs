//! A place in the queue while it is held. Whatever ends it, the replay's own end included, is written down when it is dropped.

use tidegate_proto::gateway::v1::QueuedClaim;

use super::Scene;
use crate::{
    crowd::habits::InQueue,
    measures::ClaimEnd,
    queue_wait::{Asked, QueueWait},
};

pub(super) struct Waiting<'a> {
    scene: &'a Scene,
    wait: QueueWait,
    ticket: String,
    end: ClaimEnd,
}

impl<'a> Waiting<'a> {
    pub(super) fn begin(
        scene: &'a Scene,
        asked: Asked,
        queued: &QueuedClaim,
        kind: InQueue,
    ) -> Self {
        scene.measures.queued(asked.told_at);
        Self {
            scene,
            wait: QueueWait::new(asked, queued, kind),
            ticket: queued.ticket.clone(),
            end: ClaimEnd::Unanswered,
        }
    }

    /// The answer to a claim with the newest ticket, or to one without, was a position.
    pub(super) fn told_again(&mut self, asked: Asked, queued: &QueuedClaim, with_ticket: bool) {
        if with_ticket {
            self.wait.told_again(asked, queued);
        } else {
            self.wait.joined_anew(asked, queued);
        }
        self.ticket.clone_from(&queued.ticket);
    }

    pub(super) fn ticket(&self) -> &str {
        &self.ticket
    }

    pub(super) fn end(mut self, end: &ClaimEnd) {
        self.end = end.clone();
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let now = self.scene.now();
        let is_served = matches!(self.end, ClaimEnd::Issued | ClaimEnd::Replayed);
        self.wait.end(now, is_served);
        self.scene.measures.wait_ended(now, &self.end);
        if is_served && self.wait.kind.does_as_told() {
            let opening = self.scene.opening;
            self.scene.measures.waited(&self.wait, opening);
        }
        self.scene.ledger.queue_wait(self.wait.clone());
    }
}
