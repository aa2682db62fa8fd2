//! One expression, compiled. Lives here: parsing, checking its references, and running it. Must not live here: the
//! strings and structures around it.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use cel::common::ast::IdedExpr;
use cel::{Context, ExecutionError};
use serde_json::Value;

use crate::model::limits;

use super::dialect::{self, BUDGET, Budget, ENV};
use super::environment::Environment;
use super::error::{EvaluateErrorKind, Fault};
use super::names::{Names, Reference};
use super::references::{Chain, Issue, references};
use super::value::to_json;

/// Enough for the deepest tree that [`limits::EXPRESSION_BYTES_MAX`] can spell, in a debug build too.
const PARSER_STACK_BYTES: usize = 64 * 1024 * 1024;

/// An expression whose references were checked.
#[derive(Clone, Debug)]
pub(in crate::definition) struct Expression {
    source: String,
    form: Form,
    /// The outputs that it takes for granted.
    trusted: BTreeSet<Reference>,
}

#[derive(Clone, Debug)]
enum Form {
    /// Nothing but selections, the common case: read straight from the JSON, without CEL.
    Path { from: Reference, keys: Vec<String> },
    /// Anything else.
    Cel {
        program: Arc<IdedExpr>,
        references: BTreeSet<Reference>,
    },
}

impl Expression {
    /// Parses and checks an expression.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(super) fn compile(source: &str, names: &Names<'_>) -> Result<Self, Vec<Issue>> {
        let mut program = parse(source).map_err(|issue| vec![issue])?;
        let found = references(&program, names);
        let trusted = found.trusted();
        if !found.issues.is_empty() {
            return Err(found.issues);
        }
        let secret = found
            .references
            .iter()
            .any(|reference| matches!(reference, Reference::Secret(_)));
        if secret && !Chain::of(&program).is_some_and(|chain| chain.plain && chain.keys.len() == 1) {
            let hint = "embed it as it is: \"Bearer ${ secret.NAME }\"".to_owned();
            let message = "nothing can be computed from a secret: its value is not known yet";
            return Err(vec![Issue::new(message, Some(hint))]);
        }
        let path =
            Chain::of(&program)
                .filter(|chain| chain.plain)
                .and_then(|chain| match names.resolve(&chain).ok()? {
                    (references, named) if references.len() == 1 => {
                        let keys = chain.keys.iter().skip(named).map(|key| (*key).to_owned());
                        Some((references.first().copied()?, keys.collect()))
                    }
                    _ => None,
                });
        let form = match path {
            Some((from, keys)) => Form::Path { from, keys },
            None => {
                dialect::order_iterations(&mut program);
                Form::Cel {
                    program: Arc::new(program),
                    references: found.references,
                }
            }
        };
        Ok(Self {
            source: source.to_owned(),
            form,
            trusted,
        })
    }

    /// The reference and the keys below it, when the expression is nothing but selections.
    pub(in crate::definition) fn as_path(&self) -> Option<(Reference, &[String])> {
        match &self.form {
            Form::Path { from, keys } => Some((*from, keys)),
            Form::Cel { .. } => None,
        }
    }

    /// Whether it takes for granted that this output is there. Inside of a text, the output as a whole has to be there too:
    /// null cannot be embedded.
    pub(in crate::definition) fn trusts(&self, output: Reference, embedded: bool) -> bool {
        let is_output = self.as_path() == Some((output, &[]));
        self.trusted.contains(&output) || (embedded && is_output)
    }

    /// Whether it is a secret.
    pub(super) fn is_secret(&self) -> bool {
        matches!(
            self.form,
            Form::Path {
                from: Reference::Secret(_),
                ..
            }
        )
    }

    /// The expression as it was written.
    pub(in crate::definition) fn source(&self) -> &str {
        &self.source
    }

    /// Its value.
    pub(super) fn evaluate(&self, environment: &mut Environment<'_>) -> Result<Value, Fault> {
        match &self.form {
            Form::Path { from, keys } => select(*from, keys, environment),
            Form::Cel { program, references } => run(program, references, environment),
        }
        .map_err(|fault| fault.in_expression(&self.source))
    }
}

fn parse(source: &str) -> Result<IdedExpr, Issue> {
    let issue = |message: String| Issue::new(message, None);
    if source.len() > limits::EXPRESSION_BYTES_MAX {
        let (bytes, max) = (source.len(), limits::EXPRESSION_BYTES_MAX);
        let message = format!("the expression has {bytes} bytes, more than the limit of {max}");
        return Err(issue(message));
    }
    if source.trim().is_empty() {
        return Err(issue("the expression is empty".to_owned()));
    }
    if bracket_depth(source) > limits::EXPRESSION_DEPTH_MAX {
        return Err(too_deep());
    }
    // The parser and the evaluator recurse, and a stack overflow would take the whole process along. So the text is
    // parsed on a stack that is large enough for anything of its length, and only shallow expressions leave it.
    let parser = std::thread::Builder::new().stack_size(PARSER_STACK_BYTES);
    let parsed = std::thread::scope(|scope| {
        let parser = parser.spawn_scoped(scope, || parse_and_measure(source));
        parser
            .map_err(|error| issue(format!("the parser cannot be started: {error}")))?
            .join()
            // The parser is generated code over user text: a panic in it ends only this expression.
            .unwrap_or_else(|_| Err(issue("not valid CEL: the parser gave up".to_owned())))
    })?;
    Ok(parsed)
}

