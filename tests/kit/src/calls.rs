use tidegate_rpc::refusal::reason_of;
use tidegate_telemetry::TraceContext;
use tidegate_types::Reason;
use tonic::{Request, Response, Status, client::Grpc, transport::Channel};
use tonic_prost::ProstCodec;

/// Calls a method, `package.Service/Method`, with an empty message; why it is refused, if it is.
pub async fn call_by_path(channel: Channel, path: &str, request: Request<()>) -> Option<Reason> {
    let mut client = Grpc::new(channel);
    client.ready().await.unwrap();
    let path = format!("/{path}").parse().unwrap();
    let codec = ProstCodec::<(), ()>::default();
    let answer = client.unary(request, path, codec).await;
    answer.err().and_then(|status| reason_of(&status))
}

/// The message of an answer, or the reason that its refusal names.
pub fn heard<T>(answer: Result<Response<T>, Status>) -> Result<T, Reason> {
    match answer {
        Ok(answer) => Ok(answer.into_inner()),
        Err(status) => Err(reason_of(&status).unwrap_or_else(|| panic!("no reason: {status:?}"))),
    }
}

/// The beginning of a story of its own, as an item of a batch carries it.
pub fn traceparent() -> String {
    TraceContext::new_root(false).traceparent()
}

/// Calls of a contract that a stand-in is never asked, as `async_trait` would write them.
#[macro_export]
macro_rules! never_asked {
    ($($method:ident($request:ty) -> $response:ty;)*) => {
        $(fn $method<'a, 'async_trait>(
            &'a self,
            _: tonic::Request<$request>,
        ) -> std::pin::Pin<Box<dyn Future<Output = Result<tonic::Response<$response>, tonic::Status>> + Send + 'async_trait>>
        where
            'a: 'async_trait,
            Self: 'async_trait,
        {
            Box::pin(async { Err(tonic::Status::unimplemented("nobody asks this here")) })
        })*
    };
}
