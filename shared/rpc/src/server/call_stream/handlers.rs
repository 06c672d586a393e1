use std::{collections::HashMap, future::Future, pin::Pin, sync::Arc};

use bytes::Bytes;
use prost::Message;
use tonic::{Request, Response, Status};

type Answering<'a, T> = Pin<Box<dyn Future<Output = Result<T, Status>> + Send + 'a>>;
type Handle = dyn Fn(Request<Bytes>) -> Answering<'static, Bytes> + Send + Sync;

/// The methods that can be called over a stream, and what answers them. A call comes to it as it
/// would on its own, without what HTTP/2 would take for it.
pub struct CallHandlers {
    max_request_bytes: usize,
    by_method: HashMap<&'static str, Handler>,
}

/// What answers the calls of one method.
#[derive(Clone)]
pub(super) struct Handler {
    pub(super) path: &'static str,
    handle: Arc<Handle>,
}

impl CallHandlers {
    /// No methods yet. A longer request than this is refused unread.
    pub fn new(max_request_bytes: usize) -> Self {
        Self {
            max_request_bytes,
            by_method: HashMap::new(),
        }
    }

    /// Has a method of the service answered, whose path is such as
    /// `/tidegate.gateway.v1.ClaimService/ClaimCoupon`.
    #[must_use]
    pub fn with<S, Asked, Told>(
        mut self,
        path: &'static str,
        service: &Arc<S>,
        method: for<'a> fn(&'a S, Request<Asked>) -> Answering<'a, Response<Told>>,
    ) -> Self
    where
        S: Send + Sync + 'static,
        Asked: Message + Default + 'static,
        Told: Message + 'static,
    {
        let (service, most) = (Arc::clone(service), self.max_request_bytes);
        let handle = move |request: Request<Bytes>| -> Answering<'static, Bytes> {
            let service = Arc::clone(&service);
            Box::pin(async move {
                let (metadata, extensions, asked) = request.into_parts();
                let asked = Request::from_parts(metadata, extensions, read(asked, most)?);
                let told = method(&service, asked).await?;
                Ok(told.into_inner().encode_to_vec().into())
            })
        };
        let handle = Arc::new(handle);
        self.by_method
            .insert(path.trim_start_matches('/'), Handler { path, handle });
        self
    }

    /// The paths of the methods, in no order.
    pub fn paths(&self) -> impl Iterator<Item = &'static str> {
        self.by_method.values().map(|handler| handler.path)
    }

    /// What answers a method, named without the slash before it.
    pub(super) fn find(&self, method: &str) -> Option<Handler> {
        self.by_method.get(method).cloned()
    }
}

impl Handler {
    pub(super) fn handle(&self, request: Request<Bytes>) -> Answering<'static, Bytes> {
        (self.handle)(request)
    }
}

/// The request, or what tonic's codec says of one that is too long or cannot be read.
fn read<Asked: Message + Default>(asked: Bytes, most: usize) -> Result<Asked, Status> {
    if asked.len() > most {
        let detail = format!("the request has {} bytes; {most} are the most", asked.len());
        return Err(Status::out_of_range(detail));
    }
    Asked::decode(asked).map_err(|unreadable| Status::internal(unreadable.to_string()))
}
