//! Several questions to a node at once.

use std::{future::poll_fn, task::Poll};

use crate::chain::rpc::{Answer, RpcError};

/// All answers, in the order of the questions. Ends when the slowest has.
pub(crate) async fn together<T: Send>(asked: Vec<Answer<'_, T>>) -> Vec<Result<T, RpcError>> {
    let mut open: Vec<_> = asked.into_iter().map(|answer| (answer, None)).collect();
    poll_fn(|context| {
        for (answer, said) in open.iter_mut().filter(|(_, said)| said.is_none()) {
            if let Poll::Ready(told) = answer.as_mut().poll(context) {
                *said = Some(told);
            }
        }
        if open.iter().all(|(_, said)| said.is_some()) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    open.into_iter().filter_map(|(_, said)| said).collect()
}
