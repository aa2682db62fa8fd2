//! The name of a function that was given none: the last segment of its path. Must not live here: names chosen by users.

/// Why a function cannot be named after itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FunctionNameError {
    /// It is a closure.
    #[error(
        "a closure has no name of its own ({path}): write a function, or implement the trait and register it under a name"
    )]
    Closure {
        /// What Rust calls it.
        path: String,
    },
    /// It is a function pointer, or generic.
    #[error(
        "{path} has no name of its own: use a plain function, not a function pointer or a generic one, or register it under a name"
    )]
    Unnamed {
        /// What Rust calls it.
        path: String,
    },
    /// The name cannot be an id.
    #[error("{path} cannot be used as a name: {source}")]
    Invalid {
        /// What Rust calls it.
        path: String,
        /// What is wrong with it.
        #[source]
        source: crate::model::IdError,
    },
}

/// The last segment of the function's path: `reserve_inventory` of `shop::orders::reserve_inventory`.
pub(super) fn function_name<F>() -> Result<&'static str, FunctionNameError> {
    last_segment(std::any::type_name::<F>())
}

fn last_segment(path: &'static str) -> Result<&'static str, FunctionNameError> {
    if path.ends_with("{{closure}}") {
        return Err(FunctionNameError::Closure { path: path.to_owned() });
    }
    let last = path.rsplit("::").next().unwrap_or(path);
    let name = last.strip_prefix("r#").unwrap_or(last);
    let is_identifier = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    // A function pointer's name (`fn(A) -> m::B`) may end like a path, but it does not start like one.
    if !is_identifier
        || path.starts_with(|c: char| c != '<' && !c.is_alphanumeric() && c != '_')
        || path.contains("fn(")
    {
        return Err(FunctionNameError::Unnamed { path: path.to_owned() });
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_have_names_and_closures_have_not() {
        assert_eq!(last_segment("shop::orders::reserve"), Ok("reserve"));
        assert_eq!(last_segment("shop::main::{{closure}}::inner"), Ok("inner"));
        assert_eq!(last_segment("shop::r#type"), Ok("type"));
        let closure = last_segment("shop::main::{{closure}}").unwrap_err();
        assert!(closure.to_string().contains("closure has no name"), "{closure}");
        for path in [
            "shop::reserve<u32>",
            "fn(shop::Order) -> shop::Receipt",
            "&shop::reserve<a::B>",
        ] {
            assert!(
                matches!(last_segment(path), Err(FunctionNameError::Unnamed { .. })),
                "{path}"
            );
        }
    }
}
