//! What belongs to another runtime, or stands behind another name: imports inside of the body are followed.

use amends_macros::workflow;

struct WorkflowContext;

mod tokio {
    pub mod fs {
        pub async fn read(_: &str) {}
    }
    pub mod net {
        pub struct TcpStream;
        impl TcpStream {
            pub async fn connect(_: &str) {}
        }
    }
    macro_rules! either {
        ($first:expr, $second:expr) => {
            { let _ = ($first, $second); }
        };
    }
    pub(crate) use either as join;
    pub(crate) use either as try_join;
    pub(crate) use either as select;
}

mod fastrand {
    pub fn bool() -> bool {
        true
    }
}

mod chrono {
    pub struct Local;
    impl Local {
        pub fn now() {}
    }
}

mod uuid {
    pub struct Uuid;
    impl Uuid {
        pub fn now_v7() {}
    }
}

#[workflow]
async fn elsewhere(cx: WorkflowContext) -> Result<(), ()> {
    use chrono::Local as Here;
    use std::env::var as setting;
    use std::{collections::HashSet, process, time::Instant as Clock};
    use tokio::select as choose;
    use tokio::try_join;
    use uuid::Uuid as Id;

    let began = Clock::now();
    Here::now();
    Id::now_v7();
    let _ = (fastrand::bool(), setting("HOME"), process::id());
    tokio::fs::read("orders.json").await;
    tokio::net::TcpStream::connect("localhost:80").await;
    tokio::select!(1, 2);
    choose!(1, 2);
    tokio::join!(1, 2);
    try_join!(1, 2);
    let sizes = HashSet::from([1, 2]);
    let first = sizes.iter().next();
    // Only a line in a log.
    println!("{first:?}");
    let _ = (cx, began);
    Ok(())
}

fn main() {}
