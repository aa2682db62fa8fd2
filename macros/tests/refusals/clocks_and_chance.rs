//! Clocks, randomness and ids, several at once and inside of macros and closures.

use std::time::{Instant, SystemTime};

use amends_macros::workflow;

struct WorkflowContext;

mod rand {
    pub fn random<T: Default>() -> T {
        T::default()
    }
}

mod chrono {
    pub struct Utc;
    impl Utc {
        pub fn now() {}
    }
}

mod uuid {
    pub struct Uuid;
    impl Uuid {
        pub fn new_v4() -> u32 {
            4
        }
    }
}
use uuid::Uuid;

#[workflow]
async fn place_order(ctx: WorkflowContext, sku: u32) -> Result<u32, ()> {
    let began = SystemTime::now();
    let _ = (began, chrono::Utc::now());
    let _lucky = rand::random::<u8>() > 3;
    println!("order {} at {:?}", Uuid::new_v4(), Instant::now());
    let id = || uuid::Uuid::new_v4();
    let _ = ctx;
    Ok(sku + id())
}

fn main() {}
