//! Batches: many jobs, and one that waits for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::stream::{self, StreamExt};
use lambda_jobs_core::batch::{Batch, ChildResult, Ending, NodeId};
use lambda_jobs_core::explain::Reason;
use lambda_jobs_core::manager::{BatchView, CancelOutcome, RescheduleOutcome};
use lambda_jobs_core::ports::NodeChange;
use lambda_jobs_core::{JobContext, JobError, JobHandler, JobId, JobSpec, JobStatus, NewJob, Queue};
use serde_json::{Value, json};

use crate::world::World;

/// A world whose jobs named `work` fail for good if their payload says so, and count their runs; `after` counts too.
fn world() -> (World, Arc<AtomicU32>) {
    let runs = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&runs);
    let world = World::new(move |registry| {
        let work = move |payload: Value, _ctx: JobContext| {
            let runs = Arc::clone(&counter);
            async move {
                runs.fetch_add(1, Ordering::SeqCst);
                if payload["fails"] == json!(true) {
                    Err(JobError::permanent("as told"))
                } else {
                    Ok(payload)
                }
            }
        };
        registry.register_fn("work", work).unwrap();
        registry.register_fn("after", |_: Value, _ctx: JobContext| async { Ok::<_, JobError>(()) }).unwrap();
    });
    (world, runs)
}

fn id(text: &str) -> JobId {
    text.parse().unwrap()
}

fn work(payload: Value) -> NewJob {
    NewJob::new("work").payload(payload)
}

fn batch_of(children: impl IntoIterator<Item = NewJob>) -> Batch {
    Batch::new(children)
        .id(id("b"))
        .on_success(NewJob::new("after").payload(json!("success")))
        .on_complete(NewJob::new("after").payload(json!("complete")))
}

/// Runs what is in the queue until nothing is.
fn drain(world: &World) {
    loop {
        let messages = world.receive(Queue::Normal);
        if messages.is_empty() {
            return;
        }
        world.process(messages);
    }
}

fn view(world: &World) -> BatchView {
    world.clock.run(world.manager.batch(&id("b"))).unwrap().unwrap()
}

/// The statuses of the parent and of the two jobs that follow.
fn statuses(world: &World) -> (JobStatus, Option<JobStatus>, Option<JobStatus>) {
    let view = view(world);
    let status =
        |callback: Option<lambda_jobs_core::manager::CallbackView>| callback.and_then(|one| one.status);
    (view.status, status(view.on_success), status(view.on_complete))
}

const DONE: Option<JobStatus> = Some(JobStatus::Completed);

#[test]
fn a_batch_waits_for_its_children_and_then_makes_both_jobs_that_follow() {
    let (world, runs) = world();
    let children = (0..250).map(|number| work(json!(number)));
    let enqueued = world.clock.run(world.manager.enqueue_batch(batch_of(children))).unwrap();
    assert_eq!(enqueued.total, Some(250));
    assert_eq!(statuses(&world), (JobStatus::Waiting, None, None));
    let why = world.clock.run(world.manager.explain(&id("b"))).unwrap();
    assert_eq!(why.reason, Reason::Batch, "{}", why.detail);
    world.process(world.receive(Queue::Normal));
    let now = view(&world);
    assert_eq!((now.total, now.completed, now.failed), (250, 10, 0));
    drain(&world);
    assert_eq!(runs.load(Ordering::SeqCst), 250);
    assert_eq!(statuses(&world), (JobStatus::Completed, DONE, DONE));
    let parent = world.clock.run(world.manager.status(&id("b"))).unwrap().unwrap();
    assert_eq!(parent.result, Some(json!({ "total": 250, "completed": 250, "failed": 0, "cancelled": 0 })));
    assert_eq!(parent.attempt, 1, "it has spent no attempt on waiting");
}

#[test]
fn an_empty_batch_is_over_at_once_and_one_of_one_child_when_that_ends() {
    for count in [0, 1] {
        let (world, _) = world();
        let children = (0..count).map(|number| work(json!(number)));
        world.clock.run(world.manager.enqueue_batch(batch_of(children))).unwrap();
        drain(&world);
        assert_eq!(statuses(&world), (JobStatus::Completed, DONE, DONE), "{count}");
    }
}

