//! Payloads apart from the item that they belong to, in pieces.
//!
//! DynamoDB charges each write by the size of the whole item, so a payload that is written once costs least in items of
//! its own. And an item holds 400 KB, less than a message. So a payload is cut into pieces, items of the same partition:
//! `payload#<hash>#<number>`. The hash is that of its content: writing it twice changes nothing, and a leftover of a job
//! that was never recorded is not mistaken for another payload.
//!
//! A piece goes before the item that names it, because an item must never name a missing piece. Removals go the other
//! way. A piece that is left over expires by itself.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use lambda_jobs_core::job::PayloadPlace;
use lambda_jobs_core::ports::ServiceError;

use super::requests::{Condition, Dynamo, Outcome, Update, Write};
use super::{Item, hash, key, number, text, text_of};

/// The largest payload that stays in its item, in bytes of JSON: with it, an item usually stays under 1 KB.
pub(super) const MAX_INLINE_PAYLOAD: usize = 512;
/// The most bytes of a piece: 16 KiB less than an item holds, for its keys.
const PIECE_BYTES: usize = 384 * 1024;
/// The most bytes that a piece may lack, so that it ends with a whole character.
const CHARACTER: usize = 3;
/// About how many bytes of pieces are read, or made ready to be written, at once.
const GROUP_BYTES: usize = 2 * 1024 * 1024;

/// A payload to be written in pieces.
pub(super) struct NewPayload<'a> {
    pub(super) partition: String,
    pub(super) json: &'a str,
    pub(super) place: PayloadPlace,
}

/// Where a payload in pieces is.
pub(super) struct Pieces {
    pub(super) partition: String,
    pub(super) place: PayloadPlace,
}

/// The place of a payload that is kept until an instant; `None` if it stays in its item.
pub(super) fn place(json: &str, until: DateTime<Utc>) -> Option<PayloadPlace> {
    (json.len() > MAX_INLINE_PAYLOAD).then(|| PayloadPlace {
        key: format!("payload#{:016x}", hash(json.as_bytes())),
        bytes: json.len(),
        until,
    })
}

/// The attributes of an item that name its payload's place.
pub(super) fn attributes(place: &PayloadPlace) -> Item {
    let bytes = i64::try_from(place.bytes).unwrap_or(i64::MAX);
    Item::from([
        ("payloadKey".to_owned(), text(&place.key)),
        ("payloadBytes".to_owned(), number(bytes)),
        ("payloadUntil".to_owned(), number(place.until.timestamp())),
    ])
}

/// The place that an item names, if its payload is apart.
pub(super) fn place_in(item: &Item) -> Option<PayloadPlace> {
    let figure = |name: &str| item.get(name)?.as_n().ok()?.parse::<i64>().ok();
    let key = Some(text_of(item, "payloadKey")).filter(|key| !key.is_empty())?;
    Some(PayloadPlace {
        key: key.to_owned(),
        bytes: usize::try_from(figure("payloadBytes")?).ok()?,
        until: DateTime::from_timestamp(figure("payloadUntil")?, 0)?,
    })
}

/// The payload, cut into pieces at whole characters.
fn cut(json: &str) -> Vec<&str> {
    let (mut pieces, mut rest) = (Vec::new(), json);
    while rest.len() > PIECE_BYTES {
        let end = (0..=PIECE_BYTES).rev().find(|at| rest.is_char_boundary(*at)).unwrap_or(rest.len());
        let (piece, others) = rest.split_at(end);
        pieces.push(piece);
        rest = others;
    }
    pieces.push(rest);
    pieces
}

fn piece_key(place: &PayloadPlace, number: usize) -> String {
    format!("{}#{number}", place.key)
}

impl Pieces {
    /// The sort keys of its pieces, perhaps one too many.
    fn sort_keys(&self) -> impl Iterator<Item = String> {
        let most = self.place.bytes.div_ceil(PIECE_BYTES - CHARACTER).max(1);
        (0..most).map(|number| piece_key(&self.place, number))
    }

