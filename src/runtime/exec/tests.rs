//! `exec` steps with small shell scripts. Must not live here: whole sagas.

use std::collections::BTreeMap;
use std::path::Path;

use rustix::process::test_kill_process_group;
use serde_json::json;
use tempfile::TempDir;

use super::super::clock::SystemClock;
use super::super::secrets::Declared;
use super::*;
use crate::model::FailureKind;
use crate::sdk::CancelFlag;
use crate::testing::VirtualClock;

fn request(script: &str) -> ExecRequest {
    ExecRequest {
        command: ["sh", "-c", script].map(str::to_owned).to_vec(),
        env: BTreeMap::new(),
        cwd: None,
        stdin: json!({"order": 1}),
        success_codes: vec![0],
        retryable_codes: vec![75],
        not_applied_codes: vec![64],
        output: ExecOutput::Json,
    }
}

fn activity(clock: impl Clock) -> ExecActivity {
    let vault = |name: &str| (name == "KEY").then(|| "hush-hush".to_owned());
    ExecActivity {
        secrets: Secrets::new(vault),
        clock: Arc::new(clock),
    }
}

async fn run(request: &ExecRequest) -> Result<Value, Failure> {
    let cx = ActivityContext::for_test()
        .attempt(3)
        .idempotency_key("run-1/charge")
        .state(Declared::these(&["KEY", "NONE"].map(str::to_owned)))
        .build();
    let output = activity(SystemClock)
        .execute(cx, Payload::json(request).unwrap())
        .await?;
    Ok(output.to().unwrap())
}

