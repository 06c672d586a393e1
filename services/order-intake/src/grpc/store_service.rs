use std::{pin::Pin, time::Instant};

use futures_util::{Stream, stream};
use tidegate_proto::order_intake::v1::{
    self as proto, UpsertStoresRequest, UpsertStoresResponse, store_service_server::StoreService,
};
use tidegate_rpc::{refusal::or_unreadable, server::for_next_hop, wire};
use tidegate_types::{Actor, Timestamp};
use tonic::{Request, Response, Status, Streaming};

use super::{
    Server,
    access::{check_unbound, context_of},
    convert::{lists, stores as convert},
    status::to_status,
};
use crate::{domain::to_microsecond, error::OrderIntakeError};

impl Server {
    /// Keeps one message of stores, in a task of its own, since a caller that hangs up must not cancel a commit.
    async fn upsert(
        &self,
        message: UpsertStoresRequest,
        by: Option<Actor>,
    ) -> Result<UpsertStoresResponse, OrderIntakeError> {
        let (changes, reason) = convert::changes(message)?;
        let (store, count) = (self.store.clone(), changes.len());
        let upserting = self.tasks.spawn(async move {
            let now = to_microsecond(Timestamp::now_utc());
            let by = by.as_ref().map(|by| (by, reason.as_ref()));
            store.upsert_stores(changes, by, now).await
        });
        let created = upserting.await.unwrap_or(Err(OrderIntakeError::Internal))?;
        Ok(convert::upserted(count, created))
    }
}

#[tonic::async_trait]
impl StoreService for Server {
    type UpsertStoresStream =
        Pin<Box<dyn Stream<Item = Result<UpsertStoresResponse, Status>> + Send>>;

    async fn upsert_stores(
        &self,
        request: Request<Streaming<UpsertStoresRequest>>,
    ) -> Result<Response<Self::UpsertStoresStream>, Status> {
        let (server, by) = (self.clone(), context_of(&request)?.actor());
        // A message is read when the one before it is answered, so a fast caller waits and nothing piles up.
        let answers = stream::try_unfold(request.into_inner(), move |mut messages| {
            let (server, by) = (server.clone(), by.clone());
            async move {
                let Some(message) = messages.message().await.map_err(or_unreadable)? else {
                    return Ok(None);
                };
                let answer = server.upsert(message, by).await.map_err(to_status)?;
                Ok(Some((answer, messages)))
            }
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn get_store(
        &self,
        request: Request<proto::GetStoreRequest>,
    ) -> Result<Response<proto::GetStoreResponse>, Status> {
        let id = convert::id(&request.into_inner().store_id).map_err(to_status)?;
        let store = self.store.get_store(&id).await.map_err(to_status)?;
        Ok(Response::new(proto::GetStoreResponse {
            store: Some(convert::store(store)),
        }))
    }

    async fn list_stores(
        &self,
        request: Request<proto::ListStoresRequest>,
    ) -> Result<Response<proto::ListStoresResponse>, Status> {
        let query = lists::stores_query(&request.into_inner()).map_err(to_status)?;
        let listed = self.store.list_stores(&query).await;
        let (stores, next) = listed.map_err(to_status)?;
        Ok(Response::new(proto::ListStoresResponse {
            stores: stores.into_iter().map(convert::store).collect(),
            next_page_token: next.map_or(String::new(), |last| last.as_str().to_owned()),
        }))
    }

    async fn list_changes(
        &self,
        request: Request<proto::ListChangesRequest>,
    ) -> Result<Response<proto::ListChangesResponse>, Status> {
        check_unbound(&context_of(&request)?).map_err(to_status)?;
        let query = lists::change_query(request.into_inner()).map_err(to_status)?;
        let listed = self.store.list_changes(&query).await.map_err(to_status)?;
        let (changes, next_page_token) = wire::changes(listed);
        Ok(Response::new(proto::ListChangesResponse {
            changes,
            next_page_token,
        }))
    }

    async fn close_stores(
        &self,
        request: Request<proto::CloseStoresRequest>,
    ) -> Result<Response<proto::CloseStoresResponse>, Status> {
        let context = context_of(&request)?;
        let closing = convert::closing(request.into_inner()).map_err(to_status)?;
        let now = Instant::now();
        let left = for_next_hop(context.deadline, now).ok_or(OrderIntakeError::OutcomeUnknown);
        let deadline = now + left.map_err(to_status)?;
        let closing = self.tasks.spawn(self.closer.clone().close(
            closing,
            context.actor(),
            deadline,
        ));
        let closed = closing.await.unwrap_or(Err(OrderIntakeError::Internal));
        Ok(Response::new(convert::closed(closed.map_err(to_status)?)))
    }

    async fn audit_orders(
        &self,
        request: Request<proto::AuditOrdersRequest>,
    ) -> Result<Response<proto::AuditOrdersResponse>, Status> {
        let deadline = context_of(&request)?.deadline;
        let auditor = self.auditor.clone();
        // In a task of its own: a caller that hangs up must not leave a connection in the middle of a page.
        let auditing = self
            .tasks
            .spawn(auditor.audit(Timestamp::now_utc(), deadline));
        let audited = auditing.await.unwrap_or(Err(OrderIntakeError::Internal));
        Ok(Response::new(convert::audited(audited.map_err(to_status)?)))
    }

    async fn set_store_state(
        &self,
        request: Request<proto::SetStoreStateRequest>,
    ) -> Result<Response<proto::SetStoreStateResponse>, Status> {
        let by = context_of(&request)?.actor();
        let (id, state, reason) = convert::state_change(request.into_inner()).map_err(to_status)?;
        let store = self.store.clone();
        let setting = self.tasks.spawn(async move {
            let now = to_microsecond(Timestamp::now_utc());
            let by = by.as_ref().map(|by| (by, reason.as_ref()));
            store.set_store_state(&id, &state, by, now).await
        });
        let set = setting.await.unwrap_or(Err(OrderIntakeError::Internal));
        Ok(Response::new(proto::SetStoreStateResponse {
            store: Some(convert::store(set.map_err(to_status)?)),
        }))
    }
}
