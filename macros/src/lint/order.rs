//! Where it does not matter in which order something comes. In doubt it does not: order is looked at to help, and a wrong
//! refusal is no help. Must not live here: knowing what comes in no order (`tables`).

use syn::visit::{self, Visit};
use syn::{Block, Expr, ExprCall, ExprMethodCall, GenericArgument, Macro, Type};

/// Whether what the method makes of its chain is the same in any order, or brings it into one.
pub(super) fn does_not_matter_to_method(call: &ExprMethodCall) -> bool {
    const CARELESS: [&str; 20] = [
        "all",
        "any",
        "count",
        "eq",
        "extend",
        "fold",
        "is_empty",
        "len",
        "max",
        "max_by",
        "max_by_key",
        "min",
        "min_by",
        "min_by_key",
        "product",
        "reduce",
        "sorted",
        "sorted_by",
        "sorted_by_key",
        "sum",
    ];
    let method = call.method.to_string();
    if method != "collect" {
        return CARELESS.contains(&method.as_str());
    }
    // Without a type of its own it may be whatever its surroundings ask for.
    let target = call.turbofish.as_ref().and_then(|turbofish| turbofish.args.first());
    !matches!(target, Some(GenericArgument::Type(target)) if is_sequence(target))
}

/// `BTreeMap::from_iter(..)`, `sorted(..)`.
pub(super) fn does_not_matter_to_function(call: &ExprCall) -> bool {
    let Expr::Path(function) = &*call.func else {
        return false;
    };
    function.path.segments.iter().any(|segment| {
        let name = segment.ident.to_string();
        TABLES.contains(&name.as_str()) || name.contains("sort")
    })
}

const TABLES: [&str; 5] = ["BTreeMap", "BTreeSet", "BinaryHeap", "HashMap", "HashSet"];

/// Whether the type keeps the order in which it is filled, as far as is known.
pub(super) fn is_sequence(ty: &Type) -> bool {
    let Type::Path(path) = ty else {
        return false;
    };
    let last = path.path.segments.last();
    last.is_some_and(|last| {
        ["Vec", "VecDeque", "LinkedList", "String"]
            .iter()
            .any(|known| last.ident == known)
    })
}

/// Whether what the loop does can be seen to depend on the order of its rounds: it waits, asks for something, leaves
/// early, or puts one behind the other. Summing up does not.
pub(super) fn matters_in(body: &Block) -> bool {
    let mut finder = OrderFinder(false);
    finder.visit_block(body);
    finder.0
}

struct OrderFinder(bool);

impl<'ast> Visit<'ast> for OrderFinder {
    fn visit_expr(&mut self, expr: &'ast Expr) {
        self.0 |= matches!(
            expr,
            Expr::Await(_) | Expr::Break(_) | Expr::Call(_) | Expr::Return(_) | Expr::Try(_) | Expr::Yield(_)
        );
        visit::visit_expr(self, expr);
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        const ORDERED: [&str; 9] = [
            "push",
            "push_back",
            "push_front",
            "push_str",
            "extend",
            "send",
            "try_send",
            "append",
            "run",
        ];
        self.0 |= ORDERED.iter().any(|known| call.method == known);
        visit::visit_expr_method_call(self, call);
    }

    fn visit_macro(&mut self, _: &'ast Macro) {
        self.0 = true;
    }
}
