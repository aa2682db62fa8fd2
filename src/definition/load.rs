//! The ways to a checked definition. Lives here: the order of the passes and what each entrance skips. Must not live
//! here: the passes themselves.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::model::limits;

use super::authored::Saga;
use super::canonical;
use super::compile::compile;
use super::graph::Graph;
use super::locations::Problems;
use super::problem::{CheckReport, DefinitionError};
use super::read::read;
use super::resolve::resolve;
use super::rules;
use super::saga::SagaDefinition;
use super::schema::check_schema;
use super::warnings;

/// What a definition is checked with.
#[derive(Clone, Copy, Debug, Default)]
pub struct ParseOptions<'a> {
    /// Values for keys of the definition's `[config]` table, as text: a string as it is, anything else as JSON.
    pub config: Option<&'a BTreeMap<String, String>>,
    /// The activities there are: any other name is an error. `None`: names are not checked.
    pub known_activities: Option<&'a BTreeSet<String>>,
}

impl SagaDefinition {
    /// Checks the text of a definition file. The name is only for messages. Returns the definition and the warnings.
    ///
    /// # Errors
    /// Every problem of the file at once.
    pub fn parse(
        file_name: &str,
        text: &str,
        options: &ParseOptions<'_>,
    ) -> Result<(SagaDefinition, CheckReport), DefinitionError> {
        let (authored, problems) = read(text);
        match authored {
            Some(authored) => check(file_name, &authored, options, problems),
            None => Err(DefinitionError {
                file: file_name.to_owned(),
                problems: problems.into_sorted(),
            }),
        }
    }

    /// Reads a definition back from its [canonical form](Self::canonical_json), of this or any older version of amends.
    ///
    /// # Errors
    /// When the bytes are not a canonical form, or one that a newer version wrote.
    pub fn from_canonical_json(bytes: impl Into<Bytes>) -> Result<SagaDefinition, DefinitionError> {
        let bytes = bytes.into();
        let mut problems = Problems::default();
        let saga = match canonical::Saga::from_bytes(&bytes) {
            Ok(saga) => saga,
            Err(error) => {
                problems.error("", error.to_string());
                canonical::Saga::named(String::new())
            }
        };
        let name = saga.name.clone();
        let definition = match problems.has_errors() {
            true => None,
            false => {
                let graph = Graph::new(&saga.steps, &mut problems);
                Some(compile(saga, bytes, &graph, &mut problems))
            }
        };
        finish(&name, definition, problems).map(|(definition, _)| definition)
    }
}

/// The passes over what was authored.
pub(super) fn check(
    file: &str,
    authored: &Saga,
    options: &ParseOptions<'_>,
    mut problems: Problems,
) -> Result<(SagaDefinition, CheckReport), DefinitionError> {
    let steps = authored.steps.len();
    if steps > limits::STEPS_MAX {
        let place = format!("step[{}]", limits::STEPS_MAX);
        let message = format!("{steps} steps, more than the limit of {}", limits::STEPS_MAX);
        problems.error(&place, message).hint("split the saga");
        return finish(file, None, problems);
    }
    let no_overrides = BTreeMap::new();
    let saga = resolve(authored, options.config.unwrap_or(&no_overrides), &mut problems);
    let graph = Graph::new(&saga.steps, &mut problems);
    rules::check(authored, &saga, &graph, options.known_activities, &mut problems);
    if let Some(schema) = &saga.input_schema {
        check_schema(schema, &mut problems);
    }
    let canonical = saga.to_bytes();
    let definition = compile(saga.clone(), canonical, &graph, &mut problems);
    let definition = definition.with_activity_limits(&authored.activity_limits, &mut problems);
    if !problems.has_errors() {
        warnings::check(authored, &saga, &graph, &definition, &mut problems);
    }
    finish(file, Some(definition), problems)
}

fn finish(
    file: &str,
    definition: Option<SagaDefinition>,
    problems: Problems,
) -> Result<(SagaDefinition, CheckReport), DefinitionError> {
    let usable = !problems.has_errors();
    let file = file.to_owned();
    let problems = problems.into_sorted();
    match definition.filter(|_| usable) {
        Some(definition) => Ok((definition, CheckReport { file, problems })),
        None => Err(DefinitionError { file, problems }),
    }
}
