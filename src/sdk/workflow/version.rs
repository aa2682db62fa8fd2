//! Changing the code of workflows whose runs are under way: patches and versions. Must not live here: how they are kept
//! (`core/versions`) or recorded (`replay`, `machine`).

use crate::model::ChangeId;

use super::WorkflowContext;

impl WorkflowContext {
    /// Whether this run has a patch: `true` for runs that come to this place with the patched code, `false` for those that
    /// had passed it before. The answer is recorded when it is first given, and stays the same for the rest of the run.
    ///
    /// The life of a change has three deployments. First, both branches:
    ///
    /// ```
    /// # use amends::{ActivityContext, Failure, WorkflowContext};
    /// # async fn check_fraud(_cx: ActivityContext, order: u32) -> Result<(), Failure> { Ok(()) }
    /// # async fn check_fraud_v2(_cx: ActivityContext, order: u32) -> Result<(), Failure> { Ok(()) }
    /// # async fn place_order(cx: WorkflowContext, order: u32) -> Result<(), Failure> {
    /// if cx.patched("fraud-check-v2") {
    ///     cx.activity(check_fraud_v2, &order).await
    /// } else {
    ///     cx.activity(check_fraud, &order).await
    /// }
    /// # }
    /// ```
    ///
    /// Second, when no open run is without the patch any more, the new branch alone, behind
    /// [`deprecate_patch`](Self::deprecate_patch). Third, when no open run was begun by the first of these, not even that:
    /// a history with a patch that was not deprecated, under code that does not ask for it, parks its run.
    ///
    /// An id that cannot be one (empty, more than 255 bytes, control characters) parks the run. So does one that begins with the
    /// workflow's own type and an `@`, as in `place_order@2`: such changes say which
    /// [version of the whole workflow](crate::workflow) the run has.
    #[must_use = "the patched branch is taken only if the code asks"]
    pub fn patched(&self, id: impl AsRef<str>) -> bool {
        self.core.borrow_mut().patched(id.as_ref(), false)
    }

    /// Says that the old branch of a patch is gone from the code; see [`patched`](Self::patched). Runs with and without
    /// the patch in their history go on.
    pub fn deprecate_patch(&self, id: impl AsRef<str>) {
        self.core.borrow_mut().patched(id.as_ref(), true);
    }

    /// The version of a change that this run has: the `newest`, for runs that come to this place with this code;
    /// [`DEFAULT_VERSION`](crate::DEFAULT_VERSION) (-1) for those that had passed it before there was any; and what is
    /// recorded for those in between. It stays the same for the rest of the run.
    ///
    /// A run whose version is not in `oldest..=newest` is parked, and says so: the code that is needed for it is gone.
    /// Versions that no open run has any more can be left out of the code by raising `oldest`.
    ///
    /// ```
    /// use amends::DEFAULT_VERSION;
    /// # use amends::{ActivityContext, Failure, WorkflowContext};
    /// # async fn by_post(_cx: ActivityContext, order: u32) -> Result<(), Failure> { Ok(()) }
    /// # async fn by_courier(_cx: ActivityContext, order: u32) -> Result<(), Failure> { Ok(()) }
    /// # async fn by_drone(_cx: ActivityContext, order: u32) -> Result<(), Failure> { Ok(()) }
    /// # async fn place_order(cx: WorkflowContext, order: u32) -> Result<(), Failure> {
    /// match cx.version("shipping", DEFAULT_VERSION, 2) {
    ///     DEFAULT_VERSION => cx.activity(by_post, &order).await,
    ///     1 => cx.activity(by_courier, &order).await,
    ///     _ => cx.activity(by_drone, &order).await,
    /// }
    /// # }
    /// ```
    #[must_use = "what the code does must depend on the version, or there is none to ask for"]
    pub fn version(&self, change: impl AsRef<str>, oldest: i32, newest: i32) -> i32 {
        self.core.borrow_mut().version(change.as_ref(), oldest, newest)
    }

    /// Says which version of its workflow this code is.
    pub(in crate::sdk) fn say_workflow_version(&self, marker: ChangeId) {
        self.core.borrow_mut().say_workflow_version(marker);
    }

    /// Whether the code is being run again over what it decided before. For logs and figures, which would otherwise be
    /// written at each replay; **what the code decides must not depend on it**.
    #[must_use]
    pub fn is_replaying(&self) -> bool {
        self.core.borrow().is_replaying()
    }
}
