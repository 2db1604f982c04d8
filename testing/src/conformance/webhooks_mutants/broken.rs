//! A store of deliveries that breaks one promise.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use chrono::{DateTime, SecondsFormat, Utc};

use lambda_jobs_core::families::webhook::ports::{
    AttemptOutcome, Deliveries, DeliveryAttempt, DeliveryAttempts, DeliveryQuery, DeliveryStatus,
    EndedAttempt, WaitingDeliveries, WaitingDelivery, WaitingPage, WaitingQuery, WebhookDelivery,
};
use lambda_jobs_core::paging::Page;
use lambda_jobs_core::ports::ServiceError;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fault {
    None,
    PutsOver,
    PutsTwentyFive,
    PutsUpToTheFirstThatExists,
    PutsAllOrNothing,
    PutsTheLastOfOneId,
    AnswersPutsBackwards,
    LosesTheEventType,
    LosesReplays,
    LosesRefusals,
    CountsNothing,
    CountsAnAttemptTwice,
    RefusesAnAttemptAgain,
    RecordsAfterTheEnd,
    MakesUnknownDeliveries,
    KeepsNoAttempts,
    KeepsTheLastAttempt,
    KeepsAnAttemptTwice,
    KeepsNoLastAttempt,
    ListsAttemptsBackwards,
    ListsAttemptsByText,
    ListsAttemptsOfOthers,
    CutsAnswers,
    LosesEmptyAnswers,
    LosesErrorClasses,
    RoundsDurations,
    ReopensWhatWaits,
    ReopensUnknownOnes,
    ReopensNothing,
    ReopensAndWritesNothing,
    ReopensAndAnswersWhatWas,
    ReopensAndForgetsAttempts,
    ReopensAndCountsOn,
    ReopensAndDoesNotWait,
    ReopensDeliveredOnesOnly,
    ReopensAndAnswersThePayload,
    IgnoresTheEndpoint,
    TakesPartOfAnEndpoint,
    IgnoresTheStatus,
    ListsOnePage,
    ListsTheLastTwice,
    ListsMoreThanAPage,
    ListsTriedOnesOnly,
    ListsPayloads,
    WaitsForEver,
    WaitsUnsorted,
    WaitsNotForRetries,
    ReadsInItsOwnOrder,
    ReadsEachOnce,
    ReadsAHundred,
    ReadsAllOrNothing,
    LeavesOutWhatIsNotThere,
    HeadsWithPayloads,
    RecordsOneOfEach,
    RecordsTwentyFive,
    RecordsUpToTheFirstRefused,
    AnswersBackwards,
}

pub(super) struct Broken {
    deliveries: Mutex<BTreeMap<String, WebhookDelivery>>,
    attempts: Mutex<BTreeMap<String, Vec<DeliveryAttempt>>>,
    /// What is read once nobody waits for it.
    asleep: Mutex<Vec<String>>,
    fault: Fault,
}

impl Broken {
    pub(super) fn new(fault: Fault) -> Self {
        let (deliveries, attempts, asleep) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { deliveries, attempts, asleep, fault }
    }

    fn stored(&self, mut delivery: WebhookDelivery) -> WebhookDelivery {
        match self.fault {
            Fault::LosesTheEventType => delivery.event_type = None,
            Fault::LosesReplays => delivery.replays = 0,
            Fault::LosesRefusals => delivery.refusals = 0,
            _ => {}
        }
        delivery
    }

    fn keep(&self, id: &str, outcome: &AttemptOutcome) {
        let mut attempts = self.attempts.lock().unwrap();
        let kept = attempts.entry(id.to_owned()).or_default();
        let mut attempt = DeliveryAttempt::from(outcome);
        match self.fault {
            Fault::KeepsNoAttempts => return,
            Fault::KeepsNoLastAttempt if outcome.status.is_finished() => return,
            Fault::KeepsTheLastAttempt => kept.clear(),
            Fault::CutsAnswers => {
                attempt.response_body = attempt.response_body.map(|body| body.chars().take(1024).collect());
            }
            Fault::LosesEmptyAnswers => {
                attempt.response_body = attempt.response_body.filter(|body| !body.is_empty());
            }
            Fault::LosesErrorClasses => attempt.error_class = None,
            Fault::RoundsDurations => {
                attempt.duration = std::time::Duration::from_secs(attempt.duration.as_secs());
            }
            _ => {}
        }
        kept.push(attempt);
    }

