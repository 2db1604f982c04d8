//! Which addresses webhooks may be sent to, and how many batches may wait for one.

use lambda_jobs_core::families::webhook::{AddressPolicy, Allowed, TargetPolicy, WebhookDeliveryHandler};

use super::reader::Reader;

const ALLOW_LOOPBACK: &str = "LAMBDA_JOBS_WEBHOOK_ALLOW_LOOPBACK";
const ALLOW_HTTP: &str = "LAMBDA_JOBS_WEBHOOK_ALLOW_HTTP";
const ALLOWED_HOSTS: &str = "LAMBDA_JOBS_WEBHOOK_ALLOWED_HOSTS";

pub(super) fn targets(reader: &mut Reader<'_>) -> TargetPolicy {
    let switches = [("true", true), ("false", false)];
    let http = reader.choice(ALLOW_HTTP, &switches, false);
    let mut addresses = AddressPolicy::default();
    if reader.choice(ALLOW_LOOPBACK, &switches, false) {
        addresses = addresses.allowing_loopback();
    }
    let listed = reader.text(ALLOWED_HOSTS).unwrap_or_default();
    for text in listed.split(',').map(str::trim).filter(|text| !text.is_empty()) {
        match text.parse::<Allowed>() {
            Ok(allowed) => addresses = addresses.allowing(allowed),
            Err(error) => reader.refuse(ALLOWED_HOSTS, error.expected(), text),
        }
    }
    TargetPolicy { addresses, http }
}

pub(super) fn bulkhead(reader: &mut Reader<'_>) -> u32 {
    reader.number("LAMBDA_JOBS_WEBHOOK_BULKHEAD", 1..=1000, WebhookDeliveryHandler::DEFAULT_BULKHEAD)
}

/// The value of an unset variable on the local stack: webhooks may call receivers on this machine, by `http` too,
/// unless loopback is forbidden.
pub(super) fn local(variable: &str, look_up: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let set = |variable| look_up(variable).filter(|text| !text.trim().is_empty());
    let default = || (variable == ALLOW_LOOPBACK || variable == ALLOW_HTTP).then(|| "true".to_owned());
    set(variable).or_else(|| if variable == ALLOW_HTTP { set(ALLOW_LOOPBACK) } else { None }).or_else(default)
}
