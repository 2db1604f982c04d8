//! What failures cost among many successes: one call of a hundred fails.
//!
//! A success costs nothing beyond its delivery, and what a failure costs does not grow with the successes around it.

use std::sync::atomic::{AtomicUsize, Ordering};

use lambda_jobs_core::families::webhook::ports::DeliveryAttempts;
use lambda_jobs_core::families::webhook::{Endpoint, EndpointSpec, WebhookSecret};
use lambda_jobs_core::job::JobStatus;
use lambda_jobs_core::ports::JobStore;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use super::*;

const CALLS: usize = 20_000;
const WORKERS: usize = 5;

/// Counts lines of logs, at level info and above.
#[derive(Clone, Default)]
struct Lines(Arc<[AtomicUsize; 2]>);

impl Lines {
    fn info(&self) -> usize {
        self.0[0].load(Ordering::Relaxed)
    }

    fn louder(&self) -> usize {
        self.0[1].load(Ordering::Relaxed)
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let kind = usize::from(*event.metadata().level() < Level::INFO);
        self.0[kind].fetch_add(1, Ordering::Relaxed);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// What is stored of the host's breaker and of its endpoint.
#[derive(Debug, Default)]
struct Stored {
    breaker_writes: u64,
    endpoint_writes: u64,
    /// The largest size of the breaker's item.
    breaker_bytes: usize,
}

impl Stored {
    fn look(&mut self, fleet: &Fleet) {
        let world = &fleet.world;
        let breaker = world.clock.run(world.breakers.load(&["webhook-example.com".to_owned()])).unwrap();
        if let Some(breaker) = &breaker[0] {
            self.breaker_writes = breaker.revision;
            self.breaker_bytes = self.breaker_bytes.max(serde_json::to_string(breaker).unwrap().len());
        }
        let endpoint = world.clock.run(fleet.endpoints.load(&["hook".to_owned()])).unwrap();
        self.endpoint_writes = endpoint[0].as_ref().map_or(0, |endpoint| endpoint.revision - 1);
    }
}

#[test]
fn what_a_failure_costs_does_not_grow_with_the_successes_around_it() {
    let fleet = Fleet::new(WORKERS, Manner::Fails(1), 1);
    let spec = EndpointSpec::new("https://example.com/hook");
    let endpoint =
        Endpoint::new("hook".parse().unwrap(), spec, WebhookSecret::of(&[7; 32]), fleet.world.now());
    fleet.world.clock.run(fleet.endpoints.save(&[endpoint]));
    let (lines, mut stored) = (Lines::default(), Stored::default());
    tracing::subscriber::with_default(lines.clone(), || {
        for first in (0..CALLS).step_by(10) {
            (first..first + 10).for_each(|number| fleet.publish_to(Some("hook"), number));
            fleet.work();
            stored.look(&fleet);
            fleet.world.clock.advance(Duration::from_millis(100));
        }
        while let Some(next) = fleet.world.queue.next_visible_at(Queue::Webhooks).unwrap() {
            fleet.world.clock.advance((next - fleet.world.now()).to_std().unwrap_or_default());
            fleet.work();
        }
    });
    stored.look(&fleet);
    let failures = fleet.host.calls().len() - CALLS;
    assert!((150..250).contains(&failures), "{failures} calls failed, and no delivery");
    // The breaker: a write for each failure, and few more to tell successes.
    assert!(stored.breaker_writes <= failures as u64 * 3 / 2, "{stored:?}, {failures} failures");
    assert!(stored.breaker_bytes <= 1_024, "one write unit: {stored:?}");
    let shown = fleet.world.clock.run(fleet.world.manager.breakers()).unwrap();
    assert_eq!((shown.len(), shown[0].state), (1, "closed"));
    assert!(serde_json::to_string(&shown).unwrap().len() <= 1_024);
    // The endpoint: what each worker tells before its first success.
    assert!(stored.endpoint_writes <= 2 * WORKERS as u64, "{stored:?}, {failures} failures");
    assert!(fleet.world.events.counts().is_empty(), "{:?}", fleet.world.events.counts());
    // Logs: a line for each batch, and for each failure.
    assert!(lines.louder() <= failures, "{} lines of {failures} failures", lines.louder());
    let batches = CALLS / 10 + failures;
    assert!(lines.info() <= batches, "{} lines of at most {batches} batches", lines.info());
    // What is kept of a delivery and its job depends on its own attempts alone.
    for number in (0..CALLS).step_by(7) {
        let id = format!("d{number}");
        let delivery = fleet.world.clock.run(fleet.webhooks.find_one(&id)).unwrap().unwrap();
        let kept = fleet.world.clock.run(fleet.webhooks.attempts(&id)).unwrap();
        assert_eq!(
            (delivery.status, kept.len()),
            (DeliveryStatus::Delivered, delivery.attempt_count as usize)
        );
        let record = fleet.world.clock.run(fleet.world.store.get(&[id.parse().unwrap()])).unwrap();
        let mut record = record[0].clone().unwrap();
        assert_eq!((record.status, record.failures + 1), (JobStatus::Completed, delivery.attempt_count));
        let attempts = Vec::from(std::mem::take(&mut record.past_attempts));
        assert_eq!(attempts.len(), kept.len() - 1, "the record itself holds the last");
        assert!(attempts.iter().all(|one| serde_json::to_string(one).unwrap().len() <= 256), "{attempts:?}");
        assert!(serde_json::to_string(&record).unwrap().len() <= 1_024, "{record:?}");
    }
}