    fn apply(&self, id: &str, outcome: &AttemptOutcome) -> bool {
        let mut all = self.deliveries.lock().unwrap();
        if self.fault == Fault::MakesUnknownDeliveries && !all.contains_key(id) {
            all.insert(id.to_owned(), WebhookDelivery::new(id, "", serde_json::Value::Null, outcome.at));
        }
        let Some(delivery) = all.get_mut(id) else { return false };
        let is_again = delivery.last_attempt_at == Some(outcome.at);
        if is_again && self.fault == Fault::KeepsAnAttemptTwice {
            self.keep(id, outcome);
        }
        if is_again && self.fault != Fault::CountsAnAttemptTwice {
            return self.fault != Fault::RefusesAnAttemptAgain;
        }
        if delivery.status.is_finished() && self.fault != Fault::RecordsAfterTheEnd {
            return false;
        }
        let mut after = delivery.clone().after(outcome);
        if self.fault == Fault::CountsNothing {
            after.attempt_count = delivery.attempt_count;
        }
        *delivery = self.stored(after);
        if !is_again {
            self.keep(id, outcome);
        }
        true
    }
}

#[async_trait]
impl Deliveries for Broken {
    async fn put(&self, deliveries: &[WebhookDelivery]) -> Vec<Result<bool, ServiceError>> {
        let mut all = self.deliveries.lock().unwrap();
        let exists = deliveries.iter().any(|delivery| all.contains_key(&delivery.id));
        let mut written = Vec::with_capacity(deliveries.len());
        for (at, delivery) in deliveries.iter().enumerate() {
            let is_earlier = deliveries[..at].iter().any(|earlier| earlier.id == delivery.id);
            let (is_put, answer) = match self.fault {
                Fault::PutsOver => (true, !all.contains_key(&delivery.id)),
                Fault::PutsTwentyFive if at >= 25 => (false, true),
                Fault::PutsUpToTheFirstThatExists if written.contains(&false) => (false, false),
                Fault::PutsAllOrNothing if exists => (false, false),
                Fault::PutsTheLastOfOneId if is_earlier => (true, false),
                _ => [(true, true), (false, false)][usize::from(all.contains_key(&delivery.id))],
            };
            if is_put {
                all.insert(delivery.id.clone(), self.stored(delivery.clone()));
            }
            written.push(answer);
        }
        if self.fault == Fault::AnswersPutsBackwards {
            written.reverse();
        }
        written.into_iter().map(Ok).collect()
    }

    async fn find(&self, ids: &[String]) -> Vec<Result<Option<WebhookDelivery>, ServiceError>> {
        let all = self.deliveries.lock().unwrap();
        let mut found: Vec<_> = ids.iter().map(|id| all.get(id).cloned()).collect();
        match self.fault {
            Fault::ReadsInItsOwnOrder => {
                found.sort_by_key(|one| one.as_ref().map(|one| one.id.clone()));
            }
            Fault::ReadsEachOnce => {
                for at in (0..ids.len()).filter(|at| ids[..*at].contains(&ids[*at])) {
                    found[at] = None;
                }
            }
            Fault::ReadsAHundred => found.iter_mut().skip(100).for_each(|one| *one = None),
            Fault::ReadsAllOrNothing if found.contains(&None) => found.fill(None),
            Fault::LeavesOutWhatIsNotThere => found.retain(Option::is_some),
            _ => {}
        }
        found.into_iter().map(Ok).collect()
    }

    async fn heads(&self, ids: &[String]) -> Vec<Result<Option<WebhookDelivery>, ServiceError>> {
        let found = self.find(ids).await;
        if self.fault == Fault::HeadsWithPayloads {
            return found;
        }
        found.into_iter().map(|one| one.map(|one| one.map(WebhookDelivery::without_payload))).collect()
    }

    async fn reopen(&self, id: &str, now: DateTime<Utc>) -> Result<Option<WebhookDelivery>, ServiceError> {
        let mut all = self.deliveries.lock().unwrap();
        if self.fault == Fault::ReopensUnknownOnes && !all.contains_key(id) {
            all.insert(id.to_owned(), WebhookDelivery::new(id, "", serde_json::Value::Null, now));
        }
        let Some(delivery) = all.get_mut(id) else { return Ok(None) };
        let may = match self.fault {
            Fault::ReopensNothing => false,
            Fault::ReopensWhatWaits => true,
            Fault::ReopensDeliveredOnesOnly => delivery.status == DeliveryStatus::Delivered,
            _ => delivery.status.is_finished(),
        };
        if !may {
            return Ok(None);
        }
        let (before, mut after) = (delivery.clone(), delivery.clone().reopened(now));
        match self.fault {
            Fault::ReopensAndCountsOn => after.attempt_count = before.attempt_count,
            Fault::ReopensAndWritesNothing => return Ok(Some(after.without_payload())),
            Fault::ReopensAndForgetsAttempts => drop(self.attempts.lock().unwrap().remove(id)),
            Fault::ReopensAndDoesNotWait => self.asleep.lock().unwrap().push(id.to_owned()),
            _ => {}
        }
        *delivery = self.stored(after);
        Ok(Some(match self.fault {
            Fault::ReopensAndAnswersWhatWas => before.without_payload(),
            Fault::ReopensAndAnswersThePayload => delivery.clone(),
            _ => delivery.clone().without_payload(),
        }))
    }

