//! The end of the program, told to every task at once.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Handed to every long-lived task: it says when to stop and counts who has not stopped yet.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    token: CancellationToken,
    tasks: TaskTracker,
}

impl Shutdown {
    /// A program that has just begun.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells everybody to come to an end.
    pub fn begin(&self) {
        self.token.cancel();
        self.tasks.close();
    }

    /// Whether the end has begun.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Returns when the end has begun.
    pub async fn begun(&self) {
        self.token.cancelled().await;
    }

    /// Runs a task that the end waits for. The task itself watches [`Shutdown::begun`].
    pub fn spawn<F>(&self, task: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.tasks.spawn(task)
    }

    /// Waits until every spawned task has ended, at most `patience`; false if some had not.
    pub async fn finished(&self, patience: Duration) -> bool {
        tokio::time::timeout(patience, self.tasks.wait()).await.is_ok()
    }
}
