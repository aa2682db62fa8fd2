//! The trait under every activity. Lives here: `Activity` and how it wants to be run. Must not live here: functions as
//! activities (`function`), running them.

use async_trait::async_trait;

use crate::model::{Failure, Payload};

use super::ActivityContext;

/// Where an activity runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Execution {
    /// On the async runtime: it never blocks its thread.
    Async,
    /// On a bounded pool of threads of its own: it may block.
    Blocking,
    /// In a worker process, of which there are a few. What the engine puts in the place of an isolated activity runs so; the
    /// activity itself runs in either of the other ways, there.
    Isolated,
}

/// User code with side effects. Run at least once; must be idempotent.
///
/// Most activities are plain functions (see [`ActivityFunction`](super::ActivityFunction)); implement the trait for an
/// activity that carries state in `self`. Write [`execute`](Activity::execute), or [`execution`](Activity::execution)
/// and [`execute_blocking`](Activity::execute_blocking).
///
/// ```
/// use amends::{Activity, ActivityContext, ActivityDefinition, Failure, Payload};
///
/// struct Greet { greeting: String }
///
/// #[async_trait::async_trait]
/// impl Activity for Greet {
///     async fn execute(&self, _cx: ActivityContext, input: Payload) -> Result<Payload, Failure> {
///         let name: String = input.to()?;
///         Ok(Payload::json(&format!("{}, {name}", self.greeting))?)
///     }
/// }
///
/// let definition = ActivityDefinition::new("greet", Greet { greeting: "Hello".into() })?;
/// assert_eq!(definition.activity_type().as_str(), "greet");
/// # Ok::<(), amends::RegistryError>(())
/// ```
#[async_trait]
pub trait Activity: Send + Sync + 'static {
    /// Which of the two methods is to be called. Async when not overridden.
    fn execution(&self) -> Execution {
        Execution::Async
    }

    /// One attempt, for [`Execution::Async`].
    ///
    /// # Errors
    /// The attempt's failure; the retry policy decides whether there is another attempt.
    async fn execute(&self, cx: ActivityContext, input: Payload) -> Result<Payload, Failure> {
        let _ = input;
        Err(not_implemented(&cx, "execute"))
    }

    /// One attempt, for [`Execution::Blocking`].
    ///
    /// # Errors
    /// The attempt's failure; the retry policy decides whether there is another attempt.
    fn execute_blocking(&self, cx: ActivityContext, input: Payload) -> Result<Payload, Failure> {
        let _ = input;
        Err(not_implemented(&cx, "execute_blocking"))
    }
}

fn not_implemented(cx: &ActivityContext, method: &str) -> Failure {
    let activity_type = &cx.info().activity_type;
    Failure::non_retryable(
        "NotImplemented",
        format!("activity {activity_type} does not implement `{method}`, which its `execution()` asks for"),
    )
}
