//! A place in the queue while it is held. Whatever ends it, the replay's own end included, is written down when it is dropped.

use tidegate_proto::gateway::v1::QueuedClaim;

use super::Scene;
use crate::{
    answers::told_place,
    crowd::habits::InQueue,
    measures::ClaimEnd,
    place::{Asked, Place},
};

/// A place that somebody holds.
pub(super) struct Waiting<'a> {
    scene: &'a Scene,
    place: Place,
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
            place: Place::new(asked, told_place(queued), kind),
            ticket: queued.ticket.clone(),
            end: ClaimEnd::Unanswered,
        }
    }

    /// The answer to a claim with the newest ticket, or to one without, was a place.
    pub(super) fn told_again(&mut self, asked: Asked, queued: &QueuedClaim, with_ticket: bool) {
        if with_ticket {
            self.place.told_again(asked, told_place(queued));
        } else {
            self.place.joined_anew(asked, told_place(queued));
        }
        self.ticket.clone_from(&queued.ticket);
    }

    /// The newest.
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
        self.place.end(now, is_served);
        self.scene.measures.wait_ended(now, &self.end);
        if is_served && self.place.kind.does_as_told() {
            let opening = self.scene.opening;
            self.scene.measures.waited(&self.place, opening);
        }
        self.scene.ledger.place(self.place.clone());
    }
}
