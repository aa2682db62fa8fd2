//! Refuses what is clearly not the same on replay in the body of a workflow. Lives here: walking the body. Must not live
//! here: which paths are refused (`rules`), hash tables (`tables`), the insides of macros (`tokens`).
//!
//! A macro sees names, not what they resolve to, and only this one function. So it says nothing where it would have to
//! guess: a refusal that is wrong costs more than a mistake that is missed, because replay finds those.

mod imports;
mod order;
mod rules;
mod tables;
mod tokens;

#[cfg(test)]
mod tests;

use proc_macro2::{Span, TokenStream};
use syn::visit::{self, Visit};
use syn::{
    Arm, Block, Expr, ExprCall, ExprClosure, ExprForLoop, ExprIf, ExprMethodCall, ExprPath, ExprWhile, FnArg, Item,
    ItemFn, Local, Macro, Pat,
};

use imports::Imports;
use rules::Call;
use tables::Tables;

/// All that is refused in the function's body, as one error.
pub(crate) fn check(function: &ItemFn) -> syn::Result<()> {
    let mut lint = Lint {
        imports: Imports::of(&function.block),
        tables: Tables::of(&function.block),
        context: context_name(function),
        quiet_on_order: false,
        found: Vec::new(),
    };
    for input in &function.sig.inputs {
        if let FnArg::Typed(typed) = input {
            lint.tables.bind(&typed.pat, Some(&typed.ty), None);
        }
    }
    lint.visit_block(&function.block);
    let mut found = lint.found.into_iter();
    let Some(mut all) = found.next() else {
        return Ok(());
    };
    all.extend(found);
    Err(all)
}

/// What the function calls its context.
fn context_name(function: &ItemFn) -> String {
    match function.sig.inputs.first() {
        Some(FnArg::Typed(typed)) => match &*typed.pat {
            Pat::Ident(ident) if ident.ident != "_" => ident.ident.to_string(),
            _ => "cx".to_owned(),
        },
        _ => "cx".to_owned(),
    }
}

struct Lint {
    imports: Imports,
    tables: Tables,
    context: String,
    /// What is looked at just now comes into some order before anybody can see it, or needs none.
    quiet_on_order: bool,
    found: Vec<syn::Error>,
}

impl Lint {
    /// `{cx}` in the message is the context's name.
    fn refuse(&mut self, span: Span, message: &str) {
        let message = message.replace("{cx}", &self.context);
        self.found.push(syn::Error::new(span, message));
    }

    fn refuse_tokens(&mut self, tokens: impl quote::ToTokens, message: &str) {
        let message = message.replace("{cx}", &self.context);
        self.found.push(syn::Error::new_spanned(tokens, message));
    }

    fn look_at_path(&mut self, path: &syn::Path, call: Call) {
        let written: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if let Some(message) = self.judge(&written, call) {
            self.refuse_tokens(path, &message);
        }
    }

    fn judge(&self, written: &[String], call: Call) -> Option<String> {
        let resolved = self.imports.resolve(written);
        let rule = rules::broken_by(&resolved, call)?;
        let written = written.join("::");
        Some(format!("`{written}` is not the same on replay: {}", rule.instead))
    }

    fn look_at_table(&mut self, table: Option<(Span, &'static str)>) {
        if let (Some((span, kind)), false) = (table, self.quiet_on_order) {
            let ordered = kind.replace("Hash", "BTree");
            self.refuse(
                span,
                &format!(
                    "a {kind} is in another order on each replay: iterate a {ordered}, or sort what comes out of it"
                ),
            );
        }
    }

    fn quietly_if(&mut self, quiet: bool, walk: impl FnOnce(&mut Self)) {
        let before = self.quiet_on_order;
        self.quiet_on_order |= quiet;
        walk(self);
        self.quiet_on_order = before;
    }

    fn in_scope(&mut self, bind: impl FnOnce(&mut Tables), walk: impl FnOnce(&mut Self)) {
        self.tables.enter();
        bind(&mut self.tables);
        walk(self);
        self.tables.leave();
    }
}

impl<'ast> Visit<'ast> for Lint {
    fn visit_block(&mut self, block: &'ast Block) {
        self.in_scope(|_| {}, |lint| visit::visit_block(lint, block));
    }

