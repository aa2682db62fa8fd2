//! Panics of sled as errors: on damaged files it panics inside, and its text on stderr would help nobody. Must not live
//! here: what becomes of the errors.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

use crate::store::Error;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Puts a hook in front of the process's panic hook, once: it holds back the message while this thread is inside
/// [`quietly`], and hands on everything else.
pub(super) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let previous = take_hook();
        set_hook(Box::new(move |panic| {
            // A thread that is being torn down has no flag any more, and is not in a call of ours.
            if !QUIET.try_with(Cell::get).unwrap_or(false) {
                previous(panic);
            }
        }));
    });
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

/// Calls into sled; a panic becomes [`Error::Corrupt`].
///
/// Unwinding out of sled leaves none of our own data half changed: everything of ours is written after the call.
pub(super) fn quietly<T>(doing: &str, call: impl FnOnce() -> sled::Result<T>) -> Result<T, Error> {
    let before = QUIET.replace(true);
    let result = catch_unwind(AssertUnwindSafe(call));
    QUIET.set(before);
    match result {
        Ok(result) => result.map_err(|error| from_sled(doing, &error)),
        Err(panic) => Err(Error::Corrupt {
            run: None,
            what: format!("the storage engine panicked while {doing}: {}", message(&*panic)),
        }),
    }
}

/// What an error of sled's means to us.
fn from_sled(doing: &str, error: &sled::Error) -> Error {
    match error {
        // It reads only where it has written: a file that ends before that was cut.
        sled::Error::Io(io) if io.kind() == std::io::ErrorKind::UnexpectedEof => Error::Corrupt {
            run: None,
            what: format!("the storage engine's file ends too early, found while {doing}: {error}"),
        },
        sled::Error::Io(io) => from_io(doing, io),
        sled::Error::Corruption { .. } => Error::Corrupt {
            run: None,
            what: format!("the storage engine found damage while {doing}: {error}"),
        },
        other => Error::Io(format!("{doing}: {other}")),
    }
}

/// What an error of the operating system's means to us.
pub(super) fn from_io(doing: &str, error: &std::io::Error) -> Error {
    use std::io::ErrorKind as K;
    match error.kind() {
        K::StorageFull | K::QuotaExceeded | K::FileTooLarge => Error::Full(format!("{doing}: {error}")),
        _ => Error::Io(format!("{doing}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_and_the_flag_goes_back() {
        install();
        let result = quietly("opening", || -> sled::Result<()> { panic!("assertion of sled's") });
        let text = result.unwrap_err().to_string();
        assert!(text.contains("while opening: assertion of sled's"), "{text}");
        assert!(!QUIET.get());
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let result = quietly("writing", || -> sled::Result<()> { Err(sled::Error::Io(full)) });
        assert!(matches!(result, Err(Error::Full(_))));
    }
}
