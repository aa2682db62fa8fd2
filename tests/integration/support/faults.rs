//! The same story on a store of which each commit in turn fails, and requests that are made until the store takes them. Must
//! not live here: stories.

use std::fmt::Debug;
use std::future::Future;
use std::ops::RangeInclusive;
use std::time::Duration;

use amends::testing::{CommitFault, StoreFaults};
use amends::{Amends, AmendsBuilder, Error, UpdateError};

use super::{Home, run};

/// What a careful caller does: the same again, until it is not the store that refuses it.
pub(crate) async fn insist<T, E: Into<UpdateError>, R: Future<Output = Result<T, E>>>(request: impl FnMut() -> R) -> T {
    insist_on(request, |_| false).await
}

/// The same for what may not be there yet.
pub(crate) async fn insist_on_finding<T, E: Into<UpdateError>, R: Future<Output = Result<T, E>>>(
    request: impl FnMut() -> R,
) -> T {
    insist_on(request, |error| matches!(error, Error::NotFound(_))).await
}

async fn insist_on<T, E: Into<UpdateError>, R: Future<Output = Result<T, E>>>(
    mut request: impl FnMut() -> R,
    is_early: impl Fn(&Error) -> bool,
) -> T {
    loop {
        match request().await.map_err(Into::into) {
            Ok(answer) => return answer,
            Err(UpdateError::Engine(Error::Interrupted | Error::Store(_))) => tokio::task::yield_now().await,
            Err(UpdateError::Engine(error)) if is_early(&error) => tokio::task::yield_now().await,
            Err(other) => panic!("{other}"),
        }
    }
}

/// Plays the story in peace, and then again and again: each time another one of its commits fails, lost or kept without
/// anybody's knowing. What it tells must always be the same; gives what that is.
///
/// `commits` says how many commits the story has at least, or the faults did not come into it, and how many are tried at the
/// most.
#[expect(clippy::needless_pass_by_value, reason = "stories are written where they are passed")]
pub(crate) fn whichever_commit_fails<T: PartialEq + Debug>(
    commits: RangeInclusive<u64>,
    with: impl Fn(AmendsBuilder) -> AmendsBuilder,
    story: impl AsyncFn(&Amends) -> T,
) -> T {
    let play = |planned: Option<(u64, CommitFault)>| {
        let (home, faults) = (Home::memory(), StoreFaults::new());
        let (told, opens) = run(async {
            let amends = with(home.faulty_builder(&faults)).start().await.unwrap();
            if let Some((nth, fault)) = planned {
                faults.fail_commit(nth, fault);
            }
            let told = story(&amends).await;
            amends.shutdown(Duration::from_secs(1)).await;
            (told, faults.opens())
        });
        home.assert_sound();
        (told, opens)
    };
    let (peace, _) = play(None);
    for fault in [CommitFault::Lost, CommitFault::Kept] {
        for nth in 1..=*commits.end() {
            let (told, opens) = play(Some((nth, fault)));
            assert_eq!(told, peace, "{fault:?} {nth}");
            if opens == 1 {
                assert!(nth > *commits.start(), "{fault:?}: the {nth}th commit was never made");
                break;
            }
        }
    }
    peace
}