fn parse_and_measure(source: &str) -> Result<IdedExpr, Issue> {
    let mut program = ENV.parser().parse(source).map_err(|errors| {
        let first = errors.errors.first();
        first.map_or_else(|| Issue::new("not valid CEL", None), |error| parse_issue(source, error))
    })?;
    let depth = dialect::depth(&mut program);
    (depth <= limits::EXPRESSION_DEPTH_MAX)
        .then_some(program)
        .ok_or_else(too_deep)
}

fn too_deep() -> Issue {
    let limit = limits::EXPRESSION_DEPTH_MAX;
    let hint = "build the value from several smaller expressions, or in an activity".to_owned();
    Issue::new(
        format!("the expression is nested deeper than {limit} levels"),
        Some(hint),
    )
}

/// How deep brackets are nested, those in strings included.
fn bracket_depth(source: &str) -> usize {
    let mut depth = 0_usize;
    let mut deepest = 0;
    for letter in source.bytes() {
        match letter {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// The parser's error without its list of everything that could have stood there.
fn parse_issue(source: &str, error: &cel::ParseError) -> Issue {
    let message = error.msg.trim_start_matches("Syntax error: ");
    let message = message.split(" expecting ").next().unwrap_or(message);
    let message = message
        .replace("mismatched input", "unexpected")
        .replace("'<EOF>'", "end");
    let (line, column) = error.pos;
    let column = usize::try_from(column).unwrap_or(0).saturating_sub(1);
    Issue {
        offset: (line == 1).then(|| source.chars().take(column).map(char::len_utf8).sum()),
        ..Issue::new(format!("not valid CEL: {message}"), None)
    }
}

fn select(from: Reference, keys: &[String], environment: &mut Environment<'_>) -> Result<Value, Fault> {
    let names = |count: usize, environment: &Environment<'_>| {
        let mut text = environment.name(from);
        keys.iter().take(count).for_each(|key| {
            text.push('.');
            text.push_str(key);
        });
        text
    };
    environment.load(from)?;
    let mut value = environment.loaded(from);
    for (depth, key) in keys.iter().enumerate() {
        let next = match value {
            Some(Value::Object(map)) => map.get(key),
            _ => None,
        };
        if next.is_none() {
            let what = names(depth, environment);
            let message = match value {
                Some(Value::Object(_)) => format!("`{what}` has no key `{key}`"),
                Some(Value::Null) | None => format!("`{what}` is null, it has no key `{key}`"),
                Some(_) => format!("`{what}` is not an object, it has no key `{key}`"),
            };
            return Err(EvaluateErrorKind::Expression(message).into());
        }
        value = next;
    }
    Ok(value.cloned().unwrap_or_default())
}

fn run(
    program: &IdedExpr,
    references: &BTreeSet<Reference>,
    environment: &mut Environment<'_>,
) -> Result<Value, Fault> {
    let mut context = Context::with_env(Arc::clone(&ENV));
    for (name, value) in environment.bind(references)? {
        context.add_variable_as_val(name, value);
    }
    context.add_variable_as_val(BUDGET, Box::new(Budget::new()));
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let value = cel::Value::resolve_val(program, &context).map_err(|error| describe(&error))?;
        to_json(value.as_ref())
    }));
    outcome
        .unwrap_or_else(|_| Err("the evaluation failed unexpectedly".to_owned()))
        .map_err(|message| EvaluateErrorKind::Expression(message).into())
}

/// What went wrong, without the data: messages end up in histories and logs, and a map's debug form has random order.
fn describe(error: &ExecutionError) -> String {
    use ExecutionError as E;
    match error {
        E::NoSuchKey(key) => format!("there is no key `{key}`"),
        E::UndeclaredReference(name) => format!("unknown name `{name}`"),
        E::NoSuchOverload(overload) => overload.to_string(),
        E::UnexpectedType { got, want } => format!("expected {want}, found {got}"),
        E::FunctionError { function, message } => format!("{function}: {message}"),
        E::InvalidArgumentCount { expected, actual } => format!("expected {expected} arguments, found {actual}"),
        E::UnsupportedBinaryOperator(name, left, right) => {
            format!("cannot {name} {} and {}", left.type_of(), right.type_of())
        }
        E::ValuesNotComparable(left, right) => format!("cannot compare {} and {}", left.type_of(), right.type_of()),
        E::UnsupportedIndex(index, value) => format!("cannot index {} with {}", value.type_of(), index.type_of()),
        E::UnsupportedKeyType(key) => format!("a {} cannot be a key", key.type_of()),
        E::UnsupportedTargetType { target } => format!("does not work on {}", target.type_of()),
        E::NotSupportedAsMethod { method, target } => format!("{} has no method `{method}`", target.type_of()),
        E::MissingArgumentOrTarget => "an argument is missing".to_owned(),
        E::DivisionByZero(_) | E::RemainderByZero(_) => "division by zero".to_owned(),
        E::Overflow(name, ..) => format!("`{name}` overflows 64 bits"),
        E::IndexOutOfBounds(_) => "the index is out of bounds".to_owned(),
        E::DuplicateKey(_) => "a map has a key twice".to_owned(),
        _ => "the evaluation failed".to_owned(),
    }
}
