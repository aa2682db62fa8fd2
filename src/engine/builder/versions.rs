//! Which version of a workflow new runs take. Must not live here: which version a run has (`sdk/registry`).

use super::AmendsBuilder;

impl AmendsBuilder {
    /// Has new runs of a workflow take this version of its code, instead of the newest that is registered: for a version that is to
    /// come later, or to go back to. `None` is the one without a version.
    ///
    /// ```
    /// mod first {
    ///     use amends::{Failure, WorkflowContext, workflow};
    ///
    ///     #[workflow]
    ///     pub async fn greet(_cx: WorkflowContext, name: String) -> Result<String, Failure> {
    ///         Ok(format!("Hello, {name}"))
    ///     }
    /// }
    ///
    /// mod second {
    ///     use amends::{Failure, WorkflowContext, workflow};
    ///
    ///     #[workflow(version = "2")]
    ///     pub async fn greet(cx: WorkflowContext, name: String) -> Result<String, Failure> {
    ///         cx.sleep(std::time::Duration::from_millis(1)).await?;
    ///         Ok(format!("Good day, {name}"))
    ///     }
    /// }
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let both = || amends::Amends::builder().memory().workflow(first::greet).workflow(second::greet);
    /// for (builder, greeting) in [
    ///     (both(), "Good day, Ada"),
    ///     (both().current_version("greet", "2"), "Good day, Ada"),
    ///     (both().current_version("greet", None), "Hello, Ada"),
    /// ] {
    ///     let amends = builder.start().await?;
    ///     let run = amends.workflow(first::greet).start(&"Ada".to_owned()).await?;
    ///     assert_eq!(run.result().await?, greeting);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn current_version<'v>(mut self, workflow_type: &str, version: impl Into<Option<&'v str>>) -> Self {
        let set = self.registry.set_current_version(workflow_type, version);
        self.registry_errors.extend(set.err());
        self
    }
}
