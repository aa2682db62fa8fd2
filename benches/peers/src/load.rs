//! What both peers' programs share: closed loops of clients, what counts, and CPU time of whole process trees. Must not
//! live here: anything about one peer.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;

/// Why there are no figures.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What the command line asks for: `--workload steps|rollback --in-flight N --seconds S --server PID --url URL`.
#[derive(Clone, Debug)]
pub struct Options {
    pub rollback: bool,
    pub in_flight: usize,
    pub seconds: f64,
    /// The process whose CPU time counts, with all its descendants, beside this one's.
    pub server: Option<u32>,
    pub url: String,
}

impl Options {
    pub fn read() -> Result<Self, Failure> {
        let mut options = Self {
            rollback: false,
            in_flight: 64,
            seconds: 5.0,
            server: None,
            url: String::new(),
        };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
            match (word.as_str(), value.as_str()) {
                ("--workload", "steps") => options.rollback = false,
                ("--workload", "rollback") => options.rollback = true,
                ("--in-flight", number) => options.in_flight = number.parse()?,
                ("--seconds", number) => options.seconds = number.parse()?,
                ("--server", pid) => options.server = Some(pid.parse()?),
                ("--url", url) => options.url = url.to_owned(),
                _ => return Err(format!("what is {word} {value}?").into()),
            }
        }
        Ok(options)
    }
}

/// A quarter of the time warms up; then everything that ends counts until the time is over. One JSON object tells it.
pub async fn measure<F, S>(peer: &str, options: &Options, saga: F) -> Result<(), Failure>
where
    F: Fn(u64) -> S + Clone + Send + Sync + 'static,
    S: Future<Output = Result<(), Failure>> + Send,
{
    let (open, over) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let number = Arc::new(AtomicU64::new(0));
    let mut clients = JoinSet::new();
    for _ in 0..options.in_flight {
        let (saga, open, over, number) = (saga.clone(), Arc::clone(&open), Arc::clone(&over), Arc::clone(&number));
        clients.spawn(async move {
            let mut latencies = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let begun = Instant::now();
                saga(number.fetch_add(1, Ordering::Relaxed)).await?;
                if open.load(Ordering::Relaxed) {
                    latencies.push(begun.elapsed());
                }
            }
            Ok::<_, Failure>(latencies)
        });
    }
    tokio::time::sleep(Duration::from_secs_f64(options.seconds / 4.0)).await;
    let (begun, cpu) = (Instant::now(), cpu_seconds(options.server)?);
    open.store(true, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs_f64(options.seconds)).await;
    open.store(false, Ordering::Relaxed);
    let (time, cpu) = (begun.elapsed().as_secs_f64(), cpu_seconds(options.server)? - cpu);
    over.store(true, Ordering::Relaxed);
    let mut latencies: Vec<Duration> = Vec::new();
    while let Some(ended) = clients.join_next().await {
        latencies.extend(ended??);
    }
    latencies.sort_unstable();
    let sagas = latencies.len();
    let percentile = |percent: usize| {
        let at = (sagas.saturating_sub(1) * percent + 50) / 100;
        latencies.get(at).map_or(0.0, |latency| latency.as_secs_f64() * 1e6)
    };
    let figures = json!({
        "peer": peer,
        "workload": if options.rollback { "rollback" } else { "steps" },
        "in_flight": options.in_flight,
        "sagas": sagas,
        "sagas_per_second": sagas as f64 / time,
        "p50_us": percentile(50),
        "p99_us": percentile(99),
        "cpu_us_per_saga": cpu * 1e6 / sagas.max(1) as f64,
    });
    println!("{figures}");
    Ok(())
}

/// User and system time so far of this process and of the server with all its descendants, those that have ended
/// included: databases start and end processes as they like.
fn cpu_seconds(server: Option<u32>) -> Result<f64, Failure> {
    let mut wanted: HashSet<u32> = server.into_iter().collect();
    let mut ticks = 0;
    let mut stats = Vec::new();
    for entry in std::fs::read_dir("/proc")?.flatten() {
        if let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>()
            && let Ok(text) = std::fs::read_to_string(entry.path().join("stat"))
            && let Some(stat) = Stat::read(&text)
        {
            stats.push((pid, stat));
        }
    }
    // Children of children, until no more are found.
    loop {
        let before = wanted.len();
        let children = stats.iter().filter(|(_, stat)| wanted.contains(&stat.parent));
        let children: Vec<u32> = children.map(|(pid, _)| *pid).collect();
        wanted.extend(children);
        if wanted.len() == before {
            break;
        }
    }
    wanted.insert(std::process::id());
    for (pid, stat) in &stats {
        if wanted.contains(pid) {
            ticks += stat.ticks;
        }
    }
    // Linux counts in hundredths of a second, whatever its own clock does.
    Ok(ticks as f64 / 100.0)
}

struct Stat {
    parent: u32,
    ticks: u64,
}

impl Stat {
    /// The fields after the program's name, which may have blanks and brackets itself.
    fn read(text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            ticks: number(11)? + number(12)? + number(13)? + number(14)?,
        })
    }
}
