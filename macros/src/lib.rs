//! The attributes `#[activity]` and `#[workflow]`. Lives here: reading the attribute and writing metadata beside
//! the function. Must not live here: any behaviour; the function itself is passed through untouched.

mod duration;
mod expand;
mod function;
mod lint;
mod options;

use proc_macro::TokenStream;

/// See `amends::activity`.
#[proc_macro_attribute]
pub fn activity(attribute: TokenStream, item: TokenStream) -> TokenStream {
    expand::beside(&item.into(), |item| expand::activity(attribute.into(), item)).into()
}

/// See `amends::workflow`.
#[proc_macro_attribute]
pub fn workflow(attribute: TokenStream, item: TokenStream) -> TokenStream {
    expand::beside(&item.into(), |item| expand::workflow(attribute.into(), item)).into()
}
