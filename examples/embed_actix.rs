//! amends inside an `#[actix_web::main]` service: a request starts a saga and answers with its result.
//!
//! Run it with `cargo run --features server --example embed_actix`: it serves on a free loopback port, asks itself for one
//! order, and ends.

#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use std::time::Duration;

use actix_web::{App, HttpResponse, HttpServer, web};
use amends::{ActivityContext, Amends, Failure, WorkflowContext};

async fn brew(_cx: ActivityContext, drink: String) -> Result<String, Failure> {
    match drink.as_str() {
        "coffee" => Err(Failure::non_retryable("Teapot", "I am a teapot")),
        drink => Ok(format!("a cup of {drink}")),
    }
}

async fn serve_drink(cx: WorkflowContext, drink: String) -> Result<String, Failure> {
    cx.saga().run(brew, &drink).await
}

async fn order(amends: web::Data<Amends>, drink: web::Path<String>) -> HttpResponse {
    let drink = drink.into_inner();
    let run = match amends.workflow(serve_drink).start(&drink).await {
        Ok(run) => run,
        Err(error) => return HttpResponse::ServiceUnavailable().body(error.to_string()),
    };
    match run.result().await {
        Ok(cup) => HttpResponse::Ok().body(cup),
        Err(error) => HttpResponse::UnprocessableEntity().body(error.to_string()),
    }
}

#[actix_web::main]
pub(crate) async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let amends = Amends::builder()
        .memory()
        .activity(brew)
        .workflow(serve_drink)
        .start()
        .await?;
    let data = web::Data::new(amends.clone());
    let server = HttpServer::new(move || {
        App::new()
            .app_data(data.clone())
            .route("/order/{drink}", web::post().to(order))
    })
    .workers(1)
    .bind("127.0.0.1:0")?;
    let address = server.addrs().first().copied().ok_or("no address")?;
    let server = server.run();
    let serving = server.handle();
    actix_web::rt::spawn(server);

    for drink in ["tea", "coffee"] {
        let response = reqwest::Client::new()
            .post(format!("http://{address}/order/{drink}"))
            .send()
            .await?;
        println!("{}: {}", response.status(), response.text().await?);
    }
    serving.stop(true).await;
    amends.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
