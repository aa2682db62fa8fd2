//! The JSON Schema of definition files, `sagas/saga.schema.json`, for editors. Nobody writes it: it is what the reader
//! says about a key that it does not know and about values of the wrong type. So it cannot tell anything else than the
//! reader. The meanings of the keys are those of `sagas/README.md`, which has to explain each of them.
//!
//! `AMENDS_UPDATE_SAMPLES=1` writes the file.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::{ParseOptions, Problem, SagaDefinition};

const FILE: &str = include_str!("../../../sagas/saga.schema.json");
const README: &str = include_str!("../../../sagas/README.md");

/// A key that is like no other one.
const NOBODY: &str = "~";

/// One table of a file: `step.http`.
#[derive(Clone)]
struct Place(Vec<String>);

impl Place {
    fn below(&self, key: &str) -> Self {
        let mut path = self.0.clone();
        path.push(key.to_owned());
        Self(path)
    }

    /// What a file says with a value at a key of this table.
    fn said(&self, key: &str, value: &str) -> Vec<Problem> {
        let mut text = String::new();
        if self.0.first().is_some_and(|first| first == "step") {
            text.push_str("[[step]]\n");
        }
        if self.0.len() > 1 || (self.0.len() == 1 && text.is_empty()) {
            let quoted = |part: &String| match part == NOBODY {
                true => format!("\"{part}\""),
                false => part.clone(),
            };
            let path: Vec<String> = self.0.iter().map(quoted).collect();
            text.push_str(&format!("[{}]\n", path.join(".")));
        }
        text.push_str(&format!("\"{key}\" = {value}\n"));
        let place = self
            .0
            .iter()
            .map(|part| if part == "step" { "step[0]" } else { part.as_str() });
        let place: Vec<&str> = place.chain([key]).collect();
        let place = place.join(".");
        let problems = match SagaDefinition::parse("x", &text, &ParseOptions::default()) {
            Ok((_, report)) => report.problems,
            Err(error) => error.problems,
        };
        let about = |problem: &Problem| problem.place == place || problem.place == format!("{place}[0]");
        problems.into_iter().filter(about).collect()
    }

    /// What the reader would rather have than this value.
    fn expected(&self, key: &str, value: &str) -> Option<String> {
        self.said(key, value).iter().find_map(|problem| {
            let expected = problem.message.strip_prefix("expected ")?;
            Some(expected.rsplit_once(", found ")?.0.to_owned())
        })
    }

    /// Every key of this table; `None`: any key.
    fn keys(&self) -> Option<Vec<String>> {
        let problem = self
            .said(NOBODY, "1")
            .into_iter()
            .find(|problem| problem.message.starts_with("unknown key"))?;
        let hint = problem.hint.unwrap();
        let keys = hint.strip_prefix("known keys here: ").unwrap();
        Some(keys.split(", ").map(str::to_owned).collect())
    }

    /// The words that a text may be; `None`: any text.
    fn words(&self, key: &str) -> Option<Vec<String>> {
        let problems = self.said(key, &format!("\"{NOBODY}\""));
        let problem = problems
            .iter()
            .find(|problem| problem.message.starts_with("unknown "))?;
        let (_, words) = problem.hint.as_ref()?.split_once(": ")?;
        Some(words.split(", ").map(str::to_owned).collect())
    }

    fn schema(&self) -> Value {
        let Some(keys) = self.keys() else {
            let values = self.value(NOBODY);
            return json!({"type": "object", "additionalProperties": values});
        };
        let properties: Map<String, Value> = keys.iter().map(|key| (key.clone(), self.described(key))).collect();
        json!({"type": "object", "additionalProperties": false, "properties": properties})
    }

    fn described(&self, key: &str) -> Value {
        let mut schema = self.value(key);
        if let Some(meaning) = self.meaning(key) {
            schema["description"] = Value::from(meaning);
        }
        schema
    }

