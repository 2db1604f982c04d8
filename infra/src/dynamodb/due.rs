//! The due index: parked records by the instant they are due.
//!
//! They are a status of their own in the sparse index, spread over more partitions than the others, because
//! a hundred thousand jobs may be due at the same minute and leave it in the next. A page asks all
//! partitions at once, so its cursor is the place in each of them.

use futures_util::future::try_join_all;
use lambda_jobs_core::JobRecord;
use lambda_jobs_core::ports::{DueQuery, Page, StoreError};

use super::record::{PARKED_SHARDS, RECORD, parked};
use super::store::DynamoJobStore;
use super::tables::ATTENTION_INDEX;
use super::{Item, instant, key, text, text_of};

/// Where the next page begins in one partition.
#[derive(Clone, Debug)]
enum Place {
    Start,
    After(String),
    End,
}

/// Keys of the index hold visible ASCII, so a line feed is in none of them.
const SEPARATOR: char = '\n';
const END: &str = "~";

fn read_cursor(cursor: Option<&str>) -> Vec<Place> {
    let Some(cursor) = cursor else { return vec![Place::Start; usize::from(PARKED_SHARDS)] };
    let place = |text: &str| match text {
        "" => Place::Start,
        END => Place::End,
        key => Place::After(key.to_owned()),
    };
    let mut places: Vec<Place> = cursor.split(SEPARATOR).map(place).collect();
    places.resize(usize::from(PARKED_SHARDS), Place::End);
    places
}

fn write_cursor(places: &[Place]) -> Option<String> {
    let place = |place: &Place| match place {
        Place::Start => String::new(),
        Place::After(key) => key.clone(),
        Place::End => END.to_owned(),
    };
    let more = places.iter().any(|place| !matches!(place, Place::End));
    more.then(|| places.iter().map(place).collect::<Vec<_>>().join(&SEPARATOR.to_string()))
}

impl DynamoJobStore {
    pub(super) async fn find_due(&self, query: &DueQuery) -> Result<Page<JobRecord>, StoreError> {
        let places = read_cursor(query.cursor.as_deref());
        let share = query.limit.div_ceil(usize::from(PARKED_SHARDS)).max(1);
        let asked =
            (0..PARKED_SHARDS).zip(places).map(|(shard, place)| self.due_of(shard, place, query, share));
        let (items, places): (Vec<Vec<Item>>, Vec<Place>) = try_join_all(asked).await?.into_iter().unzip();
        let mut items: Vec<Item> = items.into_iter().flatten().collect();
        items.sort_by(|one, other| text_of(one, "attentionAt").cmp(text_of(other, "attentionAt")));
        Ok(Page { items: self.whole_records(items).await?, cursor: write_cursor(&places) })
    }

    async fn due_of(
        &self,
        shard: u16,
        place: Place,
        query: &DueQuery,
        share: usize,
    ) -> Result<(Vec<Item>, Place), StoreError> {
        let start = match place {
            Place::Start => None,
            Place::After(at) => Some(place_key(shard, &at)),
            Place::End => return Ok((Vec::new(), Place::End)),
        };
        let table = self.jobs();
        let call = self
            .dynamo
            .client()
            .query()
            .table_name(table)
            .index_name(ATTENTION_INDEX)
            .key_condition_expression("attention = :parked AND attentionAt <= :until")
            .expression_attribute_values(":parked", text(parked(shard)))
            // `#` comes before the fraction of a later instant, and `~` after every id.
            .expression_attribute_values(":until", text(instant::write(query.until) + "#~"))
            .limit(i32::try_from(share).unwrap_or(i32::MAX))
            .set_exclusive_start_key(start);
        let page = call.send().await.map_err(|error| self.dynamo.error("find due jobs in", table, error))?;
        let last = page.last_evaluated_key.filter(|key| !key.is_empty());
        let place = last.map_or(Place::End, |key| Place::After(text_of(&key, "attentionAt").to_owned()));
        Ok((page.items.unwrap_or_default(), place))
    }
}

/// The key of a record in the index, from its place there: `<instant>#<id>`.
fn place_key(shard: u16, at: &str) -> Item {
    let id = at.split_once('#').map_or("", |(_, id)| id);
    let mut start = key(format!("job#{id}"), RECORD);
    start.insert("attention".to_owned(), text(parked(shard)));
    start.insert("attentionAt".to_owned(), text(at));
    start
}
