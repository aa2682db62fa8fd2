//! The insides of macros, which are tokens that may mean anything: read as expressions where they are some, else searched
//! for paths. Must not live here: rules.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::visit::Visit;
use syn::{Block, Expr, Macro, Token};

use super::Lint;
use super::rules::Call;

/// What they get is not run.
const TEXT: [&str; 12] = [
    "stringify",
    "concat",
    "quote",
    "compile_error",
    "include_str",
    "include_bytes",
    "include",
    "env",
    "option_env",
    "cfg",
    "file",
    "allow_nondeterminism",
];

pub(super) fn look_into(lint: &mut Lint, called: &Macro) {
    let written: Vec<String> = called.path.segments.iter().map(|word| word.ident.to_string()).collect();
    // By the name that it has where it comes from: it may be called anything here.
    let resolved = lint.imports.resolve(&written);
    let name = resolved.last().map(String::as_str).unwrap_or_default();
    if TEXT.contains(&name) {
        return;
    }
    if !begins_with_biased(&called.tokens) {
        match name {
            "select" => lint.look_at_select(called),
            _ => lint.look_at_join(called, &resolved),
        }
    }
    if let Ok(expressions) = Punctuated::<Expr, Token![,]>::parse_terminated.parse2(called.tokens.clone()) {
        return expressions.iter().for_each(|expression| lint.visit_expr(expression));
    }
    if let Ok(statements) = Block::parse_within.parse2(called.tokens.clone()) {
        return statements.iter().for_each(|statement| lint.visit_stmt(statement));
    }
    search(lint, called.tokens.clone());
}

/// tokio's and futures' `select!` choose by chance unless told not to, and tokio's `join!` takes turns.
fn begins_with_biased(tokens: &TokenStream) -> bool {
    let first = tokens.clone().into_iter().next();
    matches!(first, Some(TokenTree::Ident(first)) if first == "biased")
}

fn search(lint: &mut Lint, tokens: TokenStream) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match token {
            TokenTree::Group(group) => {
                search(lint, group.stream());
                at += 1;
            }
            TokenTree::Ident(first) => {
                let (words, behind) = path_at(&tokens, at, first);
                if let Some(called) = call_at(&tokens, at, behind) {
                    look_into(lint, &called);
                    at = behind + 2;
                    continue;
                }
                let is_of_a_value = at > 0 && is_punct(tokens.get(at - 1), '.');
                if !is_of_a_value {
                    lint.look_at_words(&words, call_of(tokens.get(behind)));
                }
                at = behind;
            }
            _ => at += 1,
        }
    }
}

/// The path that begins here, and the place behind it.
fn path_at(tokens: &[TokenTree], mut at: usize, first: &Ident) -> (Vec<Ident>, usize) {
    let mut words = vec![first.clone()];
    at += 1;
    while is_punct(tokens.get(at), ':')
        && is_punct(tokens.get(at + 1), ':')
        && let Some(TokenTree::Ident(word)) = tokens.get(at + 2)
    {
        words.push(word.clone());
        at += 3;
    }
    (words, at)
}

/// The macro that is called here, by the path that ends before `behind`.
fn call_at(tokens: &[TokenTree], at: usize, behind: usize) -> Option<Macro> {
    let arguments = tokens.get(behind + 1);
    if !is_punct(tokens.get(behind), '!') || !matches!(arguments, Some(TokenTree::Group(_))) {
        return None;
    }
    let called: TokenStream = tokens.get(at..behind + 2)?.iter().cloned().collect();
    syn::parse2(called).ok()
}

fn call_of(behind: Option<&TokenTree>) -> Call {
    match behind {
        Some(TokenTree::Group(arguments)) if arguments.delimiter() == Delimiter::Parenthesis => {
            Call::With(usize::from(!is_empty(arguments)))
        }
        _ => Call::Not,
    }
}

fn is_empty(group: &Group) -> bool {
    group.stream().is_empty()
}

fn is_punct(token: Option<&TokenTree>, wanted: char) -> bool {
    matches!(token, Some(TokenTree::Punct(found)) if found.as_char() == wanted)
}
