//! The text that names one attempt of one activity to the outside, for completing it from there. Lives here: its form.
//! Must not live here: using it.

use std::fmt;
use std::str::FromStr;

use super::{AttemptToken, EventId, RunId, WorkflowId};

/// Names one attempt of one activity of one run, wherever it is handed to: a queue, a web hook, a link in a mail.
///
/// Its text is opaque and made of letters and digits only. Whoever has it can complete the attempt, so it is to be treated
/// like a password; it cannot be guessed, because it carries the run's id, but it is not signed. A token of an earlier
/// attempt is refused.
///
/// ```
/// use amends::{ActivityContext, TaskToken};
///
/// let cx = ActivityContext::for_test().build();
/// let text = cx.task_token().to_string();
/// assert_eq!(text.parse::<TaskToken>()?, *cx.task_token());
/// assert!("something else".parse::<TaskToken>().is_err());
/// # Ok::<(), amends::TaskTokenError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TaskToken {
    /// The workflow's id.
    pub workflow_id: WorkflowId,
    /// The execution.
    pub run_id: RunId,
    /// The attempt in it.
    pub attempt: AttemptToken,
}

/// A text that is no task token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a task token: it must be passed on as the activity got it, whole and unchanged")]
pub struct TaskTokenError(String);

/// Begins every token, so that a person sees what it is; the last digit is the version of its form.
const PREFIX: &str = "amt1";

/// Bytes before the workflow id: run, event, attempt.
const FIXED: usize = 16 + 8 + 4;

/// Bytes of the checksum at the end.
const CHECK: usize = 4;

impl TaskToken {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FIXED + self.workflow_id.qualified().len() + CHECK);
        bytes.extend(self.run_id.as_bytes());
        bytes.extend(self.attempt.scheduled.0.to_be_bytes());
        bytes.extend(self.attempt.attempt.to_be_bytes());
        bytes.extend(self.workflow_id.qualified().as_bytes());
        let check = checksum(&bytes);
        bytes.extend(check);
        bytes
    }

    fn read(text: &str) -> Option<Self> {
        let bytes = unhex(text.strip_prefix(PREFIX)?)?;
        let (content, check) = bytes.split_at_checked(bytes.len().checked_sub(CHECK)?)?;
        let (run_id, rest) = content.split_first_chunk::<16>()?;
        let (scheduled, rest) = rest.split_first_chunk::<8>()?;
        let (attempt, workflow_id) = rest.split_first_chunk::<4>()?;
        if checksum(content) != check {
            return None;
        }
        Some(Self {
            workflow_id: WorkflowId::from_qualified(std::str::from_utf8(workflow_id).ok()?).ok()?,
            run_id: RunId::from_bytes(*run_id),
            attempt: AttemptToken {
                scheduled: EventId(u64::from_be_bytes(*scheduled)),
                attempt: u32::from_be_bytes(*attempt),
            },
        })
    }
}

impl fmt::Display for TaskToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        self.bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for TaskToken {
    type Err = TaskTokenError;

    fn from_str(text: &str) -> Result<Self, TaskTokenError> {
        Self::read(text.trim()).ok_or_else(|| TaskTokenError(text.chars().take(80).collect()))
    }
}

/// FNV-1a over 32 bits: it finds a token that was cut or mistyped, and is no defence against anybody.
fn checksum(bytes: &[u8]) -> [u8; CHECK] {
    let hash = bytes.iter().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    });
    hash.to_be_bytes()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let (pairs, []) = digits.as_chunks::<2>() else {
        return None;
    };
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let byte = |[high, low]: &[u8; 2]| u8::try_from(digit(*high)? * 16 + digit(*low)?).ok();
    pairs.iter().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> TaskToken {
        TaskToken {
            workflow_id: WorkflowId::from_trusted("órder-42"),
            run_id: RunId::from_bytes([7; 16]),
            attempt: AttemptToken {
                scheduled: EventId(5),
                attempt: 3,
            },
        }
    }

    #[test]
    fn a_token_is_read_as_it_was_written() {
        let text = token().to_string();
        assert_eq!(text.parse::<TaskToken>().unwrap(), token());
        assert_eq!(format!(" {text}\n").parse::<TaskToken>().unwrap(), token());
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{text}");
    }

    #[test]
    fn whatever_is_not_whole_and_unchanged_is_refused() {
        let text = token().to_string();
        let changed = text.replacen("0707", "0708", 1);
        let cut = &text[..text.len() - 2];
        for wrong in [
            "",
            "amt1",
            "amt1zz",
            "amt1é",
            &text[1..],
            cut,
            &changed,
            &format!("{text}0"),
        ] {
            let refused = wrong.parse::<TaskToken>();
            assert!(refused.is_err(), "{wrong:?} is taken for {refused:?}");
        }
    }
}
