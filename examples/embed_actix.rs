//! amends inside an `#[actix_web::main]` service: a request starts a saga and answers with its result. A client that heard
//! nothing sends its request again, and orders once.
//!
//! Run it with `cargo run --features server --example embed_actix`: it serves on a free loopback port, asks itself for some
//! orders, and ends. Run it twice: the second time finds the orders done.

#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use std::path::Path;
use std::time::Duration;

use actix_web::http::header::RETRY_AFTER;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use amends::{
    ActivityContext, Amends, Error, Failure, ResultError, RunHandle, Undo, WorkflowContext, activity, workflow,
};

/// Its compensation is registered here, once, not at each call.
#[activity(start_to_close = "5s", retry(max_attempts = 5), compensate = put_back)]
async fn take_cup(cx: ActivityContext, drink: String) -> Result<String, Failure> {
    // A real service hands `cx.info().idempotency_key` to whoever has the cups.
    Ok(format!("a cup for {drink}, of {}", cx.info().workflow_id))
}

#[activity]
async fn put_back(_cx: ActivityContext, undo: Undo<String, String>) -> Result<(), Failure> {
    println!("put back: {}", undo.output.unwrap_or_default());
    Ok(())
}

#[activity(start_to_close = "5s")]
async fn brew(_cx: ActivityContext, drink: String) -> Result<String, Failure> {
    match drink.as_str() {
        // Certainly nothing was brewed, so this step itself needs no compensation.
        "coffee" => Err(Failure::not_applied("Teapot", "I am a teapot")),
        drink => Ok(format!("a cup of {drink}")),
    }
}

#[workflow]
async fn serve_drink(cx: WorkflowContext, drink: String) -> Result<String, Failure> {
    let saga = cx.saga();
    saga.run(take_cup, &drink).await?;
    saga.run(brew, &drink).await
}

/// `PUT /orders/{id}`: the path names the order, and so the run; the header names the request. The same request again is answered
/// as the first time, also by the next process; another request for the same order is a conflict.
async fn order(amends: web::Data<Amends>, id: web::Path<String>, request: HttpRequest, drink: String) -> HttpResponse {
    let key = request.headers().get("Idempotency-Key");
    let Some(key) = key.and_then(|key| key.to_str().ok()) else {
        return HttpResponse::BadRequest().body("say in Idempotency-Key which request this is");
    };
    let starter = amends.workflow(serve_drink).id(format!("order-{id}")).request_id(key);
    match starter.start(&drink).await {
        Ok(run) => answer(&run).await,
        Err(error) => refusal(&error),
    }
}

/// Should the client be gone before the end, the run goes on all the same.
async fn answer(run: &RunHandle<String>) -> HttpResponse {
    match run.result().await {
        Ok(cup) => HttpResponse::Ok().body(cup),
        // Nothing of it is left.
        Err(ResultError::Amended(failure)) => HttpResponse::UnprocessableEntity().body(failure.to_string()),
        Err(ResultError::Engine(error)) => refusal(&error),
        Err(other) => HttpResponse::InternalServerError().body(other.to_string()),
    }
}

fn refusal(error: &Error) -> HttpResponse {
    let mut response = match error {
        Error::AlreadyStarted { .. } => HttpResponse::Conflict(),
        Error::Id(_) | Error::Payload(_) => HttpResponse::BadRequest(),
        // To be sent again with the same key, by the client or what stands between: at most one of them counts.
        Error::Overloaded | Error::ShuttingDown | Error::Interrupted | Error::Store(_) => {
            let mut response = HttpResponse::ServiceUnavailable();
            response.insert_header((RETRY_AFTER, "1"));
            response
        }
        _ => HttpResponse::InternalServerError(),
    };
    response.body(error.to_string())
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    run(&std::env::temp_dir().join("amends-example-actix")).await.map(drop)
}

/// Gives back how each request was answered.
pub(crate) async fn run(directory: &Path) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let amends = Amends::builder()
        .sled(directory)
        .activity(take_cup)
        .activity(put_back)
        .activity(brew)
        .workflow(serve_drink)
        .start()
        .await?;
    let data = web::Data::new(amends.clone());
    let service = move || {
        let app = App::new().app_data(data.clone());
        app.route("/orders/{id}", web::put().to(order))
    };
    let server = HttpServer::new(service).workers(1).bind("127.0.0.1:0")?;
    let address = server.addrs().first().copied().ok_or("no address")?;
    let server = server.run();
    let serving = server.handle();
    actix_web::rt::spawn(server);

    let mut answers = Vec::new();
    for (id, key, drink) in [(1, "a", "tea"), (1, "a", "tea"), (1, "b", "tea"), (2, "c", "coffee")] {
        let request = reqwest::Client::new().put(format!("http://{address}/orders/{id}"));
        let response = request.header("Idempotency-Key", key).body(drink).send().await?;
        let answer = format!("{}: {}", response.status(), response.text().await?);
        println!("order {id}, request {key}: {answer}");
        answers.push(answer);
    }
    serving.stop(true).await;
    amends.shutdown(Duration::from_secs(5)).await;
    Ok(answers)
}