#[test]
fn a_child_that_fails_for_good_ends_the_batch_without_success_and_a_retry_brings_it() {
    let (world, runs) = world();
    let children = [work(json!({ "fails": true })), work(json!(1)), NewJob::new("nobody")];
    world.clock.run(world.manager.enqueue_batch(batch_of(children))).unwrap();
    drain(&world);
    assert_eq!(statuses(&world), (JobStatus::Failed, None, DONE), "a dead letter has ended too");
    let parent = world.clock.run(world.manager.status(&id("b"))).unwrap().unwrap();
    assert_eq!(parent.error.as_deref(), Some("2 of 3 children failed, 0 were cancelled"));
    assert_eq!(runs.load(Ordering::SeqCst), 2);

    let world = world.restarted(lambda_jobs_core::JobConfig::default(), |registry| {
        let works = |_: Value, _ctx: JobContext| async { Ok::<_, JobError>(()) };
        for name in ["work", "nobody", "after"] {
            registry.register_fn(name, works).unwrap();
        }
    });
    let retried = world.clock.run(world.manager.retry_batch(&id("b"))).unwrap();
    assert_eq!((retried.requeued, retried.refused), (2, 0));
    assert_eq!(view(&world).status, JobStatus::Waiting);
    assert_eq!(view(&world).failed, 0);
    drain(&world);
    assert_eq!(statuses(&world), (JobStatus::Completed, DONE, DONE));
}

#[test]
fn enqueueing_a_batch_again_makes_nothing_twice() {
    let (world, runs) = world();
    for _ in 0..2 {
        let children = (0..120).map(|number| work(json!(number)));
        world.clock.run(world.manager.enqueue_batch(batch_of(children))).unwrap();
    }
    drain(&world);
    assert_eq!(runs.load(Ordering::SeqCst), 120);
    assert_eq!(statuses(&world), (JobStatus::Completed, DONE, DONE));
    let children = (0..120).map(|number| work(json!(number)));
    world.clock.run(world.manager.enqueue_batch(batch_of(children))).unwrap();
    drain(&world);
    assert_eq!(runs.load(Ordering::SeqCst), 120, "nor when it is over");
    let children = (0..3).map(|number| work(json!(number)));
    let error = world.clock.run(world.manager.enqueue_batch(batch_of(children))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "batch b: expected the 100 children that the key \"\" added before, got 3 others"
    );
}

#[test]
fn an_open_batch_takes_children_from_its_children_until_it_is_closed() {
    let (world, runs) = world();
    let manager = &world.manager;
    world.clock.run(manager.enqueue_batch(batch_of([work(json!(1))]).stays_open())).unwrap();
    drain(&world);
    assert_eq!(statuses(&world).0, JobStatus::Waiting, "all have ended, but more may come");
    for _ in 0..2 {
        world.clock.run(manager.add_to_batch(&id("b"), "page-1", vec![work(json!(2))])).unwrap();
    }
    world.clock.run(manager.close_batch(&id("b"))).unwrap();
    assert_eq!(view(&world).total, 2);
    let late = world.clock.run(manager.add_to_batch(&id("b"), "page-2", vec![work(json!(3))]));
    assert_eq!(
        late.unwrap_err().to_string(),
        "batch b: expected one that takes children, got one that is closed, cancelled or full"
    );
    world.clock.run(manager.close_batch(&id("b"))).unwrap();
    drain(&world);
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    assert_eq!(statuses(&world), (JobStatus::Completed, DONE, DONE));
}

#[test]
fn a_batch_that_is_cancelled_half_way_runs_no_more_children_and_completes() {
    let (world, runs) = world();
    let children = (0..30).map(|number| work(json!(number)));
    world.clock.run(world.manager.enqueue_batch(batch_of(children))).unwrap();
    world.process(world.receive(Queue::Normal));
    assert_eq!(world.clock.run(world.manager.cancel(&id("b"))).unwrap(), CancelOutcome::Requested);
    drain(&world);
    assert_eq!(runs.load(Ordering::SeqCst), 10);
    assert_eq!(statuses(&world), (JobStatus::Cancelled, None, DONE));
    let now = view(&world);
    assert_eq!((now.completed, now.failed, now.cancelled), (10, 0, 20));
}