    /// Items inside of the body are not its code: an activity may stand there.
    fn visit_item(&mut self, _: &'ast Item) {}

    fn visit_local(&mut self, local: &'ast Local) {
        if let Some(init) = &local.init {
            let mended = self.tables.is_mended(&local.pat);
            self.quietly_if(mended, |lint| lint.visit_initial_value(local, &init.expr));
            if let Some((_, otherwise)) = &init.diverge {
                self.visit_expr(otherwise);
            }
        }
        let value = local.init.as_ref().map(|init| &*init.expr);
        match &local.pat {
            Pat::Type(typed) => self.tables.bind(&typed.pat, Some(&typed.ty), value),
            pat => self.tables.bind(pat, None, value),
        }
    }

    fn visit_expr_closure(&mut self, closure: &'ast ExprClosure) {
        let bind = |tables: &mut Tables| {
            for input in &closure.inputs {
                match input {
                    Pat::Type(typed) => tables.bind(&typed.pat, Some(&typed.ty), None),
                    pat => tables.bind(pat, None, None),
                }
            }
        };
        self.in_scope(bind, |lint| lint.visit_expr(&closure.body));
    }

    fn visit_arm(&mut self, arm: &'ast Arm) {
        self.in_scope(
            |tables| tables.bind(&arm.pat, None, None),
            |lint| visit::visit_arm(lint, arm),
        );
    }

    fn visit_expr_if(&mut self, branch: &'ast ExprIf) {
        self.in_scope(|_| {}, |lint| visit::visit_expr_if(lint, branch));
    }

    fn visit_expr_while(&mut self, repeated: &'ast ExprWhile) {
        self.in_scope(|_| {}, |lint| visit::visit_expr_while(lint, repeated));
    }

    fn visit_expr_let(&mut self, condition: &'ast syn::ExprLet) {
        self.visit_expr(&condition.expr);
        self.tables.bind(&condition.pat, None, None);
    }

    fn visit_expr_for_loop(&mut self, repeated: &'ast ExprForLoop) {
        let careless = !order::matters_in(&repeated.body);
        self.quietly_if(careless, |lint| {
            let table = lint.tables.table_in(&repeated.expr);
            lint.look_at_table(table);
            lint.visit_expr(&repeated.expr);
        });
        self.in_scope(
            |tables| tables.bind(&repeated.pat, None, None),
            |lint| lint.visit_block(&repeated.body),
        );
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        if let Expr::Path(function) = &*call.func {
            self.look_at_path(&function.path, Call::With(call.args.len()));
        } else {
            self.visit_expr(&call.func);
        }
        self.quietly_if(order::does_not_matter_to_function(call), |lint| {
            call.args.iter().for_each(|argument| lint.visit_expr(argument));
        });
    }

    fn visit_expr_path(&mut self, path: &'ast ExprPath) {
        self.look_at_path(&path.path, Call::Not);
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        // The outermost method of a chain comes first: when it does not care for the order, nothing below it matters.
        self.quietly_if(order::does_not_matter_to_method(call), |lint| {
            let table = lint.tables.iterated_by(call);
            lint.look_at_table(table);
            visit::visit_expr_method_call(lint, call);
        });
    }

    fn visit_macro(&mut self, called: &'ast Macro) {
        tokens::look_into(self, called);
    }
}

impl Lint {
    /// What the `let` says is the type of what is collected.
    fn visit_initial_value(&mut self, local: &Local, value: &Expr) {
        match (&local.pat, value) {
            (Pat::Type(typed), Expr::MethodCall(call))
                if call.method == "collect" && call.turbofish.is_none() && order::is_sequence(&typed.ty) =>
            {
                self.visit_expr(&call.receiver);
            }
            _ => self.visit_expr(value),
        }
    }

    /// For tokens that are no expressions.
    fn look_at_words(&mut self, words: &[proc_macro2::Ident], call: Call) {
        let written: Vec<String> = words.iter().map(ToString::to_string).collect();
        if let (Some(message), true) = (self.judge(&written, call), words.len() > 1) {
            let tokens: TokenStream = quote::quote! { #(#words)::* };
            self.refuse_tokens(tokens, &message);
        }
    }

    /// Only tokio's: futures' polls in the order in which it was written.
    fn look_at_join(&mut self, called: &Macro, resolved: &[String]) {
        let name = match resolved {
            [from, name] if from == "tokio" => name,
            [name] if self.imports.has_all_of("tokio") => name,
            _ => return,
        };
        if ["join", "try_join"].contains(&name.as_str()) {
            self.refuse_tokens(
                &called.path,
                &format!(
                    "tokio's `{name}!` begins with another one each time it is polled: begin it with `biased;`, or use \
                     `futures_util::{name}!`, which keeps to the order"
                ),
            );
        }
    }

    fn look_at_select(&mut self, called: &Macro) {
        self.refuse_tokens(
            &called.path,
            "`select!` takes one of several that are ready by chance: begin it with `biased;`, or use `select_biased!` or \
             `futures_util::future::select`",
        );
    }
}
