//! Iterating hash tables, where it can be seen that they are some: locals and parameters whose type or making is written
//! out. Must not live here: anything else about the body.

use std::collections::{HashMap, HashSet};

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Block, Expr, ExprMethodCall, GenericArgument, Pat, Path, PathArguments, Type};

/// What the names in scope are.
#[derive(Default)]
pub(super) struct Tables {
    /// The kind of table of each name; `None` for what is none, and hides one.
    scopes: Vec<HashMap<String, Option<&'static str>>>,
    /// What is sorted somewhere.
    sorted: HashSet<String>,
}

impl Tables {
    pub(super) fn of(block: &Block) -> Self {
        let mut sorting = Sorting::default();
        sorting.visit_block(block);
        Self {
            scopes: vec![HashMap::new()],
            sorted: sorting.0,
        }
    }

    pub(super) fn enter(&mut self) {
        self.scopes.push(HashMap::new());
    }

    pub(super) fn leave(&mut self) {
        self.scopes.pop();
    }

    /// Every name of the pattern is what its type or value says, and nothing known if neither does.
    pub(super) fn bind(&mut self, pat: &Pat, ty: Option<&Type>, value: Option<&Expr>) {
        let kind = match ty {
            Some(ty) => kind_of_type(ty),
            None => value.and_then(kind_of_value),
        };
        let mut names = Names::default();
        names.visit_pat(pat);
        let is_whole = matches!(pat, Pat::Ident(_));
        if let Some(scope) = self.scopes.last_mut() {
            let kind = kind.filter(|_| is_whole);
            scope.extend(names.0.into_iter().map(|name| (name, kind)));
        }
    }

    /// Whether what this variable takes is sorted later.
    pub(super) fn is_mended(&self, pat: &Pat) -> bool {
        let mut names = Names::default();
        names.visit_pat(pat);
        names.0.iter().any(|name| self.sorted.contains(name))
    }

    /// The table that a `for` goes over: by itself, or by reference.
    pub(super) fn table_in(&self, expr: &Expr) -> Option<(Span, &'static str)> {
        match expr {
            Expr::Reference(reference) => self.table_in(&reference.expr),
            Expr::Paren(paren) => self.table_in(&paren.expr),
            Expr::Path(path) => {
                let kind = self.kind_of_name(&path.path)?;
                Some((path.span(), kind))
            }
            _ => None,
        }
    }

    /// The table that the method goes through.
    pub(super) fn iterated_by(&self, call: &ExprMethodCall) -> Option<(Span, &'static str)> {
        const ITERATING: [&str; 9] = [
            "iter",
            "iter_mut",
            "keys",
            "values",
            "values_mut",
            "into_iter",
            "into_keys",
            "into_values",
            "drain",
        ];
        let method = call.method.to_string();
        if !ITERATING.contains(&method.as_str()) {
            return None;
        }
        self.table_in(&call.receiver)
    }

    fn kind_of_name(&self, path: &Path) -> Option<&'static str> {
        let name = path.get_ident()?.to_string();
        self.scopes
            .iter()
            .rev()
            .find_map(|scope| scope.get(&name).copied())
            .flatten()
    }
}

fn kind_of_type(ty: &Type) -> Option<&'static str> {
    match ty {
        Type::Reference(reference) => kind_of_type(&reference.elem),
        Type::Paren(paren) => kind_of_type(&paren.elem),
        Type::Path(path) => {
            let last = path.path.segments.last()?;
            kind_of_segment(last)
        }
        _ => None,
    }
}

/// With a hasher of its own choosing, a table may be in the same order each time.
fn kind_of_segment(segment: &syn::PathSegment) -> Option<&'static str> {
    let arguments = match &segment.arguments {
        PathArguments::AngleBracketed(arguments) => arguments.args.len(),
        _ => 0,
    };
    match segment.ident.to_string().as_str() {
        "HashMap" if arguments <= 2 => Some("HashMap"),
        "HashSet" if arguments <= 1 => Some("HashSet"),
        _ => None,
    }
}

fn kind_of_value(value: &Expr) -> Option<&'static str> {
    match value {
        Expr::Call(call) => {
            let Expr::Path(function) = &*call.func else {
                return None;
            };
            let mut names = function.path.segments.iter().rev();
            let (made_by, kind) = (names.next()?, names.next()?);
            let made_by = made_by.ident.to_string();
            let is_making = ["new", "with_capacity", "from", "from_iter", "default"].contains(&made_by.as_str());
            kind_of_segment(kind).filter(|_| is_making)
        }
        Expr::MethodCall(call) if call.method == "collect" => {
            match call.turbofish.as_ref().and_then(|turbofish| turbofish.args.first()) {
                Some(GenericArgument::Type(ty)) => kind_of_type(ty),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The names that a pattern binds.
#[derive(Default)]
struct Names(Vec<String>);

impl<'ast> Visit<'ast> for Names {
    fn visit_pat_ident(&mut self, ident: &'ast syn::PatIdent) {
        self.0.push(ident.ident.to_string());
        visit::visit_pat_ident(self, ident);
    }

    fn visit_expr(&mut self, _: &'ast Expr) {}
}

/// The names whose contents are sorted somewhere.
#[derive(Default)]
struct Sorting(HashSet<String>);

impl<'ast> Visit<'ast> for Sorting {
    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        if let (true, Expr::Path(path)) = (call.method.to_string().starts_with("sort"), &*call.receiver)
            && let Some(name) = path.path.get_ident()
        {
            self.0.insert(name.to_string());
        }
        visit::visit_expr_method_call(self, call);
    }
}
