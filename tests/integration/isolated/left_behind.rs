//! What attempts of isolated activities leave behind in their process and beside it: other processes, threads. Must not live
//! here: attempts that are about nothing else (`isolated`).

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, OnceLock};

use super::*;

/// Starts a process that goes on for long.
fn start_another(change: impl FnOnce(&mut Command) -> &mut Command) -> u32 {
    let mut another = Command::new("sleep");
    change(another.arg("1000")).spawn().expect("there is `sleep`").id()
}

/// Dies, and leaves a process behind that holds all that it was given.
#[expect(clippy::needless_pass_by_value, reason = "an activity owns what it is given")]
#[amends::activity(isolated)]
fn die_before_another(cx: ActivityContext, is_in_group: bool) -> Result<(), Failure> {
    let another = start_another(|another| match is_in_group {
        true => another,
        false => another.process_group(0),
    });
    cx.heartbeat(&json!({"pid": std::process::id()}))?;
    say(&format!("another={another}."));
    leave()
}

/// Ends well, and leaves a process behind; its own number is told, too.
#[amends::activity(isolated)]
fn end_before_another(_cx: ActivityContext) -> Result<[u32; 2], Failure> {
    Ok([
        std::process::id(),
        start_another(|another| another.stdin(Stdio::null())),
    ])
}

