//! Lists as streams: the same items, some at a time, so that no message reaches a client's size limit.
//!
//! The list is taken at once, as shared snapshots, and each chunk becomes protobuf only when the client takes it.

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use tonic::Status;

/// How many items a message holds. Items take some KiB each, kubelet takes 16 MiB.
const CHUNK_ITEMS: usize = 500;

/// What a streaming RPC answers with.
pub(crate) type Stream<T> = BoxStream<'static, Result<T, Status>>;

/// Streams `items`, encoded one by one and put into messages by `message`. Without items the stream ends at once.
pub(crate) fn stream<D, W, M>(
    items: Vec<D>,
    encode: impl Fn(&D) -> W + Send + 'static,
    message: impl Fn(Vec<W>) -> M + Send + 'static,
) -> Stream<M>
where
    D: Send + 'static,
    W: Send + 'static,
    M: Send + 'static,
{
    let mut rest = items.into_iter();
    let messages = std::iter::from_fn(move || {
        let chunk: Vec<W> = rest.by_ref().take(CHUNK_ITEMS).map(|item| encode(&item)).collect();
        (!chunk.is_empty()).then(|| Ok(message(chunk)))
    });
    stream::iter(messages).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_item_comes_once_and_in_order() {
        for count in [0, 1, CHUNK_ITEMS, CHUNK_ITEMS + 1, 3 * CHUNK_ITEMS] {
            let items: Vec<usize> = (0..count).collect();
            let messages: Vec<Vec<usize>> = stream(items.clone(), |item| *item, |chunk| chunk)
                .map(|message| message.expect("no error"))
                .collect()
                .await;
            assert_eq!(messages.len(), count.div_ceil(CHUNK_ITEMS), "{count}");
            assert_eq!(messages.concat(), items, "{count}");
        }
    }
}
