//! From TOML text to what was authored. Lives here: the file's grammar, with every problem of form found in one pass.
//! Must not live here: what the parts mean together (that is `check`).

mod grammar;
pub(crate) mod limits;
pub(crate) mod table;

use toml::de::DeTable;

use super::authored::Saga;
use super::locations::Problems;

/// Reads a definition. Whatever cannot be read is reported and left out; nothing at all comes of malformed TOML.
pub(super) fn read(text: &str) -> (Option<Saga>, Problems) {
    document(text, grammar::saga)
}

/// Reads a TOML document by a grammar: a definition, or the configuration of an engine.
pub(crate) fn document<T>(text: &str, grammar: impl FnOnce(&DeTable<'_>, &mut Problems) -> T) -> (Option<T>, Problems) {
    let mut problems = Problems::of_text(text);
    let (document, malformed) = DeTable::parse_recoverable(text);
    for error in &malformed {
        let offset = error.span().map_or(0, |span| span.start);
        problems.error_at(offset, format!("not valid TOML: {}", error.message()));
    }
    // What the parser recovered from a malformed file is a guess: judging it would report problems that are not there.
    if !malformed.is_empty() {
        return (None, problems);
    }
    let read = grammar(document.get_ref(), &mut problems);
    (Some(read), problems)
}
