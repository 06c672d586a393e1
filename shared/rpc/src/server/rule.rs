use tidegate_auth::{Identity, Scope};

/// Who may call one RPC: the services named, or a caller whose token has the scope. What no rule names is refused.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// The RPC's path, such as `/tidegate.quota.v1.LeaseService/AcquireLease`.
    pub path: &'static str,
    /// Services that may call it by their certificate alone.
    pub services: &'static [Identity],
    /// What a token must allow; `None` if no token opens it.
    pub scope: Option<Scope>,
}
