//! The way out: results on standard output, everything else on standard error, colour only on terminals. A reader that
//! has gone away (`| head`) is no error. Must not live here: what is said.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};

use crate::model::RunStatus;

use super::exit::Refusal;

/// For whom the output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs: one JSON object a line, on standard output.
    Json,
}

/// The option that every command has.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(crate) struct OutputArgs {
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

impl OutputArgs {
    pub(crate) fn format(self) -> Format {
        match self.json {
            true => Format::Json,
            false => Format::Text,
        }
    }
}

pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(crate) const STRONG: Style = Style::new().bold();
pub(crate) const FAINT: Style = Style::new().dimmed();

/// The colour of a status.
pub(crate) fn style_of(status: RunStatus) -> Style {
    match status {
        RunStatus::Completed => GOOD,
        RunStatus::Amended | RunStatus::Unwinding | RunStatus::Paused => WARN,
        RunStatus::Running => STRONG,
        _ => BAD,
    }
}

/// Where a command says what it has to say.
pub(crate) struct Console {
    format: Format,
    colors: bool,
    error_colors: bool,
    /// Whether a line that replaces itself can be shown.
    can_replace: bool,
    /// Whether such a line stands there now.
    replaceable: Mutex<bool>,
    gone: AtomicBool,
}

impl Console {
    pub(crate) fn new(format: Format) -> Self {
        Self {
            format,
            colors: format == Format::Text && wants_colors() && io::stdout().is_terminal(),
            error_colors: stderr_has_colors(),
            can_replace: format == Format::Text && io::stderr().is_terminal(),
            replaceable: Mutex::new(false),
            gone: AtomicBool::new(false),
        }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Whether nobody reads standard output any more: long output may stop.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    /// A line of the result, for people.
    pub(crate) fn line(&self, text: impl AsRef<str>) {
        if !self.is_json() {
            self.clear();
            self.write(text.as_ref());
        }
    }

    /// An object of the result, for programs.
    pub(crate) fn object(&self, value: &Value) {
        if self.is_json() {
            self.write(&value.to_string());
        }
    }

    /// A line about what is going on, on standard error; programs get nothing of it.
    pub(crate) fn note(&self, text: impl AsRef<str>) {
        if !self.is_json() {
            self.clear();
            let _ = writeln!(io::stderr().lock(), "{}", text.as_ref());
        }
    }

    /// Whether [`Console::replace`] shows anything.
    pub(crate) fn can_replace(&self) -> bool {
        self.can_replace
    }

    /// A line about what is going on that the next one replaces: only on a terminal.
    pub(crate) fn replace(&self, text: &str) {
        if self.can_replace {
            let mut replaceable = self.replaceable.lock().unwrap_or_else(PoisonError::into_inner);
            let mut stderr = io::stderr().lock();
            let _ = write!(stderr, "\r{text}\x1b[K").and_then(|()| stderr.flush());
            *replaceable = true;
        }
    }

    /// Takes a replaceable line away.
    pub(crate) fn clear(&self) {
        let mut replaceable = self.replaceable.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut *replaceable) {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }

    /// Why the command refuses: `error[E0007]: ...` on standard error; programs get an object as well.
    pub(crate) fn refuse(&self, refusal: &Refusal) {
        self.clear();
        let code = refusal.code.map(|code| code.to_string());
        self.object(&json!({
            "type": "error", "code": code, "message": refusal.message, "hint": refusal.hint,
        }));
        let label = match &code {
            Some(code) => format!("error[{code}]"),
            None => "error".to_owned(),
        };
        let label = self.paint_error(BAD, &label);
        let mut stderr = io::stderr().lock();
        let (details, last) = match refusal.message.rsplit_once('\n') {
            Some((details, last)) => (Some(details), last),
            None => (None, refusal.message.as_str()),
        };
        let _ = details.iter().try_for_each(|details| writeln!(stderr, "{details}"));
        let _ = writeln!(stderr, "{label}: {last}");
        if let Some(hint) = &refusal.hint {
            let _ = writeln!(stderr, "  help: {hint}");
        }
    }

    /// The text in this style, for standard output.
    pub(crate) fn paint(&self, style: Style, text: &str) -> String {
        painted(self.colors, style, text)
    }

    /// The text in this style, for standard error.
    pub(crate) fn paint_error(&self, style: Style, text: &str) -> String {
        painted(self.error_colors, style, text)
    }

    fn write(&self, text: &str) {
        let mut stdout = io::stdout().lock();
        // Flushed line by line: a program at the other end of a pipe follows along.
        if writeln!(stdout, "{text}").and_then(|()| stdout.flush()).is_err() {
            self.gone.store(true, Ordering::Relaxed);
        }
    }
}

fn painted(colors: bool, style: Style, text: &str) -> String {
    match colors {
        true => format!("{style}{text}{style:#}"),
        false => text.to_owned(),
    }
}

pub(crate) fn stderr_has_colors() -> bool {
    wants_colors() && io::stderr().is_terminal()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the terminal's conventions are in the environment; only the binary looks"
)]
fn wants_colors() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    !is_set("NO_COLOR") && !is_dumb
}
