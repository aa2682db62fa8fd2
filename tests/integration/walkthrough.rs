//! Pages and chapters that are executed, a night with stuck sagas in docs/operating.md and docs/command-line.md: their
//! definitions are written, their commands are typed, and what they print must be what the page says, but for times, ids and
//! durations. Must not live here: what commands do otherwise (`cli`).
//!
//! `AMENDS_UPDATE_SAMPLES=1` writes what the commands print now into the pages.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::cli::{Cli, Participants, sagas};

/// Where the participants of the page listen; those of the test take any free port.
const PORT_ON_THE_PAGE: &str = "127.0.0.1:8080";

/// A part of the chapter.
enum Block {
    /// Prose, and blocks that are not executed.
    Text(String),
    /// A definition, whose first line names its file.
    Toml(String),
    /// Commands, each with what it prints.
    Console(Vec<(String, String)>),
}

#[test]
fn the_night_goes_as_the_page_says() {
    walk("docs/operating.md", "## A saga is stuck at night");
}

#[test]
fn a_day_with_the_command_line_goes_as_its_page_says() {
    walk("docs/command-line.md", "# The command line, walked through");
}

/// Does what a chapter says, or the whole page under its title.
#[track_caller]
fn walk(name: &str, heading: &str) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let text = fs::read_to_string(&page).unwrap();
    let (before, chapter, after) = chapter(&text, heading);
    let cli = Cli::new();
    let participants = Participants::start(&cli);
    let here = format!("127.0.0.1:{}", participants.port);
    fs::create_dir(cli.path("sagas")).unwrap();
    let place_order = fs::read_to_string(sagas().join("place-order.toml")).unwrap();
    cli.write("sagas/place-order.toml", &place_order.replace(PORT_ON_THE_PAGE, &here));

    let mut now = String::new();
    let mut commands = 0;
    for block in blocks(chapter) {
        match block {
            Block::Text(text) => now.push_str(&text),
            Block::Toml(text) => {
                let name = text.lines().next().unwrap().trim_start_matches("# ");
                cli.write(name, &text.replace(PORT_ON_THE_PAGE, &here));
                write!(now, "```toml\n{text}```\n").unwrap();
            }
            Block::Console(typed) => {
                now.push_str("```console\n");
                for (command, said) in typed {
                    commands += 1;
                    let says = type_in(&cli, &command).replace(&here, PORT_ON_THE_PAGE);
                    let same = masked(&says) == masked(&said);
                    write!(now, "$ {command}\n{}", if same { &said } else { &says }).unwrap();
                }
                now.push_str("```\n");
            }
        }
    }
    assert!(
        commands > 10,
        "only {commands} commands found: looking in the wrong place?"
    );
    if now == chapter {
        return;
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "how samples are written anew, as elsewhere in the tests"
    )]
    let update = std::env::var_os("AMENDS_UPDATE_SAMPLES").is_some();
    if update {
        fs::write(&page, format!("{before}{now}{after}")).unwrap();
        return;
    }
    let differs = now.lines().zip(chapter.lines()).find(|(now, page)| now != page);
    panic!("{name} is not what happens; AMENDS_UPDATE_SAMPLES=1 mends it. First difference: {differs:#?}");
}

/// The page before the chapter, the chapter, and what follows it.
fn chapter<'a>(page: &'a str, heading: &str) -> (&'a str, &'a str, &'a str) {
    let from = page.find(heading).expect("the chapter is on the page");
    let (before, rest) = page.split_at(from);
    let next = rest[heading.len()..]
        .find("\n## ")
        .filter(|_| heading.starts_with("## "));
    let to = next.map_or(rest.len(), |to| heading.len() + to + 1);
    let (chapter, after) = rest.split_at(to);
    (before, chapter, after)
}

fn blocks(chapter: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = chapter.split_inclusive('\n');
    let mut text = String::new();
    while let Some(line) = lines.next() {
        let is_console = line == "```console\n";
        if !is_console && line != "```toml\n" {
            text.push_str(line);
            continue;
        }
        blocks.push(Block::Text(std::mem::take(&mut text)));
        let inside: String = lines.by_ref().take_while(|line| *line != "```\n").collect();
        blocks.push(match is_console {
            true => Block::Console(commands(&inside)),
            false => Block::Toml(inside),
        });
    }
    blocks.push(Block::Text(text));
    blocks
}

