//! `amends verify`. Must not live here: the checks.

use clap::Args;
use serde_json::json;

use crate::server::console::{BAD, Console, GOOD, OutputArgs};
use crate::server::exit::{Exit, Refusal};
use crate::server::input::DataArgs;
use crate::server::text::count;

/// Check everything in a data directory, byte by byte and history by history: amends verify --data DIR
///
/// Exits with 4 when anything is damaged. Changes nothing, executes nothing.
#[derive(Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

pub(crate) fn run(args: &VerifyArgs, console: &Console) -> Result<Exit, Refusal> {
    let offline = args.data.open()?;
    let report = offline.verify(&mut |progress| {
        console.replace(&format!(
            "checking: {}, {}",
            count(progress.runs, "run"),
            count(progress.turns, "turn")
        ));
    })?;
    for problem in &report.problems {
        let run = problem.run.map(|run| run.to_string());
        console.object(&json!({"type": "problem", "run_id": run, "what": problem.what}));
        console.line(format!("{} {problem}", console.paint(BAD, "damaged:")));
    }
    let problems = report.problems.len() as u64;
    console.object(&json!({
        "type": "verified", "runs": report.runs, "turns": report.turns, "bytes": report.bytes, "problems": problems,
    }));
    let verdict = match problems {
        0 => console.paint(GOOD, "all well"),
        problems => console.paint(BAD, &count(problems, "problem")),
    };
    console.line(format!(
        "{verdict}: {}, {}, {} checked",
        count(report.runs, "run"),
        count(report.turns, "turn"),
        count(report.bytes, "byte")
    ));
    Ok(match problems {
        0 => Exit::Done,
        _ => Exit::Failed,
    })
}
