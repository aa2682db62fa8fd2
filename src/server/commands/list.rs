//! `amends list`. Must not live here: anything that executes runs.

use clap::Args;

use crate::engine::{Clock, ListQuery, Offline, RunCount, RunDescription, RunHead, RunPage, RunQuery, SystemClock};
use crate::model::{RunId, RunStatus, WorkflowType};
use crate::server::advice;
use crate::server::console::{Console, FAINT, OutputArgs, style_of};
use crate::server::desk;
use crate::server::dto;
use crate::server::exit::{Exit, Refusal};
use crate::server::input::{DataArgs, run_id};
use crate::server::text::{Cell, duration, table};

/// Runs that a page has when nothing else is said.
const LIMIT: u32 = 100;

/// List runs, newest first: amends list --data DIR
///
/// A run that waits for a person says what for: amends list --status stuck,parked
///
/// Runs are found by what they have: amends list --query "WorkflowType = 'order' AND Amount > 100 ORDER BY CloseTime DESC".
/// docs/visibility.md has the whole language.
///
/// Reads the data directory and executes nothing. An engine that is running has the directory to itself.
#[derive(Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    data: DataArgs,
    /// Only runs that this query means
    #[arg(long, value_name = "QUERY", default_value = "", hide_default_value = true)]
    query: String,
    /// Only say how many there are, and how many of each status
    #[arg(long, conflicts_with_all = ["page", "before"])]
    count: bool,
    /// The page that this token leads to: the one before said it
    #[arg(long, value_name = "TOKEN", conflicts_with = "before")]
    page: Option<String>,
    /// Only runs with this status (running, unwinding, stuck, parked, paused, completed, amended, failed, canceled, terminated,
    /// timed-out, continued-as-new), or several: stuck,parked
    #[arg(long, value_name = "STATUS", value_delimiter = ',', value_parser = status)]
    status: Vec<RunStatus>,
    /// Only runs of this workflow or saga
    #[arg(long = "type", value_name = "NAME")]
    workflow_type: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = LIMIT, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// Only runs older than this one: the next page
    #[arg(long, value_name = "RUN-ID", value_parser = run_id)]
    before: Option<RunId>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

fn status(text: &str) -> Result<RunStatus, String> {
    let found = RunStatus::ALL.into_iter().find(|status| status.as_str() == text);
    found.ok_or_else(|| {
        let known: Vec<&str> = RunStatus::ALL.iter().map(|status| status.as_str()).collect();
        format!("no such status; there are {}", known.join(", "))
    })
}

pub(crate) fn run(args: &ListArgs, console: &Console) -> Result<Exit, Refusal> {
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let heads = ListQuery {
        statuses: args.status.clone(),
        workflow_type: args
            .workflow_type
            .clone()
            .map(WorkflowType::new)
            .transpose()
            .map_err(crate::engine::Error::from)?,
        before: args.before,
        limit,
        ..ListQuery::default()
    };
    let mut query = RunQuery::from(&heads).query(args.query.as_str());
    if let Some(page) = &args.page {
        query = query.page(page.parse()?);
    }
    let offline = args.data.open()?;
    if args.count {
        count(&offline.count(query)?, console);
        return Ok(Exit::Done);
    }
    let RunPage { runs, next } = offline.list(query)?;
    for (place, run) in runs.iter().enumerate() {
        if console.is_gone() {
            break;
        }
        if console.is_json() {
            let mut object = dto::head(run);
            let stuck = waiting(&offline, run)?.map(|found| found.stuck).unwrap_or_default();
            // Only the last one of a page says where the list goes on.
            if let Some(next) = next.as_ref().filter(|_| place + 1 == runs.len()) {
                dto::put(&mut object, "next_page", next.to_string());
            }
            dto::put(&mut object, "stuck", stuck.iter().map(dto::stuck).collect::<Vec<_>>());
            console.object(&object);
        }
    }
    if console.is_json() {
        return Ok(Exit::Done);
    }
    if runs.is_empty() {
        console.note("no runs");
        return Ok(Exit::Done);
    }
    let lines = table(&rows(&runs), console);
    let (heading, lines) = lines.split_at(lines.len().min(1));
    heading.iter().for_each(|line| console.line(line));
    let now = SystemClock.now();
    for (line, run) in lines.iter().zip(&runs) {
        if console.is_gone() {
            break;
        }
        console.line(line);
        if let Some(found) = waiting(&offline, run)? {
            let paused = found.paused.iter().map(ToString::to_string);
            let parked = found.parked.iter().map(|reason| format!("parked: {reason}"));
            let stuck = found.stuck.iter().map(|stuck| desk::summary(stuck, now));
            paused
                .chain(parked)
                .chain(stuck)
                .for_each(|what| console.line(format!("  {what}")));
        }
    }
    if let Some(next) = next {
        console.note(format!("more: {}", next_page(args, &next.to_string())));
    }
    Ok(Exit::Done)
}

/// The command that shows what follows: the same one with another page.
fn next_page(args: &ListArgs, page: &str) -> String {
    let mut command = format!("amends list {}", advice::options(&args.data));
    let mut add = |option: &str, value: &str| command.push_str(&format!(" {option} {}", advice::shell_word(value)));
    if !args.query.is_empty() {
        add("--query", &args.query);
    }
    if !args.status.is_empty() {
        let statuses: Vec<&str> = args.status.iter().map(|status| status.as_str()).collect();
        add("--status", &statuses.join(","));
    }
    if let Some(name) = &args.workflow_type {
        add("--type", name);
    }
    if args.limit != LIMIT {
        add("--limit", &args.limit.to_string());
    }
    add("--page", page);
    command
}

fn count(count: &RunCount, console: &Console) {
    let by_status = count.by_status.iter();
    let groups: serde_json::Map<_, _> = by_status
        .map(|(status, runs)| (status.to_string(), (*runs).into()))
        .collect();
    console.object(&serde_json::json!({"count": count.runs, "by_status": groups}));
    if console.is_json() {
        return;
    }
    console.line(count.runs.to_string());
    for (status, runs) in &count.by_status {
        console.line(format!(
            "  {} {runs}",
            console.paint(style_of(*status), &format!("{status:<10}"))
        ));
    }
}

/// The run step by step, if it waits for a person.
fn waiting(offline: &Offline, run: &RunHead) -> Result<Option<RunDescription>, Refusal> {
    match run.status {
        RunStatus::Stuck | RunStatus::Parked | RunStatus::Paused => {
            Ok(Some(offline.describe(&run.run_id.to_string())?))
        }
        _ => Ok(None),
    }
}

fn rows(runs: &[RunHead]) -> Vec<[Cell; 6]> {
    let heading = ["workflow id", "status", "type", "started", "took", "run id"];
    let heading = heading.map(|title| Cell::styled(title, FAINT));
    let row = |run: &RunHead| {
        let took = run.closed_at.map(|closed| duration(closed.since(run.started_at)));
        [
            run.workflow_id.to_string().into(),
            Cell::styled(run.status.as_str(), style_of(run.status)),
            run.workflow_type.to_string().into(),
            seconds(&run.started_at.to_string()).into(),
            took.unwrap_or_default().into(),
            run.run_id.to_string().into(),
        ]
    };
    std::iter::once(heading).chain(runs.iter().map(row)).collect()
}

/// `2026-01-31T12:00:00Z` of a time with microseconds.
fn seconds(time: &str) -> String {
    match time.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => time.to_owned(),
    }
}