#[test]
fn a_child_that_is_a_duplicate_of_a_job_outside_ends_with_the_batch() {
    let (world, _) = world();
    let outside = NewJob { unique_key: Some("k".to_owned()), ..work(json!(0)) }.id(id("outside"));
    world.clock.run(world.manager.enqueue(outside.delay(std::time::Duration::from_mins(10)))).unwrap();
    let same_key = NewJob { unique_key: Some("k".to_owned()), ..work(json!(1)) };
    let same_id = work(json!(0)).id(id("outside"));
    world.clock.run(world.manager.enqueue_batch(batch_of([same_key, same_id, work(json!(2))]))).unwrap();
    drain(&world);
    let now = view(&world);
    assert_eq!((now.status, now.completed, now.cancelled), (JobStatus::Waiting, 1, 1));
    world.advance(600);
    drain(&world);
    world.advance(1_200);
    world.tick();
    drain(&world);
    let now = view(&world);
    assert_eq!((now.status, now.completed, now.cancelled), (JobStatus::Failed, 2, 1), "the recount found it");
    assert_eq!(statuses(&world), (JobStatus::Failed, None, DONE));
}

#[test]
fn a_batch_within_a_batch_counts_as_one_child() {
    let (world, _) = world();
    let manager = &world.manager;
    world.clock.run(manager.enqueue_batch(batch_of([work(json!(1))]).stays_open())).unwrap();
    let inner = Batch::new([work(json!(2)), work(json!(3))]).id(id("inner"));
    world.clock.run(manager.add_batch_to_batch(&id("b"), "inner", inner)).unwrap();
    world.clock.run(manager.close_batch(&id("b"))).unwrap();
    assert_eq!(view(&world).total, 2);
    drain(&world);
    assert_eq!(statuses(&world), (JobStatus::Completed, DONE, DONE));
}

/// Sums what its children return.
struct Sum;

impl JobHandler for Sum {
    type Payload = Value;
    type Output = ();

    fn name(&self) -> &'static str {
        "sum"
    }

    async fn execute(&self, _payload: Value, _ctx: &JobContext) -> Result<(), JobError> {
        Err(JobError::permanent("a parent folds, and is not executed"))
    }

    fn fold(&self, so_far: Option<Value>, child: &ChildResult) -> Option<Value> {
        let number = |value: &Value| value.as_u64().unwrap();
        let so_far = so_far.as_ref().map_or(0, number);
        assert!(so_far < 1_000_000, "too much");
        Some(json!(so_far + child.result.as_ref().map_or(0, number)))
    }
}

#[test]
fn a_parent_with_a_handler_folds_the_results_of_its_children_in_their_order() {
    for (last, expected) in [(250, json!(31_375)), (2_000_000, Value::Null)] {
        let world = World::new(|registry| {
            let work = |number: u64, _ctx: JobContext| async move { Ok::<_, JobError>(number) };
            registry.register_fn("work", work).unwrap().register(Sum).unwrap();
        });
        let children =
            (1..=250).map(|number| work(json!(if number == 249 { last.max(249) } else { number })));
        let batch = Batch::new(children).id(id("b")).parent(JobSpec::new("sum"));
        world.clock.run(world.manager.enqueue_batch(batch)).unwrap();
        drain(&world);
        let parent = world.clock.run(world.manager.status(&id("b"))).unwrap().unwrap();
        if expected.is_null() {
            assert_eq!(parent.error.as_deref(), Some("its results can't be folded: panicked: too much"));
            assert_eq!(parent.status, JobStatus::Failed);
            world.clock.run(world.manager.retry(&id("b"))).unwrap();
            assert_eq!(view(&world).status, JobStatus::Queued, "it folds once more");
        } else {
            assert_eq!((parent.status, parent.result), (JobStatus::Completed, Some(json!(31_376))));
        }
    }
}

