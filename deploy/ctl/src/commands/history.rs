//! Who changed what, over all services.

use clap::Args;
use prost_types::Timestamp;
use serde_json::Value;
use tidegate_proto::{
    issuance::v1 as issuance,
    order_intake::v1 as order_intake,
    quota::v1 as quota,
    r#type::v1::{Change, ChangeFilter},
};

use crate::{
    contract::json,
    failure::Failure,
    moment::parse_moment,
    output::{Column, Output},
    pages,
    session::Session,
};

const HISTORY: &[Column] = &[
    ("WHEN", "/changed_at"),
    ("WHO", "/subject"),
    ("DID", "/action"),
    ("TO", "/resource"),
    ("BECAUSE", "/reason"),
    ("FROM -> TO", "/changes_in_words"),
];

/// More of one change would hide the others; machines read all of them.
const FIELDS_IN_WORDS: usize = 4;

/// Which changes.
#[derive(Debug, Args)]
pub struct History {
    /// Only of this campaign
    #[arg(long, group = "of")]
    campaign: Option<String>,
    /// Only of this shopper's coupons
    #[arg(long, group = "of")]
    shopper: Option<String>,
    /// Only of this store
    #[arg(long, group = "of")]
    store: Option<String>,
    /// Only of what was done to all stores of this area
    #[arg(long, group = "of")]
    area: Option<String>,
    /// Only of this order
    #[arg(long, group = "of")]
    order: Option<String>,
    /// Only what this token subject did
    #[arg(long)]
    by: Option<String>,
    /// Only what changed then or later
    #[arg(long, value_parser = parse_moment, allow_hyphen_values = true)]
    since: Option<Timestamp>,
    /// At most so many of each service
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100))]
    limit: u32,
}

impl History {
    fn filter(&self) -> ChangeFilter {
        let of = [
            ("campaign", &self.campaign),
            ("coupon", &self.shopper),
            ("store", &self.store),
            ("area", &self.area),
            ("order", &self.order),
        ];
        let mut of = of.into_iter();
        let of = of.find_map(|(kind, id)| Some((kind, id.as_ref()?)));
        ChangeFilter {
            resource_kind: of.map_or(String::new(), |(kind, _)| kind.to_owned()),
            resource_id: of.map_or(String::new(), |(_, id)| id.clone()),
            subject: self.by.clone().unwrap_or_default(),
            since: self.since,
        }
    }
}

pub async fn run(history: History, session: &Session) -> Result<Output, Failure> {
    let mut changes = of_all(&history, session).await?;
    let moment = |change: &Change| {
        let at = change.changed_at.unwrap_or_default();
        (at.seconds, at.nanos)
    };
    changes.sort_by_key(|change| std::cmp::Reverse(moment(change)));
    let changes = changes.iter().map(described).collect();
    Ok(Output::list(changes, HISTORY))
}

async fn of_all(history: &History, session: &Session) -> Result<Vec<Change>, Failure> {
    let kind = history.filter().resource_kind;
    let asks = |kinds: &[&str]| kind.is_empty() || kinds.contains(&kind.as_str());
    let (filter, page_size) = (Some(history.filter()), history.limit);
    let most = usize::try_from(page_size).unwrap_or(usize::MAX);
    let mut changes = Vec::new();
    macro_rules! ask {
        ($service:ident, $kinds:expr) => {
            if asks($kinds) {
                let ask = |page_token| $service::ListChangesRequest {
                    filter: filter.clone(),
                    page_size,
                    page_token,
                };
                let take =
                    |page: $service::ListChangesResponse| (page.changes, page.next_page_token);
                changes.extend(pages::first(session, most, ask, take).await?.0);
            }
        };
    }
    ask!(quota, &["campaign"]);
    ask!(issuance, &["coupon"]);
    ask!(order_intake, &["store", "order", "area"]);
    Ok(changes)
}

fn described(change: &Change) -> Value {
    let mut value = json("tidegate.type.v1.Change", change);
    value["resource"] = format!("{} {}", change.resource_kind, change.resource_id).into();
    let fields = change.fields.iter().take(FIELDS_IN_WORDS).map(|field| {
        match (field.before.as_str(), field.after.as_str()) {
            ("", after) => format!("{}: {after}", field.field),
            (before, "") => format!("{}: {before} -> nothing", field.field),
            (before, after) => format!("{}: {before} -> {after}", field.field),
        }
    });
    let mut fields: Vec<_> = fields.collect();
    if change.fields.len() > FIELDS_IN_WORDS {
        fields.push(format!(
            "and {} more",
            change.fields.len() - FIELDS_IN_WORDS
        ));
    }
    value["changes_in_words"] = fields.into();
    value
}
