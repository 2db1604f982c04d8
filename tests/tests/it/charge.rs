//! The simulation of `docs/testing.md`, as a user writes it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use lambda_jobs_core::{JobContext, JobError, JobHandler, NewJob};
use lambda_jobs_testing::simulation::Simulation;
use serde_json::Value;

/// Your payment service: charges each idempotency key once.
#[derive(Clone, Default)]
struct Payments(Arc<Mutex<HashMap<String, u64>>>);

struct Charge(Payments);

impl JobHandler for Charge {
    type Payload = Value;
    type Output = ();

    fn name(&self) -> &'static str {
        "charge"
    }

    async fn execute(&self, _order: Value, ctx: &JobContext) -> Result<(), JobError> {
        self.0.0.lock().unwrap().entry(ctx.job_id().to_string()).or_insert(700);
        Ok(())
    }
}

#[test]
fn whatever_goes_wrong_every_order_is_charged_once() {
    let simulation = Simulation::new(|scenario| {
        let payments = Payments::default();
        scenario.register(Charge(payments.clone())).unwrap();
        for _ in 0..5 {
            let order = scenario.enqueue(NewJob::new("charge"));
            scenario.again(order);
        }
        scenario.invariant("every order is charged once", move || {
            let charged = payments.0.lock().unwrap().len();
            if charged <= 5 { Ok(()) } else { Err(format!("{charged} charges for 5 orders")) }
        });
    });
    simulation.run(1..=500).unwrap_or_else(|breach| panic!("{breach}"));
}
