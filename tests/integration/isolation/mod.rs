//! One bad run never stops another: whatever goes wrong in a run's own code or data leaves it in a state that can be seen,
//! while a hundred others on the same shard end as they should. Lives here: the good runs. Must not live here: failing
//! stores (`store_failure`).

mod code;
mod meanwhile;
mod panics;
mod versions;

use std::sync::Arc;
use std::time::Duration;

use amends::store::ListQuery;
use amends::testing::VirtualClock;
use amends::{Amends, AmendsBuilder, RunStatus};
use serde_json::{Value, json};

use crate::support::{Home, activity, counting_workflow, workflow};

const SECOND: Duration = Duration::from_secs(1);

/// An engine of one shard, on whose only thread the bad run meets the good ones.
pub(super) fn one_shard(home: &Home, clock: &VirtualClock) -> AmendsBuilder {
    home.builder()
        .shards(1)
        .clock(Arc::new(clock.clone()))
        .passivate_after(SECOND * 3_600)
        .activity_definition(activity("work", |_, input| async move { Ok(input) }))
        .workflow_definition(workflow("good", |cx, input| async move {
            let worked: Value = cx.activity_by_name("work", &input).await?;
            cx.signal::<()>("go").recv().await?;
            cx.activity_by_name("work", &worked).await
        }))
        .workflow_definition(counting_workflow("count"))
}

/// A hundred good runs, begun before and ended after whatever happens in between.
pub(super) async fn among_good_runs<T>(amends: &Amends, happening: impl Future<Output = T>) -> T {
    let mut runs = Vec::new();
    for number in 0..100 {
        runs.push(amends.workflow_by_name("good").start(&json!(number)).await.unwrap());
    }
    let happened = happening.await;
    for run in &runs {
        run.signal("go", &()).await.unwrap();
    }
    for (number, run) in runs.iter().enumerate() {
        assert_eq!(run.result().await.unwrap(), json!(number));
    }
    happened
}

pub(super) async fn listed(amends: &Amends, status: RunStatus) -> Vec<String> {
    let query = ListQuery {
        statuses: vec![status],
        ..ListQuery::default()
    };
    let heads = amends.client().list(&query).await.unwrap();
    heads.into_iter().map(|head| head.workflow_id.to_string()).collect()
}
