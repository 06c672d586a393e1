use futures_util::{Stream, stream};
use tidegate_proto::issuance::v1::StreamShoppersResponse;
use tidegate_rpc::wire;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::{error::IssuanceError, shoppers::ShopperPages};

/// The pages as messages. Ends once `stop` is cancelled, so that it does not hold up a process that is stopping.
pub fn stream(
    pages: ShopperPages,
    stop: CancellationToken,
) -> impl Stream<Item = Result<StreamShoppersResponse, Status>> + Send {
    stream::try_unfold((pages, stop), |(mut pages, stop)| async move {
        let page = tokio::select! {
            page = pages.next() => page,
            () = stop.cancelled() => Err(IssuanceError::Stopping),
        };
        let message = page?.map(|shoppers| StreamShoppersResponse {
            shopper_hashes: shoppers.iter().map(wire::shopper_hash).collect(),
        });
        Ok(message.map(|message| (message, (pages, stop))))
    })
}
