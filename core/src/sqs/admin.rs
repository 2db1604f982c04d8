//! Creating, describing, changing, purging and deleting queues.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::{
    AttributeMap, Change, Counts, Message, QueueAttributes, QueueState, Sqs, SqsError, limits, queue::Queue,
    redrive,
};

impl Sqs {
    /// Creates a queue.
    ///
    /// If the queue exists with the requested attributes, the call changes nothing, whatever its other attributes.
    /// If any requested attribute differs, it is an error.
    ///
    /// ```
    /// use chrono::DateTime;
    /// use lambda_jobs_core::sqs::Sqs;
    ///
    /// let mut sqs = Sqs::with_seed(1);
    /// sqs.create_queue("jobs", &[("DelaySeconds", "5")].into(), DateTime::UNIX_EPOCH)?;
    /// assert!(sqs.create_queue("jobs", &[].into(), DateTime::UNIX_EPOCH).is_ok());
    /// let error = sqs.create_queue("jobs", &[("DelaySeconds", "6")].into(), DateTime::UNIX_EPOCH).unwrap_err();
    /// assert_eq!(error.code(), "QueueAlreadyExists");
    /// # Ok::<(), lambda_jobs_core::sqs::SqsError>(())
    /// ```
    pub fn create_queue(
        &mut self,
        name: &str,
        attributes: &AttributeMap,
        now: DateTime<Utc>,
    ) -> Result<(), SqsError> {
        check_name(name)?;
        let settings = QueueAttributes::default().with(attributes)?;
        if let Some(queue) = self.queues.get(name) {
            return same_as(&queue.state, attributes, &settings);
        }
        self.check_redrive(name, &settings)?;
        let state = QueueState {
            name: name.to_owned(),
            created_at: now,
            modified_at: now,
            attributes: settings,
            tags: BTreeMap::new(),
        };
        self.queues.insert(name.to_owned(), Queue::new(state));
        self.queue_stored(name);
        Ok(())
    }

    /// Deletes a queue and its messages, at once.
    pub fn delete_queue(&mut self, name: &str) -> Result<(), SqsError> {
        self.purge(name)?;
        self.queues.remove(name);
        self.record(|| Change::QueueRemoved { name: name.to_owned() });
        Ok(())
    }

    /// Removes all messages of a queue, at once.
    pub fn purge(&mut self, name: &str) -> Result<(), SqsError> {
        let queue = self.queue_mut(name)?;
        let old = std::mem::replace(queue, Queue::new(queue.state.clone()));
        for message in old.messages() {
            self.removed(message.clone());
        }
        Ok(())
    }

    /// The queues' names, in order.
    pub fn queue_names(&self) -> impl Iterator<Item = &str> {
        self.queues.keys().map(String::as_str)
    }

    /// A queue's settings and tags.
    pub fn queue_state(&self, name: &str) -> Result<&QueueState, SqsError> {
        self.queue(name).map(|queue| &queue.state)
    }

    /// How many messages a queue holds at this instant.
    pub fn counts(&mut self, name: &str, now: DateTime<Utc>) -> Result<Counts, SqsError> {
        self.settled(name, now).map(|queue| queue.counts())
    }

    /// All messages of a queue, in the order of their arrival. SQS itself doesn't offer this view.
    pub fn messages(&self, name: &str) -> Result<Vec<&Message>, SqsError> {
        self.queue(name).map(|queue| queue.messages().collect())
    }

    /// Replaces some of a queue's attributes. If one value is invalid, replaces none.
    pub fn set_attributes(
        &mut self,
        name: &str,
        attributes: &AttributeMap,
        now: DateTime<Utc>,
    ) -> Result<(), SqsError> {
        let settings = self.queue(name)?.state.attributes.with(attributes)?;
        self.check_redrive(name, &settings)?;
        let state = &mut self.queue_mut(name)?.state;
        state.attributes = settings;
        state.modified_at = now;
        self.queue_stored(name);
        Ok(())
    }

    /// Adds tags to a queue, or replaces their values.
    pub fn tag_queue(&mut self, name: &str, tags: BTreeMap<String, String>) -> Result<(), SqsError> {
        let mut all = self.queue(name)?.state.tags.clone();
        all.extend(tags);
        check_tags(&all)?;
        self.queue_mut(name)?.state.tags = all;
        self.queue_stored(name);
        Ok(())
    }

