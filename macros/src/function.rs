//! The function under an attribute: whether it can be an activity or a workflow at all. What its types have to be is
//! left to the compiler, which knows them.

use proc_macro2::TokenStream;
use syn::spanned::Spanned;
use syn::{FnArg, GenericParam, Ident, Item, ItemFn, ReturnType, Type, visit::Visit};

/// What the attribute makes of a function, in words.
#[derive(Clone, Copy)]
pub(crate) enum Role {
    Activity,
    Workflow,
}

impl Role {
    fn shape(self) -> &'static str {
        match self {
            Role::Activity => "`async fn name(cx: ActivityContext, input: I) -> Result<O, E>` (or a blocking `fn`)",
            Role::Workflow => "`async fn name(cx: WorkflowContext, input: I) -> Result<O, E>`",
        }
    }

    fn noun(self) -> &'static str {
        match self {
            Role::Activity => "an activity",
            Role::Workflow => "a workflow",
        }
    }

    fn context(self) -> &'static str {
        match self {
            Role::Activity => "ActivityContext",
            Role::Workflow => "WorkflowContext",
        }
    }
}

/// Reads the function and refuses what cannot work, whatever its types are.
pub(crate) fn parse(item: TokenStream, role: Role) -> syn::Result<ItemFn> {
    let shape = role.shape();
    let function = match syn::parse2::<Item>(item.clone()) {
        Ok(Item::Fn(function)) => function,
        Ok(other) => {
            return Err(syn::Error::new(
                other.span(),
                format!("{} is a function: {shape}", role.noun()),
            ));
        }
        // A method parses as a function with `self`, but not as an item.
        Err(error) => syn::parse2::<ItemFn>(item).map_err(|_| error)?,
    };
    check(&function, role)?;
    Ok(function)
}

fn check(function: &ItemFn, role: Role) -> syn::Result<()> {
    let (signature, shape) = (&function.sig, role.shape());
    if let Some(FnArg::Receiver(receiver)) = signature.inputs.first() {
        let message = format!(
            "{} is a free function, not a method; for state in `self`, implement the trait and register it by name",
            role.noun()
        );
        return Err(syn::Error::new(receiver.span(), message));
    }
    if signature.inputs.is_empty() {
        let message = format!("the first parameter must be the {}: {shape}", role.context());
        return Err(syn::Error::new(signature.ident.span(), message));
    }
    if let Some(third) = signature.inputs.iter().nth(2) {
        let message = format!(
            "{} takes one input beside its context: put several into a struct",
            role.noun()
        );
        return Err(syn::Error::new(third.span(), message));
    }
    if let Some(generic) = generic(function) {
        let message = format!(
            "{} cannot be generic: its input and output must be one recorded type",
            role.noun()
        );
        return Err(syn::Error::new(generic, message));
    }
    if matches!(signature.output, ReturnType::Default) {
        let message = format!("{} returns a Result: {shape}", role.noun());
        return Err(syn::Error::new(signature.ident.span(), message));
    }
    Ok(())
}

fn generic(function: &ItemFn) -> Option<proc_macro2::Span> {
    let declared = function.sig.generics.params.first().map(GenericParam::span);
    declared.or_else(|| {
        let mut finder = ImplTraitFinder(None);
        function.sig.inputs.iter().for_each(|input| finder.visit_fn_arg(input));
        finder.0
    })
}

struct ImplTraitFinder(Option<proc_macro2::Span>);

impl<'ast> Visit<'ast> for ImplTraitFinder {
    fn visit_type_impl_trait(&mut self, found: &'ast syn::TypeImplTrait) {
        self.0.get_or_insert(found.span());
    }
}

/// The types of the parameters.
pub(crate) fn parameter_types(function: &ItemFn) -> Vec<&Type> {
    let inputs = function.sig.inputs.iter();
    let types = inputs.filter_map(|input| match input {
        FnArg::Typed(typed) => Some(&*typed.ty),
        FnArg::Receiver(_) => None,
    });
    types.collect()
}

/// A name for the generated functions that cannot be one of the user's.
pub(crate) fn hidden(function: &ItemFn, suffix: &str) -> Ident {
    Ident::new(&format!("__amends_{suffix}"), function.sig.ident.span())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(item: &str, role: Role) -> String {
        let item = item.parse().unwrap();
        parse(item, role).err().unwrap().to_string()
    }

    #[test]
    fn wrong_items_are_refused_with_the_right_shape() {
        for (item, told) in [
            ("struct Order;", "an activity is a function"),
            (
                "async fn f() -> Result<(), Failure> { Ok(()) }",
                "must be the ActivityContext",
            ),
            ("async fn f(&self, cx: ActivityContext) -> R { x }", "not a method"),
            (
                "async fn f(cx: ActivityContext, a: A, b: B) -> R { x }",
                "into a struct",
            ),
            (
                "async fn f<T>(cx: ActivityContext, a: T) -> R { x }",
                "cannot be generic",
            ),
            (
                "async fn f(cx: ActivityContext, a: impl Clone) -> R { x }",
                "cannot be generic",
            ),
            ("async fn f(cx: ActivityContext) { }", "returns a Result"),
        ] {
            let refusal = refusal(item, Role::Activity);
            assert!(refusal.contains(told), "{item}: {refusal}");
        }
        assert!(refusal("const X: u8 = 1;", Role::Workflow).contains("a workflow is a function"));
    }
}
