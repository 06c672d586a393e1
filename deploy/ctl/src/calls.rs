//! The calls that commands make: each request with the service that takes it and what it answers.

use tidegate_auth::Identity;
use tidegate_proto::{
    gateway::v1 as gateway, issuance::v1 as issuance, order_intake::v1 as order_intake,
    quota::v1 as quota, status::v1 as status,
};
use tonic::{Request, Response, Status, transport::Channel};

/// A request that one service answers with one message.
pub trait Call: Clone {
    type Answer;
    const SERVICE: Identity;

    async fn send(
        channel: Channel,
        request: Request<Self>,
    ) -> Result<Response<Self::Answer>, Status>;
}

macro_rules! calls {
    ($(
        $service:ident, $package:ident::$module:ident::$client:ident {
            $($method:ident($request:ident) -> $answer:ident,)*
        }
    )*) => {$($(
        impl Call for $package::$request {
            type Answer = $package::$answer;
            const SERVICE: Identity = Identity::$service;

            async fn send(
                channel: Channel,
                request: Request<Self>,
            ) -> Result<Response<Self::Answer>, Status> {
                $package::$module::$client::new(channel).$method(request).await
            }
        }
    )*)*};
}

calls! {
    Quota, quota::campaign_service_client::CampaignServiceClient {
        list_campaigns(ListCampaignsRequest) -> ListCampaignsResponse,
        get_campaign(GetCampaignRequest) -> GetCampaignResponse,
        create_campaign(CreateCampaignRequest) -> CreateCampaignResponse,
        update_campaign(UpdateCampaignRequest) -> UpdateCampaignResponse,
        add_budget(AddBudgetRequest) -> AddBudgetResponse,
        extend_validity(ExtendValidityRequest) -> ExtendValidityResponse,
        set_campaign_control(SetCampaignControlRequest) -> SetCampaignControlResponse,
        halt_all_campaigns(HaltAllCampaignsRequest) -> HaltAllCampaignsResponse,
        end_campaign(EndCampaignRequest) -> EndCampaignResponse,
        audit_campaign(AuditCampaignRequest) -> AuditCampaignResponse,
        list_changes(ListChangesRequest) -> ListChangesResponse,
    }
    Quota, quota::queue_service_client::QueueServiceClient {
        get_queue(GetQueueRequest) -> GetQueueResponse,
    }
    Issuance, issuance::coupon_admin_service_client::CouponAdminServiceClient {
        find_coupons(FindCouponsRequest) -> FindCouponsResponse,
        revoke_coupon(RevokeCouponRequest) -> RevokeCouponResponse,
        list_changes(ListChangesRequest) -> ListChangesResponse,
    }
    OrderIntake, order_intake::store_service_client::StoreServiceClient {
        list_stores(ListStoresRequest) -> ListStoresResponse,
        get_store(GetStoreRequest) -> GetStoreResponse,
        set_store_state(SetStoreStateRequest) -> SetStoreStateResponse,
        close_stores(CloseStoresRequest) -> CloseStoresResponse,
        list_changes(ListChangesRequest) -> ListChangesResponse,
    }
    OrderIntake, order_intake::order_intake_service_client::OrderIntakeServiceClient {
        find_order(FindOrderRequest) -> FindOrderResponse,
        list_orders(ListOrdersRequest) -> ListOrdersResponse,
        list_store_orders(ListStoreOrdersRequest) -> ListStoreOrdersResponse,
        cancel_order(CancelOrderRequest) -> CancelOrderResponse,
        fail_order(FailOrderRequest) -> FailOrderResponse,
        advance_order(AdvanceOrderRequest) -> AdvanceOrderResponse,
    }
    OrderIntake, order_intake::feed_service_client::FeedServiceClient {
        acknowledge_orders(AcknowledgeOrdersRequest) -> AcknowledgeOrdersResponse,
    }
    // Of every replica: a call of these says which.
    Staff, status::status_service_client::StatusServiceClient {
        get_status(GetStatusRequest) -> GetStatusResponse,
        get_metrics(GetMetricsRequest) -> GetMetricsResponse,
    }
    Gateway, gateway::claim_service_client::ClaimServiceClient {
        claim_coupon(ClaimCouponRequest) -> ClaimCouponResponse,
    }
    Gateway, gateway::wallet_service_client::WalletServiceClient {
        list_coupons(ListCouponsRequest) -> ListCouponsResponse,
        check_coupon(CheckCouponRequest) -> CheckCouponResponse,
    }
    Gateway, gateway::order_service_client::OrderServiceClient {
        place_order(PlaceOrderRequest) -> PlaceOrderResponse,
    }
}
