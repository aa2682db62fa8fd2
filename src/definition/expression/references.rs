//! What an expression refers to, found without running it. Must not live here: which variables there are (those are
//! `names`), or their values.

use std::collections::BTreeSet;

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};

use super::super::problem::did_you_mean;
use super::dialect::{FUNCTIONS, NAMESPACES, TYPES};
use super::names::{Names, ROOTS, Reference, UndoPart};

/// Something wrong with what an expression refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Issue {
    pub(super) message: String,
    pub(super) hint: Option<String>,
    /// How many bytes into the expression, when that is known.
    pub(super) offset: Option<usize>,
}

impl Issue {
    pub(super) fn new(message: impl Into<String>, hint: Option<String>) -> Self {
        Self {
            message: message.into(),
            hint,
            offset: None,
        }
    }
}

/// A selection such as `steps.charge.output["id"]`: where it begins and what is selected, outermost last.
pub(super) struct Chain<'e> {
    pub(super) root: &'e str,
    pub(super) keys: Vec<&'e str>,
    /// Whether it is nothing but selections: no `has`, no optional ones.
    pub(super) plain: bool,
}

impl<'e> Chain<'e> {
    /// The expression as a chain, if it is one.
    pub(super) fn of(expression: &'e IdedExpr) -> Option<Self> {
        let mut keys = Vec::new();
        let mut plain = true;
        let mut expression = expression;
        loop {
            match &expression.expr {
                Expr::Ident(root) => {
                    keys.reverse();
                    return Some(Self { root, keys, plain });
                }
                Expr::Select(select) => {
                    plain &= !select.test;
                    keys.push(select.field.as_str());
                    expression = &select.operand;
                }
                Expr::Call(call) => {
                    let (operand, key) = selection(call)?;
                    plain &= call.func_name == operators::INDEX;
                    keys.push(key);
                    expression = operand;
                }
                _ => return None,
            }
        }
    }
}

/// `a["b"]`, `a.?b` and `a[?"b"]` as a selection.
fn selection(call: &CallExpr) -> Option<(&IdedExpr, &str)> {
    let selects = [operators::INDEX, operators::OPT_INDEX, operators::OPT_SELECT].contains(&call.func_name.as_str());
    match (call.args.as_slice(), selects) {
        ([operand, key], true) => match &key.expr {
            Expr::Literal(LiteralValue::String(key)) => Some((operand, key.inner())),
            _ => None,
        },
        _ => None,
    }
}

/// What was found in an expression.
#[derive(Default)]
pub(super) struct Found {
    /// Everything that it refers to.
    pub(super) references: BTreeSet<Reference>,
    /// Everything that is wrong with that.
    pub(super) issues: Vec<Issue>,
    /// The outputs that it selects from.
    selected: BTreeSet<Reference>,
    /// The outputs that it looks at in any other way: so it may ask whether they are there.
    asked: BTreeSet<Reference>,
}

impl Found {
    /// The outputs that it takes for granted, as far as one can tell.
    pub(super) fn trusted(&self) -> BTreeSet<Reference> {
        self.selected.difference(&self.asked).copied().collect()
    }

    fn note_output(&mut self, chain: &Chain<'_>, names: &Names<'_>) {
        let (output, rest) = match (chain.root, chain.keys.as_slice()) {
            ("undo", ["output", rest @ ..]) => (Reference::Undo(UndoPart::Output), rest),
            // One of them is there when the other one is not.
            ("undo", [] | ["failure", ..]) => (Reference::Undo(UndoPart::Output), &[][..]),
            ("steps", [step, "output", rest @ ..]) => match names.steps.get(*step) {
                Some(step) => (Reference::output_of(*step), rest),
                None => return,
            },
            _ => return,
        };
        match chain.plain && !rest.is_empty() {
            true => self.selected.insert(output),
            false => self.asked.insert(output),
        };
    }
}

/// Looks through a whole expression.
pub(super) fn references(expression: &IdedExpr, names: &Names<'_>) -> Found {
    let mut walk = Walk {
        names,
        locals: Vec::new(),
        found: Found::default(),
    };
    walk.expression(expression);
    walk.found
}

struct Walk<'a> {
    names: &'a Names<'a>,
    locals: Vec<String>,
    found: Found,
}

impl Walk<'_> {
    fn expression(&mut self, expression: &IdedExpr) {
        if let Some(chain) = Chain::of(expression) {
            return self.chain(&chain);
        }
        match &expression.expr {
            Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
            Expr::Select(select) => self.expression(&select.operand),
            Expr::List(list) => list.elements.iter().for_each(|element| self.expression(element)),
            Expr::Call(call) => self.call(call),
            Expr::Map(map) => map.entries.iter().for_each(|entry| self.entry(&entry.expr)),
            Expr::Struct(structure) => {
                let message = format!("unknown type `{}`", structure.type_name);
                let hint = "write a map: {'key': value}".to_owned();
                self.found.issues.push(Issue::new(message, Some(hint)));
            }
            Expr::Comprehension(comprehension) => {
                self.expression(&comprehension.iter_range);
                let outer = self.locals.len();
                self.local(&comprehension.iter_var);
                comprehension.iter_var2.iter().for_each(|name| self.local(name));
                self.local(&comprehension.accu_var);
                self.expression(&comprehension.accu_init);
                self.expression(&comprehension.loop_cond);
                self.expression(&comprehension.loop_step);
                self.expression(&comprehension.result);
                self.locals.truncate(outer);
            }
        }
    }

    fn chain(&mut self, chain: &Chain<'_>) {
        let local = self.locals.iter().any(|local| local == chain.root);
        if local || (chain.keys.is_empty() && TYPES.contains(&chain.root)) {
            return;
        }
        self.found.note_output(chain, self.names);
        match self.names.resolve(chain) {
            Ok((references, _)) => self.found.references.extend(references),
            Err(issue) => self.found.issues.push(issue),
        }
    }

    fn call(&mut self, call: &CallExpr) {
        let operator = call.func_name.starts_with(['_', '@', '!', '-']);
        if !operator && !FUNCTIONS.contains(&call.func_name.as_str()) {
            let hint = did_you_mean(&call.func_name, FUNCTIONS.iter().copied());
            let message = format!("unknown function `{}`", call.func_name);
            self.found.issues.push(Issue::new(message, hint));
        }
        if let Some(target) = &call.target {
            let namespace = matches!(&target.expr, Expr::Ident(name) if NAMESPACES.contains(&name.as_str()));
            if !namespace {
                self.expression(target);
            }
        }
        call.args.iter().for_each(|argument| self.expression(argument));
    }

    fn entry(&mut self, entry: &EntryExpr) {
        match entry {
            EntryExpr::StructField(field) => self.expression(&field.value),
            EntryExpr::MapEntry(entry) => {
                self.expression(&entry.key);
                self.expression(&entry.value);
            }
        }
    }

    fn local(&mut self, name: &str) {
        if ROOTS.contains(&name) {
            let hint = "give the local variable another name".to_owned();
            let message = format!("the local variable `{name}` hides the variable of that name");
            self.found.issues.push(Issue::new(message, Some(hint)));
        }
        self.locals.push(name.to_owned());
    }
}
