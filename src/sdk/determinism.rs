//! Excusing what `#[workflow]` would refuse. Must not live here: what it refuses (the macro crate).

/// Says that an expression in a workflow's body may differ on replay, and why that does no harm; `#[workflow]` then does
/// not look at it. The value must not reach anything that the workflow decides.
///
/// ```
/// use amends::{Failure, WorkflowContext, allow_nondeterminism, workflow};
///
/// #[workflow]
/// async fn measured(cx: WorkflowContext, items: Vec<u32>) -> Result<u32, Failure> {
///     let began = allow_nondeterminism!("for the log only", std::time::Instant::now());
///     let sum = items.iter().sum();
///     println!("summed up in {:?}", began.elapsed());
///     Ok(sum)
/// }
/// ```
///
/// Without a reason it does not compile:
///
/// ```compile_fail
/// let now = amends::allow_nondeterminism!("", std::time::Instant::now());
/// ```
#[macro_export]
macro_rules! allow_nondeterminism {
    ($reason:literal, $value:expr $(,)?) => {{
        const _: () = ::core::assert!(
            !$reason.is_empty(),
            "say why what is not the same on replay does no harm here"
        );
        $value
    }};
}
