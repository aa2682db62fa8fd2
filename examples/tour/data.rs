//! What values become on their way: encodings that types choose, sizes, and failures that keep all that they say.

use amends::model::{FailureKind, limits};
use amends::{
    ActivityContext, Amends, Bincode, Error, Failure, Payload, Proto, Raw, ResultError, RetryPolicy, WorkflowContext,
    activity, workflow,
};

use super::{SECOND, Told};

/// Bytes as they are, to a value in bincode.
#[activity]
async fn develop(_cx: ActivityContext, negative: Raw) -> Result<Bincode<Vec<u8>>, Failure> {
    Ok(Bincode(negative.0.iter().map(|byte| !byte).collect()))
}

/// JSON, as which everything is stored that does not say otherwise, to a message of protobuf.
#[activity]
async fn entitle(_cx: ActivityContext, title: String) -> Result<Proto<String>, Failure> {
    Ok(Proto(format!("\"{title}\"")))
}

/// As large as it is told to.
#[activity]
async fn inflate(_cx: ActivityContext, bytes: usize) -> Result<Raw, Failure> {
    Ok(Raw::from(vec![0; bytes]))
}

/// Fails with everything that a failure can say.
#[activity]
async fn charge(_cx: ActivityContext, cents: u64) -> Result<(), Failure> {
    let bank = Failure::new("BankRefused", "insufficient funds").with_details(Payload::json(&cents)?);
    Err(Failure::not_applied("CardDeclined", "the card is no good").caused_by(bank))
}

#[workflow]
async fn studio(cx: WorkflowContext, negative: Raw) -> Result<Raw, Failure> {
    let Bincode(picture) = cx.activity(develop, &negative).await?;
    let Proto(_title) = cx.activity(entitle, &"at night".to_owned()).await?;
    Ok(Raw::from(picture))
}

/// Catches what is too large.
#[workflow]
async fn balloon(cx: WorkflowContext, bytes: usize) -> Result<usize, Failure> {
    match cx.activity(inflate, &bytes).await {
        Ok(large) => Ok(large.0.len()),
        Err(failure) => Err(failure),
    }
}

#[workflow]
async fn pay(cx: WorkflowContext, cents: u64) -> Result<(), Failure> {
    cx.activity(charge, &cents).retry(RetryPolicy::never()).await
}

/// A parent, which hears of it from its child.
#[workflow]
async fn shop(cx: WorkflowContext, cents: u64) -> Result<(), Failure> {
    cx.child(pay).id("payment").run(&cents).await
}

/// Each value says itself what it is.
async fn encodings(amends: &Amends) -> Told {
    let run = amends
        .workflow(studio)
        .id("studio")
        .start(&Raw::from(vec![0, 1, 254]))
        .await?;
    let mut told = vec![format!("{:?}", run.result().await?.0.as_ref())];
    let mut encodings = Encodings::default();
    for mut event in amends.client().history("studio").await? {
        let Ok(()) = event.visit_data(&mut encodings);
    }
    encodings.0.dedup();
    told.push(encodings.0.join(", "));
    Ok(told)
}

/// The encodings of all values of a history.
#[derive(Default)]
struct Encodings(Vec<String>);

impl amends::model::Visit for Encodings {
    type Error = std::convert::Infallible;

    fn payload(&mut self, payload: &mut Payload) -> Result<(), Self::Error> {
        self.0.push(payload.encoding().to_owned());
        Ok(())
    }

    fn message(&mut self, _: &mut String) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// A value that is too large is refused where it is given.
async fn sizes(amends: &Amends) -> Told {
    let too_large = Raw::from(vec![0; limits::PAYLOAD_BYTES_MAX + 1]);
    let refused = match amends.workflow(studio).id("large").start(&too_large).await {
        Err(error @ Error::Payload(_)) => error.to_string(),
        _ => "it was taken".to_owned(),
    };
    let run = amends.workflow(balloon).start(&(limits::PAYLOAD_BYTES_MAX + 1)).await?;
    let result = run
        .result()
        .await
        .err()
        .map_or("it was taken".to_owned(), |error| error.to_string());
    Ok(vec![format!("a start: {refused}"), format!("a result: {result}")])
}

/// From an activity through a child and its parent to the client: types, details and causes are all there.
async fn failures(amends: &Amends) -> Told {
    let Err(ResultError::Failed(failure)) = amends.workflow(shop).id("shop").start(&4_711).await?.result().await else {
        return Ok(vec!["it did not fail".to_owned()]);
    };
    let mut told = Vec::new();
    for part in failure.chain() {
        let details = match &part.kind {
            FailureKind::Application(application) => application.details.as_ref(),
            _ => None,
        };
        let details: Option<u64> = details.map(|details| details.to()).transpose()?;
        let details = details.map_or(String::new(), |cents| format!(" ({cents} cents)"));
        told.push(format!(
            "{}: {}{details}",
            part.type_name().unwrap_or("of the engine"),
            part.message
        ));
    }
    Ok(told)
}

pub(crate) async fn visit() -> Told {
    let builder = Amends::builder()
        .memory()
        .activity(develop)
        .activity(entitle)
        .activity(inflate)
        .activity(charge);
    let builder = builder.workflow(studio).workflow(balloon).workflow(pay).workflow(shop);
    let amends = builder.start().await?;
    let mut told = encodings(&amends).await?;
    told.extend(sizes(&amends).await?);
    told.extend(failures(&amends).await?);
    amends.shutdown(SECOND).await;
    Ok(told)
}
