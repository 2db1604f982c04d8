//! Versioned stores that break one promise each.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::{TimeZone, Utc};
use serde_json::Value;

use lambda_jobs_core::breaker::Breaker;
use lambda_jobs_core::limit::LimitState;
use lambda_jobs_core::memory::{PausedClock, SeededEntropy};
use lambda_jobs_core::ports::{ServiceError, VersionedOutcome, VersionedStore};
use lambda_jobs_core::versioned::VersionedState;
use lambda_jobs_testing::conformance::{Fixture, versioned};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    IgnoresTheRevision,
    SavesOverOlderOnes,
    SavesWhatIsNotTheFirst,
    SavesRevisionZero,
    TakesAnothersChangeForItsOwn,
    RefusesItsOwnChangeAgain,
    SaysSavedAndWritesNothing,
    HidesWhatIsThere,
    ForgetsOnLoad,
    LoadsTheRevisionBefore,
    LoadsInOrderOfNames,
    LoadsNoneTwice,
    LoadsAHundred,
    AnswersInAnotherOrder,
    SavesTwentyFive,
    StopsAtTheFirstConflict,
    CutsNames,
    TrimsNames,
    FoldsAccents,
    EncodesNumbersAsFloats,
    MixesUpKinds,
    ListsNothing,
    ListsUnsorted,
    ListsFirstRevisions,
}

const OF_BOTH: [Fault; 19] = [
    Fault::IgnoresTheRevision,
    Fault::SavesOverOlderOnes,
    Fault::SavesWhatIsNotTheFirst,
    Fault::SavesRevisionZero,
    Fault::TakesAnothersChangeForItsOwn,
    Fault::RefusesItsOwnChangeAgain,
    Fault::SaysSavedAndWritesNothing,
    Fault::HidesWhatIsThere,
    Fault::ForgetsOnLoad,
    Fault::LoadsTheRevisionBefore,
    Fault::LoadsInOrderOfNames,
    Fault::LoadsNoneTwice,
    Fault::LoadsAHundred,
    Fault::AnswersInAnotherOrder,
    Fault::SavesTwentyFive,
    Fault::StopsAtTheFirstConflict,
    Fault::CutsNames,
    Fault::EncodesNumbersAsFloats,
    Fault::MixesUpKinds,
];
const OF_THE_LIST: [Fault; 3] = [Fault::ListsNothing, Fault::ListsUnsorted, Fault::ListsFirstRevisions];
/// Breaker names are too plain to trigger these faults.
const OF_LIMITS: [Fault; 2] = [Fault::TrimsNames, Fault::FoldsAccents];

/// The stored revisions of a key, as JSON.
type Stored = Arc<Mutex<BTreeMap<String, Vec<Value>>>>;

struct Broken {
    stored: Stored,
    fault: Fault,
}

impl Broken {
    fn key<T: VersionedState>(&self, name: &str) -> String {
        let kind = if self.fault == Fault::MixesUpKinds { "state" } else { T::KIND };
        let name: String = match self.fault {
            Fault::CutsNames => name.chars().take(100).collect(),
            Fault::TrimsNames => name.trim().to_owned(),
            Fault::FoldsAccents => name.replace("e\u{301}", "é"),
            _ => name.to_owned(),
        };
        format!("{kind}#{name}")
    }

    fn read<T: VersionedState>(&self, value: &Value) -> Option<T> {
        let mut value = value.clone();
        if self.fault == Fault::EncodesNumbersAsFloats {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "that is the fault")]
            let bent = value["writer"].as_f64()? as u64;
            value["writer"] = bent.into();
        }
        serde_json::from_value(value).ok()
    }

    fn load_one<T: VersionedState>(&self, name: &str) -> Option<T> {
        let stored = self.stored.lock().unwrap();
        let revisions = stored.get(&self.key::<T>(name))?;
        let back = usize::from(self.fault == Fault::LoadsTheRevisionBefore && revisions.len() > 1);
        revisions.iter().rev().nth(back).and_then(|value| self.read(value))
    }

    fn save_one<T: VersionedState>(&self, state: &T) -> VersionedOutcome<T> {
        let mut stored = self.stored.lock().unwrap();
        let revisions = stored.entry(self.key::<T>(&state.name())).or_default();
        let found: Option<T> = revisions.last().and_then(|value| self.read(value));
        let json = serde_json::to_value(state).unwrap();
        let is_mine = revisions.last() == Some(&json);
        if is_mine && self.fault != Fault::RefusesItsOwnChangeAgain {
            return VersionedOutcome::Saved;
        }
        let (before, next) = (found.as_ref().map_or(0, T::revision), state.revision());
        let is_allowed = match self.fault {
            Fault::IgnoresTheRevision => true,
            Fault::SavesOverOlderOnes => next > before,
            Fault::SavesWhatIsNotTheFirst => next == before + 1 || found.is_none() && next > 0,
            Fault::SavesRevisionZero => next == before + 1 || found.is_none() && next == 0,
            _ => next == before + 1,
        };
        if self.fault == Fault::TakesAnothersChangeForItsOwn && next == before && next > 0 {
            let unsigned = |mut json: Value| {
                json["writer"] = 0.into();
                json
            };
            if revisions.last().cloned().map(unsigned) == Some(unsigned(json.clone())) {
                return VersionedOutcome::Saved;
            }
        }
        if !is_allowed {
            let shown = found.filter(|_| self.fault != Fault::HidesWhatIsThere);
            return VersionedOutcome::Conflict(shown.map(Box::new));
        }
        if self.fault != Fault::SaysSavedAndWritesNothing {
            revisions.push(json);
        }
        VersionedOutcome::Saved
    }
}

