//! What makes a stream, once there is somebody who pays for it.

use std::fmt;

use futures_core::Stream;

use super::{BoxError, Flow, Item, Patience, Tap, tap::pour};
use crate::session::Session;

type Begin = Box<dyn FnOnce(&Session, Patience) -> Flow + Send>;

/// The code of a stream, not yet begun. Nothing of it runs before there is an account to charge.
pub struct Code(Begin);

impl Code {
    /// Items, each charged for before it is asked for: one unit, or what the [`Item`] says.
    pub fn items<F, S>(items: F) -> Self
    where
        F: FnOnce(&Session) -> S + Send + 'static,
        S: Stream<Item: Into<Item> + Send> + Send + 'static,
    {
        Self(Box::new(move |session, patience| {
            let items = items(session);
            Flow::new(session, patience, |tap| pour(tap, items))
        }))
    }

    /// Code that charges as it sees fit.
    pub fn tap<F, Fut>(code: F) -> Self
    where
        F: FnOnce(Tap) -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        Self(Box::new(move |session, patience| Flow::new(session, patience, code)))
    }

    pub(crate) fn begin(self, session: &Session, patience: Patience) -> Flow {
        (self.0)(session, patience)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(..)")
    }
}
