//! The participants on HTTP. Lives here: requests taken apart, answers put together, and the ways an answer goes astray.
//! Must not live here: what a request does to a ledger (that is `participant`).

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use bytes::Bytes;
use serde_json::json;

use super::participant::{Answer, Delivery, Participant, Request, problem};
use super::{Behavior, LedgerError, Operation, Order, Pace, Service};

/// Bytes of a request's body. An order has a few hundred.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// When the participants stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// On SIGINT or SIGTERM.
    UntilSignal,
    /// Also when standard input closes: with a pipe from its parent, the process never outlives it, however it dies.
    UntilStdinCloses,
}

/// Why the participants cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ParticipantsError {
    /// The address cannot be bound.
    #[error("the participants cannot listen on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A ledger cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The server failed while running.
    #[error("the participants' server failed: {0}")]
    Serve(#[source] io::Error),
}

struct Participants {
    inventory: Mutex<Participant>,
    payment: Mutex<Participant>,
    shipping: Mutex<Participant>,
    pace: Pace,
}

impl Participants {
    fn of(&self, service: Service) -> &Mutex<Participant> {
        match service {
            Service::Inventory => &self.inventory,
            Service::Payment => &self.payment,
            Service::Shipping => &self.shipping,
        }
    }
}

/// Runs the participants on this thread until their [`Lifetime`] ends. Prints the port, alone on one line, on standard
/// output once requests are accepted (so `bind` may have port 0).
///
/// # Errors
/// When the address or a ledger cannot be used.
pub fn run_participants(bind: SocketAddr, dir: &Path, pace: Pace, lifetime: Lifetime) -> Result<(), ParticipantsError> {
    actix_web::rt::System::new().block_on(async {
        let (server, address) = start_participants(bind, dir, pace)?;
        let handle = server.handle();
        if lifetime == Lifetime::UntilStdinCloses {
            std::thread::spawn(move || stop_when_stdin_closes(&handle));
        }
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{}", address.port())
            .and_then(|()| stdout.flush())
            .map_err(ParticipantsError::Serve)?;
        drop(stdout);
        server.await.map_err(ParticipantsError::Serve)
    })
}

/// Starts the participants inside an actix system; they serve while the returned server is polled. Gives the address that
/// was bound.
///
/// # Errors
/// When the address or a ledger cannot be used.
pub fn start_participants(
    bind: SocketAddr,
    dir: &Path,
    pace: Pace,
) -> Result<(actix_web::dev::Server, SocketAddr), ParticipantsError> {
    let participants = web::Data::new(Participants {
        inventory: Mutex::new(Participant::open(dir, Service::Inventory)?),
        payment: Mutex::new(Participant::open(dir, Service::Payment)?),
        shipping: Mutex::new(Participant::open(dir, Service::Shipping)?),
        pace,
    });
    let failed = |source| ParticipantsError::Bind { address: bind, source };
    let server = HttpServer::new(move || {
        App::new()
            .app_data(participants.clone())
            .app_data(web::PayloadConfig::new(BODY_BYTES_MAX))
            .route("/health", web::get().to(health))
            .route("/{service}/{operation}", web::post().to(serve))
            .default_service(web::to(unknown))
    })
    .workers(1)
    .shutdown_timeout(1)
    .bind(bind)
    .map_err(failed)?;
    let address = server
        .addrs()
        .first()
        .copied()
        .ok_or_else(|| failed(io::ErrorKind::AddrNotAvailable.into()))?;
    Ok((server.run(), address))
}

fn stop_when_stdin_closes(handle: &ServerHandle) {
    let mut ignored = [0; 256];
    let mut stdin = io::stdin().lock();
    while matches!(stdin.read(&mut ignored), Ok(length) if length > 0) {}
    // The command is sent by the call; its future only waits for the end, which the server's own future does too.
    drop(handle.stop(false));
}

async fn health() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "ok"}))
}

async fn unknown(http: HttpRequest) -> HttpResponse {
    let known: Vec<String> = Operation::ALL
        .iter()
        .map(|operation| format!("POST /{}/{operation}", operation.service()))
        .collect();
    let what = format!(
        "there is no {} {} here; there are GET /health, {}",
        http.method(),
        http.path(),
        known.join(", ")
    );
    respond(problem(404, "NotFound", &what))
}

async fn serve(
    http: HttpRequest,
    path: web::Path<(String, String)>,
    body: web::Bytes,
    participants: web::Data<Participants>,
) -> HttpResponse {
    let Some(operation) = Operation::from_path(&path.0, &path.1) else {
        return unknown(http).await;
    };
    let request = match read(&http, operation, &body) {
        Ok(request) => request,
        Err(answer) => return respond(answer),
    };
    let visit = match participants.of(operation.service()).lock() {
        Ok(mut participant) => participant.visit(&request.key),
        Err(_) => return respond(broken("an earlier request panicked")),
    };
    if visit == 1 && Behavior::of(operation, &request.order) == Behavior::Slow {
        wait(participants.pace.slow).await;
    }
    let hang = participants.pace.hang;
    // Appending waits for the disk, which must not hold up other requests.
    let handled = web::block(move || match participants.of(operation.service()).lock() {
        Ok(mut participant) => participant.handle(&request, visit).map_err(|error| error.to_string()),
        Err(_) => Err("an earlier request panicked".to_owned()),
    });
    match handled.await {
        Ok(Ok((answer, Delivery::AtOnce))) => respond(answer),
        Ok(Ok((answer, Delivery::Late))) => {
            wait(hang).await;
            respond(answer)
        }
        Ok(Ok((_, Delivery::Never))) => HttpResponse::Ok().body(Severed),
        Ok(Err(what)) => respond(broken(&what)),
        Err(_) => respond(broken("the participants are stopping")),
    }
}

