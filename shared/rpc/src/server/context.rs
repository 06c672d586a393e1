use std::{sync::Arc, time::Instant};

use tidegate_auth::{Caller, Identity};
use tidegate_types::Actor;

use super::peer::Peer;

/// What every handler knows of its call; found in the request's extensions.
#[derive(Debug, Clone)]
pub struct CallContext {
    /// When the answer must be there.
    pub deadline: Instant,
    /// Whom the connection's certificate names.
    pub peer: Option<Identity>,
    /// Whom the token speaks for, if a token opened the door.
    pub caller: Option<Arc<Caller>>,
    pub(super) connection: Option<Arc<Peer>>,
}

impl CallContext {
    /// Who changes something by this call: whom its token speaks for, over whose connection. `None`
    /// if a service called by its certificate alone.
    pub fn actor(&self) -> Option<Actor> {
        Some(Actor {
            subject: self.caller.as_ref()?.subject.clone(),
            certificate_identity: self.peer.map_or("none", Identity::name),
        })
    }
}
