//! Stores of deliveries that break one promise each.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use chrono::{TimeZone, Utc};

use crate::conformance::Fixture;
use crate::conformance::webhooks::{self, Stores};
use lambda_jobs_core::memory::{PausedClock, SeededEntropy};

mod broken;

use broken::{Broken, Fault};

/// The faults that the suite of deliveries notices.
const DELIVERIES: [Fault; 32] = [
    Fault::PutsOver,
    Fault::PutsTwentyFive,
    Fault::PutsUpToTheFirstThatExists,
    Fault::PutsAllOrNothing,
    Fault::PutsTheLastOfOneId,
    Fault::AnswersPutsBackwards,
    Fault::LosesTheEventType,
    Fault::LosesReplays,
    Fault::LosesRefusals,
    Fault::ReopensWhatWaits,
    Fault::ReopensUnknownOnes,
    Fault::ReopensNothing,
    Fault::ReopensAndWritesNothing,
    Fault::ReopensAndAnswersWhatWas,
    Fault::ReopensAndForgetsAttempts,
    Fault::ReopensAndCountsOn,
    Fault::ReopensDeliveredOnesOnly,
    Fault::IgnoresTheEndpoint,
    Fault::TakesPartOfAnEndpoint,
    Fault::IgnoresTheStatus,
    Fault::ListsOnePage,
    Fault::ListsTheLastTwice,
    Fault::ListsMoreThanAPage,
    Fault::ListsTriedOnesOnly,
    Fault::ReadsInItsOwnOrder,
    Fault::ReadsEachOnce,
    Fault::ReadsAHundred,
    Fault::ReadsAllOrNothing,
    Fault::LeavesOutWhatIsNotThere,
    Fault::HeadsWithPayloads,
    Fault::ListsPayloads,
    Fault::ReopensAndAnswersThePayload,
];

/// The faults that the suite of attempts notices.
const ATTEMPTS: [Fault; 21] = [
    Fault::LosesRefusals,
    Fault::CountsNothing,
    Fault::CountsAnAttemptTwice,
    Fault::RefusesAnAttemptAgain,
    Fault::RecordsAfterTheEnd,
    Fault::MakesUnknownDeliveries,
    Fault::KeepsNoAttempts,
    Fault::KeepsTheLastAttempt,
    Fault::KeepsAnAttemptTwice,
    Fault::KeepsNoLastAttempt,
    Fault::ListsAttemptsBackwards,
    Fault::ListsAttemptsByText,
    Fault::ListsAttemptsOfOthers,
    Fault::CutsAnswers,
    Fault::LosesEmptyAnswers,
    Fault::LosesErrorClasses,
    Fault::RoundsDurations,
    Fault::RecordsOneOfEach,
    Fault::RecordsTwentyFive,
    Fault::RecordsUpToTheFirstRefused,
    Fault::AnswersBackwards,
];

/// The faults that the suite of waiting deliveries notices.
const WAITING: [Fault; 4] =
    [Fault::ReopensAndDoesNotWait, Fault::WaitsForEver, Fault::WaitsUnsorted, Fault::WaitsNotForRetries];

/// The faults that a suite does not notice.
fn unnoticed(faults: &[Fault], suite: &impl AsyncFn(&Stores<'_>, &Fixture)) -> Vec<Fault> {
    let passes = |fault: Fault| {
        let clock = PausedClock::at(Utc.with_ymd_and_hms(2026, 11, 23, 8, 0, 0).unwrap());
        let fixture = Fixture::new(Arc::new(clock.clone()), Arc::new(SeededEntropy::new(7)));
        let broken = Broken::new(fault);
        catch_unwind(AssertUnwindSafe(|| clock.run(suite(&Stores::of(&broken), &fixture)))).is_ok()
    };
    assert!(passes(Fault::None), "the wrapper itself breaks nothing");
    faults.iter().copied().filter(|fault| passes(*fault)).collect()
}

#[test]
fn no_broken_store_of_deliveries_passes() {
    assert_eq!(unnoticed(&DELIVERIES, &webhooks::deliveries::suite), []);
}

#[test]
fn no_broken_store_of_attempts_passes() {
    assert_eq!(unnoticed(&ATTEMPTS, &webhooks::attempts::suite), []);
}

#[test]
fn no_broken_index_of_waiting_deliveries_passes() {
    assert_eq!(unnoticed(&WAITING, &webhooks::waiting::suite), []);
}
