//! What staff call beyond the first services' tests, and who may not, over mutual TLS.

use std::time::Duration;

use crate::service::Quota;
use tidegate_auth::Identity;
use tidegate_proto::{
    quota::v1::{queue_service_client::QueueServiceClient, *},
    r#type::v1::{Campaign, ChangeFilter, IssuanceState, RedemptionState},
};
use tidegate_rpc::{refusal::from_status, wire};
use tidegate_test_kit::heard;
use tidegate_types::Reason;
use tonic::Code;

fn rename(name: &str) -> UpdateCampaignRequest {
    UpdateCampaignRequest {
        campaign_id: "spring".to_owned(),
        reason: "a typo".to_owned(),
        display_name: Some(name.to_owned()),
        ..UpdateCampaignRequest::default()
    }
}

fn end(reason: &str) -> EndCampaignRequest {
    EndCampaignRequest {
        campaign_id: "spring".to_owned(),
        reason: reason.to_owned(),
    }
}

fn halt(reason: &str) -> HaltAllCampaignsRequest {
    HaltAllCampaignsRequest {
        reason: reason.to_owned(),
        halt_redemption: true,
        resume_at: None,
    }
}

/// What was done to the campaign and why, by the record, page by page.
async fn actions(quota: &Quota) -> Vec<String> {
    let mut staff = quota.campaigns();
    let (mut actions, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListChangesRequest {
            filter: Some(ChangeFilter {
                resource_kind: "campaign".to_owned(),
                resource_id: "spring".to_owned(),
                ..ChangeFilter::default()
            }),
            page_size: 3,
            page_token,
        };
        let request = quota.with_token(request, "changes:read");
        let page = staff.list_changes(request).await.unwrap().into_inner();
        for change in page.changes {
            let by = (&*change.subject, &*change.certificate_identity);
            assert_eq!(by, ("colleague", "staff"));
            actions.push(format!("{}: {}", change.action, change.reason));
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return actions;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_change_halt_and_end_a_campaign_and_read_who_did() {
    let quota = Quota::start().await;
    let made = quota.create().await;
    let texts =
        |campaign: &Campaign| format!("{}, {}", campaign.display_name, campaign.description);
    assert_eq!(texts(&made), "奶茶节, for the spring");
    quota.acquire(&made).await.unwrap();
    let mut staff = quota.campaigns();
    let request = quota.with_token(rename(""), "campaigns:write");
    let updated = heard(staff.update_campaign(request).await).unwrap();
    let updated = updated.campaign.unwrap();
    assert_eq!(texts(&updated), ", for the spring");
    let mut cheaper = rename("");
    cheaper.tiers = made.tiers.clone();
    cheaper.tiers[0].face_value_minor_units = 1;
    let request = quota.with_token(cheaper, "campaigns:write");
    let refused = staff.update_campaign(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let refused = from_status(&refused);
    assert_eq!(refused.reason, Reason::CampaignBegun);
    assert_eq!(refused.fact("fields"), Some("tiers"));

    let request = quota.with_token(halt("overrun"), "campaigns:write");
    let halted = heard(staff.halt_all_campaigns(request).await).unwrap();
    assert!(halted.all_halted);
    let campaign = &halted.campaigns[0];
    let campaign_and_epoch = (&*campaign.campaign_id, campaign.control_epoch);
    assert_eq!(campaign_and_epoch, ("spring", 1));
    assert_eq!(campaign.issuance_state(), IssuanceState::Halted);
    assert_eq!(campaign.redemption_state(), RedemptionState::Halted);

    let request = quota.with_token(end("no more cups"), "campaigns:write");
    let ended = heard(staff.end_campaign(request).await).unwrap();
    let ended = ended.campaign.unwrap();
    assert_eq!(ended.closes_at, ended.ended_at);
    assert_eq!(ended.stock[0].leased, 0);
    let refused = quota.acquire(&made).await;
    assert_eq!(refused, Err(Reason::CampaignClosed));
    let request = quota.with_token(halt("overrun"), "campaigns:write");
    let halted = heard(staff.halt_all_campaigns(request).await).unwrap();
    assert!(halted.all_halted && halted.campaigns.is_empty());

    let actions = actions(&quota).await;
    let expected = [
        "EndCampaign: no more cups",
        "HaltAllCampaigns: overrun",
        "UpdateCampaign: a typo",
        "CreateCampaign: ",
    ];
    assert_eq!(actions, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_report_a_queue_and_nobody_else_may_and_staff_look_at_it() {
    let quota = Quota::start().await;
    let campaign = quota.create().await;
    let report = |gateway_id: &str| ReportQueuesRequest {
        gateway_id: gateway_id.to_owned(),
        report_number: 2,
        queues: vec![QueueReport {
            campaign_number: campaign.campaign_number,
            wants_queue: true,
            can_take: 6.0,
            at_door: 2,
            able_per_second: 30.0,
            waiting: vec![CohortWaiting {
                cohort: 0,
                held: 8,
                promised: 4,
                promised_soon: 0,
            }],
            ..QueueReport::default()
        }],
    };
    let mut gateway = QueueServiceClient::new(quota.channel(Identity::Gateway));
    let mut staff = QueueServiceClient::new(quota.channel(Identity::Staff));
    let mut look = async |campaign_id: &str| {
        let request = GetQueueRequest {
            campaign_id: campaign_id.to_owned(),
        };
        let request = quota.with_token(request, "campaigns:read");
        heard(staff.get_queue(request).await)
    };
    let mut wants_none = report("gateway-0/1");
    wants_none.report_number = 1;
    wants_none.queues[0].wants_queue = false;
    wants_none.queues[0].waiting.clear();
    let reported = heard(gateway.report_queues(wants_none).await);
    assert!(!reported.unwrap().queues[0].is_queueing);
    let queue = look("spring").await.unwrap();
    assert!(!queue.is_queueing && queue.waiting == 0);
    let reported = heard(gateway.report_queues(report("gateway-0/1")).await);
    let told = &reported.unwrap().queues[0];
    assert!(told.is_queueing);
    assert_eq!(told.remaining, 100);
    assert_eq!((told.watermark_cohort, told.watermark_draw), (0, 1 << 31));
    assert_eq!((told.waiting[0].cohort, told.waiting[0].waiting), (0, 6));
    let refused = heard(gateway.report_queues(report("")).await);
    assert_eq!(refused, Err(Reason::InvalidField));
    let mut issuance = QueueServiceClient::new(quota.channel(Identity::Issuance));
    let refused = heard(issuance.report_queues(report("gateway-0/2")).await);
    assert_eq!(refused, Err(Reason::PermissionDenied));
    let queue = look("spring").await.unwrap();
    assert!(queue.is_queueing);
    // Four of the eight held calls are missing beside the two at the door: half of all turns.
    assert_eq!((queue.waiting, queue.called), (6, 6));
    assert_eq!((queue.at_door, queue.credit), (2, 6.0));
    assert_eq!((queue.able_per_second, queue.remaining), (30.0, 100));
    assert_eq!(queue.oldest_joined_at, campaign.opens_at);
    let told = &queue.gateways[0];
    assert_eq!((&*told.gateway_id, told.wants_queue), ("gateway-0/1", true));
    assert_eq!((told.waiting, told.at_door, told.can_take), (12, 2, 6.0));
    let reported_at = wire::moment(told.reported_at.unwrap()).unwrap();
    assert!(reported_at.year() > 2_000);
    assert_eq!(look("autumn").await, Err(Reason::CampaignNotFound));
    assert_eq!(look("Spring Tea").await, Err(Reason::InvalidField));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_field_of_a_change_is_named() {
    let quota = Quota::start().await;
    let mut staff = quota.campaigns();
    let bad = UpdateCampaignRequest {
        campaign_id: "Spring Tea".to_owned(),
        reason: "茶".repeat(201),
        display_name: Some("茶".repeat(101)),
        description: Some("two\nlines".to_owned()),
        limit_per_shopper: Some(0),
        opens_at: None,
        closes_at: Some(prost_types::Timestamp {
            seconds: i64::MAX,
            nanos: 0,
        }),
        coupon_validity: Some(wire::duration(Duration::from_millis(1_500))),
        tiers: vec![tidegate_proto::r#type::v1::Tier::default()],
    };
    let request = quota.with_token(bad, "campaigns:write");
    let refused = staff.update_campaign(request).await.unwrap_err();
    let named = from_status(&refused).violations.into_iter();
    let named: Vec<_> = named.map(|bad| bad.field).collect();
    let expected = "campaign_id reason display_name description limit_per_shopper closes_at coupon_validity \
        tiers[0].tier_id tiers[0].face_value_minor_units tiers[0].stock";
    assert_eq!(named.join(" "), expected);
    let nothing = UpdateCampaignRequest {
        display_name: None,
        ..rename("")
    };
    let request = quota.with_token(nothing, "campaigns:write");
    let missing = heard(staff.update_campaign(request).await);
    assert_eq!(missing, Err(Reason::CampaignNotFound));
    for reason in ["", "two\nlines"] {
        let end = quota.with_token(end(reason), "campaigns:write");
        let refused = heard(staff.end_campaign(end).await);
        assert_eq!(refused, Err(Reason::InvalidField));
        let halt = quota.with_token(halt(reason), "campaigns:write");
        let refused = heard(staff.halt_all_campaigns(halt).await);
        assert_eq!(refused, Err(Reason::InvalidField));
    }
}