    fn keys(&self) -> impl Iterator<Item = Item> {
        self.sort_keys().map(|sk| key(&self.partition, sk))
    }

    /// The payload in these pieces; `None` if one is missing.
    fn join(&self, mut found: HashMap<String, Item>) -> Option<String> {
        let mut json = String::with_capacity(self.place.bytes);
        for sk in self.sort_keys() {
            if let Some(piece) = found.remove(&sk) {
                json.push_str(text_of(&piece, "payload"));
            }
        }
        (json.len() == self.place.bytes).then_some(json)
    }
}

/// Splits a list into parts of about so many bytes.
fn groups<T>(items: &[T], bytes: impl Fn(&T) -> usize) -> Vec<&[T]> {
    let mut groups = Vec::new();
    let (mut start, mut sum) = (0, 0);
    for (at, item) in items.iter().enumerate() {
        if at > start && sum + bytes(item) > GROUP_BYTES {
            groups.push(&items[start..at]);
            (start, sum) = (at, 0);
        }
        sum += bytes(item);
    }
    groups.extend((start < items.len()).then(|| &items[start..]));
    groups
}

impl NewPayload<'_> {
    fn writes(&self, table: &str) -> Vec<Write> {
        let write = |(number, piece): (usize, &str)| {
            let item = [("payload", text(piece)), ("expiresAt", expires_at(self.place.until))];
            Write::insert(table, self.partition.clone(), piece_key(&self.place, number), item)
        };
        cut(self.json).into_iter().enumerate().map(write).collect()
    }
}

fn expires_at(until: DateTime<Utc>) -> aws_sdk_dynamodb::types::AttributeValue {
    number(until.timestamp())
}

/// Moves the expiry of a piece, if it is not later already.
fn prolonged(write: &Write, until: DateTime<Utc>) -> Write {
    let update = Update::default()
        .set("expiresAt", expires_at(until))
        .when(Condition::Before("expiresAt", expires_at(until)));
    Write::update(&write.table, write.pk.clone(), write.sk.clone(), update)
}

