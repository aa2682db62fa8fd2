//! How much of a failure a history takes: whoever fails may say as much as they like, and a turn must fit into a record. Must not
//! live here: who asks for it (`machine`).

use super::{Failure, FailureKind};
use crate::model::{Payload, limits};

impl Failure {
    /// The same failure as far as a history takes it: so long a message and type, so many causes, and so much data, that of its causes
    /// included. What is left out is named in the message.
    ///
    /// The innermost cause always stays: it says whether anything happened.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        self.cut_causes();
        let mut left = limits::PAYLOAD_BYTES_MAX;
        let mut next = Some(&mut self);
        while let Some(failure) = next {
            failure.cut(&mut left);
            next = failure.cause.as_deref_mut();
        }
        self
    }

    /// Bytes of the data that it and its causes carry.
    #[must_use]
    pub fn details_bytes(&self) -> usize {
        let details = self.chain().filter_map(|failure| match &failure.kind {
            FailureKind::Application(application) => application.details.as_ref(),
            FailureKind::Timeout { last_heartbeat, .. } => last_heartbeat.as_ref(),
            FailureKind::Canceled { details } => details.as_ref(),
            _ => None,
        });
        details.map(Payload::size).sum()
    }

    /// Keeps the outermost causes and the innermost one.
    fn cut_causes(&mut self) {
        let causes = self.chain().skip(1).count();
        if causes <= limits::FAILURE_CAUSES_MAX {
            return;
        }
        let mut last = self;
        for _ in 1..limits::FAILURE_CAUSES_MAX {
            match &mut last.cause {
                Some(cause) => last = cause,
                None => return,
            }
        }
        let mut rest = last.cause.take();
        while let Some(mut failure) = rest {
            rest = failure.cause.take();
            if rest.is_none() {
                last.cause = Some(failure);
            }
        }
        let cut = causes - limits::FAILURE_CAUSES_MAX;
        last.message.push_str(&format!(" ... (cut: {cut} causes)"));
    }

    /// Cuts what is its own. Of the data so many bytes are `left`.
    fn cut(&mut self, left: &mut usize) {
        shorten(&mut self.message, limits::FAILURE_MESSAGE_BYTES_MAX);
        let details = match &mut self.kind {
            FailureKind::Application(application) => {
                shorten(&mut application.type_name, limits::FAILURE_TYPE_BYTES_MAX);
                &mut application.details
            }
            FailureKind::Timeout { last_heartbeat, .. } => last_heartbeat,
            FailureKind::Canceled { details } => details,
            _ => return,
        };
        let bytes = details.as_ref().map_or(0, Payload::size);
        match left.checked_sub(bytes) {
            Some(rest) => *left = rest,
            None => {
                *details = None;
                let max = limits::PAYLOAD_BYTES_MAX;
                self.message.push_str(&format!(
                    " ... (cut: details of {bytes} bytes; a failure and its causes may have {max}: store large data elsewhere and \
                     pass a reference)"
                ));
            }
        }
    }
}

/// Cuts a text at so many bytes, on a character boundary, and says so.
pub(super) fn shorten(text: &mut String, most: usize) {
    let is_cut = text.len() <= most + Failure::CUT.len() && text.ends_with(Failure::CUT);
    if text.len() > most && !is_cut {
        let mut end = most;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str(Failure::CUT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TimeoutKind;

    fn data(bytes: usize) -> Payload {
        Payload::json_bytes(vec![b' '; bytes]).unwrap()
    }

    #[test]
    fn what_fits_stays_as_it_is() {
        let cause = Failure::canceled("so far").with_details(data(7));
        let failure = Failure::new("T", "m").with_details(data(9)).caused_by(cause);
        assert_eq!(failure.clone().bounded(), failure);
        assert!(failure.details_bytes() >= 16);
    }

    #[test]
    fn data_is_kept_as_long_as_there_is_room_outermost_first() {
        let half = limits::PAYLOAD_BYTES_MAX / 2;
        let mut timeout = Failure::timeout(TimeoutKind::Heartbeat);
        if let FailureKind::Timeout { last_heartbeat, .. } = &mut timeout.kind {
            *last_heartbeat = Some(data(half));
        }
        let middle = Failure::canceled("so far").with_details(data(half)).caused_by(timeout);
        let bounded = Failure::new("T", "m").with_details(data(8)).caused_by(middle).bounded();
        let kept: Vec<bool> = bounded.chain().map(|failure| failure.details_bytes() > 0).collect();
        assert_eq!(kept.first(), Some(&true), "of all three: {bounded}");
        assert!(bounded.details_bytes() <= limits::PAYLOAD_BYTES_MAX);
        assert!(
            bounded.root().message.contains("(cut: details of"),
            "{}",
            bounded.root().message
        );
        assert_eq!(bounded.clone().bounded(), bounded);
    }

    #[test]
    fn the_innermost_cause_stays_and_texts_are_cut() {
        let mut failure = Failure::not_applied("é".repeat(limits::FAILURE_TYPE_BYTES_MAX), "");
        failure.message = "é".repeat(limits::FAILURE_MESSAGE_BYTES_MAX);
        for depth in 0..100 {
            failure = Failure::new("T", depth.to_string()).caused_by(failure);
        }
        let bounded = failure.bounded();
        assert_eq!(bounded.chain().count(), limits::FAILURE_CAUSES_MAX + 1);
        assert!(bounded.is_not_applied());
        assert!(bounded.to_string().contains("(cut: 84 causes)"), "{bounded}");
        let root = bounded.root();
        assert!(root.type_name().unwrap().len() <= limits::FAILURE_TYPE_BYTES_MAX + Failure::CUT.len());
        assert!(root.message.len() <= limits::FAILURE_MESSAGE_BYTES_MAX + Failure::CUT.len());
        assert_eq!(bounded.clone().bounded(), bounded);
    }
}
