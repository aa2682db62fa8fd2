//! The CEL that definitions speak. Lives here: the functions there are, and the two things that ours does differently
//! from plain CEL: iteration is in order, and it is bounded. Must not live here: variables.
//!
//! A run is evaluated by this dialect as long as it lives: functions may be added, none may be taken away or changed.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr};
use cel::common::types::CelBool;
use cel::common::types::{CelInt, CelList, CelMap, CelMapKey, CelString, CelUInt, DYN_TYPE, Type};
use cel::common::value::{CowVal, StaticVal, Val};
use cel::{Env, ExecutionError};

use crate::model::limits;

/// Wraps what a comprehension iterates over.
const ORDERED: &str = "@ordered";
/// The variable that counts iterations.
pub(super) const BUDGET: &str = "@budget";

/// Functions that are called by name or on a value. (Macros such as `map` are gone after parsing.)
pub(super) const FUNCTIONS: &[&str] = &[
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "int",
    "uint",
    "double",
    "string",
    "bytes",
    "bool",
    "dyn",
    "type",
    "charAt",
    "indexOf",
    "join",
    "lastIndexOf",
    "lowerAscii",
    "upperAscii",
    "replace",
    "reverse",
    "split",
    "substring",
    "trim",
    "hasValue",
    "value",
    "or",
    "orValue",
    "of",
    "ofNonZeroValue",
    "none",
    "quote",
];

/// Names that only stand before a function: `optional.none()`.
pub(super) const NAMESPACES: &[&str] = &["optional", "strings"];

/// Names of types, for `type(x) == int`.
pub(super) const TYPES: &[&str] = &[
    "bool",
    "int",
    "uint",
    "double",
    "string",
    "bytes",
    "list",
    "map",
    "null_type",
    "type",
];

/// The standard library, optional values, strings, and our ordered iteration. No regular expressions, no time.
pub(super) static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib();
    env.add_extension(cel::extensions::strings)
        .expect("the strings extension declares nothing that the standard library has");
    env.add_overload(ORDERED, "ordered", vec![DYN_TYPE, DYN_TYPE], ordered)
        .expect("no other function has this name");
    Arc::new(env)
});

/// How many iterations an evaluation may still make, over all its comprehensions.
#[derive(Clone, Debug)]
pub(super) struct Budget(Arc<AtomicU64>);

impl Budget {
    /// The budget of one evaluation.
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicU64::new(limits::EXPRESSION_ITERATIONS_MAX)))
    }

    fn spend(&self, iterations: u64) -> Result<(), ExecutionError> {
        let left = self.0.load(Ordering::Relaxed).checked_sub(iterations);
        let left = left.ok_or_else(|| {
            let limit = limits::EXPRESSION_ITERATIONS_MAX;
            ExecutionError::function_error("iteration", format!("more than {limit} iterations in one expression"))
        })?;
        self.0.store(left, Ordering::Relaxed);
        Ok(())
    }
}

impl Val for Budget {
    fn get_type(&self) -> &Type {
        &DYN_TYPE
    }

    fn cel_type() -> &'static Type {
        &DYN_TYPE
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Budget {}

/// Makes every comprehension of an expression iterate in order, within the budget.
pub(super) fn order_iterations(expression: &mut IdedExpr) {
    for child in children_mut(&mut expression.expr) {
        order_iterations(child);
    }
    if let Expr::Comprehension(comprehension) = &mut expression.expr {
        let id = comprehension.iter_range.id;
        let budget = IdedExpr {
            id,
            expr: Expr::Ident(BUDGET.to_owned()),
        };
        let range = std::mem::take(&mut comprehension.iter_range);
        let call = CallExpr {
            func_name: ORDERED.to_owned(),
            target: None,
            args: vec![budget, range],
        };
        comprehension.iter_range = IdedExpr {
            id,
            expr: Expr::Call(call),
        };
    }
}

/// How deep an expression is nested.
pub(super) fn depth(expression: &mut IdedExpr) -> usize {
    let children = children_mut(&mut expression.expr);
    1 + children.into_iter().map(depth).max().unwrap_or(0)
}

fn children_mut(expression: &mut Expr) -> Vec<&mut IdedExpr> {
    match expression {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Vec::new(),
        Expr::Call(call) => call.target.as_deref_mut().into_iter().chain(&mut call.args).collect(),
        Expr::List(list) => list.elements.iter_mut().collect(),
        Expr::Select(select) => vec![&mut select.operand],
        Expr::Comprehension(comprehension) => vec![
            &mut comprehension.iter_range,
            &mut comprehension.accu_init,
            &mut comprehension.loop_cond,
            &mut comprehension.loop_step,
            &mut comprehension.result,
        ],
        Expr::Map(map) => map
            .entries
            .iter_mut()
            .flat_map(|entry| entry_mut(&mut entry.expr))
            .collect(),
        Expr::Struct(structure) => structure
            .entries
            .iter_mut()
            .flat_map(|entry| entry_mut(&mut entry.expr))
            .collect(),
    }
}

fn entry_mut(entry: &mut EntryExpr) -> Vec<&mut IdedExpr> {
    match entry {
        EntryExpr::StructField(field) => vec![&mut field.value],
        EntryExpr::MapEntry(entry) => vec![&mut entry.key, &mut entry.value],
    }
}

/// A list as it is; of a map its keys, in order. CEL's maps are hash maps with random order: a replay would see another
/// list.
fn ordered<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let mut arguments = arguments.into_iter();
    let (Some(budget), Some(range)) = (arguments.next(), arguments.next()) else {
        return Err(ExecutionError::missing_argument_or_target());
    };
    let size = range.as_sizer().map_or(0, |sizer| *sizer.size().inner());
    if let Some(budget) = budget.downcast_ref::<Budget>() {
        budget.spend(u64::try_from(size).unwrap_or(u64::MAX))?;
    }
    let Some(map) = range.downcast_ref::<CelMap<'v>>() else {
        return Ok(range);
    };
    let keys: BTreeMap<&CelMapKey<'v>, ()> = map.inner().keys().map(|key| (key, ())).collect();
    let keys: Vec<Box<dyn Val + 'v>> = keys.into_keys().map(key_value).collect();
    Ok(CowVal::owned(CelList::from(keys)))
}

fn key_value<'v>(key: &CelMapKey<'v>) -> Box<dyn Val + 'v> {
    match key {
        CelMapKey::Bool(key) => Box::new(CelBool::from(*key.inner())),
        CelMapKey::Int(key) => Box::new(CelInt::from(*key.inner())),
        CelMapKey::UInt(key) => Box::new(CelUInt::from(*key.inner())),
        CelMapKey::String(key) => Box::new(CelString::from(key.inner().to_owned())),
    }
}