fn read(http: &HttpRequest, operation: Operation, body: &[u8]) -> Result<Request, Answer> {
    let bad = |what: &str| problem(400, "BadRequest", what);
    let header = |name: &str| http.headers().get(name).and_then(|value| value.to_str().ok());
    let key = header("Idempotency-Key").filter(|key| !key.is_empty());
    let key = key.ok_or_else(|| bad("the header Idempotency-Key is missing; send one key per effect"))?;
    let attempt = match header("Amends-Attempt").map(str::parse) {
        None => None,
        Some(Ok(attempt)) => Some(attempt),
        Some(Err(_)) => return Err(bad("the header Amends-Attempt is not a number")),
    };
    let order: Order =
        serde_json::from_slice(body).map_err(|error| bad(&format!("the body is not an order: {error}")))?;
    if order.order_id.is_empty() {
        return Err(bad("the order has an empty order_id"));
    }
    Ok(Request {
        key: key.to_owned(),
        attempt,
        operation,
        order,
    })
}

fn broken(what: &str) -> Answer {
    problem(500, "Broken", what)
}

fn respond(answer: Answer) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    HttpResponse::build(status).json(answer.body)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a participant's time is the outside world's, never the engine's"
)]
async fn wait(duration: Duration) {
    actix_web::rt::time::sleep(duration).await;
}

/// A body that fails before its first byte: the server gives the connection up without having written anything, which is
/// what a service that dies after doing its work looks like from outside.
struct Severed;

impl MessageBody for Severed {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        BodySize::Sized(1)
    }

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Bytes, Self::Error>>> {
        std::task::Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::participants::{EntryOutcome, Ledger};

    /// A server over a directory of its own, and a client.
    struct Fixture {
        dir: tempfile::TempDir,
        base: String,
        client: reqwest::Client,
        handle: ServerHandle,
    }

    impl Fixture {
        fn start() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let pace = Pace {
                slow: Duration::ZERO,
                hang: Duration::from_secs(3600),
            };
            let bind = SocketAddr::from(([127, 0, 0, 1], 0));
            let (server, address) = start_participants(bind, dir.path(), pace).unwrap();
            let handle = server.handle();
            actix_web::rt::spawn(server);
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let base = format!("http://{address}");
            Self {
                dir,
                base,
                client,
                handle,
            }
        }

        async fn post(&self, path: &str, key: &str, body: &serde_json::Value) -> reqwest::Result<(u16, String)> {
            let request = self.client.post(format!("{}{path}", self.base));
            let request = request.header("Idempotency-Key", key).header("Amends-Attempt", "2");
            let response = request.body(body.to_string()).send().await?;
            Ok((response.status().as_u16(), response.text().await?))
        }
    }

    #[actix_web::test]
    async fn orders_are_served_and_recorded() {
        let fixture = Fixture::start();
        let order = json!({"order_id": "order-1", "sku": "slow-lamp", "quantity": 2});
        let (status, body) = fixture.post("/inventory/reserve", "k1", &order).await.unwrap();
        assert_eq!(status, 200, "{body}");
        assert!(body.contains("reservation-order-1"), "{body}");
        let entries = Ledger::load(fixture.dir.path()).unwrap();
        assert_eq!((entries.len(), entries[0].attempt), (1, Some(2)));
        let health = fixture
            .client
            .get(format!("{}/health", fixture.base))
            .send()
            .await
            .unwrap();
        assert_eq!(health.status(), 200);
        fixture.handle.stop(false).await;
    }

    #[actix_web::test]
    async fn a_dropped_connection_leaves_the_effect_and_no_answer() {
        let fixture = Fixture::start();
        let order = json!({"order_id": "order-1", "card": "drop-4242"});
        let lost = fixture.post("/payment/charge", "k1", &order).await.unwrap_err();
        assert!(lost.is_request() && lost.status().is_none(), "{lost:?}");
        let (status, _) = fixture.post("/payment/charge", "k1", &order).await.unwrap();
        assert_eq!(status, 200);
        let outcomes: Vec<_> = Ledger::load(fixture.dir.path())
            .unwrap()
            .iter()
            .map(|e| e.outcome)
            .collect();
        assert_eq!(outcomes, [EntryOutcome::Applied, EntryOutcome::Repeated]);
        fixture.handle.stop(false).await;
    }

    #[actix_web::test]
    async fn bad_requests_say_what_to_do() {
        let fixture = Fixture::start();
        for (path, key, body, expected) in [
            (
                "/payment/reserve",
                "k",
                json!({"order_id": "a"}),
                "POST /inventory/reserve",
            ),
            (
                "/payment/charge",
                "",
                json!({"order_id": "a"}),
                "send one key per effect",
            ),
            ("/payment/charge", "k", json!({"card": "visa"}), "order_id"),
        ] {
            let (status, text) = fixture.post(path, key, &body).await.unwrap();
            assert!(
                (400..500).contains(&status) && text.contains(expected),
                "{status} {text}"
            );
        }
        assert!(Ledger::load(fixture.dir.path()).unwrap().is_empty());
        fixture.handle.stop(false).await;
    }
}