/// What a program that it starts reads from its standard input, and whether such a program would be a worker process.
#[amends::activity(isolated)]
fn ask_another(_cx: ActivityContext) -> Result<[String; 2], Failure> {
    let program = std::env::current_exe().expect("this program");
    let said = |command: &mut Command| {
        let output = command.output().expect("it can be started");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let read = said(Command::new("cat").stdin(Stdio::inherit()));
    let arguments = ["isolated::worker_process", "--exact", "--nocapture"];
    Ok([
        read,
        said(Command::new(program).args(arguments).stdin(Stdio::inherit())),
    ])
}

type Thread = (Sender<()>, Receiver<()>);

/// A thread of an earlier attempt, and its way to say that it has done what it was told.
static THREAD: OnceLock<Mutex<Thread>> = OnceLock::new();

/// Leaves a thread behind that says, when it is told to, that this attempt is alive.
#[amends::activity(isolated)]
fn leave_a_thread(cx: ActivityContext) -> Result<(), Failure> {
    let ((tell, told), (done, is_done)) = (channel(), channel());
    std::thread::spawn(move || {
        while let Ok(()) = told.recv() {
            let _ = cx.heartbeat(&"of another attempt");
            let _ = done.send(());
        }
    });
    let _ = THREAD.set(Mutex::new((tell, is_done)));
    Ok(())
}

/// Has the thread say so during its first attempt. The second one sees how far the first one is said to have come.
#[expect(clippy::needless_pass_by_value, reason = "an activity owns what it is given")]
#[amends::activity(isolated)]
fn disturbed(cx: ActivityContext) -> Result<Option<String>, Failure> {
    let details = cx.info().heartbeat_details.clone();
    if cx.info().attempt > 1 {
        return Ok(details.map(|details| format!("{details:?}")));
    }
    let thread = THREAD.get().expect("the same process").lock().expect("whole");
    thread.0.send(()).expect("it lives");
    thread.1.recv().expect("it lives");
    Err(Failure::new("Again", "once more"))
}

fn engine(home: &Home) -> AmendsBuilder {
    builder(home)
        .worker_processes(1)
        .activity(die_before_another)
        .activity(end_before_another)
        .activity(ask_another)
        .activity(leave_a_thread)
        .activity(disturbed)
        .workflow_definition(workflow("dying", |cx, is_in_group| async move {
            let call = cx.activity(die_before_another, &is_in_group.as_bool().unwrap_or(false));
            let died = call.retry(RetryPolicy::never()).await.expect_err("it dies");
            Ok(json!(died.chain().last().map(|cause| cause.message.clone())))
        }))
        .workflow_definition(workflow("ending", |cx, _| async move {
            Ok(json!(cx.activity(end_before_another, &()).await?))
        }))
        .workflow_definition(workflow("asking", |cx, _| async move {
            Ok(json!(cx.activity(ask_another, &()).await?))
        }))
        .workflow_definition(workflow("disturbing", |cx, _| async move {
            cx.activity(leave_a_thread, &()).await?;
            let retry = RetryPolicy {
                initial_interval: Duration::ZERO,
                ..RetryPolicy::default()
            };
            Ok(json!(cx.activity(disturbed, &()).retry(retry).await?))
        }))
}

fn number_of_another(told: &Value) -> u64 {
    let told = told.as_str().unwrap();
    let number = told.split("another=").nth(1).and_then(|rest| rest.split('.').next());
    number.unwrap_or_else(|| panic!("{told}")).parse().unwrap()
}

/// Until it was waited for, too.
async fn until_forgotten(pid: u64) {
    while std::path::Path::new(&format!("/proc/{pid}")).exists() {
        tokio::task::yield_now().await;
    }
}

fn kill(pid: u64) {
    let killed = Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
    assert!(killed.success());
}

#[test]
fn what_an_attempt_started_does_not_hide_that_its_process_is_dead() {
    run(async {
        // Nobody moves this clock: whatever waits for a time waits for ever.
        let clock = VirtualClock::new();
        let amends = engine(&Home::memory())
            .clock(Arc::new(clock.clone()))
            .start()
            .await
            .unwrap();
        let run = amends.workflow_by_name("dying").start(&json!(true)).await.unwrap();
        let told = run.result().await.unwrap();
        assert!(told.as_str().unwrap().contains("it exited with code 3"), "{told}");
        until_dead(number_of_another(&told)).await;

        // One that has left the group is nobody's, but how the process died is known all the same.
        let run = amends
            .workflow_by_name("dying")
            .id("left")
            .start(&json!(false))
            .await
            .unwrap();
        let process = until_spinning(&amends, "left").await;
        until_forgotten(process).await;
        clock.pass(SECOND * 5).await;
        let told = run.result().await.unwrap();
        assert!(told.as_str().unwrap().contains("it exited with code 3"), "{told}");
        let another = number_of_another(&told);
        assert!(is_alive(another));
        kill(another);
        amends.shutdown(SECOND).await;
    });
}

#[test]
fn what_an_attempt_started_ends_with_the_engine_when_its_process_is_already_dead() {
    run(async {
        let amends = engine(&Home::memory()).start().await.unwrap();
        let run = amends.workflow_by_name("ending").start(&Value::Null).await.unwrap();
        let pids = run.result().await.unwrap();
        let (process, another) = (pids[0].as_u64().unwrap(), pids[1].as_u64().unwrap());
        kill(process);
        until_dead(process).await;
        assert!(is_alive(another));
        amends.shutdown(SECOND).await;
        drop((run, amends));
        until_dead(another).await;
    });
}

#[test]
fn what_an_attempt_starts_has_no_standard_input_and_is_no_worker_process() {
    run(async {
        let amends = engine(&Home::memory()).start().await.unwrap();
        let run = amends.workflow_by_name("asking").start(&Value::Null).await.unwrap();
        let said = run.result().await.unwrap();
        assert_eq!(said[0], json!(""));
        // It came to its end, as tests do that have nothing to do.
        assert!(said[1].as_str().unwrap().contains("1 passed"), "{said}");
        amends.shutdown(SECOND).await;
    });
}

#[test]
fn a_thread_that_an_attempt_left_behind_does_not_speak_for_the_next_one() {
    run(async {
        let amends = engine(&Home::memory()).start().await.unwrap();
        let run = amends.workflow_by_name("disturbing").start(&Value::Null).await.unwrap();
        assert_eq!(run.result().await.unwrap(), Value::Null);
        amends.shutdown(SECOND).await;
    });
}