    /// Removes tags from a queue. Missing tags are no error.
    pub fn untag_queue(&mut self, name: &str, keys: &[String]) -> Result<(), SqsError> {
        self.queue_mut(name)?.state.tags.retain(|key, _| !keys.contains(key));
        self.queue_stored(name);
        Ok(())
    }

    /// The names of the queues that use this dead-letter queue, in order.
    pub fn dead_letter_sources(&self, name: &str) -> Result<Vec<&str>, SqsError> {
        self.queue(name)?;
        let redrives_here = |queue: &&Queue| {
            let policy = queue.state.attributes.redrive.as_ref();
            policy.is_some_and(|policy| policy.dead_letter_queue() == name)
        };
        Ok(self.queues.values().filter(redrives_here).map(|queue| queue.state.name.as_str()).collect())
    }

    fn check_redrive(&self, name: &str, settings: &QueueAttributes) -> Result<(), SqsError> {
        let Some(policy) = &settings.redrive else { return Ok(()) };
        if policy.dead_letter_queue() == name {
            return Err(redrive::invalid(&policy.to_json(), "A queue can't be its own dead-letter queue"));
        }
        if !self.queues.contains_key(policy.dead_letter_queue()) {
            return Err(redrive::invalid(&policy.to_json(), "Dead letter target does not exist"));
        }
        Ok(())
    }
}

fn same_as(existing: &QueueState, asked: &AttributeMap, settings: &QueueAttributes) -> Result<(), SqsError> {
    let (old, new) = (existing.attributes.to_map(), settings.to_map());
    let differs = |name: &&String| old.0.get(*name) != new.0.get(*name);
    let Some(attribute) = asked.0.keys().find(differs) else { return Ok(()) };
    let value = |map: &AttributeMap| map.0.get(attribute).cloned().unwrap_or_else(|| "none".to_owned());
    Err(SqsError::QueueNameExists {
        queue: existing.name.clone(),
        attribute: attribute.clone(),
        existing: value(&old),
        requested: value(&new),
    })
}

/// Refuses a FIFO queue; `what` says what asks for one, and what to ask for instead.
pub(super) fn no_fifo(what: &str) -> SqsError {
    let reason =
        format!("There are no FIFO queues here, because lambda-jobs uses standard queues only; {what}");
    SqsError::UnsupportedOperation { reason }
}

fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), SqsError> {
    let reason = if tags.len() > limits::MAX_TAGS {
        format!("A queue has at most {} tags", limits::MAX_TAGS)
    } else if tags.iter().any(|(key, value)| {
        !(1..=limits::MAX_TAG_KEY_CHARS).contains(&key.chars().count())
            || value.chars().count() > limits::MAX_TAG_VALUE_CHARS
    }) {
        format!(
            "A tag's key has 1 to {} characters, its value up to {}",
            limits::MAX_TAG_KEY_CHARS,
            limits::MAX_TAG_VALUE_CHARS
        )
    } else {
        return Ok(());
    };
    Err(SqsError::parameter("Tags", format!("of {} tags", tags.len()), reason))
}

