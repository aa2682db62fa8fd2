//! Isolated activities, in worker processes that are this very test program. Must not live here: activities in the engine's
//! own process (`engine`).

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use amends::model::TimeoutKind;
use amends::testing::VirtualClock;
use amends::{
    ActivityContext, Amends, AmendsBuilder, CancellationType, Failure, Outcome, RetryPolicy, RunStatus, WorkerProcess,
    WorkflowContext,
};
use serde_json::{Value, json};

use crate::support::{Home, run, workflow};

#[path = "../../examples/isolated.rs"]
#[allow(dead_code, reason = "its `main` is the beginning of a program of its own")]
mod example;

#[cfg(target_os = "linux")]
mod left_behind;

const SECOND: Duration = Duration::from_secs(1);

/// What worker processes begin with: the arguments below choose this test, which never ends there. Elsewhere it does nothing.
#[test]
fn worker_process() {
    WorkerProcess::new()
        .state_with(|| Shared("made in each".to_owned()))
        .run();
}

struct Shared(String);

fn builder(home: &Home) -> AmendsBuilder {
    home.builder()
        .worker_arguments(["isolated::worker_process", "--exact", "--nocapture"])
        .worker_processes(2)
}

/// Which process it is, how it was told who it is, and what it shares.
#[amends::activity(isolated)]
async fn introduce(cx: ActivityContext, name: String) -> Result<Value, Failure> {
    let shared = cx.state::<Shared>().map(|shared| shared.0.clone());
    let key = cx.info().idempotency_key.clone();
    Ok(json!({"pid": std::process::id(), "name": name, "key": key, "shared": shared.unwrap_or_default()}))
}

#[expect(clippy::needless_pass_by_value, reason = "an activity owns what it is given")]
#[amends::activity(isolated)]
fn misbehave(cx: ActivityContext, how: String) -> Result<u32, Failure> {
    match (how.as_str(), cx.info().attempt) {
        ("abort", 1) => {
            say("out of ideas");
            std::process::abort()
        }
        ("panic", 1) => panic!("no way"),
        ("exit", 1) => leave(),
        ("refuse", _) => Err(Failure::not_applied("Declined", "no money")),
        ("huge", 1) => Err(take_memory()),
        (_, attempt) => Ok(attempt),
    }
}

fn say(what: &str) {
    let _ = writeln!(std::io::stderr(), "{what}");
}

#[expect(clippy::disallowed_methods, reason = "what a library that knows no better does")]
fn leave() -> ! {
    std::process::exit(3)
}

/// More than there is: the allocation fails, which ends the process.
fn take_memory() -> Failure {
    let bytes = std::hint::black_box(isize::MAX.unsigned_abs());
    let memory: Vec<u8> = Vec::with_capacity(bytes);
    Failure::new("Enough", format!("{}", memory.capacity()))
}

#[expect(clippy::needless_pass_by_value, reason = "an activity owns what it is given")]
#[amends::activity(isolated, heartbeat = "10s", start_to_close = "1h")]
fn spin(cx: ActivityContext, polite: bool) -> Result<(), Failure> {
    cx.heartbeat(&json!({"pid": std::process::id()}))?;
    loop {
        if polite {
            cx.heartbeat(&json!({"pid": std::process::id()}))?;
        }
        std::thread::yield_now();
    }
}

fn engine(home: &Home) -> AmendsBuilder {
    builder(home)
        .activity(introduce)
        .activity(misbehave)
        .activity(spin)
        .workflow_definition(workflow("introductions", |cx: WorkflowContext, count| async move {
            let mut all = Vec::new();
            for _ in 0..count.as_u64().unwrap_or(0) {
                all.push(cx.activity(introduce, &"Ada".to_owned()).await?);
            }
            Ok(json!(all))
        }))
        .workflow_definition(workflow("misbehaviour", |cx, how| async move {
            let retry = RetryPolicy {
                initial_interval: Duration::ZERO,
                maximum_attempts: 2,
                ..RetryPolicy::default()
            };
            let how: String = serde_json::from_value(how).unwrap_or_default();
            Ok(json!(cx.activity(misbehave, &how).retry(retry).await?))
        }))
        .workflow_definition(workflow("spinning", |cx, polite| async move {
            let call = cx.activity(spin, &polite.as_bool().unwrap_or(false));
            let call = call.cancellation(CancellationType::WaitCancellationCompleted);
            call.retry(RetryPolicy::never()).await?;
            Ok(Value::Null)
        }))
}

#[test]
fn attempts_are_made_in_another_process_which_is_used_again() {
    run(async {
        let home = Home::memory();
        let amends = engine(&home).start().await.unwrap();
        let run = amends.workflow_by_name("introductions").start(&json!(3)).await.unwrap();
        let said = run.result().await.unwrap();
        let said = said.as_array().unwrap();
        assert_ne!(said[0]["pid"], json!(std::process::id()));
        assert!(said.iter().all(|one| one["pid"] == said[0]["pid"]), "{said:?}");
        assert_eq!(
            (&said[0]["name"], &said[0]["shared"]),
            (&json!("Ada"), &json!("made in each"))
        );
        assert_ne!(said[0]["key"], said[1]["key"]);
        amends.shutdown(SECOND).await;
    });
}

