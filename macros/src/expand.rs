//! Writes the metadata beside the function. The function's own tokens are never changed.

use std::time::Duration;

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, ItemFn};

use crate::function::{self, Role};
use crate::lint;
use crate::options::{ActivityOptions, Cancellation, InFlight, OnAmbiguous, RetryOptions, WorkflowOptions};

/// The item as it is, and beside it what `write` makes of it; or, in its stead, the compile error.
pub(crate) fn beside(item: &TokenStream, write: impl FnOnce(TokenStream) -> syn::Result<TokenStream>) -> TokenStream {
    let written = write(item.clone()).unwrap_or_else(|error| error.to_compile_error());
    quote! { #item #written }
}

pub(crate) fn activity(attribute: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let function = function::parse(item, Role::Activity)?;
    let options: ActivityOptions = syn::parse2(attribute)?;
    let name = optional(options.name.as_ref().map(|name| quote! { #name }));
    let sets = option_sets(&options);
    let ident = &function.sig.ident;
    let compensation = optional(options.compensate.as_ref().map(|undo| {
        // At the path's span, so that a compensation of the wrong type is pointed at where it is named.
        quote_spanned! { undo.span() => || ::amends::__private::compensation_of(#ident, #undo) }
    }));
    let verification = optional(options.verify.as_ref().map(|probe| {
        quote_spanned! { probe.span() => || ::amends::__private::verification_of(#ident, #probe) }
    }));
    let asks = options.on_ambiguous == Some(OnAmbiguous::Ask);
    let isolated = optional(
        options
            .isolated
            .then(|| quote! { || ::amends::ActivityDefinition::of(#ident) }),
    );
    let fences = options.in_flight == Some(InFlight::Fence);
    let cancellation = optional(options.cancellation.map(|cancellation| match cancellation {
        Cancellation::TryCancel => quote! { ::amends::CancellationType::TryCancel },
        Cancellation::WaitCancellationCompleted => quote! { ::amends::CancellationType::WaitCancellationCompleted },
        Cancellation::Abandon => quote! { ::amends::CancellationType::Abandon },
    }));
    let identify = quote_spanned! { ident.span() => || ::amends::__private::activity_function_id(#ident) };
    let metadata = quote! {
        ::amends::__private::ActivityMetadata {
            function: #identify,
            name: #name,
            configure: |options: &mut ::amends::__private::ActivityOptions| { let _ = &options; #sets },
            compensation: #compensation,
            verification: #verification,
            asks: #asks,
            isolated: #isolated,
            fences: #fences,
            cancellation: #cancellation,
        }
    };
    Ok(hidden_block(&function, &metadata, &future_check(&function)))
}

pub(crate) fn workflow(attribute: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let function = function::parse(item, Role::Workflow)?;
    let options: WorkflowOptions = syn::parse2(attribute)?;
    if options.allow_nondeterminism.is_none() {
        lint::check(&function)?;
    }
    let name = optional(options.name.as_ref().map(|name| quote! { #name }));
    let ident = &function.sig.ident;
    let task_queue = optional(options.task_queue.as_ref().map(|name| quote! { #name }));
    let version = optional(options.version.as_ref().map(|version| quote! { #version }));
    let saga = optional(saga_sets(&options));
    let identify = quote_spanned! { ident.span() => || ::amends::__private::workflow_function_id(#ident) };
    let metadata = quote! {
        ::amends::__private::WorkflowMetadata {
            function: #identify,
            name: #name,
            version: #version,
            task_queue: #task_queue,
            saga: #saga,
        }
    };
    Ok(hidden_block(&function, &metadata, &TokenStream::new()))
}

/// Sets what the attribute says about sagas, if it does.
fn saga_sets(options: &WorkflowOptions) -> Option<TokenStream> {
    let timeout = options.unwind_timeout.map(duration);
    let timeout = timeout.map(|value| quote! { options.unwind_timeout = ::core::option::Option::Some(#value); });
    let parallel = options
        .unwind_parallel
        .map(|value| quote! { options.unwind_parallel = ::core::option::Option::Some(#value); });
    let says_something = timeout.is_some() || parallel.is_some();
    says_something.then(|| quote! { |options: &mut ::amends::__private::SagaOptions| { #timeout #parallel } })
}

fn hidden_block(function: &ItemFn, metadata: &TokenStream, checks: &TokenStream) -> TokenStream {
    // A function that is configured away must take its metadata along.
    let conditions: Vec<&Attribute> = function.attrs.iter().filter(|a| a.path().is_ident("cfg")).collect();
    quote! {
        #(#conditions)*
        const _: () = {
            #checks
            ::amends::__private::inventory::submit! { #metadata }
        };
    }
}

/// Says of an async function whose future is not `Send` why it is not: the trait bound alone only says that it is not.
fn future_check(function: &ItemFn) -> TokenStream {
    if function.sig.asyncness.is_none() {
        return TokenStream::new();
    }
    let ident = &function.sig.ident;
    let types = function::parameter_types(function);
    let arguments: Vec<_> = ["cx", "input"]
        .iter()
        .map(|name| function::hidden(function, name))
        .collect();
    let arguments = arguments.get(..types.len()).unwrap_or_default();
    quote_spanned! { ident.span() =>
        #[allow(dead_code, clippy::all, clippy::pedantic)]
        fn __amends_future_must_be_send(#(#arguments: #types),*) {
            fn must_be_send<F: ::core::marker::Send>(_future: F) {}
            must_be_send(#ident(#(#arguments),*));
        }
    }
}

fn option_sets(options: &ActivityOptions) -> TokenStream {
    let start_to_close = options.start_to_close.map(duration);
    let start_to_close =
        start_to_close.map(|value| quote! { options.start_to_close = ::core::option::Option::Some(#value); });
    let optional_limits = [
        (quote! { schedule_to_close }, options.schedule_to_close),
        (quote! { schedule_to_start }, options.schedule_to_start),
        (quote! { heartbeat }, options.heartbeat),
    ];
    let limits = optional_limits.into_iter().filter_map(|(field, value)| {
        let value = duration(value?);
        Some(quote! { options.#field = ::core::option::Option::Some(#value); })
    });
    let retry = options.retry.as_ref().map(retry_sets);
    let task_queue = options.task_queue.as_ref().map(|name| {
        quote! {
            options.task_queue = ::core::option::Option::Some(::amends::__private::TaskQueue::from_trusted(#name));
        }
    });
    quote! { #start_to_close #(#limits)* #retry #task_queue }
}

fn retry_sets(retry: &RetryOptions) -> TokenStream {
    let initial = retry.initial_interval.map(duration);
    let initial = initial.map(|value| quote! { options.retry.initial_interval = #value; });
    let coefficient = retry
        .coefficient
        .map(|value| quote! { options.retry.backoff_coefficient = #value; });
    let maximum = retry.maximum_interval.map(duration);
    let maximum =
        maximum.map(|value| quote! { options.retry.maximum_interval = ::core::option::Option::Some(#value); });
    let attempts = retry
        .max_attempts
        .map(|value| quote! { options.retry.maximum_attempts = #value; });
    let types = retry.non_retryable.as_ref().map(|types| {
        quote! {
            options.retry.non_retryable_types =
                ::std::vec![#(::std::borrow::ToOwned::to_owned(#types)),*];
        }
    });
    quote! { #initial #coefficient #maximum #attempts #types }
}

fn duration(duration: Duration) -> TokenStream {
    let (seconds, nanos) = (duration.as_secs(), duration.subsec_nanos());
    quote! { ::amends::__private::Duration::new(#seconds, #nanos) }
}

fn optional(value: Option<TokenStream>) -> TokenStream {
    match value {
        Some(value) => quote! { ::core::option::Option::Some(#value) },
        None => quote! { ::core::option::Option::None },
    }
}
