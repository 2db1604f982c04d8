//! Receivers as users write them: processes that verify the local stack's deliveries.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use lambda_jobs::local::Stack;
use lambda_jobs_core::JobManager;
use lambda_jobs_core::families::webhook::ports::{DeliveryStatus, WebhookDelivery};
use lambda_jobs_core::families::webhook::{EndpointId, EndpointSpec, EndpointView, NewEvent, WebhookService};
use lambda_jobs_tests::{ended, manager, stack};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// A running receiver, killed on drop.
struct Receiver {
    _process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    url: String,
}

impl Receiver {
    /// Starts a receiver with this secret on a free port, and waits until it prints its URL.
    async fn start(mut program: Command, secret: &str) -> Self {
        program.env("WEBHOOK_SECRET", secret).env("PORT", "0");
        // A library may log the deliveries that it refuses.
        program.stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut process = program.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let url = lines.next_line().await.unwrap().expect("a receiver says where it listens");
        Self { _process: process, lines, url: format!("{url}/hook") }
    }
}

/// A secret that belongs to no endpoint.
const WRONG: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

struct Sender {
    service: WebhookService,
    manager: JobManager,
    stack: Box<Stack>,
}

impl Sender {
    async fn put(&self, id: &EndpointId, url: &str) -> EndpointView {
        let event_types = vec![id.to_string()];
        let spec = EndpointSpec { event_types, confirmations: Some(0), ..EndpointSpec::new(url) };
        self.service.put_endpoint(id, spec).await.unwrap()
    }

    /// Delivers an event to a receiver, as to the endpoint. Returns the outcome and the receiver's output.
    async fn deliver(&self, endpoint: &EndpointId, receiver: &mut Receiver) -> (WebhookDelivery, String) {
        self.put(endpoint, &receiver.url).await;
        let event = NewEvent {
            event_type: endpoint.to_string(),
            payload: payload().into(),
            tenant: None,
            id: None,
            run_at: None,
        };
        let published = self.service.publish(event).await.unwrap();
        let [delivery] = &published.deliveries[..] else { panic!("one delivery: {published:?}") };
        ended(&self.manager, &delivery.job_id).await.expect("its job ends");
        let said = receiver.lines.next_line().await.unwrap().expect("a receiver says what came");
        let said = said.strip_prefix(&format!("{} ", delivery.delivery_id)).expect(&said).to_owned();
        let delivery = self
            .stack
            .adapters()
            .ports()
            .webhooks
            .deliveries
            .find_one(&delivery.delivery_id)
            .await
            .unwrap()
            .unwrap();
        (delivery, said)
    }

    async fn accepts(&self, endpoint: &EndpointId, mut receiver: Receiver) {
        let (delivery, said) = self.deliver(endpoint, &mut receiver).await;
        let status = (delivery.status, delivery.response_status);
        assert_eq!(status, (DeliveryStatus::Delivered, Some(204)), "{endpoint}: {said}");
        assert_eq!(said, "invoice.paid", "{endpoint}: what was verified is the event");
    }

    async fn refuses(&self, endpoint: &EndpointId, mut receiver: Receiver) {
        let (delivery, said) = self.deliver(endpoint, &mut receiver).await;
        let status = (delivery.status, delivery.response_status);
        assert_eq!(status, (DeliveryStatus::Failed, Some(401)), "{endpoint}: {said}");
        assert_ne!(said, "invoice.paid", "{endpoint}");
    }
}

/// Values that other programs might serialize differently: the signature covers the bytes.
fn payload() -> Value {
    json!({
        "type": "invoice.paid", "amount": 12.50, "large": 1e21, "text": "Grüße, \u{1F600} </p> \\ \"\u{7f}\n\u{2028}",
        "nested": { "b": [null, true], "a": {} },
    })
}

fn secret(endpoint: EndpointView) -> String {
    endpoint.secret.expect("it was made just now").reveal().to_owned()
}

/// A receiver accepts exactly the deliveries signed with its secret, even during a rotation.
pub(crate) async fn verifies(program: impl Fn() -> Command) {
    let stack = Box::new(Box::pin(stack()).await.unwrap());
    let worker = stack.start_worker(|_| Ok(())).unwrap();
    let service = WebhookService::new(stack.adapters().ports().clone(), Arc::new(manager(&stack)));
    let sender = Sender { service, manager: manager(&stack), stack };
    let nowhere = "http://127.0.0.1:1/hook";
    let receiver = async |secret: &str| Receiver::start(program(), secret).await;

    let plain: EndpointId = "plain".parse().unwrap();
    let own = secret(sender.put(&plain, nowhere).await);
    sender.accepts(&plain, receiver(&own).await).await;
    sender.refuses(&plain, receiver(WRONG).await).await;

    let rotated: EndpointId = "rotated".parse().unwrap();
    let old = secret(sender.put(&rotated, nowhere).await);
    let new = secret(sender.service.rotate_secret(&rotated, None).await.unwrap());
    sender.accepts(&rotated, receiver(&old).await).await;
    sender.accepts(&rotated, receiver(&new).await).await;
    sender.refuses(&rotated, receiver(WRONG).await).await;

    let replaced: EndpointId = "replaced".parse().unwrap();
    let old = secret(sender.put(&replaced, nowhere).await);
    let new = secret(sender.service.rotate_secret(&replaced, Some(Duration::ZERO)).await.unwrap());
    sender.refuses(&replaced, receiver(&old).await).await;
    sender.accepts(&replaced, receiver(&new).await).await;
    worker.stop().await.unwrap();
}
