//! An excuse needs a reason.

use amends_macros::workflow;

struct WorkflowContext;

#[workflow(allow_nondeterminism = " ")]
async fn excused(_cx: WorkflowContext) -> Result<(), ()> {
    let _ = std::time::SystemTime::now();
    Ok(())
}

fn main() {}
