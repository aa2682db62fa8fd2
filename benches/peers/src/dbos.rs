//! The benchmark's saga on DBOS: its engine in this process, on a PostgreSQL server. Must not live here: starting the
//! server (`run` does).

mod load;

use dbos::{Config, DBOS, Error, Result, step};
use load::{Failure, Options, measure};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// More than the default of 10: with that, 512 in flight wait for connections. The server allows 100.
const CONNECTIONS: u32 = 50;

#[derive(Debug, thiserror::Error, serde::Serialize, serde::Deserialize)]
enum SagaError {
    #[error("refused")]
    Refused,
}

/// Three steps that do nothing.
async fn steps(number: u64) -> Result<u64, SagaError> {
    for name in ["step-1", "step-2", "step-3"] {
        step(name, || async move { Ok::<_, Error<SagaError>>(number) }).await?;
    }
    Ok(number)
}

/// Two steps that do nothing, one that is refused, and two compensations that do nothing.
async fn rollback(number: u64) -> Result<u64, SagaError> {
    for name in ["step-1", "step-2"] {
        step(name, || async move { Ok::<_, Error<SagaError>>(number) }).await?;
    }
    let refused = step("step-3", || async move {
        Err::<u64, _>(Error::Application(SagaError::Refused))
    });
    let refused: Result<u64, SagaError> = refused.await;
    for name in ["undo-2", "undo-1"] {
        step(name, || async move { Ok::<_, Error<SagaError>>(number) }).await?;
    }
    refused
}

#[tokio::main]
async fn main() -> std::result::Result<(), Failure> {
    let options = Options::read()?;
    let dbos = DBOS::new(Config {
        app_version: Some("1".to_owned()),
        max_connections: CONNECTIONS,
        ..Config::new("amends-peers", options.url.clone())
    });
    let steps = dbos.register_workflow("steps", steps)?;
    let rollback = dbos.register_workflow("rollback", rollback)?;
    dbos.launch().await?;
    let rolls_back = options.rollback;
    measure("dbos", &options, move |number| {
        let (steps, rollback) = (steps.clone(), rollback.clone());
        async move {
            match rolls_back {
                false => drop(steps.run(number).await?),
                true => match rollback.run(number).await {
                    Err(Error::Application(SagaError::Refused)) => {}
                    other => return Err(format!("not rolled back: {other:?}").into()),
                },
            }
            Ok(())
        }
    })
    .await?;
    dbos.shutdown().await;
    Ok(())
}