#[test]
fn a_process_that_dies_is_one_attempt_s_failure() {
    run(async {
        let home = Home::memory();
        let amends = engine(&home).start().await.unwrap();
        for how in ["abort", "exit", "panic", "huge"] {
            let run = amends
                .workflow_by_name("misbehaviour")
                .id(how)
                .start(&json!(how))
                .await
                .unwrap();
            assert_eq!(run.result().await.unwrap(), json!(2), "{how}");
            let history = amends.client().history(how).await.unwrap();
            let told = format!("{history:?}");
            let expected = match how {
                "abort" => "ended by signal 6 (or a like one): out of ideas",
                "exit" => "it exited with code 3",
                "panic" => "no way",
                _ => "the worker process died: it was ended by signal 6",
            };
            let expected = expected.replace(" (or a like one)", "");
            assert!(told.contains(&expected), "{how}: {told}");
        }
        let run = amends
            .workflow_by_name("misbehaviour")
            .start(&json!("refuse"))
            .await
            .unwrap();
        let Outcome::Failed(failure) = run.outcome().await.unwrap() else {
            panic!("it was refused");
        };
        let cause = failure.chain().last().unwrap();
        assert!(
            cause.is_not_applied() && cause.message.contains("no money"),
            "{failure:?}"
        );
        amends.shutdown(SECOND).await;
    });
}

/// What a broken worker process begins with: it says that it is ready, takes an order, and says what makes no sense.
#[test]
#[expect(clippy::disallowed_methods, reason = "it stands in for a worker process")]
fn broken_process() {
    if std::env::var_os("AMENDS_WORKER_PROCESS").is_none() {
        return;
    }
    let socket = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
    let mut socket = UnixStream::from(socket);
    socket.write_all(&[1, 0, 0, 0, b'R']).unwrap();
    socket.read_exact(&mut [0]).unwrap();
    socket.write_all(&[255; 64]).unwrap();
    let _ = socket.read_to_end(&mut Vec::new());
}

#[test]
fn a_process_that_says_what_makes_no_sense_is_one_attempt_s_failure() {
    run(async {
        let broken = ["isolated::broken_process", "--exact"];
        let amends = engine(&Home::memory()).worker_arguments(broken).start().await.unwrap();
        let run = amends.workflow_by_name("misbehaviour").start(&json!("")).await.unwrap();
        let Outcome::Failed(failure) = run.outcome().await.unwrap() else {
            panic!("nothing was said");
        };
        let cause = failure.chain().last().unwrap();
        assert!(cause.message.contains("cannot be read"), "{failure:?}");
        amends.shutdown(SECOND).await;
    });
}

/// Whether there is such a process, and it is not only waited for.
fn is_alive(pid: u64) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
}

async fn until_spinning(amends: &Amends, id: &str) -> u64 {
    loop {
        if let Ok(seen) = amends.client().describe(id).await
            && let Some(said) = seen.pending.first().and_then(|pending| pending.heartbeat.as_ref())
        {
            return said.to::<Value>().unwrap()["pid"].as_u64().unwrap();
        }
        tokio::task::yield_now().await;
    }
}

async fn until_dead(pid: u64) {
    while is_alive(pid) {
        tokio::task::yield_now().await;
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_attempt_without_end_is_ended_with_its_process() {
    run(async {
        let (home, clock) = (Home::memory(), VirtualClock::new());
        let amends = engine(&home).clock(Arc::new(clock.clone())).start().await.unwrap();
        let start = async |id: &str, polite: bool| {
            let run = amends
                .workflow_by_name("spinning")
                .id(id)
                .start(&json!(polite))
                .await
                .unwrap();
            (run, until_spinning(&amends, id).await)
        };
        // Silent for too long.
        let (run, pid) = start("silent", false).await;
        assert!(is_alive(pid));
        clock.pass(SECOND * 10).await;
        let Outcome::Failed(failure) = run.outcome().await.unwrap() else {
            panic!("it has no end");
        };
        assert!(
            failure
                .chain()
                .any(|failure| failure.timeout_kind() == Some(TimeoutKind::Heartbeat))
        );
        until_dead(pid).await;
        // Asked to stop, and it listens: its process lives on.
        let (run, polite) = start("polite", true).await;
        run.cancel("enough").await.unwrap();
        assert_eq!(run.outcome().await.unwrap().status(), RunStatus::Canceled);
        let (run, deaf) = start("deaf", false).await;
        assert_eq!(polite, deaf, "used again");
        // Terminated: nobody waits for it.
        run.terminate("enough").await.unwrap();
        until_dead(deaf).await;
        // Its engine is gone.
        let (_run, orphan) = start("orphan", false).await;
        amends.shutdown(Duration::ZERO).await;
        until_dead(orphan).await;
    });
}

#[test]
fn the_example_shows_what_it_says() {
    run(async {
        let engine = builder(&Home::memory());
        let (primes, lost, attempts) = example::run(engine).await.unwrap();
        assert_eq!((primes, attempts), (9_592, 2));
        assert!(
            lost.contains("StartToClose") || lost.contains("start-to-close"),
            "{lost}"
        );
    });
}
