use futures_util::stream;
use tidegate_proto::order_intake::v1::{
    AuditOrdersRequest, AuditOrdersResponse, CloseStoresRequest, CloseStoresResponse,
    GetStoreRequest, GetStoreResponse, ListChangesRequest, ListChangesResponse, ListStoresRequest,
    ListStoresResponse, SetStoreStateRequest, SetStoreStateResponse, UpsertStoresRequest,
    UpsertStoresResponse, store_service_server::StoreService,
};
use tidegate_rpc::{refusal::or_unreadable, wire};
use tidegate_types::{Actor, Timestamp};
use tonic::{Request, Response, Streaming};

use super::{
    Answer, Answers, Server, check_unbound, context_of, convert::stores as convert, for_work_here,
};
use crate::{domain::to_microsecond, error::Result};

impl Server {
    async fn upsert(
        &self,
        message: UpsertStoresRequest,
        by: Option<Actor>,
    ) -> Result<UpsertStoresResponse> {
        let (changes, reason) = convert::changes(message)?;
        let (store, count) = (self.store.clone(), changes.len());
        let upserting = async move {
            let now = to_microsecond(Timestamp::now_utc());
            let by = by.as_ref().map(|by| (by, reason.as_ref()));
            store.upsert_stores(changes, by, now).await
        };
        let created = self.run_detached(upserting).await?;
        Ok(convert::upserted(count, created))
    }
}

#[tonic::async_trait]
impl StoreService for Server {
    type UpsertStoresStream = Answers<UpsertStoresResponse>;

    async fn upsert_stores(
        &self,
        request: Request<Streaming<UpsertStoresRequest>>,
    ) -> Answer<Self::UpsertStoresStream> {
        let (server, by) = (self.clone(), context_of(&request)?.actor());
        // A message is read when the one before it is answered, so a fast caller waits and nothing
        // piles up.
        let answers = stream::try_unfold(request.into_inner(), move |mut messages| {
            let (server, by) = (server.clone(), by.clone());
            async move {
                let Some(message) = messages.message().await.map_err(or_unreadable)? else {
                    return Ok(None);
                };
                let answer = server.upsert(message, by).await?;
                Ok(Some((answer, messages)))
            }
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn get_store(&self, request: Request<GetStoreRequest>) -> Answer<GetStoreResponse> {
        let id = convert::id(&request.into_inner().store_id)?;
        let store = self.store.get_store(&id).await?;
        let store = Some(convert::store(store));
        Ok(Response::new(GetStoreResponse { store }))
    }

    async fn list_stores(&self, request: Request<ListStoresRequest>) -> Answer<ListStoresResponse> {
        let query = convert::stores_query(&request.into_inner())?;
        let (stores, next) = self.store.list_stores(&query).await?;
        Ok(Response::new(ListStoresResponse {
            stores: stores.into_iter().map(convert::store).collect(),
            next_page_token: next.map_or(String::new(), |last| last.as_str().to_owned()),
        }))
    }

    async fn list_changes(
        &self,
        request: Request<ListChangesRequest>,
    ) -> Answer<ListChangesResponse> {
        check_unbound(&context_of(&request)?)?;
        let query = convert::change_query(request.into_inner())?;
        let listed = self.store.list_changes(&query).await?;
        let (changes, next_page_token) = wire::changes(listed);
        Ok(Response::new(ListChangesResponse {
            changes,
            next_page_token,
        }))
    }

    async fn close_stores(
        &self,
        request: Request<CloseStoresRequest>,
    ) -> Answer<CloseStoresResponse> {
        let context = context_of(&request)?;
        let closing = convert::closing(request.into_inner())?;
        let deadline = for_work_here(context.deadline)?;
        let closer = self.closer.clone();
        let closing = closer.close(closing, context.actor(), deadline);
        let closed = self.run_detached(closing).await?;
        Ok(Response::new(convert::closed(closed)))
    }

    async fn audit_orders(
        &self,
        request: Request<AuditOrdersRequest>,
    ) -> Answer<AuditOrdersResponse> {
        let deadline = context_of(&request)?.deadline;
        // A caller that hangs up must not leave a connection in the middle of a page.
        let auditing = self.auditor.clone().audit(Timestamp::now_utc(), deadline);
        let audited = self.run_detached(auditing).await?;
        Ok(Response::new(convert::audited(audited)))
    }

    async fn set_store_state(
        &self,
        request: Request<SetStoreStateRequest>,
    ) -> Answer<SetStoreStateResponse> {
        let by = context_of(&request)?.actor();
        let (id, state, reason) = convert::state_change(request.into_inner())?;
        let store = self.store.clone();
        let setting = async move {
            let now = to_microsecond(Timestamp::now_utc());
            let by = by.as_ref().map(|by| (by, reason.as_ref()));
            store.set_store_state(&id, &state, by, now).await
        };
        let store = self.run_detached(setting).await?;
        let store = Some(convert::store(store));
        Ok(Response::new(SetStoreStateResponse { store }))
    }
}
