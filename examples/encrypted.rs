//! Encrypted data and a rotated key: what is journaled can be read with its key only; a run that an old key encrypted goes on
//! under a new one; without its key it waits, and nothing of it is lost.
//!
//! Run it with `cargo run --example encrypted --features encryption,compression`.

#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use std::path::Path;
use std::time::Duration;

use amends::{
    ActivityContext, Amends, Compression, Encryption, EncryptionKey, Failure, WorkflowContext, activity, workflow,
};
use serde::{Deserialize, Serialize};

/// Nothing that should lie about in clear text.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Patient {
    name: String,
    diagnosis: String,
}

#[activity]
async fn book_bed(_cx: ActivityContext, patient: Patient) -> Result<String, Failure> {
    Ok(format!("bed 12 for {}", patient.name))
}

#[workflow]
async fn admission(cx: WorkflowContext, patient: Patient) -> Result<String, Failure> {
    let bed = cx.activity(book_bed, &patient).await?;
    let doctor = cx.signal::<String>("doctor").recv().await?;
    Ok(format!("{bed}, seen by {doctor}: {}", patient.diagnosis))
}

/// In a real program keys come from a secret manager; here they are made up.
fn key(id: &str) -> EncryptionKey {
    let mut key = [0; 32];
    key.iter_mut()
        .zip(id.bytes().cycle())
        .for_each(|(byte, text)| *byte = text);
    EncryptionKey::new(id, &key)
}

async fn engine(directory: &Path, encryption: Encryption) -> Result<Amends, amends::Error> {
    // Compressed first: what is encrypted cannot be compressed any more.
    let builder = Amends::builder()
        .sled(directory)
        .codec(Compression::new())
        .codec(encryption);
    let builder = builder.encode_failure_messages().activity(book_bed).workflow(admission);
    builder.start().await
}

/// Admits a patient under one key, and ends the admission under another. What the engine without the old key said, and the
/// run's result.
pub(crate) async fn run(directory: &Path) -> Result<(String, String), Box<dyn std::error::Error>> {
    let patient = Patient {
        name: "Ada".to_owned(),
        diagnosis: "a broken arm".to_owned(),
    };
    let amends = engine(directory, Encryption::new(key("spring"))).await?;
    // The id is not encrypted: do not put into it what nobody may read.
    amends.workflow(admission).id("admission-1").start(&patient).await?;
    amends.shutdown(Duration::from_secs(5)).await;

    // Somebody forgot the old key. The run is left alone, and says why.
    let amends = engine(directory, Encryption::new(key("autumn"))).await?;
    let refused = amends.client().signal("admission-1", "doctor", "Dr. Blackwell").await;
    let refused = refused.err().map(|error| error.to_string()).unwrap_or_default();
    amends.shutdown(Duration::from_secs(5)).await;

    // The new key encrypts, the old one still decrypts.
    let amends = engine(directory, Encryption::new(key("autumn")).older(key("spring"))).await?;
    amends.client().signal("admission-1", "doctor", "Dr. Blackwell").await?;
    let result = amends.find("admission-1").await?.result().await?;
    amends.shutdown(Duration::from_secs(5)).await;
    Ok((refused, result.as_str().unwrap_or_default().to_owned()))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::temp_dir().join(format!("amends-encrypted-{}", std::process::id()));
    let (refused, result) = run(&directory).await?;
    println!("without the old key: {refused}");
    println!("with both: {result}");
    std::fs::remove_dir_all(&directory)?;
    Ok(())
}