fn check_name(name: &str) -> Result<(), SqsError> {
    if name.is_empty() {
        return Err(SqsError::MissingParameter { parameter: "QueueName" });
    }
    if let Some(standard) = name.strip_suffix(".fifo") {
        return Err(no_fifo(&format!("queue {name}: create {standard:?}, without .fifo")));
    }
    let fits = name.len() <= limits::MAX_NAME_CHARS;
    if fits && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')) {
        return Ok(());
    }
    let reason = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length";
    Err(SqsError::parameter("QueueName", name, reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqs::{ReceiveRequest, RedrivePolicy, SendRequest};

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn with_queues(names: &[&str]) -> Sqs {
        let mut sqs = Sqs::with_seed(1);
        for name in names {
            sqs.create_queue(name, &[].into(), NOW).unwrap();
        }
        sqs
    }

    fn redrive_to(queue: &str) -> AttributeMap {
        [("RedrivePolicy", RedrivePolicy::new(queue, 2).unwrap().to_json().as_str())].into()
    }

    #[test]
    fn creating_again_compares_only_what_is_asked_for() {
        let mut sqs = with_queues(&["dead"]);
        sqs.create_queue("jobs", &redrive_to("dead"), NOW).unwrap();
        for same in [AttributeMap::default(), redrive_to("dead"), [("VisibilityTimeout", "30")].into()] {
            assert_eq!(sqs.create_queue("jobs", &same, NOW), Ok(()));
        }
        let error = sqs.create_queue("jobs", &[("VisibilityTimeout", "31")].into(), NOW).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("VisibilityTimeout") && text.contains("30") && text.contains("31"), "{text}");
        assert!(sqs.create_queue("jobs", &[("Policy", "{}")].into(), NOW).is_err());
    }

    #[test]
    fn names_and_dead_letter_queues_are_checked() {
        let mut sqs = with_queues(&["jobs"]);
        for name in ["a b", "jobs.txt", "ä", &"n".repeat(81)] {
            assert_eq!(sqs.create_queue(name, &[].into(), NOW).unwrap_err().code(), "InvalidParameterValue");
        }
        assert_eq!(sqs.create_queue("", &[].into(), NOW).unwrap_err().code(), "MissingParameter");
        let fifo = sqs.create_queue("jobs.fifo", &[].into(), NOW).unwrap_err();
        assert_eq!(fifo.code(), "AWS.SimpleQueueService.UnsupportedOperation");
        assert!(fifo.to_string().contains(r#"create "jobs", without .fifo"#), "{fifo}");
        let missing = sqs.set_attributes("jobs", &redrive_to("dead"), NOW).unwrap_err();
        assert!(missing.to_string().contains("does not exist"), "{missing}");
        let own = sqs.set_attributes("jobs", &redrive_to("jobs"), NOW).unwrap_err();
        assert!(own.to_string().contains("its own"), "{own}");
    }

    #[test]
    fn a_refused_change_changes_nothing() {
        let mut sqs = with_queues(&["jobs"]);
        let before = sqs.queue_state("jobs").unwrap().clone();
        assert!(sqs.set_attributes("jobs", &[("DelaySeconds", "5"), ("X", "")].into(), NOW).is_err());
        assert_eq!(sqs.queue_state("jobs").unwrap(), &before);
    }

    #[test]
    fn purging_and_deleting_list_every_message() {
        let mut sqs = with_queues(&["jobs"]).journaled();
        for body in ["a", "b"] {
            sqs.send("jobs", SendRequest::new(body), NOW).unwrap();
        }
        sqs.receive("jobs", ReceiveRequest::default(), NOW).unwrap();
        let _ = sqs.take_changes();
        sqs.delete_queue("jobs").unwrap();
        let changes = sqs.take_changes();
        assert!(matches!(
            changes.as_slice(),
            [Change::MessageRemoved { .. }, Change::MessageRemoved { .. }, Change::QueueRemoved { .. }]
        ));
        assert!(sqs.purge("jobs").unwrap_err().is_queue_missing());
    }

    #[test]
    fn dead_letter_sources_and_tags() {
        let mut sqs = with_queues(&["dead", "a"]);
        sqs.set_attributes("a", &redrive_to("dead"), NOW).unwrap();
        assert_eq!(sqs.dead_letter_sources("dead").unwrap(), ["a"]);
        assert_eq!(sqs.dead_letter_sources("a").unwrap(), Vec::<&str>::new());
        sqs.tag_queue("a", [("team".to_owned(), "x".to_owned())].into()).unwrap();
        sqs.untag_queue("a", &["team".to_owned(), "other".to_owned()]).unwrap();
        assert!(sqs.queue_state("a").unwrap().tags.is_empty());
    }

    #[test]
    fn tags_have_bounds() {
        let mut sqs = with_queues(&["a"]);
        let tags = |from: usize, to: usize| (from..to).map(|n| (n.to_string(), String::new())).collect();
        sqs.tag_queue("a", tags(0, 50)).unwrap();
        let error = sqs.tag_queue("a", tags(50, 51)).unwrap_err().to_string();
        assert!(error.contains("at most 50 tags"), "{error}");
        for (key, value) in [
            (String::new(), String::new()),
            ("k".repeat(129), String::new()),
            ("k".to_owned(), "v".repeat(257)),
        ] {
            assert!(sqs.tag_queue("a", [(key, value)].into()).is_err());
        }
        assert_eq!(sqs.queue_state("a").unwrap().tags.len(), 50);
    }
}
