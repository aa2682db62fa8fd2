//! `amends check`. Must not live here: the checks (those are `definition`'s).

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use crate::SagaDefinition;
use crate::engine::{CheckReport, Error, HTTP_ACTIVITY, Problem, Severity, activities_of, check_saga, saga_files};
use crate::server::console::{BAD, Console, FAINT, GOOD, OutputArgs, STRONG, WARN};
use crate::server::exit::{Exit, Refusal};
use crate::server::input::SettingArgs;
use crate::server::text::count;

/// Check saga definitions and report every problem with line and column: amends check sagas/
///
/// Exits with 0 when all of them can be used (warnings are allowed), otherwise with 2.
#[derive(Args)]
pub(crate) struct CheckArgs {
    /// Definition files, or directories of them
    #[arg(value_name = "FILE", required = true)]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    settings: SettingArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Default)]
struct Totals {
    files: u64,
    errors: u64,
    warnings: u64,
    /// Which file a name was first seen in.
    names: BTreeMap<String, String>,
}

pub(crate) fn run(args: &CheckArgs, console: &Console) -> Result<Exit, Refusal> {
    let settings = args.settings.to_map();
    let mut totals = Totals::default();
    for path in &args.paths {
        let files = match saga_files(path) {
            Ok(files) => files,
            Err(error) => {
                unreadable(&error, &mut totals, console);
                continue;
            }
        };
        if files.is_empty() {
            let path = path.display();
            console.note(format!("{path}: no *.toml file in this directory"));
        }
        for file in files {
            totals.files += 1;
            match check_saga(&file, &settings) {
                Ok((saga, report)) => report_file(saga.as_ref(), report, &mut totals, console),
                Err(error) => unreadable(&error, &mut totals, console),
            }
        }
    }
    if totals.files == 0 && totals.errors == 0 {
        return Err(Refusal::usage("there is nothing to check"));
    }
    let (errors, warnings) = (totals.errors, totals.warnings);
    console.object(&json!({
        "type": "summary", "files": totals.files, "errors": errors, "warnings": warnings,
    }));
    let summary = format!(
        "{}: {}, {}",
        count(totals.files, "file"),
        count(errors, "error"),
        count(warnings, "warning")
    );
    console.note(console.paint_error(STRONG, &summary));
    Ok(match errors {
        0 => Exit::Done,
        _ => Exit::Usage,
    })
}

fn unreadable(error: &Error, totals: &mut Totals, console: &Console) {
    totals.errors += 1;
    let code = error.code().to_string();
    console.object(&json!({"type": "error", "code": code, "message": error.to_string()}));
    console.line(format!("{}: {error}", console.paint(BAD, &format!("error[{code}]"))));
}

fn report_file(saga: Option<&SagaDefinition>, report: CheckReport, totals: &mut Totals, console: &Console) {
    let CheckReport { file, mut problems } = report;
    if let Some(saga) = saga {
        let name = saga.name().to_string();
        if let Some(first) = totals.names.get(&name) {
            problems.push(Problem {
                position: None,
                place: "name".to_owned(),
                message: format!("{first} has a saga of the name {name:?} too"),
                hint: Some("one engine takes only one of them".to_owned()),
                severity: Severity::Warning,
            });
        } else {
            totals.names.insert(name, file.clone());
        }
    }
    for problem in &problems {
        match problem.severity {
            Severity::Error => totals.errors += 1,
            Severity::Warning => totals.warnings += 1,
        }
        console.object(&problem_object(&file, problem));
        console.line(problem_line(&file, problem, console));
    }
    let Some(saga) = saga else { return };
    let mut activities = activities_of(saga);
    activities.remove(HTTP_ACTIVITY);
    console.object(&json!({
        "type": "saga", "file": file, "name": saga.name().as_str(), "steps": saga.steps().len(),
        "digest": saga.digest().to_string(), "rust_activities": activities,
    }));
    let steps = count(saga.steps().len() as u64, "step");
    console.line(format!(
        "{file}: {} {} ({steps})",
        console.paint(GOOD, "ok:"),
        saga.name()
    ));
    if !activities.is_empty() {
        let names: Vec<String> = activities.into_iter().collect();
        let note = console.paint(FAINT, "note:");
        let names = names.join(", ");
        console.line(format!("{file}: {note} runs only in a program that registers {names}"));
    }
}

fn problem_object(file: &str, problem: &Problem) -> Value {
    json!({
        "type": "problem",
        "file": file,
        "line": problem.position.map(|position| position.line),
        "column": problem.position.map(|position| position.column),
        "severity": problem.severity.to_string(),
        "place": problem.place,
        "message": problem.message,
        "hint": problem.hint,
    })
}

fn problem_line(file: &str, problem: &Problem, console: &Console) -> String {
    let (style, label) = match problem.severity {
        Severity::Error => (BAD, "error:"),
        Severity::Warning => (WARN, "warning:"),
    };
    let text = problem.to_string();
    let text = text.strip_prefix(label).unwrap_or(&text);
    let place = match problem.position {
        Some(at) => format!("{file}:{}:{}", at.line, at.column),
        None => file.to_owned(),
    };
    format!("{place}: {}{text}", console.paint(style, label))
}
