//! A turn to serve: what whoever serves says to the task that owns the payment.

use mpp_core::problem::Rejection;
use tokio::sync::{mpsc, oneshot};

use crate::{
    answer::Answer,
    permit::{Ending, Paid},
};

/// A turn to serve a payment. Dropped without [`Turn::end`], it counts as not delivered.
#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) paid: Paid,
    pub(crate) turn: Turn,
    /// The longest body that is kept to be given again, where the client named its request.
    pub(crate) keep: Option<usize>,
}

/// Where a turn says how it goes.
#[derive(Debug)]
pub(crate) struct Turn(mpsc::UnboundedSender<Word>);

/// What is said.
pub(super) enum Word {
    /// The handler succeeded: take the money, where that is still to be done.
    Charge(oneshot::Sender<Result<Paid, Rejection>>),
    /// The turn is over.
    End(End),
}

/// How a turn ended.
pub(super) struct End {
    pub(super) how: Ending,
    pub(super) answer: Option<Box<Answer>>,
    pub(super) written: oneshot::Sender<Result<(), Rejection>>,
}

impl End {
    /// The end of a turn that nobody spoke of: whoever had it is gone.
    pub(super) fn unsaid() -> Self {
        Self { how: Ending::NotDelivered, answer: None, written: oneshot::channel().0 }
    }
}

impl Turn {
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Word>) {
        let (words, heard) = mpsc::unbounded_channel();
        (Self(words), heard)
    }

    /// Takes the money. A caller that is dropped meanwhile changes nothing.
    pub(crate) async fn charge(&self) -> Result<Paid, Rejection> {
        let (reply, heard) = oneshot::channel();
        let _ = self.0.send(Word::Charge(reply));
        heard.await.unwrap_or_else(|e| Err(Rejection::unknown(e)))
    }

    /// Says how it ended, and waits until that is written down. A caller that is dropped meanwhile changes nothing.
    pub(crate) fn end(
        self,
        how: Ending,
        answer: Option<Box<Answer>>,
    ) -> impl Future<Output = Result<(), Rejection>> + Send + use<> {
        let (written, heard) = oneshot::channel();
        let _ = self.0.send(Word::End(End { how, answer, written }));
        async move { heard.await.unwrap_or_else(|e| Err(Rejection::unknown(e))) }
    }
}