    fn value(&self, key: &str) -> Value {
        let Some(expected) = self.expected(key, "true") else {
            return match self.expected(key, "\"\"").as_deref() {
                Some("true or false") => json!({"type": "boolean"}),
                None => json!({}),
                Some(other) => panic!("a value of {key} in {:?} that is true or {other}?", self.0),
            };
        };
        match expected.as_str() {
            "a string" => match self.words(key) {
                Some(words) => json!({"enum": words}),
                None => json!({"type": "string"}),
            },
            "a duration" => json!({"type": "string", "pattern": "^([0-9]+ *[a-zA-Z]+ *)+$"}),
            "a number" => json!({"type": "number"}),
            "a whole number" => json!({"type": "integer", "minimum": 0, "maximum": u32::MAX}),
            "a table" => self.below(key).schema(),
            "an array of tables" => json!({"type": "array", "items": self.below(key).schema()}),
            "an array" => json!({"type": "array", "items": self.element(key)}),
            words => {
                // Such as: a table or "none".
                let mut any: Vec<Value> = Vec::new();
                let words: Vec<&str> = words.split('"').skip(1).step_by(2).collect();
                any.push(json!({"enum": words}));
                if expected.contains("table") || expected.contains('{') {
                    any.push(self.below(key).schema());
                }
                json!({"anyOf": any})
            }
        }
    }

    fn element(&self, key: &str) -> Value {
        match self.expected(key, "[true]").as_deref() {
            Some("a string") => json!({"type": "string"}),
            Some(numbers) => {
                // Such as: an HTTP status (100 to 599).
                let (_, range) = numbers.split_once('(').unwrap();
                let (from, to) = range.trim_end_matches(')').split_once(" to ").unwrap();
                let [from, to] = [from, to].map(|bound| bound.parse::<u32>().unwrap());
                json!({"type": "integer", "minimum": from, "maximum": to})
            }
            None => json!({}),
        }
    }

    /// What the reference says about a key, in the row that begins with it.
    fn meaning(&self, key: &str) -> Option<String> {
        let table = self.0.last().map_or("", String::as_str);
        let heading = match table {
            "" => "The saga",
            "http" | "exec" | "saga" => &format!("`{table}`"),
            "signal" | "timer" => "`signal` and `timer`",
            "stuck" => "When a person is needed",
            "retry" | "foreach" | "on_ambiguous" => return None,
            _ => "A step",
        };
        let (_, section) = README.split_once(&format!("\n## {heading}\n"))?;
        let section = section.split("\n## ").next()?;
        let names = [
            format!("`{key}`"),
            format!("`[{key}]`"),
            format!("`[[{key}]]`"),
            format!("`{table}.{key}`"),
        ];
        let rows = section
            .lines()
            .filter_map(|line| line.strip_prefix("| ")?.split_once(" | "));
        let mut rows = rows.filter(|(first, _)| names.iter().any(|name| first.contains(name)));
        let (_, meaning) = rows.next()?;
        Some(plain(meaning.trim_end_matches('|').trim()))
    }
}

/// Markdown as plain text.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    // [text](target) is its text.
    while let Some((before, link)) = rest.split_once('[') {
        let Some((inside, after)) = link.split_once("](") else {
            break;
        };
        plain.push_str(before);
        plain.push_str(inside);
        rest = after.split_once(')').map_or("", |(_, rest)| rest);
    }
    plain.push_str(rest);
    plain.replace(['*', '`'], "")
}

/// Tables that occur several times get a name.
fn with_definitions(schema: Value) -> Value {
    let mut seen: BTreeMap<String, (usize, Value)> = BTreeMap::new();
    count(&schema, "", &mut seen);
    let mut definitions = Map::new();
    let mut schema = replaced(schema, "", &seen, &mut definitions);
    schema["$schema"] = Value::from("http://json-schema.org/draft-07/schema#");
    schema["title"] = Value::from("A saga definition of amends");
    schema["definitions"] = Value::Object(definitions);
    schema
}

fn is_table(value: &Value) -> bool {
    value.get("properties").is_some()
}

fn name_of(key: &str, value: &Value) -> String {
    let mut bare = value.clone();
    bare.as_object_mut().unwrap().remove("description");
    format!("{key} {bare}")
}

fn count(value: &Value, key: &str, seen: &mut BTreeMap<String, (usize, Value)>) {
    if is_table(value) {
        seen.entry(name_of(key, value)).or_insert_with(|| (0, value.clone())).0 += 1;
    }
    match value {
        Value::Object(entries) => entries.iter().for_each(|(key, value)| count(value, key, seen)),
        Value::Array(elements) => elements.iter().for_each(|value| count(value, key, seen)),
        _ => {}
    }
}

