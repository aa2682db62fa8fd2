//! A decision about a stuck saga, as users say it. Must not live here: which choices are open when, or what follows from
//! one (`machine`).

use crate::model::{
    Choice, ChoiceKind, Decide, EventAttributes, IdError, Payload, PayloadError, RequestId, SagaDecided, StepName,
    ToPayload, Turn, limits,
};

use super::Error;

/// How a stuck saga is to go on: what is done, about which step, who says so and why.
///
/// ```
/// use amends::engine::Decision;
///
/// let again = Decision::retry().step("charge").by("ada");
/// let refunded = Decision::mark_done(&"by bank transfer")?
///     .step("charge")
///     .by("ada")
///     .because("the bank took it back, ticket 4711")
///     .request_id("ticket-4711");
/// # let _ = (again, refunded);
/// # Ok::<(), amends::Error>(())
/// ```
///
/// Which choices are open is in the run's [`stuck`](super::RunDescription::stuck) list. A choice that leaves something
/// undone (skip, mark done, go forward, abandon) must say who decided and why; both are kept in the run's history.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a decision is made with `Client::decide` or `RunHandle::decide`"]
pub struct Decision {
    choice: Choice,
    step: Option<String>,
    by: Option<String>,
    reason: Option<String>,
    request_id: Option<String>,
}

impl Decision {
    /// Tries again what failed, with a fresh retry policy.
    pub fn retry() -> Self {
        Self::new(Choice::Retry)
    }

    /// Tries again what failed, with another input.
    ///
    /// # Errors
    /// [`Error::Payload`] for an input that is too large, or cannot be JSON.
    pub fn retry_with<T: ToPayload + ?Sized>(input: &T) -> Result<Self, Error> {
        let input = payload(input)?;
        Ok(Self::new(Choice::RetryWith { input }))
    }

    /// Leaves it as it is and goes on: a compensation is not made, a step counts as not having happened.
    pub fn skip() -> Self {
        Self::new(Choice::Skip)
    }

    /// Somebody has done it by hand: goes on as if it had returned this.
    ///
    /// # Errors
    /// [`Error::Payload`] for an output that is too large, or cannot be JSON.
    pub fn mark_done<T: ToPayload + ?Sized>(output: &T) -> Result<Self, Error> {
        let output = payload(output)?;
        Ok(Self::new(Choice::MarkDone { output }))
    }

    /// Goes on forward as if it had succeeded, without a result.
    pub fn go_forward() -> Self {
        Self::new(Choice::GoForward)
    }

    /// Turns back: undoes what may have had an effect.
    pub fn go_back() -> Self {
        Self::new(Choice::GoBack)
    }

    /// Ends the run as it is; nothing more is done or undone.
    pub fn abandon() -> Self {
        Self::new(Choice::Abandon)
    }

    /// A decision for a choice that is data already.
    pub fn new(choice: Choice) -> Self {
        Self {
            choice,
            step: None,
            by: None,
            reason: None,
            request_id: None,
        }
    }

    /// The stuck step that it is about. Need not be said when only one thing is stuck.
    pub fn step(mut self, name: impl Into<String>) -> Self {
        self.step = Some(name.into());
        self
    }

    /// Who decided.
    pub fn by(mut self, name: impl Into<String>) -> Self {
        self.by = Some(name.into());
        self
    }

    /// Why.
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// Makes the decision repeatable: a second one with the same request id changes nothing.
    pub fn request_id(mut self, request_id: impl Into<String>) -> Self {
        self.request_id = Some(request_id.into());
        self
    }

    /// The decision as the machine takes it; `identity` is who decided if nobody is named and nobody needs to be.
    pub(super) fn checked(self, identity: &str) -> Result<Decide, Error> {
        let choice = self.choice.kind();
        let said = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        let (by, reason) = (said(self.by), said(self.reason));
        let missing = match (&by, &reason) {
            _ if !leaves_something_undone(choice) => None,
            (None, None) => Some("who decides, and why"),
            (None, Some(_)) => Some("who decides"),
            (Some(_), None) => Some("why"),
            (Some(_), Some(_)) => None,
        };
        if let Some(missing) = missing {
            return Err(Error::Unexplained { choice, missing });
        }
        let bytes = by.as_ref().map_or(0, String::len);
        if bytes > limits::ID_BYTES_MAX {
            let what = "name of who decides";
            return Err(Error::Id(IdError::TooLong { what, bytes }));
        }
        let reason = reason.unwrap_or_default();
        if reason.len() > limits::PAYLOAD_BYTES_MAX {
            return Err(Error::Payload(PayloadError::TooLarge { bytes: reason.len() }));
        }
        Ok(Decide {
            step: self.step.map(StepName::new).transpose()?,
            choice: self.choice,
            by: by.unwrap_or_else(|| identity.to_owned()),
            reason,
            request_id: self.request_id.map(RequestId::new).transpose()?,
        })
    }
}

/// Whether somebody has to answer for the choice: the saga goes on although something was not done, or not undone.
fn leaves_something_undone(choice: ChoiceKind) -> bool {
    match choice {
        ChoiceKind::Skip | ChoiceKind::MarkDone | ChoiceKind::GoForward | ChoiceKind::Abandon => true,
        ChoiceKind::Retry | ChoiceKind::RetryWith | ChoiceKind::GoBack => false,
    }
}

fn payload<T: ToPayload + ?Sized>(value: &T) -> Result<Payload, Error> {
    Ok(Payload::of(value)?.checked()?)
}

/// Whether the decision with this request id was made. A decision may end its run, and a run that has ended refuses
/// everything, its own repetition included.
pub(super) fn was_made(turns: &[Turn], request_id: &RequestId) -> bool {
    let mut events = turns.iter().flat_map(|turn| &turn.events);
    events.any(|event| match &event.attributes {
        EventAttributes::SagaDecided(decided) => {
            let SagaDecided { request_id: made, .. } = &**decided;
            made.as_ref() == Some(request_id)
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_leaves_something_undone_says_who_and_why() {
        let refused = |decision: Decision| decision.checked("me").unwrap_err().to_string();
        assert_eq!(
            refused(Decision::skip()),
            "skip leaves something undone: say who decides, and why"
        );
        assert_eq!(
            refused(Decision::abandon().because("enough")),
            "abandon leaves something undone: say who decides"
        );
        assert_eq!(
            refused(Decision::go_forward().by("ada").because(" ")),
            "go-forward leaves something undone: say why"
        );
        let skip = Decision::skip().by("ada").because("enough").checked("me").unwrap();
        assert_eq!((skip.by.as_str(), skip.reason.as_str()), ("ada", "enough"));
        let retry = Decision::retry().checked("me").unwrap();
        assert_eq!((retry.by.as_str(), retry.reason.as_str()), ("me", ""));
    }

    #[test]
    fn names_have_their_limits() {
        let long = "n".repeat(limits::ID_BYTES_MAX + 1);
        for decision in [
            Decision::retry().step(""),
            Decision::retry().by(long),
            Decision::retry().request_id("\n"),
        ] {
            assert!(matches!(decision.checked("me"), Err(Error::Id(_))));
        }
    }
}
