//! Participants of another kind than Rust: a server on loopback and shell scripts, which share one ledger and do as the
//! test tells them. Must not live here: engines, and what is right.
//!
//! Everything is a file in one directory, because scripts can do nothing else: `ledger` has a line for each effect, `keys`
//! the idempotency keys that were used, `faults` what an operation gets wrong, and `hung` who does not answer.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::TempDir;

/// What an operation gets wrong, each time it is asked or only at the first attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It says no, and does nothing.
    Refused,
    /// It does what it should, and never answers.
    Silent,
    /// The request is lost, nothing is done.
    Lost,
}

impl Fault {
    pub(crate) const ALL: [Fault; 3] = [Fault::Refused, Fault::Silent, Fault::Lost];

    fn as_str(self) -> &'static str {
        match self {
            Fault::Refused => "refused",
            Fault::Silent => "silent",
            Fault::Lost => "lost",
        }
    }
}

/// One operation of a participant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation {
    /// The path of the request, or the name of the script.
    pub(crate) name: &'static str,
    pub(crate) does: Does,
    /// What it returns.
    pub(crate) answer: fn() -> Value,
}

/// What an operation is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Does {
    /// It has an effect.
    Apply,
    /// It undoes this operation's effect.
    Undo(&'static str),
    /// It says whether this operation has had its effect.
    Verify(&'static str),
}

/// The participants of one saga.
pub(crate) struct World {
    directory: TempDir,
    address: SocketAddr,
}

struct Server {
    directory: PathBuf,
    operations: &'static [Operation],
    /// What a request is about: what is done and undone by the same name is the same thing.
    subject: fn(&Value) -> String,
}

/// What the scripts are made of: `participant HERE NAME VERB OTHER ANSWER ARGUMENT..`, where the
/// last argument is the subject.
const SCRIPT: &str = r#"#!/bin/sh
set -eu
here=$1 operation=$2 verb=$3 other=$4 answer=$5
for subject; do :; done
if [ "${BANK_TOKEN-s3cret}" != s3cret ]; then echo "wrong token" >&2; exit 77; fi
key=$(printf %s "$AMENDS_IDEMPOTENCY_KEY" | tr '/' '_')
fault=none times=0
if [ -f "$here/faults/$operation" ]; then read -r fault times < "$here/faults/$operation"; fi
if [ "$AMENDS_ATTEMPT" -gt "$times" ]; then fault=none; fi
case $fault in
    refused) echo "refused $operation $subject" >> "$here/ledger"; echo "no" >&2; exit 65 ;;
    lost) exit 75 ;;
esac
if [ "$verb" = verify ]; then
    applied=false
    if grep -qx "applied $other $subject" "$here/ledger"; then applied=true; fi
    printf '{"applied": %s, "output": %s}\n' "$applied" "$answer"
    exit 0
fi
if mkdir "$here/keys/$key" 2> "$here/null"; then
    if [ "$verb" = apply ]; then
        echo "applied $operation $subject" >> "$here/ledger"
    elif grep -qx "applied $other $subject" "$here/ledger"; then
        echo "undone $operation $subject" >> "$here/ledger"
    else
        echo "nothing $operation $subject" >> "$here/ledger"
    fi
fi
if [ "$fault" = silent ]; then
    : > "$here/hung/$key.$AMENDS_ATTEMPT"
    exec tail -f "$here/null"
fi
printf '%s\n' "$answer"
"#;

