//! What becomes of an activity, or a child, that workflow code does not want any more. Must not live here: how either is
//! stopped.

/// What a call of an activity does when its run is cancelled, or when it is dropped; Temporal's cancellation types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum CancellationType {
    /// Asks the activity to stop, and fails with a cancellation at once, without waiting for what it says to that.
    #[default]
    TryCancel,
    /// Asks the activity to stop, and waits until it has ended, however it ends: with a result that came all the same, with
    /// a failure, or as cancelled.
    WaitCancellationCompleted,
    /// Leaves the activity alone, and fails with a cancellation at once. It goes on for as long as the run does; when the
    /// run's saga turns back it is asked to stop after all.
    Abandon,
}

/// What becomes of a child workflow when its parent is cancelled, or does not wait for it any more; Temporal's types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ChildCancellationType {
    /// Asks the child to end, and the wait for it fails with a cancellation at once.
    TryCancel,
    /// Asks the child to end, and waits until it has, however it ends.
    #[default]
    WaitCancellationCompleted,
    /// Asks the child to end, and the wait for it fails with a cancellation as soon as the child has been told.
    WaitCancellationRequested,
    /// Leaves the child alone, and the wait for it fails with a cancellation at once.
    Abandon,
}
