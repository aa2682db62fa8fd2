//! The `amends` binary. Lives here: nothing but the way into `server`.

use std::process::ExitCode;

/// What one thread allocates, another one frees, many times in every turn: the system's allocator waits for its own locks
/// then.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    amends::server::main()
}
