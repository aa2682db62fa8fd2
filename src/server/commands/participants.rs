//! `amends participants`: the demo's services on their own. Must not live here: what they do.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::server::console::Console;
use crate::server::exit::{Exit, Refusal};
use crate::server::participants::{Lifetime, Pace, run_participants};

/// Run the demo's three services (inventory, payment, shipping) for sagas/place-order.toml: amends participants
///
/// They listen on 127.0.0.1, keep a ledger each, and end on Ctrl-C. The port is printed on standard output once they
/// answer. How an order goes is in its own words: a sku `soldout-lamp`, a card `declined-visa`, an address
/// `undeliverable-Porto`; and `flaky-`, `slow-`, `drop-` and `hang-` in front of any of them. `final-` in front of one
/// refuses to undo it, and a card `noreceipt-visa` gets no receipt: sagas that need a person.
#[derive(Args)]
pub(crate) struct ParticipantsArgs {
    /// Where their ledgers are kept
    #[arg(long, value_name = "DIR", default_value = "amends-ledgers")]
    dir: PathBuf,
    /// The port; 0 for any that is free
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// End when standard input closes, too: with a pipe from its parent, the process never outlives it
    #[arg(long, hide = true)]
    until_stdin_closes: bool,
}

pub(crate) fn run(args: &ParticipantsArgs, console: &Console) -> Result<Exit, Refusal> {
    let bind = SocketAddr::from(([127, 0, 0, 1], args.port));
    let lifetime = match args.until_stdin_closes {
        true => Lifetime::UntilStdinCloses,
        false => Lifetime::UntilSignal,
    };
    if !args.until_stdin_closes {
        let dir = args.dir.display();
        console.note(format!(
            "participants on 127.0.0.1, ledgers in {dir}; Ctrl-C ends them; their port is"
        ));
    }
    run_participants(bind, &args.dir, Pace::default(), lifetime).map_err(|error| Refusal::failed(error.to_string()))?;
    Ok(Exit::Done)
}
