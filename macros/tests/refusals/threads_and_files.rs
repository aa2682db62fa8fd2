//! What runs beside the workflow, waits outside of it, or looks at the world.

use std::{env, fs, thread, time::Duration};

use amends_macros::workflow;

struct WorkflowContext;

mod tokio {
    pub fn spawn(future: impl Future<Output = ()>) {
        drop(future);
    }
    pub mod time {
        pub async fn sleep(_: std::time::Duration) {}
    }
}

#[workflow(name = "nosy")]
async fn nosy(cx: WorkflowContext) -> Result<(), ()> {
    use tokio::time::sleep;

    let handle = thread::spawn(|| 1);
    thread::sleep(Duration::from_secs(1));
    tokio::spawn(async {
        sleep(Duration::from_secs(1)).await;
    });
    let _ = fs::read_to_string("orders.json");
    let _ = env::var("API_KEY");
    let _ = std::net::TcpStream::connect("localhost:80");
    let _ = std::process::Command::new("ls");
    let _ = (cx, handle);
    Ok(())
}

fn main() {}
