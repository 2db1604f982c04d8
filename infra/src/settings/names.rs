//! The names of tables and queues.

use lambda_jobs_core::Queue;

use super::reader::Reader;

/// The names of the tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tables {
    /// Job records, payloads and history.
    pub jobs: String,
    /// Counters and other state that all environments share.
    pub state: String,
    /// Webhook deliveries, and other data that jobs work on.
    pub data: String,
}

impl Default for Tables {
    fn default() -> Self {
        Self {
            jobs: "lambda-jobs-jobs".to_owned(),
            state: "lambda-jobs-state".to_owned(),
            data: "lambda-jobs-data".to_owned(),
        }
    }
}

impl Tables {
    /// The environment variable that sets this table's name, for errors that advise.
    #[must_use]
    pub fn variable(&self, table: &str) -> &'static str {
        if table == self.jobs {
            "LAMBDA_JOBS_JOBS_TABLE"
        } else if table == self.state {
            "LAMBDA_JOBS_STATE_TABLE"
        } else {
            "LAMBDA_JOBS_DATA_TABLE"
        }
    }
}

/// The names of the queues: a prefix, then the queue's short name.
///
/// ```
/// use lambda_jobs_core::Queue;
/// use lambda_jobs_infra::QueueNames;
///
/// let names = QueueNames::default();
/// assert_eq!(names.queue(Queue::High), "lambda-jobs-high");
/// assert_eq!(names.dead_letters(Queue::High), "lambda-jobs-high-dlq");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueNames {
    /// The prefix of every name.
    pub prefix: String,
}

impl Default for QueueNames {
    fn default() -> Self {
        Self { prefix: "lambda-jobs-".to_owned() }
    }
}

impl QueueNames {
    /// The name of a queue.
    #[must_use]
    pub fn queue(&self, queue: Queue) -> String {
        format!("{}{queue}", self.prefix)
    }

    /// The name of a queue's dead-letter queue.
    #[must_use]
    pub fn dead_letters(&self, queue: Queue) -> String {
        format!("{}{queue}-dlq", self.prefix)
    }
}

pub(super) fn tables(reader: &mut Reader<'_>) -> Tables {
    let defaults = Tables::default();
    Tables {
        jobs: table(reader, "LAMBDA_JOBS_JOBS_TABLE", defaults.jobs),
        state: table(reader, "LAMBDA_JOBS_STATE_TABLE", defaults.state),
        data: table(reader, "LAMBDA_JOBS_DATA_TABLE", defaults.data),
    }
}

fn table(reader: &mut Reader<'_>, variable: &str, default: String) -> String {
    let Some(name) = reader.text(variable) else { return default };
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    // Statements quote these names, so this check is for safety too.
    if !(3..=255).contains(&name.len()) || !name.chars().all(fits) {
        reader.refuse(
            variable,
            "a table's name: 3 to 255 letters, digits, hyphens, dots or underscores",
            &name,
        );
        return default;
    }
    name
}

/// The longest ARN of a function with a qualifier.
const MAX_FUNCTION: usize = 256;
/// A queue's name has at most 80 characters; `webhooks-dlq` takes 12 of them.
const MAX_PREFIX: usize = 68;

pub(super) fn queues(reader: &mut Reader<'_>) -> QueueNames {
    let variable = "LAMBDA_JOBS_QUEUE_PREFIX";
    let Some(prefix) = reader.text(variable) else { return QueueNames::default() };
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if prefix.len() > MAX_PREFIX || !prefix.chars().all(fits) {
        let expected = format!("at most {MAX_PREFIX} letters, digits, hyphens or underscores");
        reader.refuse(variable, &expected, &prefix);
        return QueueNames::default();
    }
    QueueNames { prefix }
}

pub(super) fn worker_function(reader: &mut Reader<'_>) -> Option<String> {
    let variable = "LAMBDA_JOBS_WORKER_FUNCTION";
    let name = reader.text(variable)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':');
    if name.len() > MAX_FUNCTION || !name.chars().all(fits) {
        let expected = format!("the name or ARN of a function, at most {MAX_FUNCTION} characters");
        reader.refuse(variable, &expected, &name);
        return None;
    }
    Some(name)
}
