//! The process that is killed: an engine on sled, and a client of it that keeps up to 64 sagas going and says on stdout
//! what was acknowledged to it. Must not live here: anything that outlives it.

use std::fmt::Write as _;
use std::io::BufRead;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use amends::engine::SignalOptions;
use amends::machine::Rejection;
use amends::{
    ActivityContext, ActivityOptions, Amends, Error, Failure, RetryPolicy, SagaDefinition, Undo, WorkflowContext,
    activity, workflow,
};
use futures_util::future::try_join;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::support::saga;

/// Sagas in flight.
const SAGAS: usize = 64;

/// Sagas that one child begins at the most, so that a round does not depend on how fast the machine is.
const NEW_SAGAS: u64 = 200;

/// What a child is to do.
pub(super) struct Order {
    data: PathBuf,
    participants: SocketAddr,
    /// Sagas that were begun, perhaps, and have not ended, as far as anybody knows.
    resume: Vec<Known>,
    /// The first new one; none when this child is only to finish.
    pub(super) next: Option<u64>,
}

/// What was acknowledged to the client of a saga, which relies on it: nothing of it is asked for again.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    pub(super) number: u64,
    pub(super) started: bool,
    /// How many signals, from the first on.
    pub(super) signals: u64,
    pub(super) cancelled: bool,
}

/// How the sagas' steps are named, and what each depends on.
pub(super) const STEPS: [(&str, &[&str]); 6] = [
    ("a", &[]),
    ("b1", &["a"]),
    ("b2", &["a"]),
    ("c", &["b1", "b2"]),
    ("p", &["c"]),
    ("r", &["p"]),
];

const FILE: &str = r#"
name = "by_file"
[defaults]
start_to_close = "150ms"
retry = { initial_interval = "2ms", maximum_interval = "20ms" }
[defaults.compensation]
start_to_close = "150ms"
retry = { initial_interval = "2ms", maximum_interval = "20ms" }
"#;

/// The saga as a file.
fn file() -> SagaDefinition {
    let mut text = FILE.to_owned();
    for (name, after) in STEPS {
        let _ = write!(
            text,
            "[[step]]\nname = {name:?}\nafter = {after:?}\nactivity = \"act\"\ninput = {{ step = {name:?} }}\n"
        );
        text.push_str(match name {
            "p" => "kind = \"pivot\"\ncompensation = { activity = \"undo\" }\n",
            "r" => "kind = \"retriable\"\n",
            _ => "compensation = { activity = \"undo\" }\n",
        });
    }
    saga(&text)
}

#[derive(Debug, Serialize, Deserialize)]
struct Effect {
    step: String,
}

#[activity]
async fn act(cx: ActivityContext, effect: Effect) -> Result<String, Failure> {
    ask(&cx, &effect.step).await
}

#[activity(start_to_close = "150ms", retry(initial_interval = "2ms", maximum_interval = "20ms"))]
async fn undo(cx: ActivityContext, undo: Undo<Effect, String>) -> Result<String, Failure> {
    ask(&cx, &undo.input.step).await
}

/// One request to a participant, over a connection of its own.
async fn ask(cx: &ActivityContext, step: &str) -> Result<String, Failure> {
    let lost = |error: std::io::Error| Failure::new("Lost", error.to_string());
    let (info, address) = (cx.info(), cx.state::<SocketAddr>().unwrap());
    let stream = TcpStream::connect(*address).await.map_err(lost)?;
    let line = format!("{} {step} {}\n", info.workflow_id, info.idempotency_key);
    let mut unsent = line.as_bytes();
    while !unsent.is_empty() {
        stream.writable().await.map_err(lost)?;
        match stream.try_write(unsent) {
            Ok(sent) => unsent = &unsent[sent..],
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(lost(error)),
        }
    }
    let (mut answer, mut buffer) = (String::new(), [0; 64]);
    loop {
        stream.readable().await.map_err(lost)?;
        match stream.try_read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => answer.push_str(&String::from_utf8_lossy(&buffer[..read])),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(lost(error)),
        }
    }
    match answer.trim() {
        "done" => Ok(info.idempotency_key.clone()),
        "refused" => Err(Failure::not_applied("Refused", "nothing happened")),
        "broken" => Err(Failure::non_retryable("Broken", "who knows")),
        other => Err(Failure::new("Busy", format!("try again: {other:?}"))),
    }
}

fn options() -> ActivityOptions {
    ActivityOptions {
        start_to_close: Some(Duration::from_millis(150)),
        retry: RetryPolicy {
            initial_interval: Duration::from_millis(2),
            maximum_interval: Some(Duration::from_millis(20)),
            ..RetryPolicy::default()
        },
        ..ActivityOptions::default()
    }
}

