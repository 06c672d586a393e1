//! What staff call, over mutual TLS.

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

fn halt() -> HaltAllCampaignsRequest {
    HaltAllCampaignsRequest {
        reason: "overrun".to_owned(),
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
        let listed = staff.list_changes(quota.by_staff(request)).await;
        let page = listed.unwrap().into_inner();
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
    let request = quota.by_staff(rename(""));
    let updated = heard(staff.update_campaign(request).await).unwrap();
    let updated = updated.campaign.unwrap();
    assert_eq!(texts(&updated), ", for the spring");
    let mut cheaper = rename("");
    cheaper.tiers = made.tiers.clone();
    cheaper.tiers[0].face_value_minor_units = 1;
    let request = quota.by_staff(cheaper);
    let refused = staff.update_campaign(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let refused = from_status(&refused);
    assert_eq!(refused.reason, Reason::CampaignBegun);
    assert_eq!(refused.fact("fields"), Some("tiers"));

    let request = quota.by_staff(halt());
    let halted = heard(staff.halt_all_campaigns(request).await).unwrap();
    assert!(halted.all_halted);
    let campaign = &halted.campaigns[0];
    let campaign_and_epoch = (&*campaign.campaign_id, campaign.control_epoch);
    assert_eq!(campaign_and_epoch, ("spring", 1));
    assert_eq!(campaign.issuance_state(), IssuanceState::Halted);
    assert_eq!(campaign.redemption_state(), RedemptionState::Halted);

    let request = quota.by_staff(EndCampaignRequest {
        campaign_id: "spring".to_owned(),
        reason: "no more cups".to_owned(),
    });
    let ended = heard(staff.end_campaign(request).await).unwrap();
    let ended = ended.campaign.unwrap();
    assert_eq!(ended.closes_at, ended.ended_at);
    assert_eq!(ended.stock[0].leased, 0);
    let refused = quota.acquire(&made).await;
    assert_eq!(refused, Err(Reason::CampaignClosed));
    let request = quota.by_staff(halt());
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
async fn gateways_report_a_queue_and_staff_look_at_it() {
    let quota = Quota::start().await;
    let campaign = quota.create().await;
    let report = ReportQueuesRequest {
        gateway_id: "gateway-0/1".to_owned(),
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
    let reported = heard(gateway.report_queues(report).await).unwrap();
    let told = &reported.queues[0];
    assert!(told.is_queueing);
    assert_eq!(told.remaining, 100);
    assert_eq!((told.watermark_cohort, told.watermark_draw), (0, 1 << 31));
    assert_eq!((told.waiting[0].cohort, told.waiting[0].waiting), (0, 6));

    let mut staff = QueueServiceClient::new(quota.channel(Identity::Staff));
    let request = quota.by_staff(GetQueueRequest {
        campaign_id: "spring".to_owned(),
    });
    let queue = heard(staff.get_queue(request).await).unwrap();
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
}
