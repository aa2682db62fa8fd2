//! The participants: a server in the test's process, which outlives every child. It fails as the seed says, is idempotent by
//! key, and keeps for ever what took effect. Must not live here: what must hold (`audit`).

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use super::chance::Chance;

/// One idempotency key: an intent of one saga, forward or back.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The workflow id.
    pub(super) workflow: String,
    pub(super) step: String,
    /// When it took effect: its place among all effects. `None`: it did not.
    pub(super) effect: Option<usize>,
    requests: u64,
}

#[derive(Default)]
struct Book {
    entries: BTreeMap<String, Entry>,
    effects: usize,
    connections: usize,
    calm: bool,
}

struct Shared {
    seed: u64,
    book: Mutex<Book>,
    quiet: Condvar,
}

/// The participants' server and what it wrote down.
pub(super) struct Ledger {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// The suffix of a compensation's key.
pub(super) const UNDO: &str = "/undo";

impl Ledger {
    /// Serves on a free loopback port until the test ends.
    pub(super) fn serve(seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            seed,
            book: Mutex::default(),
            quiet: Condvar::new(),
        });
        let serving = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                serving.book.lock().unwrap().connections += 1;
                let serving = serving.clone();
                thread::spawn(move || {
                    // A child that was killed in the middle of a request is no error of ours.
                    let _ = serve(&serving, &stream);
                    drop(stream);
                    serving.book.lock().unwrap().connections -= 1;
                    serving.quiet.notify_all();
                });
            }
        });
        Self { address, shared }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on nothing fails any more.
    pub(super) fn calm(&self) {
        self.shared.book.lock().unwrap().calm = true;
    }

    /// Waits until every request of a child that is dead has been dealt with.
    pub(super) fn until_quiet(&self) {
        let book = self.shared.book.lock().unwrap();
        drop(self.shared.quiet.wait_while(book, |book| book.connections > 0).unwrap());
    }

    /// All keys and what became of them.
    pub(super) fn entries(&self) -> BTreeMap<String, Entry> {
        self.shared.book.lock().unwrap().entries.clone()
    }
}

/// What the answer to a request is.
enum Answer {
    Say(&'static str),
    /// Nothing at all, until the other side gives up.
    Silence,
}

fn serve(shared: &Shared, mut stream: &TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let words: Vec<&str> = line.trim_end().split(' ').collect();
    // A request that the kill cut short was never made.
    let ([workflow, step, key], true) = (words.as_slice(), line.ends_with('\n')) else {
        return Ok(());
    };
    match request(shared, workflow, step, key) {
        Answer::Say(word) => writeln!(stream, "{word}"),
        Answer::Silence => reader.read_line(&mut line).map(drop),
    }
}

/// How the request number `number` of a key goes: whether it takes effect, and what is said.
fn plan(shared: &Shared, calm: bool, step: &str, key: &str, number: u64) -> (bool, Answer) {
    let must_succeed = key.ends_with(UNDO) || step == "r";
    let mut chance = Chance::of(shared.seed, key);
    let fate = chance.below(100);
    let failures = 1 + chance.below(2);
    match fate {
        // What is refused or broken is so for ever: a participant does not change its mind.
        0..4 if !must_succeed => (false, Answer::Say("refused")),
        4..7 if !must_succeed => (true, Answer::Say("broken")),
        7..9 if !must_succeed => (false, Answer::Say("broken")),
        _ if calm || number > failures => (true, Answer::Say("done")),
        9..20 => (false, Answer::Say("busy")),
        20..30 => (true, Answer::Say("busy")),
        30..33 => (true, Answer::Silence),
        _ => (true, Answer::Say("done")),
    }
}

fn request(shared: &Shared, workflow: &str, step: &str, key: &str) -> Answer {
    let mut book = shared.book.lock().unwrap();
    // What was undone, if only to make sure, does not happen any more.
    let undone = book
        .entries
        .get(&format!("{key}{UNDO}"))
        .is_some_and(|undo| undo.effect.is_some());
    let (effects, calm) = (book.effects, book.calm);
    let entry = book.entries.entry(key.to_owned()).or_insert_with(|| Entry {
        workflow: workflow.to_owned(),
        step: step.to_owned(),
        effect: None,
        requests: 0,
    });
    entry.requests += 1;
    if undone {
        return Answer::Say("refused");
    }
    let (takes_effect, answer) = plan(shared, calm, step, key, entry.requests);
    if takes_effect && entry.effect.is_none() {
        entry.effect = Some(effects);
        book.effects += 1;
    }
    answer
}
