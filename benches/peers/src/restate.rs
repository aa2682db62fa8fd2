//! The benchmark's saga on Restate: a service with its SDK, and clients that call it through the server's ingress. Must
//! not live here: starting the server (`run` does).

mod load;

use restate_sdk::ingress::ReqwestClient;
use restate_sdk::prelude::*;

use load::{Failure, Options, measure};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Where the server finds the service; `run` registers it there.
const SERVICE: &str = "127.0.0.1:9280";

struct BenchSaga;

#[service]
impl BenchSaga {
    /// Three steps that do nothing.
    #[handler]
    async fn steps(&self, context: Context<'_>, number: u64) -> Result<u64, HandlerError> {
        for step in ["step-1", "step-2", "step-3"] {
            context.run(|| async move { Ok(number) }).name(step).await?;
        }
        Ok(number)
    }

    /// Two steps that do nothing, one that is refused, and two compensations that do nothing.
    #[handler]
    async fn rollback(&self, context: Context<'_>, number: u64) -> Result<u64, HandlerError> {
        for step in ["step-1", "step-2"] {
            context.run(|| async move { Ok(number) }).name(step).await?;
        }
        let refused = context
            .run(|| async move { Err::<u64, HandlerError>(TerminalError::new("refused").into()) })
            .name("step-3")
            .await;
        let Err(refusal) = refused else {
            return Err(TerminalError::new("it was not refused").into());
        };
        for undo in ["undo-2", "undo-1"] {
            context.run(|| async move { Ok(number) }).name(undo).await?;
        }
        Err(refusal.into())
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let options = Options::read()?;
    if options.url.is_empty() {
        let endpoint = Endpoint::builder().bind(BenchSaga).build();
        HttpServer::new(endpoint).listen_and_serve(SERVICE.parse()?).await;
        return Ok(());
    }
    let service = HttpServer::new(Endpoint::builder().bind(BenchSaga).build());
    tokio::spawn(service.listen_and_serve(SERVICE.parse()?));
    let client = ReqwestClient::connect(options.url.parse()?)?;
    let rollback = options.rollback;
    measure("restate", &options, move |number| {
        let client = BenchSagaIngressClient::from_client(client.clone());
        async move {
            match rollback {
                false => drop(client.steps(number).call().await?.into_body()?),
                true => {
                    let failure = match client.rollback(number).call().await {
                        Ok(response) => response.into_body().err().map(|error| format!("{error:?}")),
                        Err(error) => Some(format!("{error:?}")),
                    };
                    match failure {
                        Some(refusal) if refusal.contains("refused") => {}
                        Some(other) => return Err(other.into()),
                        None => return Err("a saga that was to be rolled back has completed".into()),
                    }
                }
            }
            Ok(())
        }
    })
    .await
}