#[test]
fn a_batch_that_nobody_closes_ends_and_its_parent_fails() {
    let (world, _) = world();
    world.clock.run(world.manager.enqueue_batch(batch_of([work(json!(1))]).stays_open())).unwrap();
    drain(&world);
    for _ in 0..18 {
        world.advance(86_400);
        world.tick();
        drain(&world);
    }
    assert_eq!(statuses(&world), (JobStatus::Failed, None, DONE));
    let parent = world.clock.run(world.manager.status(&id("b"))).unwrap().unwrap();
    let error = "batch: it was left open, and nobody added a child or closed it for 15 days";
    assert_eq!(parent.error.as_deref(), Some(error));
}

#[test]
fn a_child_that_was_forgotten_counts_as_failed_in_the_end() {
    let (world, _) = world();
    let outside = || work(json!(0)).id(id("outside"));
    let delayed = outside().delay(std::time::Duration::from_mins(10));
    world.clock.run(world.manager.enqueue(delayed)).unwrap();
    let late = work(json!(1)).delay(std::time::Duration::from_hours(24 * 40));
    world.clock.run(world.manager.enqueue_batch(batch_of([outside(), late]))).unwrap();
    // The job outside has no mark to make, and its record is gone before anybody recounts.
    world.advance(600);
    drain(&world);
    world.advance(86_400 * 41);
    world.store.inner.forget(world.now() + chrono::TimeDelta::days(400));
    for _ in 0..2 {
        world.tick();
        world.advance(300);
        drain(&world);
    }
    assert_eq!(view(&world).failed, 1);
}

#[test]
fn a_child_that_is_retried_alone_is_waited_for_again() {
    let (world, _) = world();
    let fails = || work(json!({ "fails": true })).id(id("bad"));
    let late = work(json!(1)).delay(std::time::Duration::from_mins(5));
    world.clock.run(world.manager.enqueue_batch(batch_of([fails(), late]))).unwrap();
    drain(&world);
    assert_eq!(view(&world).failed, 1);
    world.clock.run(world.manager.retry(&id("bad"))).unwrap();
    assert_eq!((view(&world).failed, view(&world).status), (0, JobStatus::Waiting));
    world.advance(300);
    drain(&world);
    assert_eq!(statuses(&world), (JobStatus::Failed, None, DONE));
    // It waits again when its batch is over, too.
    world.clock.run(world.manager.retry(&id("bad"))).unwrap();
    assert_eq!(view(&world).status, JobStatus::Waiting);
    drain(&world);
    assert_eq!(statuses(&world), (JobStatus::Failed, None, DONE));
}

#[test]
fn a_mark_that_no_longer_holds_is_taken_back_before_a_batch_is_over() {
    let (world, _) = world();
    let other = work(json!(1)).delay(std::time::Duration::from_mins(5));
    let first = work(json!(0)).delay(std::time::Duration::from_mins(10));
    world.clock.run(world.manager.enqueue_batch(batch_of([first, other]))).unwrap();
    // A dead letter of a copy, say, while the job itself waits.
    let mark = NodeChange { marks: vec![(0, Ending::Failed)], ..NodeChange::of(id("b"), NodeId::Shard(0)) };
    assert!(world.clock.run(world.batches.nodes.change(&[mark]))[0].is_ok());
    world.advance(300);
    drain(&world);
    assert_eq!(statuses(&world), (JobStatus::Waiting, None, None), "the first child still runs");
    world.advance(300);
    drain(&world);
    assert_eq!(statuses(&world), (JobStatus::Completed, DONE, DONE));
}