impl World {
    /// Starts the server, and writes a script for each operation whose name is no path.
    pub(crate) fn start(operations: &'static [Operation], subject: fn(&Value) -> String) -> Self {
        let directory = TempDir::new().unwrap();
        let at = directory.path().to_owned();
        for name in ["keys", "faults", "hung", "tools"] {
            fs::create_dir(at.join(name)).unwrap();
        }
        fs::write(at.join("null"), "").unwrap();
        fs::write(at.join("ledger"), "").unwrap();
        fs::write(at.join("participant"), SCRIPT).unwrap();
        for operation in operations.iter().filter(|operation| !operation.name.contains('/')) {
            write_tool(&at, operation);
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = Arc::new(Server {
            directory: at,
            operations,
            subject,
        });
        // The threads end with the process: there is a handful of them.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = Arc::clone(&server);
                std::thread::spawn(move || server.serve(stream));
            }
        });
        Self { directory, address }
    }

    /// Where a service is.
    pub(crate) fn url(&self, service: &str) -> String {
        format!("http://{}/{service}", self.address)
    }

    /// Where the scripts are.
    pub(crate) fn tools(&self) -> String {
        self.directory.path().join("tools").to_str().unwrap().to_owned()
    }

    /// From now on an operation fails like this, at so many attempts.
    pub(crate) fn fail(&self, operation: &str, fault: Fault, attempts: u32) {
        let path = self.directory.path().join("faults").join(file_name(operation));
        fs::write(path, format!("{} {attempts}\n", fault.as_str())).unwrap();
    }

    /// Whether an attempt has reached its participant, which will not answer it.
    pub(crate) fn hangs(&self, key: &str, attempt: u32) -> bool {
        let name = format!("{}.{attempt}", file_name(key));
        self.directory.path().join("hung").join(name).exists()
    }

    /// What was done, in order: `applied reserve order-1`, `undone release order-1`, `nothing ..`, `refused ..`.
    pub(crate) fn ledger(&self) -> Vec<String> {
        let text = fs::read_to_string(self.directory.path().join("ledger")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Whether the ledger has a line that begins with these words.
    pub(crate) fn did(&self, what: &str) -> bool {
        let what = format!("{what} ");
        self.ledger().iter().any(|line| format!("{line} ").starts_with(&what))
    }

    /// Forgets faults and ledger; keys stay used.
    pub(crate) fn reset(&self) {
        fs::write(self.directory.path().join("ledger"), "").unwrap();
        for fault in fs::read_dir(self.directory.path().join("faults")).unwrap() {
            fs::remove_file(fault.unwrap().path()).unwrap();
        }
    }
}

fn write_tool(at: &Path, operation: &Operation) {
    let Operation { name, does, answer } = operation;
    let (verb, other) = match does {
        Does::Apply => ("apply", "-"),
        Does::Undo(other) => ("undo", *other),
        Does::Verify(other) => ("verify", *other),
    };
    let (here, answer) = (at.display(), answer());
    let text = format!("#!/bin/sh\nexec sh '{here}/participant' '{here}' {name} {verb} {other} '{answer}' \"$@\"\n");
    let path = at.join("tools").join(name);
    fs::write(&path, text).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(path, mode).unwrap();
}

fn file_name(text: &str) -> String {
    text.replace('/', "_")
}

struct Request {
    operation: String,
    key: String,
    attempt: u32,
    body: Value,
}

impl Server {
    fn serve(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let Some(request) = read(&mut reader) else { return };
        let Some(operation) = self.operations.iter().find(|known| known.name == request.operation) else {
            return answer(stream, "404 Not Found", &json!({"error": "NoSuchOperation"}));
        };
        let subject = (self.subject)(&request.body);
        let name = operation.name;
        match self.fault(&request) {
            Some("refused") => {
                self.note(&format!("refused {name} {subject}"));
                return answer(stream, "422 Unprocessable Content", &json!({"error": "Refused"}));
            }
            Some("lost") => return,
            // The ledger books nothing that was not approved.
            _ if request.body["approved"] == json!(false) => {
                self.note(&format!("refused {name} {subject}"));
                return answer(stream, "422 Unprocessable Content", &json!({"error": "NotApproved"}));
            }
            _ => self.apply(operation, &subject, &request.key),
        }
        if self.fault(&request) == Some("silent") {
            let mark = format!("{}.{}", file_name(&request.key), request.attempt);
            fs::write(self.directory.join("hung").join(mark), "").unwrap();
            // Until the caller has given up.
            let _ = reader.read(&mut [0]);
            return;
        }
        answer(stream, "200 OK", &(operation.answer)());
    }

    fn fault(&self, request: &Request) -> Option<&'static str> {
        let path = self.directory.join("faults").join(file_name(&request.operation));
        let text = fs::read_to_string(path).ok()?;
        let (fault, attempts) = text.trim().split_once(' ')?;
        let fault = Fault::ALL.iter().find(|known| known.as_str() == fault)?;
        (request.attempt <= attempts.parse().unwrap()).then_some(fault.as_str())
    }

    fn apply(&self, operation: &Operation, subject: &str, key: &str) {
        if fs::create_dir(self.directory.join("keys").join(file_name(key))).is_err() {
            return;
        }
        let name = operation.name;
        let Does::Undo(undoes) = operation.does else {
            return self.note(&format!("applied {name} {subject}"));
        };
        let applied = format!("applied {undoes} {subject}");
        let ledger = fs::read_to_string(self.directory.join("ledger")).unwrap_or_default();
        match ledger.lines().any(|line| line == applied) {
            true => self.note(&format!("undone {name} {subject}")),
            false => self.note(&format!("nothing {name} {subject}")),
        }
    }

    fn note(&self, line: &str) {
        let mut ledger = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.directory.join("ledger"))
            .unwrap();
        ledger.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
}

fn read(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?;
    let operation = path.trim_start_matches('/').to_owned();
    let (mut key, mut attempt, mut length) = (String::new(), 0, 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "idempotency-key" => key = value.trim().to_owned(),
            "amends-attempt" => attempt = value.trim().parse().ok()?,
            "content-length" => length = value.trim().parse().ok()?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = serde_json::from_slice(&body).unwrap_or_default();
    Some(Request {
        operation,
        key,
        attempt,
        body,
    })
}

fn answer(mut stream: TcpStream, status: &str, body: &Value) {
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}",
        body.len()
    );
    // The caller may have given up.
    let _ = stream.write_all(format!("{head}\r\nconnection: close\r\n\r\n{body}").as_bytes());
}