impl Dynamo {
    /// Writes payloads in pieces, and returns the errors by position.
    pub(super) async fn put_pieces(
        &self,
        table: &str,
        payloads: &[NewPayload<'_>],
    ) -> HashMap<usize, ServiceError> {
        let mut failed = HashMap::new();
        let mut first = 0;
        for group in groups(payloads, |one| one.json.len()) {
            let (mut owners, mut writes) = (Vec::new(), Vec::new());
            for (at, payload) in group.iter().enumerate() {
                for write in payload.writes(table) {
                    owners.push(at);
                    writes.push(write);
                }
            }
            let answers = self.write_all("write payloads to", &writes).await;
            let mut known = Vec::new();
            for ((at, write), answer) in owners.iter().zip(&writes).zip(answers) {
                match answer {
                    Ok(Outcome::Written(_)) => {}
                    // A leftover may expire too early.
                    Ok(_) => known.push((*at, prolonged(write, group[*at].place.until))),
                    Err(error) => drop(failed.insert(first + at, error.error)),
                }
            }
            drop(writes);
            let (owners, updates): (Vec<usize>, Vec<Write>) = known.into_iter().unzip();
            let answers = self.write_all("prolong payloads in", &updates).await;
            for (at, answer) in owners.into_iter().zip(answers) {
                if let Err(error) = answer {
                    failed.insert(first + at, error.error);
                }
            }
            first += group.len();
        }
        failed
    }

    /// Reads payloads in pieces, by partition. Leaves out a payload that is not whole.
    pub(super) async fn read_pieces(
        &self,
        doing: &str,
        table: &str,
        all: &[Pieces],
    ) -> Result<HashMap<String, String>, ServiceError> {
        let mut read = HashMap::with_capacity(all.len());
        for group in groups(all, |one| one.place.bytes) {
            let keys: Vec<Item> = group.iter().flat_map(Pieces::keys).collect();
            let mut found: HashMap<String, HashMap<String, Item>> = HashMap::new();
            for item in self.read_all(doing, table, &keys).await? {
                let (pk, sk) = (text_of(&item, "pk").to_owned(), text_of(&item, "sk").to_owned());
                found.entry(pk).or_default().insert(sk, item);
            }
            for one in group {
                let pieces = found.remove(&one.partition).unwrap_or_default();
                read.extend(one.join(pieces).map(|json| (one.partition.clone(), json)));
            }
        }
        Ok(read)
    }

    /// Keeps a payload in pieces until a later instant. Returns whether it is whole.
    pub(super) async fn prolong_pieces(
        &self,
        table: &str,
        pieces: &Pieces,
        until: DateTime<Utc>,
    ) -> Result<bool, ServiceError> {
        let keys: Vec<Item> = pieces.keys().collect();
        let found = self.read_all("read payloads from", table, &keys).await?;
        let bytes: usize = found.iter().map(|item| text_of(item, "payload").len()).sum();
        let write = |item: &Item| {
            let bare =
                Write::insert(table, pieces.partition.clone(), text_of(item, "sk").to_owned(), Item::new());
            prolonged(&bare, until)
        };
        let writes: Vec<Write> = found.iter().map(write).collect();
        for answer in self.write_all("prolong payloads in", &writes).await {
            answer?;
        }
        Ok(bytes == pieces.place.bytes)
    }

    /// Deletes the pieces of payloads. Returns, in order, which are gone.
    pub(super) async fn remove_pieces(
        &self,
        table: &str,
        all: &[Option<Pieces>],
    ) -> Vec<Result<(), ServiceError>> {
        let (mut owners, mut writes) = (Vec::new(), Vec::new());
        for (at, pieces) in all.iter().enumerate().filter_map(|(at, one)| Some((at, one.as_ref()?))) {
            for sk in pieces.sort_keys() {
                owners.push(at);
                writes.push(Write::delete(table, pieces.partition.clone(), sk, Vec::new()));
            }
        }
        let mut removed: Vec<Result<(), ServiceError>> = all.iter().map(|_| Ok(())).collect();
        for (at, answer) in owners.into_iter().zip(self.write_all("remove payloads from", &writes).await) {
            if let Err(failed) = answer {
                removed[at] = Err(failed.error);
            }
        }
        removed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(json: &str) -> Pieces {
        Pieces { partition: "p".to_owned(), place: place(json, DateTime::UNIX_EPOCH).unwrap() }
    }

    #[test]
    fn a_payload_of_any_characters_is_cut_into_pieces_and_joined_again() {
        for (unit, count) in [("x", 513), ("x", 1_048_576), ("€", 349_525), ("🦀", 262_144), ("ä", 196_608)]
        {
            let json = unit.repeat(count);
            let pieces = pieces(&json);
            let cut = cut(&json);
            assert!(cut.iter().all(|piece| piece.len() <= PIECE_BYTES));
            let found: HashMap<String, Item> = cut
                .iter()
                .enumerate()
                .map(|(number, piece)| {
                    let item = Item::from([("payload".to_owned(), text(*piece))]);
                    (piece_key(&pieces.place, number), item)
                })
                .collect();
            assert_eq!(pieces.join(found.clone()), Some(json.clone()), "{count} times {unit}");
            let mut found = found;
            found.remove(&piece_key(&pieces.place, cut.len() - 1));
            assert_eq!(pieces.join(found), None, "{count} times {unit}, without its last piece");
        }
    }

    #[test]
    fn groups_are_bounded_by_bytes_and_hold_each_once() {
        let sizes = |bytes: &[usize]| -> Vec<usize> {
            groups(bytes, |bytes| *bytes).into_iter().map(<[usize]>::len).collect()
        };
        assert_eq!(sizes(&[]), [0; 0]);
        assert_eq!(sizes(&[GROUP_BYTES / 2; 5]), [2, 2, 1]);
        assert_eq!(sizes(&[1, GROUP_BYTES + 1, 1]), [1, 1, 1]);
    }
}