fn application(failure: &Failure) -> (&str, bool, bool) {
    match &failure.kind {
        FailureKind::Application(application) => (
            &application.type_name,
            application.non_retryable,
            application.not_applied,
        ),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn json_goes_in_and_comes_out() {
    assert_eq!(run(&request("cat")).await.unwrap(), json!({"order": 1}));
    assert_eq!(run(&request("true")).await.unwrap(), Value::Null);
    let mut text = request("printf 'two\\nlines\\n'");
    text.output = ExecOutput::Text;
    assert_eq!(run(&text).await.unwrap(), json!("two\nlines"));
    // Nobody reads all of a large input.
    let mut large = request("exec <&-; echo 1");
    large.stdin = json!("x".repeat(1_000_000));
    assert_eq!(run(&large).await.unwrap(), json!(1));
}

#[tokio::test]
async fn each_class_of_exit_code_has_its_failure() {
    for (script, expected) in [
        ("echo no >&2; exit 75", ("Exit75", false, false)),
        ("echo no >&2; exit 64", ("Exit64", true, true)),
        ("echo no >&2; exit 3", ("Exit3", true, false)),
        ("echo no >&2; kill -9 $$", ("ExecKilled", false, false)),
        ("echo no", ("ExecInvalidOutput", true, false)),
    ] {
        let failure = run(&request(script)).await.unwrap_err();
        assert_eq!(application(&failure), expected, "{failure}");
        assert!(failure.message.contains("no"), "{failure}");
    }
    let mut success = request("echo 7; exit 9");
    success.success_codes = vec![9];
    assert_eq!(run(&success).await.unwrap(), json!(7));
}

#[tokio::test]
async fn what_cannot_be_run_says_so_and_had_no_effect() {
    let mut missing = request("");
    missing.command = vec!["no-such-program-anywhere".to_owned()];
    let failure = run(&missing).await.unwrap_err();
    assert_eq!(application(&failure), ("ExecNotFound", false, true));
    assert!(failure.message.contains("\"no-such-program-anywhere\""), "{failure}");
    missing.command = vec!["a\0b".to_owned()];
    assert_eq!(application(&run(&missing).await.unwrap_err()).0, "ExecInvalidRequest");
    missing.command.clear();
    assert_eq!(
        application(&run(&missing).await.unwrap_err()),
        ("ExecInvalidRequest", true, true)
    );
}

#[tokio::test]
async fn the_attempt_is_told_in_the_environment_which_is_otherwise_small() {
    let script = r#"printf '"%s %s %s %s %s %s"' "$AMENDS_IDEMPOTENCY_KEY" "$AMENDS_ATTEMPT" "$AMENDS_NAMESPACE" "$MINE" "${PATH:+path}" \
                    "${CARGO_MANIFEST_DIR:-none}""#;
    let mut told = request(script);
    told.env.insert("MINE".to_owned(), "yes".to_owned());
    assert_eq!(run(&told).await.unwrap(), json!("run-1/charge 3 default yes path none"));
    let mut elsewhere = request("pwd");
    elsewhere.output = ExecOutput::Text;
    let home = TempDir::new().unwrap();
    let directory = home.path().canonicalize().unwrap();
    elsewhere.cwd = Some(directory.display().to_string());
    assert_eq!(run(&elsewhere).await.unwrap(), json!(directory.display().to_string()));
}

#[tokio::test]
async fn secrets_reach_the_program_and_nothing_else() {
    let mut secret = request(r#"test "$KEY" = hush-hush && test "$1" = hush-hush && cat"#);
    secret
        .command
        .extend(["sh", "{{amends:secret:KEY}}"].map(str::to_owned));
    secret.env.insert("KEY".to_owned(), "{{amends:secret:KEY}}".to_owned());
    secret.stdin = json!({"key": "{{amends:secret:KEY}}"});
    assert_eq!(run(&secret).await.unwrap(), json!({"key": "[secret KEY]"}));
    secret.command = request(r#"echo "bad key: $KEY" >&2; exit 1"#).command;
    let failure = run(&secret).await.unwrap_err();
    assert!(failure.message.ends_with("bad key: [secret KEY]"), "{failure}");
    secret.env.insert("KEY".to_owned(), "{{amends:secret:NONE}}".to_owned());
    let failure = run(&secret).await.unwrap_err();
    assert_eq!(application(&failure), ("SecretMissing", false, true));
}

#[tokio::test]
async fn too_much_output_ends_the_program_and_only_the_end_of_its_complaints_is_kept() {
    let failure = run(&request("exec yes")).await.unwrap_err();
    assert_eq!(application(&failure), ("ExecOutputTooLarge", true, false));
    let script = "i=0; while [ $i -lt 2000 ]; do echo \"line $i\" >&2; i=$((i+1)); done; exit 1";
    let failure = run(&request(script)).await.unwrap_err();
    assert!(
        failure.message.ends_with("line 1999") && !failure.message.contains("line 100\n"),
        "{failure}"
    );
    assert!(failure.message.len() <= limits::FAILURE_MESSAGE_BYTES_MAX && failure.message.len() > 3_000);
}

/// Waits for what a program does; a test that hangs fails.
#[expect(clippy::disallowed_methods, reason = "programs know nothing of a virtual clock")]
async fn until<T>(mut seen: impl FnMut() -> Option<T>) -> T {
    let seen = async {
        loop {
            match seen() {
                Some(seen) => return seen,
                None => tokio::task::yield_now().await,
            }
        }
    };
    let seen = tokio::time::timeout(Duration::from_secs(60), seen).await;
    seen.expect("the program does not do what is waited for")
}

/// Waits until a script has written its whole line.
async fn line_in(file: &Path) -> String {
    let whole_line = || {
        let text = std::fs::read_to_string(file).ok()?;
        text.ends_with('\n').then(|| text.trim().to_owned())
    };
    until(whole_line).await
}

/// Waits until nobody of the group is left.
async fn until_gone(group: &str) {
    let group = Pid::from_raw(group.parse().unwrap()).unwrap();
    until(|| test_kill_process_group(group).err()).await;
}

fn waiting_family(file: &Path, how: &str) -> ExecRequest {
    // A program with a child of its own, both of which wait for ever.
    let script = format!(
        "{how} (sleep 1000; true) & echo $$ > {0}.tmp; mv {0}.tmp {0}; wait",
        file.display()
    );
    request(&script)
}

/// Those who listen go at once. (The head of the group is buried only when the grace is over: until then its number is
/// nobody else's.)
#[tokio::test]
async fn a_dropped_attempt_ends_the_whole_group() {
    let home = TempDir::new().unwrap();
    let (file, clock) = (home.path().join("group"), VirtualClock::new());
    let farewell = home.path().join("farewell");
    let how = format!(
        "trap 'kill $! 2> /dev/null; wait; echo bye > {}; exit' TERM;",
        farewell.display()
    );
    let family = Payload::json(&waiting_family(&file, &how)).unwrap();
    let activity = activity(clock.clone());
    let attempt = tokio::spawn(async move {
        let cx = ActivityContext::for_test().build();
        activity.execute(cx, family).await
    });
    let group = line_in(&file).await;
    attempt.abort();
    assert_eq!(line_in(&farewell).await, "bye");
    clock.pass(GRACE).await;
    until_gone(&group).await;
}

#[tokio::test]
async fn who_does_not_listen_is_ended_after_the_grace() {
    let home = TempDir::new().unwrap();
    let (file, clock) = (home.path().join("group"), VirtualClock::new());
    let family = Payload::json(&waiting_family(&file, "trap '' TERM;")).unwrap();
    let activity = activity(clock.clone());
    let attempt = tokio::spawn(async move {
        let cx = ActivityContext::for_test().build();
        activity.execute(cx, family).await
    });
    let group = line_in(&file).await;
    attempt.abort();
    clock.pass(GRACE).await;
    until_gone(&group).await;
}

#[tokio::test]
async fn a_program_that_is_asked_to_stop_may_still_have_its_say() {
    for (how, expected) in [("trap 'echo 5; kill $!; exit 0' TERM;", Some(json!(5))), ("", None)] {
        let home = TempDir::new().unwrap();
        let (file, flag) = (home.path().join("group"), CancelFlag::new());
        let family = Payload::json(&waiting_family(&file, how)).unwrap();
        let cx = ActivityContext::for_test().cancel_flag(flag.clone()).build();
        let attempt = tokio::spawn(async move { activity(SystemClock).execute(cx, family).await });
        let group = line_in(&file).await;
        flag.raise();
        let outcome = attempt.await.unwrap();
        match expected {
            Some(expected) => assert_eq!(outcome.unwrap().to::<Value>().unwrap(), expected),
            None => assert!(outcome.unwrap_err().is_canceled()),
        }
        until_gone(&group).await;
    }
}
