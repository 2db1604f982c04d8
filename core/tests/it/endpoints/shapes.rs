//! The JSON that operators and publishers get.

use std::time::Duration;

use chrono::DateTime;
use lambda_jobs_core::families::webhook::EndpointSpec;
use serde_json::json;

use super::{Hooks, id, spec, url};
use crate::shapes::kept::Shapes;

#[test]
fn endpoints_and_what_was_published_are_shown_as_ever() {
    let hooks = Hooks::new();
    let full: EndpointSpec = serde_json::from_value(json!({
        "url": url("full.example"), "eventTypes": ["*"], "tenant": "acme", "description": "the shop",
        "method": "PUT", "headers": { "authorization": "Bearer t" },
        "rateLimit": { "deliveries": 10, "per": 1000 }, "retry": "long", "maxAttempts": 12,
        "confirmations": 3,
    }))
    .unwrap();
    let mut shapes = Shapes::of("endpoints-shown");
    shapes = shapes.written("new", &hooks.put("least", spec("least.example", &["*"])));
    shapes = shapes.written("new, of every field", &hooks.put("full", full.clone()));
    shapes = shapes.written("changed", &hooks.put("full", full));
    let (name, overlap) = (id("full"), Duration::from_hours(1));
    let rotated = hooks.world.clock.run(hooks.service.rotate_secret(&name, Some(overlap))).unwrap();
    shapes = shapes.written("with another secret", &rotated);
    let published = hooks.publish_as("invoice.paid", Some("acme"), Some("evt-1"));
    shapes = shapes.written("published", &published);
    hooks.answers("full.example", [(410, None)]);
    hooks.world.step(lambda_jobs_core::Queue::Webhooks);
    let all = hooks.world.clock.run(hooks.service.endpoints()).unwrap();
    let attempts = hooks.world.clock.run(hooks.service.attempts("evt-1.full")).unwrap();
    let query = lambda_jobs_core::families::webhook::ports::DeliveryQuery::default();
    let deliveries = hooks.world.clock.run(hooks.service.deliveries(&query)).unwrap();
    let recovered = hooks.world.clock.run(hooks.service.recover(&id("least"), DateTime::UNIX_EPOCH)).unwrap();
    shapes
        .written("all", &all)
        .written("attempts", &attempts)
        .written("deliveries", &deliveries.items)
        .written("recovered", &recovered)
        .written("replayed", &hooks.world.clock.run(hooks.service.replay("evt-1.least")).unwrap())
        .written("told", &hooks.world.events.all())
        .written("job", &hooks.world.status(&published.deliveries[0].job_id))
        .check();
}