    async fn list(&self, query: &DeliveryQuery) -> Result<Page<WebhookDelivery>, ServiceError> {
        let all = self.deliveries.lock().unwrap();
        let mut asked = query.clone();
        match self.fault {
            Fault::IgnoresTheEndpoint | Fault::TakesPartOfAnEndpoint => asked.endpoint = None,
            Fault::IgnoresTheStatus => asked.status = None,
            _ => {}
        }
        let is_of_part = |delivery: &WebhookDelivery| {
            let (endpoint, id) = (query.endpoint.as_deref(), delivery.webhook_id.as_deref());
            endpoint.is_none_or(|endpoint| id.is_some_and(|id| id.starts_with(endpoint)))
        };
        let after = |id: &String| query.cursor.as_ref().is_none_or(|cursor| id > cursor);
        let found = all.values().filter(|one| asked.asks_for(one) && after(&one.id));
        let found = found.filter(|one| self.fault != Fault::TakesPartOfAnEndpoint || is_of_part(one));
        let found = found.filter(|one| self.fault != Fault::ListsTriedOnesOnly || one.attempt_count > 0);
        let mut found: Vec<WebhookDelivery> = found.cloned().collect();
        let more = found.len() > query.page();
        let length = query.page() + usize::from(self.fault == Fault::ListsMoreThanAPage);
        found.truncate(length);
        let last = match self.fault {
            Fault::ListsOnePage => None,
            Fault::ListsTheLastTwice if found.len() > 1 => found.get(found.len() - 2),
            _ => found.last(),
        };
        let cursor = last.filter(|_| more).map(|last| last.id.clone());
        if self.fault != Fault::ListsPayloads {
            found = found.into_iter().map(WebhookDelivery::without_payload).collect();
        }
        Ok(Page { items: found, cursor })
    }
}

#[async_trait]
impl DeliveryAttempts for Broken {
    async fn record(&self, attempts: &[EndedAttempt]) -> Vec<Result<bool, ServiceError>> {
        let mut written = Vec::with_capacity(attempts.len());
        for (at, EndedAttempt { delivery, outcome }) in attempts.iter().enumerate() {
            let is_second = attempts[..at].iter().any(|earlier| earlier.delivery == *delivery);
            let is_ignored = match self.fault {
                Fault::RecordsOneOfEach => is_second,
                Fault::RecordsTwentyFive => at >= 25,
                Fault::RecordsUpToTheFirstRefused => written.contains(&false),
                _ => false,
            };
            written.push(!is_ignored && self.apply(delivery, outcome));
        }
        if self.fault == Fault::AnswersBackwards {
            written.reverse();
        }
        written.into_iter().map(Ok).collect()
    }

    async fn attempts(&self, id: &str) -> Result<Vec<DeliveryAttempt>, ServiceError> {
        let all = self.attempts.lock().unwrap();
        let mut found = all.get(id).cloned().unwrap_or_default();
        match self.fault {
            Fault::ListsAttemptsBackwards => found.reverse(),
            Fault::ListsAttemptsByText => {
                found.sort_by_key(|attempt| attempt.at.to_rfc3339_opts(SecondsFormat::AutoSi, true));
            }
            Fault::ListsAttemptsOfOthers => {
                let of = all.iter().filter(|(other, _)| other.starts_with(id));
                found = of.flat_map(|(_, attempts)| attempts.clone()).collect();
            }
            _ => {}
        }
        Ok(found)
    }
}

#[async_trait]
impl WaitingDeliveries for Broken {
    async fn waiting(&self, query: &WaitingQuery) -> Result<WaitingPage, ServiceError> {
        let (all, asleep) = (self.deliveries.lock().unwrap(), self.asleep.lock().unwrap());
        let of = |delivery: &WebhookDelivery| match self.fault {
            Fault::WaitsForEver => {
                let status = DeliveryStatus::Pending;
                WaitingDelivery::of(&WebhookDelivery { status, ..delivery.clone() })
            }
            Fault::WaitsNotForRetries if delivery.attempt_count > 0 => None,
            _ => WaitingDelivery::of(delivery).filter(|_| !asleep.contains(&delivery.id)),
        };
        let waiting = all.values().filter_map(of);
        let waiting = waiting.filter(|(awaited, one)| *awaited == query.awaited && one.due_at < query.before);
        let key = |one: &WaitingDelivery| match self.fault {
            Fault::WaitsUnsorted => one.id.clone(),
            _ => format!("{}#{}", one.due_at.to_rfc3339_opts(SecondsFormat::Nanos, true), one.id),
        };
        let mut found: Vec<(String, WaitingDelivery)> = waiting.map(|(_, one)| (key(&one), one)).collect();
        found.retain(|(key, _)| query.cursor.as_ref().is_none_or(|cursor| key > cursor));
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        let more = found.len() > query.limit;
        found.truncate(query.limit);
        let cursor = found.last().filter(|_| more).map(|(key, _)| key.clone());
        let items = found.into_iter().map(|(_, one)| one).collect();
        Ok(WaitingPage { items, unreadable: Vec::new(), cursor })
    }
}