fn replaced(
    value: Value,
    key: &str,
    seen: &BTreeMap<String, (usize, Value)>,
    definitions: &mut Map<String, Value>,
) -> Value {
    let often = is_table(&value) && seen.get(&name_of(key, &value)).is_some_and(|(times, _)| *times > 1);
    let inner = match value {
        Value::Object(entries) => {
            let entries = entries.into_iter().map(|(key, value)| {
                let value = replaced(value, &key, seen, definitions);
                (key, value)
            });
            Value::Object(entries.collect())
        }
        Value::Array(elements) => elements
            .into_iter()
            .map(|value| replaced(value, key, seen, definitions))
            .collect(),
        other => other,
    };
    if !often {
        return inner;
    }
    let known = definitions.get(key);
    if known.is_some_and(|known| *known != inner) {
        return inner;
    }
    definitions.insert(key.to_owned(), inner);
    json!({"$ref": format!("#/definitions/{key}")})
}

fn generated() -> Value {
    with_definitions(Place(Vec::new()).schema())
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a developer's switch")]
fn the_schema_is_what_the_reader_says() {
    let text = format!("{}\n", serde_json::to_string_pretty(&generated()).unwrap());
    if std::env::var_os("AMENDS_UPDATE_SAMPLES").is_some() {
        std::fs::write("sagas/saga.schema.json", &text).unwrap();
    } else {
        assert!(
            FILE == text,
            "sagas/saga.schema.json is out of date: run AMENDS_UPDATE_SAMPLES=1 cargo test --lib file_schema"
        );
    }
}

/// Every key of every table, as `step.http.url`.
fn keys(place: &Place, into: &mut Vec<(Place, String)>) {
    for key in place.keys().into_iter().flatten() {
        let below = place.below(&key);
        if place
            .expected(&key, "true")
            .is_some_and(|expected| expected.contains("table") || expected.contains('{'))
        {
            keys(&below, into);
        }
        into.push((place.clone(), key));
    }
}

#[test]
fn the_reference_explains_every_key() {
    let mut all = Vec::new();
    keys(&Place(Vec::new()), &mut all);
    assert!(all.len() > 60, "only {} keys: they were not found", all.len());
    let unexplained: Vec<String> = all
        .iter()
        .filter(|(place, key)| {
            let mentioned = [format!("`{key}`"), format!("{key} = ")];
            place.meaning(key).is_none() && !mentioned.iter().any(|mention| README.contains(mention))
        })
        .map(|(place, key)| format!("{}.{key}", place.0.join(".")))
        .collect();
    assert_eq!(unexplained, [""; 0], "say what they mean in sagas/README.md");
}

/// A TOML text as the JSON that an editor's validator sees.
#[cfg(feature = "schema")]
fn as_json(text: &str) -> Value {
    toml::from_str(text).unwrap()
}

#[test]
#[cfg(feature = "schema")]
fn the_schema_takes_what_the_reader_takes_and_knows_no_other_keys() {
    let validator = jsonschema::validator_for(&generated()).unwrap();
    let shipped = std::fs::read_dir("sagas").unwrap().map(|entry| entry.unwrap().path());
    let shipped = shipped.filter(|path| path.extension().is_some_and(|extension| extension == "toml"));
    let mut texts: Vec<String> = shipped.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    assert!(texts.len() >= 3);
    texts.push(include_str!("canonical_v1.toml").to_owned());
    texts.push(include_str!("../draw/samples/basket.toml").to_owned());
    for text in &texts {
        let problems: Vec<String> = validator
            .iter_errors(&as_json(text))
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert_eq!(problems, [""; 0], "{text}");
    }
    for wrong in [
        "nam = \"x\"",
        "run_timeout = 3",
        "run_timeout = \"soon\"",
        "[[step]]\nkind = \"retryable\"",
        "[[step]]\nhttp = { uri = \"x\" }",
        "[[step]]\ncompensation = \"nothing\"",
        "[[step]]\ncompensation = { after = [] }",
        "[[step]]\nretry = { maximum_attempts = -1 }",
        "[[step]]\nhttp = { success_statuses = [99] }",
        "[defaults]\nactivity = \"a\"",
    ] {
        assert!(!validator.is_valid(&as_json(wrong)), "{wrong}");
    }
}
