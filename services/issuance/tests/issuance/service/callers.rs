//! Who may call what.

use tidegate_auth::Identity;
use tidegate_issuance::grpc::RULES;
use tidegate_rpc::refusal::reason_of;
use tidegate_types::Reason;
use tonic::{Request, client::Grpc};

use super::suite::{Issuance, serving};

const IDENTITIES: [Identity; 5] = [
    Identity::Quota,
    Identity::Issuance,
    Identity::Gateway,
    Identity::OrderIntake,
    Identity::Staff,
];
/// Every scope that a token of staff may have here.
const SCOPES: [&str; 3] = ["coupons:write", "coupons:read", "changes:read"];

/// Calls a method with an empty message: nothing if it came through to the method.
async fn refused(
    issuance: &Issuance,
    identity: Identity,
    path: &'static str,
    request: Request<()>,
) -> Option<Reason> {
    let mut client = Grpc::new(issuance.channel(identity));
    client.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let path = http::uri::PathAndQuery::from_static(path);
    let status = client.unary(request, path, codec).await.err()?;
    let denied = [Reason::PermissionDenied, Reason::Unauthenticated];
    reason_of(&status).filter(|reason| denied.contains(reason))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_method_is_for_its_own_callers_only() {
    let (suite, issuance) = serving().await;
    for rule in RULES {
        for identity in IDENTITIES {
            let told = refused(&issuance, identity, rule.path, Request::new(())).await;
            let may_call = rule.scope.is_none() && rule.services.contains(&identity);
            assert_eq!(
                told.is_none(),
                may_call,
                "{identity} {}: {told:?}",
                rule.path
            );
        }
        let Some(needed) = rule.scope else {
            continue;
        };
        for scope in SCOPES {
            let request = suite.with_token(None, (), scope);
            let told = refused(&issuance, Identity::Staff, rule.path, request).await;
            let expected = (scope != needed.name()).then_some(Reason::PermissionDenied);
            assert_eq!(told, expected, "{scope} {}", rule.path);
            let request = suite.with_token(None, (), scope);
            let told = refused(&issuance, Identity::Gateway, rule.path, request).await;
            assert_eq!(told, Some(Reason::PermissionDenied), "{}", rule.path);
        }
    }
}
