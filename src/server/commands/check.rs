//! `amends check`. Must not live here: the checks (those are `definition`'s).

use std::collections::BTreeMap;
use std::path::PathBuf;

use anstyle::Style;
use clap::Args;
use serde_json::{Value, json};

use crate::SagaDefinition;
use crate::engine::{
    CheckReport, Drawing, DrawingFormat, Error, HTTP_ACTIVITY, Problem, Severity, activities_of, check_saga, saga_files,
};
use crate::server::console::{BAD, Console, FAINT, GOOD, OutputArgs, STRONG, WARN};
use crate::server::exit::{Exit, Refusal};
use crate::server::input::{GraphArgs, SettingArgs};
use crate::server::text::count;

/// Check saga definitions and report every problem with line and column: amends check sagas/
///
/// Exits with 0 when all of them can be used (warnings are allowed), otherwise with 2. With --graph, standard output has
/// nothing but the drawings; problems are on standard error.
#[derive(Args)]
pub(crate) struct CheckArgs {
    /// Definition files, or directories of them
    #[arg(value_name = "FILE", required = true)]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    settings: SettingArgs,
    #[command(flatten)]
    graph: GraphArgs,
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

/// What was found, and where it is said.
struct Findings<'a> {
    console: &'a Console,
    /// The drawings have standard output to themselves.
    graph: Option<DrawingFormat>,
    totals: Totals,
}

pub(crate) fn run(args: &CheckArgs, console: &Console) -> Result<Exit, Refusal> {
    let settings = args.settings.to_map();
    let mut findings = Findings {
        console,
        graph: args.graph.format(),
        totals: Totals::default(),
    };
    for path in &args.paths {
        let files = match saga_files(path) {
            Ok(files) => files,
            Err(error) => {
                findings.unreadable(&error);
                continue;
            }
        };
        if files.is_empty() {
            let path = path.display();
            console.note(format!("{path}: no *.toml file in this directory"));
        }
        for file in files {
            findings.totals.files += 1;
            match check_saga(&file, &settings) {
                Ok((saga, report)) => findings.report_file(saga.as_ref(), report),
                Err(error) => findings.unreadable(&error),
            }
        }
    }
    let totals = findings.totals;
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

impl Findings<'_> {
    fn say(&self, line: &str) {
        match self.graph {
            Some(_) => self.console.note(line),
            None => self.console.line(line),
        }
    }

    fn paint(&self, style: Style, text: &str) -> String {
        match self.graph {
            Some(_) => self.console.paint_error(style, text),
            None => self.console.paint(style, text),
        }
    }

    fn unreadable(&mut self, error: &Error) {
        self.totals.errors += 1;
        let code = error.code().to_string();
        let object = json!({"type": "error", "code": code, "message": error.to_string()});
        self.console.object(&object);
        self.say(&format!("{}: {error}", self.paint(BAD, &format!("error[{code}]"))));
    }

    fn report_file(&mut self, saga: Option<&SagaDefinition>, report: CheckReport) {
        let CheckReport { file, mut problems } = report;
        problems.extend(saga.and_then(|saga| self.known_name(saga, &file)));
        for problem in &problems {
            match problem.severity {
                Severity::Error => self.totals.errors += 1,
                Severity::Warning => self.totals.warnings += 1,
            }
            self.console.object(&problem_object(&file, problem));
            self.say(&self.problem_line(&file, problem));
        }
        let Some(saga) = saga else { return };
        let mut activities = activities_of(saga);
        activities.remove(HTTP_ACTIVITY);
        self.console.object(&json!({
            "type": "saga", "file": file, "name": saga.name().as_str(), "steps": saga.steps().len(),
            "digest": saga.digest().to_string(), "rust_activities": activities,
        }));
        let steps = count(saga.steps().len() as u64, "step");
        self.say(&format!(
            "{file}: {} {} ({steps})",
            self.paint(GOOD, "ok:"),
            saga.name()
        ));
        if !activities.is_empty() {
            let names: Vec<String> = activities.into_iter().collect();
            let note = self.paint(FAINT, "note:");
            let names = names.join(", ");
            self.say(&format!("{file}: {note} runs only in a program that registers {names}"));
        }
        if let Some(format) = self.graph {
            graph(saga.name().as_str(), &saga.drawing(), format, self.console);
        }
    }

    /// A warning, when another file's saga has the same name and version: others stand side by side.
    fn known_name(&mut self, saga: &SagaDefinition, file: &str) -> Option<Problem> {
        let name = saga.versioned_name();
        let Some(first) = self.totals.names.get(&name) else {
            self.totals.names.insert(name, file.to_owned());
            return None;
        };
        Some(Problem {
            position: None,
            place: "name".to_owned(),
            message: format!("{first} has a saga of the name {name:?} too"),
            hint: Some("one engine takes only one of them".to_owned()),
            severity: Severity::Warning,
        })
    }

    fn problem_line(&self, file: &str, problem: &Problem) -> String {
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
        format!("{place}: {}{text}", self.paint(style, label))
    }
}

/// A drawing as the result.
pub(super) fn graph(name: &str, drawing: &Drawing, format: DrawingFormat, console: &Console) {
    let text = drawing.render(format);
    let format = match format {
        DrawingFormat::Mermaid => "mermaid",
        DrawingFormat::Dot => "dot",
    };
    console.object(&json!({"type": "graph", "name": name, "format": format, "graph": text}));
    console.line(text.trim_end());
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
