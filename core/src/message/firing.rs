//! The identity of a job that an EventBridge rule fires.
//!
//! A rule can't choose an id, and may fire twice for one instant. It can only send its name and the time of
//! the firing. Together they name the job: however often the rule fires, it is one job.
//!
//! That is why the rules of the template take `cron(...)` only. A `rate(...)` fires at a second that depends on
//! when the rule was made, so two firings could fall into one minute and become one job. The target of a rule
//! is a queue: no function stands between, so none can fail.

use chrono::{DateTime, Utc};

use super::fields::{Fields, missing, refused};
use crate::invalid::Invalid;
use crate::job::{JobId, ScheduleId};
use crate::json::string;

/// The job of a schedule's firing, `<schedule>@<minute>`; `None` if the message comes from no schedule. Rules fire
/// each minute, some seconds late.
pub(super) fn job_id(fields: &mut Fields<'_>) -> Result<Option<JobId>, Invalid> {
    let schedule = schedule(fields)?;
    let fired_at = fields.instant("firedAt")?;
    match (schedule, fired_at) {
        (None, None) => Ok(None),
        (Some(_), None) => Err(missing("firedAt", "the instant at which the schedule fired")),
        (None, Some(_)) => Err(missing("schedule", "the schedule that fired at firedAt")),
        (Some(schedule), Some(fired_at)) => {
            let refuse = |_| refused("firedAt", "an instant", &fired_at.to_rfc3339());
            schedule.job_at(minute_of(fired_at)).map(Some).map_err(refuse)
        }
    }
}

fn schedule(fields: &mut Fields<'_>) -> Result<Option<ScheduleId>, Invalid> {
    let expected = "the name of a schedule, 1 to 100 visible ASCII characters without spaces, @ and #";
    fields.read("schedule", expected, |text| string(text)?.parse().ok())
}

fn minute_of(instant: DateTime<Utc>) -> DateTime<Utc> {
    let seconds = instant.timestamp();
    DateTime::from_timestamp(seconds - seconds.rem_euclid(60), 0).unwrap_or(instant)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::job::JobType;
    use crate::message::JobMessage;

    fn decode(body: &Value) -> Result<JobMessage, Invalid> {
        JobMessage::decode(&body.to_string(), "message-1", DateTime::UNIX_EPOCH)
    }

    fn fired(schedule: &str, at: &str) -> Value {
        json!({ "name": "n", "schedule": schedule, "firedAt": at })
    }

    #[test]
    fn a_firing_is_one_job_however_late_in_its_minute_and_however_often_it_comes() {
        let expected = "webhook-pending@2026-11-23T08:00:00Z";
        for at in ["2026-11-23T08:00:00Z", "2026-11-23T08:00:59.999Z", "2026-11-23T09:00:07+01:00"] {
            let message = decode(&fired("webhook-pending", at)).unwrap();
            assert_eq!(message.definition.id.as_str(), expected, "{at}");
            assert_eq!(message.definition.job_type, JobType::Recurring);
        }
        let next = decode(&fired("webhook-pending", "2026-11-23T08:01:00Z")).unwrap();
        assert_eq!(next.definition.id.as_str(), "webhook-pending@2026-11-23T08:01:00Z");
    }

    #[test]
    fn a_copy_of_a_firing_carries_its_id_alone() {
        let message = decode(&fired("s", "2026-11-23T08:00:07Z")).unwrap();
        let copy: Value = serde_json::from_str(&message.encode()).unwrap();
        assert_eq!(copy["id"], "s@2026-11-23T08:00:00Z");
        assert_eq!((copy.get("schedule"), copy.get("firedAt")), (None, None));
    }

    #[test]
    fn an_id_that_is_given_wins_over_the_firing() {
        let mut body = fired("s", "2026-11-23T08:00:07Z");
        body["id"] = "mine".into();
        assert_eq!(decode(&body).unwrap().definition.id.as_str(), "mine");
    }

    #[test]
    fn every_refusal_names_the_field_the_value_and_what_was_expected() {
        let name = "schedule: expected the name of a schedule, 1 to 100 visible ASCII characters without \
                    spaces, @ and #, got";
        let cases = [
            (fired("a@b", "2026-11-23T08:00:00Z"), format!("{name} \"a@b\"")),
            (fired("", "2026-11-23T08:00:00Z"), format!("{name} \"\"")),
            (json!({ "name": "n", "schedule": 7, "firedAt": "2026-11-23T08:00:00Z" }), format!("{name} 7")),
            (
                fired("s", "at eight"),
                "firedAt: expected an RFC 3339 instant of the years 1970 to 9999, such as \
                 2026-11-23T08:00:00Z, got \"at eight\""
                    .to_owned(),
            ),
            (
                json!({ "name": "n", "schedule": "s" }),
                "firedAt: expected the instant at which the schedule fired, got nothing".to_owned(),
            ),
            (
                json!({ "name": "n", "firedAt": "2026-11-23T08:00:00Z" }),
                "schedule: expected the schedule that fired at firedAt, got nothing".to_owned(),
            ),
        ];
        for (body, expected) in cases {
            assert_eq!(decode(&body).unwrap_err().to_string(), expected, "{body}");
        }
    }
}
