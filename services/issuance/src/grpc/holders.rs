use futures_util::{Stream, stream};
use tidegate_proto::issuance::v1::StreamHoldersResponse;
use tidegate_rpc::wire;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::status::to_status;
use crate::{error::IssuanceError, holders::HolderPages};

/// The pages as messages. Ends once `stop` is cancelled, so that it does not hold up a process that is stopping.
pub fn stream(
    pages: HolderPages,
    stop: CancellationToken,
) -> impl Stream<Item = Result<StreamHoldersResponse, Status>> + Send {
    stream::try_unfold((pages, stop), |(mut pages, stop)| async move {
        let page = tokio::select! {
            page = pages.next() => page,
            () = stop.cancelled() => Err(IssuanceError::Stopping),
        };
        let page = page.map_err(|error| to_status(&error))?;
        let message = page.map(|holders| StreamHoldersResponse {
            shopper_hashes: holders.iter().map(wire::shopper_hash).collect(),
        });
        Ok(message.map(|message| (message, (pages, stop))))
    })
}