#[test]
fn a_batch_within_itself_and_a_strange_id_are_refused() {
    let (world, _) = world();
    let refused = |child: &str| {
        let batch = batch_of([work(json!(1)), work(json!(2)).id(id(child))]);
        world.clock.run(world.manager.enqueue_batch(batch)).unwrap_err().to_string()
    };
    for own in ["b", "b.success", "b.complete"] {
        let expected = "expected an id that is not the batch's, nor that of a job that follows it";
        assert_eq!(refused(own), format!("child 1: id: {expected}, got {own:?}"));
    }
    let manager = &world.manager;
    world.clock.run(manager.enqueue_batch(batch_of([]).stays_open())).unwrap();
    let inner = |of: &str| Batch::new([]).id(id(of)).stays_open();
    let itself = world.clock.run(manager.add_batch_to_batch(&id("b"), "k", inner("b"))).unwrap_err();
    assert!(itself.to_string().contains("not within itself"), "{itself}");
    world.clock.run(manager.add_batch_to_batch(&id("b"), "k", inner("c"))).unwrap();
    let circle = world.clock.run(manager.add_batch_to_batch(&id("c"), "k", inner("b"))).unwrap_err();
    assert_eq!(
        circle.to_string(),
        "id: expected a new id, or that of this batch, got a batch within no other"
    );
    let long = world.clock.run(manager.add_to_batch(&id("b"), "long", vec![work(json!(1)), NewJob::new("")]));
    assert!(long.unwrap_err().to_string().starts_with("child 1: name:"), "and nothing holds the batch up");
    world.clock.run(manager.close_batch(&id("c"))).unwrap();
    world.clock.run(manager.close_batch(&id("b"))).unwrap();
    assert_eq!(view(&world).total, 1, "the one who was taken in");
}

#[test]
fn other_children_under_the_same_key_are_refused() {
    let (world, _) = world();
    let manager = &world.manager;
    world.clock.run(manager.enqueue_batch(batch_of([]).stays_open())).unwrap();
    let page = |job: &str| vec![work(json!(1)).id(id(job))];
    world.clock.run(manager.add_to_batch(&id("b"), "page", page("one"))).unwrap();
    world.clock.run(manager.add_to_batch(&id("b"), "page", page("one"))).unwrap();
    for other in [page("two"), vec![work(json!(1))]] {
        let refused = world.clock.run(manager.add_to_batch(&id("b"), "page", other)).unwrap_err();
        assert!(refused.to_string().contains("children that the key \"page\" added before"), "{refused}");
    }
}

#[test]
fn nobody_takes_the_wake_from_a_parent() {
    let (world, _) = world();
    let late = work(json!(1)).delay(std::time::Duration::from_mins(22));
    world.clock.run(world.manager.enqueue_batch(batch_of([late]))).unwrap();
    let later = world.now() + chrono::TimeDelta::days(300);
    let outcome = world.clock.run(world.manager.reschedule(&id("b"), later)).unwrap();
    assert_eq!(outcome, RescheduleOutcome::NotWaiting(JobStatus::Waiting));
    // The dispatcher has sent it ahead of its next recount when the child ends.
    world.advance(18 * 60);
    world.tick();
    assert_eq!(view(&world).status, JobStatus::Queued);
    world.advance(2 * 60 - 1);
    world.clock.run(world.manager.cancel(&id("b.0"))).unwrap();
    drain(&world);
    assert_eq!(statuses(&world), (JobStatus::Failed, None, DONE));
}

#[test]
fn children_come_as_a_stream_and_keep_their_order() {
    let (world, runs) = world();
    let children = stream::iter(0..1_234).map(|number| work(json!(number)));
    let enqueued = world.clock.run(world.manager.enqueue_batch_of(batch_of([]), children)).unwrap();
    assert_eq!(enqueued.total, Some(1_234));
    drain(&world);
    assert_eq!(runs.load(Ordering::SeqCst), 1_234);
    assert_eq!(statuses(&world), (JobStatus::Completed, DONE, DONE));
    let last = world.clock.run(world.manager.status(&id("b.1233"))).unwrap().unwrap();
    assert_eq!(last.result, Some(json!(1_233)));
}

#[test]
fn a_wrong_child_is_named_and_nothing_is_enqueued() {
    let (world, runs) = world();
    let children = [work(json!(1)), NewJob::new("")];
    let error = world.clock.run(world.manager.enqueue_batch(batch_of(children))).unwrap_err();
    assert!(error.to_string().starts_with("child 1: name: expected"), "{error}");
    drain(&world);
    assert_eq!(runs.load(Ordering::SeqCst), 0);
    assert!(world.clock.run(world.manager.batch(&id("b"))).unwrap().is_none());
}
