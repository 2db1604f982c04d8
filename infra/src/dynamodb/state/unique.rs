//! Unique keys: `job` holds the key `since` an instant, and `until` another if the key outlives the job.

use std::time::Duration;

use async_trait::async_trait;
use lambda_jobs_core::ports::{KeyClaim, KeyOutcome, ServiceError, UniqueKeys};
use lambda_jobs_core::unique::KeyHold;

use crate::dynamodb::requests::{Condition, Failed, Outcome, Update, Write};
use crate::dynamodb::{Dynamo, Item, expiry, instant, key, text, text_of};

/// The sort key.
const KEY: &str = "unique";
/// The attributes of a hold.
const HOLD: [&str; 4] = ["job", "since", "until", "expiresAt"];
/// How long an item is kept. A job may wait for 366 days, run and snooze for 90, and be remembered for 15.
const KEEP: Duration = Duration::from_hours((366 + 90 + 15) * 24);

/// [`UniqueKeys`] in DynamoDB.
#[derive(Clone, Debug)]
pub struct DynamoUniqueKeys {
    dynamo: Dynamo,
}

fn partition(key: &str) -> String {
    format!("unique#{key}")
}

fn item(hold: &KeyHold) -> Item {
    let last = hold.until.unwrap_or(hold.since).max(hold.since);
    let mut item = Item::from([
        ("job".to_owned(), text(hold.job.as_str())),
        ("since".to_owned(), text(instant::write(hold.since))),
        ("expiresAt".to_owned(), expiry(last, KEEP)),
    ]);
    if let Some(until) = hold.until {
        item.insert("until".to_owned(), text(instant::write(until)));
    }
    item
}

fn read(key: &str, item: &Item) -> Result<KeyHold, String> {
    let instant_of = |name: &str| {
        let written = text_of(item, name);
        instant::read(written).ok_or_else(|| format!("{name}: expected an instant, got {written:?}"))
    };
    Ok(KeyHold {
        key: key.to_owned(),
        job: text_of(item, "job").parse().map_err(|error| format!("job: {error}"))?,
        since: instant_of("since")?,
        until: item.contains_key("until").then(|| instant_of("until")).transpose()?,
    })
}

impl DynamoUniqueKeys {
    /// The keys in the state table.
    #[must_use]
    pub const fn new(dynamo: Dynamo) -> Self {
        Self { dynamo }
    }

    fn table(&self) -> &str {
        &self.dynamo.tables().state
    }

    fn write(&self, KeyClaim { hold, replacing }: &KeyClaim) -> Write {
        let partition = partition(&hold.key);
        let Some(before) = replacing else { return Write::insert(self.table(), partition, KEY, item(hold)) };
        let update = Update::default()
            .to(&item(hold), HOLD)
            .when(Condition::Equals("job", text(before.job.as_str())))
            .when(Condition::Equals("since", text(instant::write(before.since))));
        Write::update(self.table(), partition, KEY, update)
    }

    async fn find(&self, name: &str) -> Result<Option<Item>, ServiceError> {
        let call = self.dynamo.client().get_item().table_name(self.table()).consistent_read(true);
        let found = call.set_key(Some(key(partition(name), KEY))).send().await;
        let found =
            found.map_err(|error| self.dynamo.error("read a unique key from", self.table(), error))?;
        Ok(found.item)
    }

    async fn answer(
        &self,
        KeyClaim { hold, .. }: &KeyClaim,
        outcome: Result<Outcome, Failed>,
    ) -> Result<KeyOutcome, ServiceError> {
        let seen = match outcome? {
            Outcome::Written(_) => return Ok(KeyOutcome::Held),
            Outcome::Refused { item, .. } => item.filter(|item| !item.is_empty()),
            Outcome::Unknown => None,
        };
        let found = match seen {
            Some(item) => Some(item),
            None => self.find(&hold.key).await?,
        };
        let doing = || format!("take a unique key in table {}", self.table());
        let found = found.ok_or_else(|| {
            ServiceError::new(doing(), "another job held it, and it is gone now; try again")
        })?;
        let found = read(&hold.key, &found).map_err(|reason| ServiceError::new(doing(), reason))?;
        // An earlier try whose answer was lost may have written this.
        Ok(if found == *hold { KeyOutcome::Held } else { KeyOutcome::Taken(found) })
    }
}

#[async_trait]
impl UniqueKeys for DynamoUniqueKeys {
    async fn hold(&self, claims: &[KeyClaim]) -> Vec<Result<KeyOutcome, ServiceError>> {
        let writes: Vec<Write> = claims.iter().map(|claim| self.write(claim)).collect();
        let outcomes = self.dynamo.write_all("take unique keys in", &writes).await;
        let answers = claims.iter().zip(outcomes).map(|(claim, outcome)| self.answer(claim, outcome));
        futures_util::future::join_all(answers).await
    }
}
