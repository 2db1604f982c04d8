//! The project's own histories, and what a breach looks like.

use std::sync::Mutex;

use lambda_jobs_core::{JobContext, JobError, JobHandler, NewJob};
use lambda_jobs_testing::simulation::{Fault, Replay, Simulation};
use serde_json::Value;

#[test]
fn no_history_breaks_a_guarantee() {
    let summary = Simulation::standard().run(1..=2000).unwrap_or_else(|breach| panic!("{breach}"));
    assert_eq!(summary.histories, 2000);
    for fault in Fault::ALL {
        assert!(summary.faults.of(*fault) > 0, "{fault} never happens");
    }
    assert!(summary.openings > 300 && summary.probes > 300, "breakers hardly ever open: {summary}");
    assert!(summary.deferrals > 2_000, "jobs are hardly ever held back: {summary}");
}

#[test]
fn a_seed_tells_the_same_history_every_time() {
    let standard = Simulation::standard();
    for seed in [3, 8, 12, 21] {
        let once = format!("{}", standard.history(seed).unwrap());
        assert_eq!(once, format!("{}", standard.history(seed).unwrap()));
        assert_eq!(once, format!("{}", standard.replay(&Replay::of(seed)).unwrap()));
    }
}

/// Counts its runs.
struct Careless(std::sync::Arc<Mutex<u64>>);

impl JobHandler for Careless {
    type Payload = Value;
    type Output = ();

    fn name(&self) -> &'static str {
        "careless"
    }

    async fn execute(&self, _payload: Value, _ctx: &JobContext) -> Result<(), JobError> {
        *self.0.lock().unwrap() += 1;
        Ok(())
    }
}

/// A handler whose effect is not idempotent: at-least-once delivery breaks it sooner or later.
fn careless() -> Simulation {
    Simulation::new(|scenario| {
        let charged = std::sync::Arc::new(Mutex::new(0));
        scenario.register(Careless(charged.clone())).unwrap();
        for _ in 0..6 {
            scenario.enqueue(NewJob::new("careless"));
        }
        scenario.invariant("each customer is charged once", move || match *charged.lock().unwrap() {
            0..=6 => Ok(()),
            times => Err(format!("{times} charges for 6 customers")),
        });
    })
}

#[test]
fn a_breach_names_its_seed_and_the_shortest_history_and_can_be_replayed() {
    let breach = careless().run(1..=2000).unwrap_err();
    assert_eq!(breach.broken.guarantee, "each customer is charged once");
    assert_eq!(breach.broken.what, "7 charges for 6 customers");
    let replay = &breach.replay;
    assert!(replay.faults.as_ref().unwrap().len() <= 4, "{replay}");
    let text = breach.to_string();
    assert!(
        text.starts_with("broken: each customer is charged once\n  7 charges for 6 customers\nseed "),
        "{text}"
    );
    assert!(text.contains("enqueue careless {}") && text.contains(" worker "), "{text}");
    assert!(text.ends_with(&format!("replay: {replay}")), "{text}");
    let again = careless().replay(&replay.to_string().parse().unwrap()).unwrap_err();
    assert_eq!(again.to_string(), text);
}

#[test]
fn a_replay_that_is_mistyped_says_what_was_expected() {
    for (text, expected) in [
        ("x", "replay: expected SEED or SEED/STEP,STEP/FAULT,FAULT, got \"x\""),
        ("1/2", "replay: expected SEED or SEED/STEP,STEP/FAULT,FAULT, got \"1/2\""),
        ("1/a/", "replay: expected SEED or SEED/STEP,STEP/FAULT,FAULT, got \"1/a/\""),
    ] {
        assert_eq!(text.parse::<Replay>().unwrap_err(), expected);
    }
    let unknown = "1//kiled".parse::<Replay>().unwrap_err();
    assert!(unknown.starts_with("fault: expected one of store-unreachable, "), "{unknown}");
    assert!(unknown.ends_with(", got \"kiled\""), "{unknown}");
}