#[async_trait]
impl<T: VersionedState> VersionedStore<T> for Broken {
    async fn load(&self, names: &[String]) -> Result<Vec<Option<T>>, ServiceError> {
        let mut names = names.to_vec();
        if self.fault == Fault::LoadsInOrderOfNames {
            names.sort();
        }
        let mut found: Vec<Option<T>> = names.iter().map(|name| self.load_one(name)).collect();
        match self.fault {
            Fault::ForgetsOnLoad => {
                for name in &names {
                    self.stored.lock().unwrap().remove(&self.key::<T>(name));
                }
            }
            Fault::LoadsNoneTwice => {
                (1..names.len())
                    .filter(|at| names[..*at].contains(&names[*at]))
                    .for_each(|at| found[at] = None);
            }
            Fault::LoadsAHundred => found.iter_mut().skip(100).for_each(|one| *one = None),
            _ => {}
        }
        Ok(found)
    }

    async fn save(&self, states: &[T]) -> Vec<Result<VersionedOutcome<T>, ServiceError>> {
        let mut answers = Vec::new();
        for (at, state) in states.iter().enumerate() {
            let stopped = answers.iter().any(|answer| matches!(answer, VersionedOutcome::Conflict(_)));
            let skips = match self.fault {
                Fault::SavesTwentyFive => at >= 25,
                Fault::StopsAtTheFirstConflict => stopped,
                _ => false,
            };
            answers.push(if skips { VersionedOutcome::Conflict(None) } else { self.save_one(state) });
        }
        if self.fault == Fault::AnswersInAnotherOrder {
            answers.reverse();
        }
        answers.into_iter().map(Ok).collect()
    }

    async fn list(&self) -> Result<Vec<T>, ServiceError> {
        let stored = self.stored.lock().unwrap();
        let of_kind = stored.iter().filter(|(key, _)| key.starts_with(&self.key::<T>("")));
        let mut found: Vec<T> = of_kind
            .filter_map(|(_, revisions)| match self.fault {
                Fault::ListsFirstRevisions => revisions.first(),
                _ => revisions.last(),
            })
            .filter_map(|value| self.read(value))
            .collect();
        match self.fault {
            Fault::ListsNothing => found.clear(),
            Fault::ListsUnsorted => found.reverse(),
            _ => {}
        }
        Ok(found)
    }
}

#[derive(Clone, Copy)]
enum Kinds {
    Breakers,
    Limits,
}

fn passes(fault: Fault, kinds: Kinds) -> bool {
    let clock = PausedClock::at(Utc.with_ymd_and_hms(2026, 11, 23, 8, 0, 0).unwrap());
    let fixture = Fixture::new(Arc::new(clock.clone()), Arc::new(SeededEntropy::new(7)));
    let broken = Broken { stored: Stored::default(), fault };
    let run = || {
        clock.run(versioned::both_kinds(&broken, &broken, &fixture));
        match kinds {
            Kinds::Breakers => clock.run(versioned::suite::<Breaker>(&broken, &fixture)),
            Kinds::Limits => clock.run(versioned::suite::<LimitState>(&broken, &fixture)),
        }
    };
    catch_unwind(AssertUnwindSafe(run)).is_ok()
}

#[test]
fn no_broken_versioned_store_passes_and_the_wrapper_itself_breaks_nothing() {
    let of_breakers = OF_BOTH.into_iter().chain(OF_THE_LIST);
    let of_limits = of_breakers.clone().chain(OF_LIMITS);
    let passed: Vec<Fault> = of_breakers.filter(|fault| passes(*fault, Kinds::Breakers)).collect();
    assert_eq!(passed, [], "these faults go unnoticed with breakers");
    let passed: Vec<Fault> = of_limits.filter(|fault| passes(*fault, Kinds::Limits)).collect();
    assert_eq!(passed, [], "these faults go unnoticed with limits");
    assert!(passes(Fault::None, Kinds::Breakers) && passes(Fault::None, Kinds::Limits));
}