/// The saga as code, with signals and a nap.
#[workflow]
async fn by_code(cx: WorkflowContext, signals: u64) -> Result<Vec<u64>, Failure> {
    let (saga, effect) = (cx.saga(), |step: &str| Effect { step: step.to_owned() });
    let step = |name: &str| {
        saga.run(act, &effect(name))
            .step(name)
            .options(options())
            .compensate(undo)
    };
    step("a").await?;
    let (received, mut seen) = (cx.signal::<u64>("go"), Vec::new());
    for _ in 0..signals {
        seen.push(received.recv().await?);
    }
    try_join(step("b1"), step("b2")).await?;
    cx.sleep(Duration::from_millis(2)).await?;
    step("c").await?;
    saga.pivot(act, &effect("p"))
        .step("p")
        .options(options())
        .compensate(undo)
        .await?;
    saga.retriable(act, &effect("r")).step("r").options(options()).await?;
    Ok(seen)
}

/// How many signals saga `number` gets.
pub(super) fn signals_of(number: u64) -> u64 {
    number % 4
}

/// Whether saga `number` is written in code.
pub(super) fn is_code(number: u64) -> bool {
    number % 5 < 3
}

fn is_cancelled(number: u64) -> bool {
    number % 9 == 4
}

impl Order {
    pub(super) fn new(resume: Vec<Known>, next: Option<u64>) -> Self {
        Self {
            data: PathBuf::new(),
            participants: SocketAddr::from(([127, 0, 0, 1], 0)),
            resume,
            next,
        }
    }

    /// As text for the child's stdin.
    pub(super) fn to_text(&self) -> String {
        let mut text = String::new();
        for known in &self.resume {
            let (started, cancelled) = (u64::from(known.started), u64::from(known.cancelled));
            let _ = writeln!(text, "resume {} {started} {} {cancelled}", known.number, known.signals);
        }
        if let Some(next) = self.next {
            let _ = writeln!(text, "next {next}");
        }
        text
    }

    /// The order of this process, if it is a child.
    #[expect(clippy::disallowed_methods, reason = "how a child is told that it is one")]
    pub(super) fn from_environment() -> Option<Self> {
        let data = std::env::var(super::process::DATA).ok()?;
        let participants = std::env::var(super::process::PARTICIPANTS).ok()?;
        let mut order = Self::new(Vec::new(), None);
        order.data = PathBuf::from(data);
        order.participants = participants.parse().unwrap();
        for line in std::io::stdin().lock().lines() {
            let line = line.unwrap();
            let numbers: Vec<u64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
            match numbers[..] {
                [number, started, signals, cancelled] => order.resume.push(Known {
                    number,
                    started: started == 1,
                    signals,
                    cancelled: cancelled == 1,
                }),
                _ => order.next = numbers.first().copied(),
            }
        }
        Some(order)
    }
}

/// The child's whole life, if nobody ends it.
pub(super) fn live(order: &Order) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let builder = Amends::builder().sled(&order.data).shards(2).state(order.participants);
        // A part of the runs leaves memory while they wait.
        let builder = builder.passivate_after(Duration::from_millis(20));
        let amends = builder
            .activity(act)
            .activity(undo)
            .workflow(by_code)
            .saga(file())
            .start()
            .await
            .unwrap();
        let places = Arc::new(Semaphore::new(SAGAS));
        let new = order.next.map_or(0..0, |next| next..next + NEW_SAGAS);
        let new = new.map(|number| Known {
            number,
            ..Known::default()
        });
        for known in order.resume.iter().copied().chain(new) {
            let place = places.clone().acquire_owned().await.unwrap();
            println!("@trying {}", known.number);
            let amends = amends.clone();
            tokio::spawn(async move {
                lead(&amends, known).await;
                drop(place);
            });
        }
        let _all = places.acquire_many(u32::try_from(SAGAS).unwrap()).await.unwrap();
        if order.next.is_some() {
            // Faster than expected: waits to be killed.
            std::future::pending::<()>().await;
        }
        amends.shutdown(Duration::from_secs(10)).await;
        println!("@done 0");
    });
}

/// One saga from its start to its end, as a careful client leads it: what was not acknowledged is asked for again.
async fn lead(amends: &Amends, known: Known) {
    let number = known.number;
    let (id, client) = (format!("s{number}"), amends.client());
    let run = match known.started {
        true => amends.find(&id).await.unwrap(),
        false => {
            let (name, input) = match is_code(number) {
                true => ("by_code", json!(signals_of(number))),
                false => ("by_file", Value::Null),
            };
            let starter = amends.workflow_by_name(name).id(&id).request_id("start");
            let run = starter.start(&input).await.unwrap();
            println!("@started {number}");
            run
        }
    };
    for signal in known.signals..signals_of(number) {
        let options = SignalOptions {
            request_id: Some(format!("signal-{signal}")),
            ..SignalOptions::default()
        };
        match client.signal_with(&id, "go", &signal, options).await {
            Ok(()) => println!("@signaled {number} {signal}"),
            Err(Error::Rejected(Rejection::Closed)) => {}
            Err(other) => panic!("signal {signal} of {id}: {other}"),
        }
    }
    if is_cancelled(number) && !known.cancelled {
        match run.cancel("changed my mind").await {
            Ok(()) => println!("@cancelled {number}"),
            Err(Error::Rejected(Rejection::Closed | Rejection::PastPivot)) => {}
            Err(other) => panic!("cancel of {id}: {other}"),
        }
    }
    let outcome = run.outcome().await.unwrap();
    println!("@ended {number} {}", outcome.status());
}
