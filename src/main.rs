//! The `amends` binary. Lives here: nothing but the way into `server`.

use std::process::ExitCode;

fn main() -> ExitCode {
    amends::server::main()
}
