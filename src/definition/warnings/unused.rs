//! Settings and secrets that nothing reads. Must not live here: what reads them.

use serde_json::Value;

use super::super::authored;
use super::super::canonical::Saga;
use super::super::locations::Problems;

/// Settings that nothing reads.
pub(super) fn check(authored: &authored::Saga, saga: &Saga, problems: &mut Problems) {
    let texts = texts(saga);
    for key in saga.config.keys() {
        let used = texts.iter().any(|text| has_word(text, "config") && has_word(text, key));
        if !used {
            problems
                .warning(&format!("config.{key}"), format!("nothing reads `config.{key}`"))
                .hint("remove it, or write ${ config.<key> } where it is meant");
        }
    }
    for (index, name) in authored.secrets.iter().enumerate() {
        let used = texts
            .iter()
            .any(|text| has_word(text, "secret") && has_word(text, name));
        if !used {
            problems
                .warning(&format!("secrets[{index}]"), format!("nothing reads `secret.{name}`"))
                .hint("remove it: what is not listed cannot leak");
        }
    }
}

/// Every text of a definition in which an expression may stand.
fn texts(saga: &Saga) -> Vec<String> {
    let mut texts = Vec::new();
    let saga: Value = serde_json::from_slice(&saga.to_bytes()).unwrap_or_default();
    for (key, value) in saga.as_object().into_iter().flatten() {
        if !["name", "version", "description", "config", "secrets"].contains(&key.as_str()) {
            collect_texts(value, &mut texts);
        }
    }
    texts
}

fn collect_texts(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) if text.contains("${") => texts.push(text.clone()),
        Value::Array(elements) => elements.iter().for_each(|element| collect_texts(element, texts)),
        Value::Object(entries) => entries.values().for_each(|value| collect_texts(value, texts)),
        _ => {}
    }
}

/// Whether the word is there, not only as a part of a longer one. No more than that is asked: a warning too few is better
/// than one that is wrong.
fn has_word(text: &str, word: &str) -> bool {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
    text.match_indices(word).any(|(start, found)| {
        let before = text.get(..start).and_then(|before| before.chars().next_back());
        let after = text.get(start + found.len()..).and_then(|after| after.chars().next());
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}
