//! How long a function takes from its process's start to its first response.
//!
//! The benchmark first builds the functions with the release profile, as they are deployed, because it also measures
//! their size and their link-time optimisation. For the same reason the bare function is its own binary and not a
//! subcommand of this one.
//!
//! The benchmark starts each process under the Lambda Runtime API, with this machine's trusted certificates and one
//! more. The process calls a local stack over TLS. A second batch of the same kind shows the cost of the work in a warm
//! process. The cold start is the extra time of the first response: loading the binary, settings, clients,
//! certificates, connections. The benchmark does not measure what Lambda adds (fetching the code, starting the sandbox,
//! the network), or the small processor share that Lambda grants after INIT. The stack runs in this process, for every
//! function alike.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use chrono::Utc;
use lambda_jobs::local::{Receiver, Stack, StackOptions};
use lambda_jobs_core::families::webhook::NAME as WEBHOOK;
use lambda_jobs_core::families::webhook::ports::WebhookDelivery;
use lambda_jobs_infra::Settings;
use lambda_jobs_tests::{Environment, Function, TlsFront};
use serde_json::{Value, json};

use crate::Failure;
use crate::functions::{self, Part, record};
use crate::quantiles::quantiles;

/// The number of jobs in the first batch.
const BATCH: usize = 10;
/// Where systems keep their trusted certificates.
const TRUSTED: [&str; 2] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

/// A function to start, and the content of its first batch.
struct Subject {
    title: &'static str,
    binary: &'static str,
    batch: Batch,
}

#[derive(Clone, Copy)]
enum Batch {
    /// The bare function accepts any batch.
    Anything,
    /// Jobs that do nothing.
    Nothing,
    /// Webhooks, delivered to a server of this process.
    Webhooks,
}

const SUBJECTS: [Subject; 3] = [
    Subject { title: "bare function, 1 GetItem", binary: "bare_function", batch: Batch::Anything },
    Subject { title: "worker, 10 jobs that do nothing", binary: "test_worker", batch: Batch::Nothing },
    Subject { title: "worker, 10 webhooks", binary: "worker", batch: Batch::Webhooks },
];

/// One start: times since the process started, and the duration of a second batch.
#[derive(Clone, Copy)]
struct Start {
    init: Duration,
    answer: Duration,
    warm: Duration,
}

impl Start {
    const fn cold(&self) -> Duration {
        self.answer.saturating_sub(self.warm)
    }
}

struct Bench {
    stack: Stack,
    receiver: Receiver,
    front: TlsFront,
    trusted: PathBuf,
    binaries: PathBuf,
}

pub(crate) async fn run(count: usize) -> Result<(), Failure> {
    let parts = [
        Part { packages: &["lambda-jobs-functions"], features: "", binaries: &["worker"] },
        Part { packages: &["lambda-jobs-tests"], features: "", binaries: &["test_worker"] },
        Part { packages: &[functions::OWN], features: "by-hand", binaries: &["bare_function"] },
    ];
    let binaries = functions::build("release", &parts)?;
    let bench = Bench::start(binaries).await?;
    let mut starts = [const { Vec::new() }; SUBJECTS.len()];
    // The functions take turns, so that other load on this machine affects all alike.
    for turn in 0..count {
        for (subject, starts) in SUBJECTS.iter().zip(&mut starts) {
            let start =
                bench.measure(subject, turn).await.map_err(|error| format!("{}: {error}", subject.title))?;
            starts.push(start);
        }
    }
    report(count, &starts);
    Ok(())
}

impl Bench {
    async fn start(binaries: PathBuf) -> Result<Self, Failure> {
        let stack = Stack::start(&StackOptions::default(), Settings::local()).await?;
        let front = TlsFront::start(&stack.url()).await?;
        let system = TRUSTED.iter().find_map(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
        println!("{} certificates are trusted", system.matches("BEGIN CERTIFICATE").count() + 1);
        let trusted = binaries.join("cold_start.pem");
        std::fs::write(&trusted, system + front.certificate())?;
        Ok(Self { stack, receiver: Receiver::start().await?, front, trusted, binaries })
    }

    async fn measure(&self, subject: &Subject, turn: usize) -> Result<Start, Failure> {
        let first = self.event(subject.batch, &format!("{turn}-first")).await?;
        let second = self.event(subject.batch, &format!("{turn}-second")).await?;
        let function = Function::new(self.binaries.join(subject.binary), &self.front.url())
            .with("SSL_CERT_FILE", &self.trusted.to_string_lossy())
            .calling_this_machine();
        let begun = Instant::now();
        let mut environment = function.start().await?;
        environment.ready().await?;
        let init = begun.elapsed();
        invoke(&mut environment, &first).await?;
        let answer = begun.elapsed();
        let again = Instant::now();
        invoke(&mut environment, &second).await?;
        let warm = again.elapsed();
        environment.kill().await;
        Ok(Start { init, answer, warm })
    }

    async fn event(&self, batch: Batch, name: &str) -> Result<Value, Failure> {
        let mut records = Vec::with_capacity(BATCH);
        for number in 0..BATCH {
            let id = format!("{name}-{number}");
            let (queue, body) = match batch {
                Batch::Anything | Batch::Nothing => {
                    ("normal", json!({ "name": "act", "payload": { "do": "succeed" } }))
                }
                Batch::Webhooks => ("webhooks", self.webhook(&id).await?),
            };
            records.push(record(&id, queue, &body));
        }
        Ok(functions::event(&records))
    }

    async fn webhook(&self, id: &str) -> Result<Value, Failure> {
        let url = self.receiver.url(&format!("ok/{id}"));
        let delivery = WebhookDelivery::new(id, url, json!({}), Utc::now());
        self.stack.adapters().ports().webhooks.deliveries.put_one(&delivery).await?;
        let payload = json!({ "type": "deliver_specific", "webhookDeliveryId": id });
        Ok(json!({ "id": format!("webhook-{id}"), "name": WEBHOOK, "payload": payload }))
    }
}

async fn invoke(environment: &mut Environment, event: &Value) -> Result<(), Failure> {
    let answer = environment.invoke(event, Utc::now() + Duration::from_secs(90)).await?;
    if answer == json!({ "batchItemFailures": [] }) {
        return Ok(());
    }
    Err(format!("answered {answer}; it wrote {:?}", environment.log()).into())
}

fn report(count: usize, starts: &[Vec<Start>]) {
    println!("{count} starts each; ms: median, p90\n");
    println!(
        "{:<33}{:>15}{:>15}{:>15}{:>15}{:>7}",
        "function", "asks for work", "first answer", "warm batch", "cold start", "ratio"
    );
    let mut bare = None;
    for (subject, starts) in SUBJECTS.iter().zip(starts) {
        let times: [fn(&Start) -> Duration; 4] =
            [|start| start.init, |start| start.answer, |start| start.warm, Start::cold];
        let columns =
            times.map(|time| quantiles(starts.iter().map(|start| time(start).as_secs_f64() * 1e3), [50, 90]));
        let cold = columns[3][0];
        print!("{:<33}", subject.title);
        for [median, p90] in columns {
            print!("{median:>8.1}{p90:>7.1}");
        }
        println!("{:>7.2}", cold / *bare.get_or_insert(cold));
    }
}