/// `$ command`, on several lines if they end in a backslash or inside a quotation, and what it prints.
fn commands(inside: &str) -> Vec<(String, String)> {
    let mut commands: Vec<(String, String)> = Vec::new();
    let mut continued = false;
    for line in inside.split_inclusive('\n') {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) if !continued => commands.push((command.trim_end().to_owned(), String::new())),
            (_, Some((command, _))) if continued => {
                command.push('\n');
                command.push_str(line.trim_end());
            }
            (_, Some((_, said))) => said.push_str(line),
            (_, None) => panic!("a console block begins with `$ `, not with {line:?}"),
        }
        continued = commands
            .last()
            .is_some_and(|(command, said)| said.is_empty() && is_unfinished(command));
    }
    commands
}

fn is_unfinished(command: &str) -> bool {
    command.ends_with('\\') || command.matches('\'').count() % 2 == 1
}

/// What a terminal shows of a command.
fn type_in(cli: &Cli, command: &str) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_amends"));
    let mut shell = cli.shell(&format!("exec 2>&1\n{command}"));
    let directory = program.parent().unwrap().display().to_string();
    shell.env("PATH", format!("{directory}:/usr/bin:/bin"));
    let output = shell.output().unwrap();
    let says = String::from_utf8(output.stdout).unwrap();
    assert!(!says.contains("panicked"), "{command}: {says}");
    says
}

/// The text without what is different each time: times, durations, ids, digests; and the padding that depends on them.
fn masked(text: &str) -> String {
    let mut masked = String::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
        let indent = line.len() - line.trim_start().len();
        masked.push_str(&" ".repeat(if indent > 0 { 2 } else { 0 }));
        let mut last_was_time_span = false;
        for (index, word) in words.iter().enumerate() {
            let bare = word.trim_matches(|c: char| "(),:;".contains(c));
            let unit = words
                .get(index + 1)
                .map(|next| next.trim_matches(|c: char| "(),:;".contains(c)));
            let is_number = bare.parse::<f64>().is_ok();
            let is_unit = index > 0 && matches!(bare, "ms" | "s") && words[index - 1].parse::<f64>().is_ok();
            let is_span = (is_number && matches!(unit, Some("ms" | "s"))) || is_unit || is_compound_span(bare);
            if is_span {
                if !last_was_time_span {
                    masked.push_str("<span> ");
                }
                last_was_time_span = true;
                continue;
            }
            last_was_time_span = false;
            let shown = match bare {
                _ if is_time(bare) => word.replace(bare, "<time>"),
                _ if is_id(bare) => word.replace(bare, "<id>"),
                _ => without_process_id(word),
            };
            masked.push_str(&shown);
            masked.push(' ');
        }
        masked.push('\n');
    }
    masked
}

/// `5h`, `12m`.
fn is_compound_span(word: &str) -> bool {
    let digits = word.trim_end_matches(char::is_alphabetic);
    let unit = &word[digits.len()..];
    digits.parse::<u32>().is_ok() && matches!(unit, "s" | "m" | "h" | "day" | "days")
}

fn is_time(word: &str) -> bool {
    word.len() >= 20 && word.ends_with('Z') && word.contains('T') && word.starts_with("20")
}

/// A run id or a digest.
fn is_id(word: &str) -> bool {
    word.len() >= 32 && word.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
}

fn without_process_id(word: &str) -> String {
    match word.split_once('@') {
        Some((name, pid)) if pid.starts_with(|c: char| c.is_ascii_digit()) => {
            let rest = pid.trim_start_matches(|c: char| c.is_ascii_digit());
            format!("{name}@<pid>{rest}")
        }
        _ => word.to_owned(),
    }
}

#[test]
fn only_what_is_different_each_time_is_masked() {
    let one = "o-1  stuck for 5h 12m: since 2026-01-31T03:12:09.000001Z, attempt 2 (run 0198a5c2-0000-7000-8000-000000000001)";
    let other = "o-1   stuck for 301 ms: since 2027-01-31T03:12:09.000001Z, attempt 2 (run 0298a5c2-0000-7000-8000-000000000001)";
    assert_eq!(masked(one), masked(other));
    assert_ne!(masked(one), masked(&one.replace("attempt 2", "attempt 3")));
    assert_ne!(masked(one), masked(&one.replace("o-1", "o-2")));
    assert_eq!(masked("by amends@12, 1.2 s"), masked("by amends@345, 12 ms"));
}
