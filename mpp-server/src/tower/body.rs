//! The response body of a paywall: a refusal, or the handler's, with the permit inside until its last byte.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::kept::Passing;
use crate::permit::{Ending, Permit};

pin_project! {
    /// The body of a response that passed a paywall, or of the refusal to let it pass.
    ///
    /// While it carries a permit, the payment counts as being served; handing its last frame over is what delivers it,
    /// and dropping it earlier is what does not.
    #[derive(Debug)]
    pub struct PaywallBody<B> {
        #[pin]
        inner: Kind<B>,
        permit: Option<Permit>,
        // What is kept to be given again.
        passing: Option<Passing>,
        // What is left of the promised length, where one was promised.
        left: Option<u64>,
    }
}

pin_project! {
    #[project = KindPinned]
    #[derive(Debug)]
    enum Kind<B> {
        Handler { #[pin] body: B },
        Refusal { bytes: Option<Bytes> },
    }
}

impl<B: Body<Data = Bytes>> PaywallBody<B> {
    pub(crate) fn unpaid(body: B) -> Self {
        Self { inner: Kind::Handler { body }, permit: None, passing: None, left: None }
    }

    pub(crate) fn refusal(bytes: Bytes) -> Self {
        let inner = Kind::Refusal { bytes: Some(bytes).filter(|b| !b.is_empty()) };
        Self { inner, permit: None, passing: None, left: None }
    }

    /// Delivers with its last frame, or with the last byte of `length`; at once where there is none.
    pub(super) fn paid(
        body: B,
        mut permit: Permit,
        length: Option<u64>,
        passing: Option<Passing>,
    ) -> Self {
        permit.flow();
        let inner = Kind::Handler { body };
        let mut me = Self { inner, permit: Some(permit), passing, left: length };
        if length == Some(0) || me.is_end_stream() {
            delivered(&mut me.permit, &mut me.passing);
        }
        me
    }
}

fn delivered(permit: &mut Option<Permit>, passing: &mut Option<Passing>) {
    if let Some(mut permit) = permit.take() {
        if let Some(answer) = passing.take().map(Passing::answer) {
            permit.keep(answer);
        }
        permit.finish_soon(Ending::Delivered);
    }
}

impl<B: Body<Data = Bytes>> Body for PaywallBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut me = self.project();
        let frame = match me.inner.as_mut().project() {
            KindPinned::Handler { body } => ready!(body.poll_frame(cx)),
            KindPinned::Refusal { bytes } => bytes.take().map(|b| Ok(Frame::data(b))),
        };
        if let (Some(Ok(frame)), Some(left)) = (&frame, me.left.as_mut()) {
            *left = left.saturating_sub(frame.data_ref().map_or(0, |data| data.len() as u64));
        }
        if let (Some(Ok(frame)), Some(passing)) = (&frame, me.passing.as_mut())
            && !passing.passes(frame.data_ref())
        {
            *me.passing = None;
        }
        match &frame {
            Some(Err(_)) => drop(me.permit.take()),
            // A transport does not poll again once the body says it ended, or its promised length is written: the last
            // frame counts, and not what comes after.
            Some(Ok(_)) if !ended(&me.inner) && *me.left != Some(0) => {}
            // Shorter than was promised: the transport breaks off, and the client has nothing it can use.
            None if me.left.is_some_and(|left| left > 0) => drop(me.permit.take()),
            _ => delivered(me.permit, me.passing),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        ended(&self.inner)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Kind::Handler { body } => body.size_hint(),
            Kind::Refusal { bytes } => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64))
            }
        }
    }
}

fn ended<B: Body>(inner: &Kind<B>) -> bool {
    match inner {
        Kind::Handler { body } => body.is_end_stream(),
        Kind::Refusal { bytes } => bytes.is_none(),
    }
}
