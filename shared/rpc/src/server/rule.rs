use std::collections::BTreeMap;

use tidegate_auth::{Identity, Scope};

use super::work::Work;

/// Who may call one RPC: the services named, or a caller whose token has the scope. What no rule names is refused.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// The RPC's path, such as `/tidegate.quota.v1.LeaseService/AcquireLease`.
    pub path: &'static str,
    /// Whose places it takes.
    pub work: Work,
    /// Services that may call it by their certificate alone.
    pub services: &'static [Identity],
    /// What a token must allow; `None` if no token opens it.
    pub scope: Option<Scope>,
}

/// The rules of a service as a table: of each method the kind of work, the services that may call it by their certificate, and the scope of a token that opens it.
///
/// ```
/// # use tidegate_rpc::{access_rules, server::Rule};
/// const RULES: &[Rule] = access_rules! {
///     "tidegate.quota.v1.LeaseService" {
///         AcquireLease: Inner, by [Issuance];
///     }
///     "tidegate.quota.v1.CampaignService" {
///         GetCampaign: Staff, token CampaignsRead;
///         WatchCampaigns: Streams, by [Gateway, Issuance], token CampaignsRead;
///     }
/// };
/// ```
#[macro_export]
macro_rules! access_rules {
    ($($service:literal {
        $($method:ident: $work:ident $(, by [$($identity:ident),+])? $(, token $scope:ident)?;)+
    })+) => {
        &[$($($crate::server::Rule {
            path: concat!("/", $service, "/", stringify!($method)),
            work: $crate::server::Work::$work,
            services: &[$($(tidegate_auth::Identity::$identity),+)?],
            scope: $crate::access_rules!(@scope $($scope)?),
        }),+),+]
    };
    (@scope) => { None };
    (@scope $scope:ident) => { Some(tidegate_auth::Scope::$scope) };
}

/// What is wrong with the rules for these services, for their tests: each method has one rule, each rule is of a method, and a call has the places of streams if it is answered by one.
pub fn faults_of_rules(rules: &[Rule], services: &[&str]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut of_methods: BTreeMap<_, Vec<Rule>> = tidegate_proto::methods(services)
        .into_iter()
        .map(|method| (method, Vec::new()))
        .collect();
    for rule in rules {
        match of_methods.get_mut(rule.path) {
            Some(of_method) => of_method.push(*rule),
            None => faults.push(format!("{} is no method of these services", rule.path)),
        }
    }
    let streams = tidegate_proto::streaming_methods();
    for (method, rules) in of_methods {
        let is_stream = streams.contains(&method);
        match rules[..] {
            [rule] if rule.work.is_stream() == is_stream => {}
            [_] => faults.push(format!("{method} has the places of another kind of work")),
            _ => faults.push(format!("{method} has {} rules", rules.len())),
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: &str = "tidegate.quota.v1.LeaseService";

    #[test]
    fn a_method_without_its_one_rule_is_told() {
        let complete: &[Rule] = access_rules! {
            "tidegate.quota.v1.LeaseService" {
                AcquireLease: Inner, by [Issuance];
                ReturnLease: Inner, by [Issuance];
                RenewLeases: Inner, by [Issuance];
            }
        };
        assert_eq!(faults_of_rules(complete, &[SERVICE]), [""; 0]);
        let streams = Rule {
            work: Work::Streams,
            ..complete[2]
        };
        let strange = Rule {
            path: "/tidegate.quota.v1.LeaseService/Lend",
            ..complete[0]
        };
        let faulty = [complete[0], complete[0], streams, strange];
        assert_eq!(
            faults_of_rules(&faulty, &[SERVICE]),
            [
                "/tidegate.quota.v1.LeaseService/Lend is no method of these services",
                "/tidegate.quota.v1.LeaseService/AcquireLease has 2 rules",
                "/tidegate.quota.v1.LeaseService/RenewLeases has the places of another kind of work",
                "/tidegate.quota.v1.LeaseService/ReturnLease has 0 rules",
            ]
        );
    }
}
