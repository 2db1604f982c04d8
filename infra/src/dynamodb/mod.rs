//! Jobs, shared state and webhook deliveries in DynamoDB.
//!
//! DynamoDB charges each write by the size of the whole item. So items that change often are small, and large payloads
//! are written once. A secondary index charges again for each change of what it holds. So the indexes hold only the few
//! jobs that a person may want to look at.
//!
//! | table | `pk` | `sk` | item |
//! | --- | --- | --- | --- |
//! | jobs | `job#<id>` | `job` | a job's record, with its payload up to 512 bytes of JSON |
//! | jobs | `job#<id>` | `payload#<hash>#<number>` | a piece of a larger payload, written once |
//! | jobs | `history#<day>#<shard>` | `<instant>#<batch>` | the jobs that one settle call finished |
//! | state | `counters#<shard>` | `<job name>` | the counters of the jobs of that name |
//! | state | `running#<shard>` | `<batch>` | the jobs of a batch that has lasted for 2 s, with their progress; gone when it ends |
//! | state | `batch#<shard>` | `<id>` | a batch, apart from its children |
//! | state | `batch-chunk#<shard>` | `<name>` | children that were added to a batch together |
//! | state | `batch-shards#<group>#<batch>`, `batch-groups#<batch>`, `batch-root#<batch>` | `<slot>`, `root` | the marks of children that have ended |
//! | state | `cleanup` | `cleanup` | how far cleanups have come |
//! | state | `schedule#<shard>` | `<id>` | a schedule and its state |
//! | state | `control` | `control` | what is paused; every environment reads it as it starts, and every 5 s while it works |
//! | state | `unique#<key>` | `unique` | the job that holds a unique key, since when and until when |
//! | state | `breaker#<shard>`, `limit#<shard>` | `<name>` | a breaker, a limit |
//! | data | `delivery#<id>` | `delivery` | a webhook delivery, its JSON fields as attributes |
//! | data | `delivery#<id>` | `payload#<hash>#<number>` | a piece of its payload if that has over 512 bytes |
//! | data | `delivery#<id>` | `attempt#<instant>` | one of its attempts, likewise; the delivery itself holds the attempt that ended it |
//! | data | `endpoint#0` | `<id>` | a webhook endpoint with its secrets; one query per published event lists all |
//!
//! | module | subject |
//! | --- | --- |
//! | `requests` | reads and conditional writes in batches |
//! | `pieces` | payloads apart from their items |
//! | `jobs` | records, lists, history, counters, cleanups |
//! | `state` | what all environments share: control, schedules, what runs, unique keys, breakers, limits and batches |
//! | `webhooks` | deliveries and their attempts |
//! | `tables` | creates the tables, outside AWS |
//!
//! The sparse index `attention` of the jobs table (`attention` = `<status>#<shard>`, `attentionAt` =
//! `<instant>#<id>`) holds records that are scheduled, waiting, retrying, failed or cancelled. A job that succeeds at once never
//! enters it. Parked records have partitions of their own there, the due index: `parked#<shard>`, 0 to 7 for `scheduled`
//! ones, 8 to 15 for `retrying` ones, 16 for the `waiting` parents of batches. The index of the same name of the data table (`attention` =
//! `delivery-pending#<shard>` or `delivery-retry#<shard>`) holds unfinished deliveries.
//!
//! A cleanup deletes finished items before they expire, and removes payload, result, error and attempts of records that it
//! trims.
//!
//! Only two calls read a whole table, each a bounded part of it at a time: the list of queued jobs, and that of deliveries.
//!
//! # Layout 1
//!
//! This is what every release reads, from here on. An absent attribute has its default. What a release does not know, it
//! ignores: attributes, fields and further elements of the JSON texts. So a later release may add some; one that changes
//! a meaning is layout 2, and says so in an attribute `layout` of each item. The types are text (S), number (N), boolean
//! (B, absent unless true), list (L) and map (M). Payloads and results are JSON texts, because DynamoDB's numbers and maps
//! can't hold all of JSON.
//!
//! Instants are seconds since 1970 (N, with a fraction to the nanosecond: `1795420800.25`). In keys, and in all items but
//! those of jobs and of what runs, they are texts in UTC that sort (`2026-11-23T08:00:00.25`); in deliveries and JSON states, RFC 3339.
//!
//! A `<shard>` is the 64-bit FNV-1a hash of the name or id, modulo the number of shards. Of history and of what runs, it is
//! the number of the batch, modulo that.
//!
//! `pk` and `sk` are every item's keys. `expiresAt` (N) lets DynamoDB delete an item after that instant.
//!
//! **A job's record**
//!
//! | attribute | | meaning |
//! | --- | --- | --- |
//! | `name` | S | the handler |
//! | `status` | S | `queued`, `scheduled`, `waiting`, `running`, `retrying`, `completed`, `failed` or `cancelled` |
//! | `rev` | N | counts the writes |
//! | `created` | N | when the job was first seen |
//! | `due` | N | before this instant nobody may claim it; absent, if nobody can: `created` |
//! | `claim` | S | the present or last claim, which fences a settlement |
//! | `isolated` | B | a crash made it a suspect |
//! | `uniqueKey` | S | its unique key |
//! | `edition` | N | the edition of the schedule that made it |
//! | `cancelRequested` | B | somebody cancelled it while it ran |
//! | `trimmed` | B | a cleanup removed payload, result, error and attempts |
//! | `attention`, `attentionAt` | S | its keys in the index |
//! | `payload` | S | the payload; `{}` if absent, unless it is apart or trimmed |
//! | `payloadKey`, `payloadBytes`, `payloadUntil` | S, N, N | where a payload apart is, its size, and until when it is kept |
//! | `result` | S | what the handler returned; absent, if it completed: `null` |
//! | `error` | S | why the last attempt failed, or why the job is a dead letter |
//! | `job` | S | JSON: `type` (`immediate`), `queue` (`normal`), `priority` (5), `maxRetries`, `delay`, `runAt` (an instant), `timeout`, `tags`, `tenant`, `uniqueFor`, `breakers`, `traceparent`, `enqueueCall`, `batch` (`<batch>#<number>`), `gathers` (`false`): it waits for the children of its batch; times in milliseconds |
//! | `run` | S | JSON: `[started, lease, alone]`: when the attempt began, how many seconds later its lease ends, and whether it was its batch's only job (`false`) |
//! | `outcome` | S | JSON: `[ended, took, {note, blocked, passedOver, deadLettered, parked}]`: when the job ended or `null`, the milliseconds that the last attempt took or `null`, and the rest |
//! | `past` | S | JSON: `failures`, `snoozes` (0), `withdrawn` (`false`): its schedule took it back |
//! | `attempts` | S | JSON: `[attempt, started, took, {error, worker, log, dropped}]` for each attempt before the last, and for the last if it logged: its number, when it began, the milliseconds that it took or `null`, and the rest; `dropped` (0) are the bytes that its log had before |
//!
//! **A piece of a payload**, of a job or a delivery: `payload` (S), a part of the JSON, and `expiresAt`.
//!
//! **History**: `names` (L of S) and `jobs` (S), a line for each job:
//! `<id> <name> <queue> <status> <attempt> <took> <waited> <offset>`. The name is a position in `names`, from 0; queue and
//! status are their first letters, with `x` for `cancelled`. `took` and `waited` are milliseconds: how long the last
//! attempt ran, and how long it began after it was due (`-` if none began). The offset is the seconds from the job's end to
//! the instant in the key.
//!
//! **What runs**: `until` (N), when the leases of the batch end, and `jobs` (S), JSON: `[id, name, since, attempt, {percent,
//! words}]` for each job. `since` is when it was claimed. The last element is its progress, and is absent if it said
//! nothing. The batch in the key is 16 hexadecimal digits, of the number that the last 8 characters of its claims are in
//! base 36; the shard is that number modulo 4.
//!
//! **How far cleanups have come**: `historySince`, `removedUntil`, `completedUntil`, `failedUntil`, `cancelledUntil` (S),
//! instants. History before the first is gone. Completed jobs that were over by the second were looked for. What was written
//! to the history before the third is trimmed, and so are failed and cancelled jobs that ended before the others. An absent
//! one stands for the beginning.
//!
//! **Counters** (the shard is a hash of the name, modulo 4): `completed`, `failed`, `cancelled`, `retried` and `executionMillis` (N), the sums of all settlements.
//!
//! **A schedule**: `schedule` (S), its JSON; `revision`, `edition` (N); `last`, `ahead`, `nextAt`, `madeUntil` (S), instants;
//! `withdrawing` (L of S), instants whose jobs are to be taken back; `due`, `dueAt` (S), its keys in the index `due`
//! (`schedule#<shard>`, `<instant>#<id>`).
//!
//! **The control**: `revision` (N); `all` (M of `since` and `reason`) and `queues` (M of such, by queue), the pauses;
//! `disabledSince` (S); `settings` (M), what the deployment was set to.
//!
//! **A unique key**: `job` (S) holds it `since` an instant (S), and `until` another (S) if it outlives the job.
//!
//! **A mark of children**: in a shard `c<n>`, `f<n>`, `x<n>` (N), the child in slot `n` completed, failed or was
//! cancelled; in a group or the root `c<n>`, all below that slot has ended. `expected` (N), how many slots there are, and
//! `sealed` (B), whether that is final. Child `n` has slot `n % 100` of shard `n / 100`; shard `s` has slot
//! `s % 800 / 8` of group `s / 800 * 8 + s % 8`.
//!
//! **A breaker, a limit, an endpoint, a batch, a chunk of one**: `revision` (N) and `state` (S), JSON.
//!
//! **A delivery**: `id`, `webhookId`, `eventType`, `url`, `method`, `status` (S), `headers` (M), `attemptCount`,
//! `maxAttempts`, `refusals`, `replays` (N), `nextAttemptAt`, `lastAttemptAt`, `deliveredAt`, `createdAt`, `updatedAt` (S),
//! `lastError`, `lastErrorClass`, `responseBody` (S), `responseStatus`, `duration` (N, milliseconds), its payload as above,
//! and `attention`, `attentionAt` (S) while it is unfinished.
//!
//! **An attempt**: `at`, `error`, `errorClass`, `responseBody` (S), `responseStatus`, `duration` (N).
//!
//! # Writing
//!
//! Inserts, claims and settlements go out as `BatchExecuteStatement`, 25 to a call, each with its own condition. If an
//! endpoint lacks that call, they go out one by one under the same conditions. The first refusal is remembered. Every byte of
//! a statement is sent for every job, so names are short, and what all jobs share stands in the text.
//!
//! **Counters** are part of the settle call. An update that adds can't be repeated safely, so it is never sent again
//! after a lost answer. Without crashes and lost answers the counters are exact. Each crash or lost answer can leave
//! out, or count twice, at most the jobs of one batch.

mod instant;
mod item;
mod jobs;
mod pieces;
mod requests;
mod seconds;
mod state;
mod tables;
mod webhooks;

pub use jobs::DynamoJobStore;
pub use requests::Dynamo;
pub use state::{
    DynamoBatchNodes, DynamoControlStore, DynamoRunning, DynamoSchedules, DynamoUniqueKeys, DynamoVersioned,
};
pub use tables::create_tables;
pub use webhooks::DynamoWebhooks;

use item::{Item, expiry, hash, key, number, text, text_of};
