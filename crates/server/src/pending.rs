//! The outcome of a call that a shard thread answers.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use crate::error::ServerError;

/// Resolves when the shard has done the job. Dropping it does not undo the job.
pub struct Pending<T>(State<T>);

enum State<T> {
    Refused(Option<ServerError>),
    Posted(oneshot::Receiver<Result<T, ServerError>>),
    /// More than one shard answers.
    Gathered(Pin<Box<dyn Future<Output = Result<T, ServerError>> + Send>>),
}

impl<T> fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").finish_non_exhaustive()
    }
}

impl<T> Pending<T> {
    pub(crate) fn refused(error: ServerError) -> Self {
        Self(State::Refused(Some(error)))
    }

    pub(crate) fn gathered(
        future: impl Future<Output = Result<T, ServerError>> + Send + 'static,
    ) -> Self {
        Self(State::Gathered(Box::pin(future)))
    }

    pub(crate) fn posted(receiver: oneshot::Receiver<Result<T, ServerError>>) -> Self {
        Self(State::Posted(receiver))
    }
}

impl<T> Unpin for Pending<T> {}

impl<T> Future for Pending<T> {
    type Output = Result<T, ServerError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Refused(error) => Poll::Ready(Err(error.take().unwrap_or(ServerError::Closed))),
            // A shard that drops the sender has closed.
            State::Posted(receiver) => Pin::new(receiver)
                .poll(cx)
                .map(|outcome| outcome.unwrap_or(Err(ServerError::Closed))),
            State::Gathered(future) => future.as_mut().poll(cx),
        }
    }
}
