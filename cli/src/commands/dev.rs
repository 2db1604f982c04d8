//! `dev` and `demo`: the local stack.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use lambda_jobs_core::JobManager;
use lambda_jobs_core::ports::Counters;
use lambda_jobs_functions::AttemptLogs;
use lambda_jobs_infra::Settings;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;

use super::{Failure, exit};
use crate::args::{DevArgs, StackArgs};
use crate::local::{Demo, DemoOutcome, Fired, Follower, Progress, Receiver, Rules, Stack, StackOptions};
use crate::output;

/// How long the demo may take. Its slowest job waits one backoff of 5 s.
const PATIENCE: Duration = Duration::from_mins(1);
/// How soon after a write the command reads the counters.
const LOOK_AFTER_WRITES: Duration = Duration::from_secs(1);

/// Starts the stack, a worker and the demo, and serves until Ctrl-C.
pub(super) async fn dev(args: DevArgs) -> Result<ExitCode, Failure> {
    let progress = Progress::default();
    init_logging(&progress);
    let stopped = stop_asked();
    let stack = start(&args.stack).await?;
    let worker = if args.no_worker { None } else { Some(stack.start_worker(|_| Ok(()))?) };
    let _dispatcher = stack.start_dispatcher();
    let manager = JobManager::new(stack.settings().jobs.clone(), stack.adapters().ports().core.clone());
    print_addresses(&stack, args.no_worker);
    let rules = if args.no_rules { None } else { Some(stack.rules()?) };
    rules.iter().for_each(print_rules);
    let receiver = Receiver::start().await?;
    let serve = async {
        if !args.no_demo && !args.no_worker {
            let demo = Demo::start(&stack, &manager, &receiver).await?;
            summarize(&demo.watch(&manager, &progress, PATIENCE).await?)?;
        }
        print_next_steps(stack.url().rsplit(':').next().unwrap_or_default(), &receiver);
        show_activity(&manager, stack.activity().follow()).await
    };
    let fire = async {
        if let Some(rules) = &rules {
            rules.run(|fired| show_firing(fired, &progress)).await;
        }
        std::future::pending::<()>().await;
    };
    let outcome: Result<(), Failure> = tokio::select! {
        outcome = serve => outcome,
        () = fire => Ok(()),
        () = stopped => Ok(()),
    };
    if let Some(worker) = worker {
        progress.end();
        eprintln!(
            "stopping: running jobs have {} s to end",
            lambda_jobs_core::JobProcessor::STOP_GRACE.as_secs()
        );
        worker.stop().await?;
    }
    outcome.map(|()| ExitCode::SUCCESS)
}

/// Starts the stack and a worker, runs the demo, and stops.
pub(super) async fn demo(args: StackArgs) -> Result<ExitCode, Failure> {
    let progress = Progress::default();
    init_logging(&progress);
    let stopped = stop_asked();
    let stack = start(&args).await?;
    print_addresses(&stack, false);
    let worker = stack.start_worker(|_| Ok(()))?;
    let _dispatcher = stack.start_dispatcher();
    let manager = JobManager::new(stack.settings().jobs.clone(), stack.adapters().ports().core.clone());
    let receiver = Receiver::start().await?;
    let demo = Demo::start(&stack, &manager, &receiver).await?;
    let outcomes = tokio::select! {
        outcomes = demo.watch(&manager, &progress, PATIENCE) => outcomes?,
        () = stopped => Vec::new(),
    };
    worker.stop().await?;
    summarize(&outcomes)?;
    Ok(exit(!outcomes.is_empty() && outcomes.iter().all(DemoOutcome::as_expected)))
}

async fn start(args: &StackArgs) -> Result<Stack, Failure> {
    let settings = Settings::read_local(|name| args.setting(name).or_else(|| std::env::var(name).ok()))?;
    let options = StackOptions { port: args.port, data: args.data.clone() };
    Ok(Stack::start(&options, settings).await?)
}

fn init_logging(progress: &Progress) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,dynoxide=error"));
    let text = tracing_subscriber::fmt()
        .with_writer(progress.clone())
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .with_env_filter(filter)
        .finish()
        .with(AttemptLogs);
    // Only a test can have set another subscriber, and then the test wants that one.
    let _ = tracing::subscriber::set_global_default(text);
}

fn print_addresses(stack: &Stack, no_worker: bool) {
    let url = stack.url();
    eprintln!("lambda-jobs local stack");
    eprintln!("  DynamoDB and SQS  {url}");
    eprintln!("  worker            {}", if no_worker { "none: start your own" } else { "in this process" });
    eprintln!(
        "  for any AWS SDK   AWS_ENDPOINT_URL={url} AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID=local \
         AWS_SECRET_ACCESS_KEY=local"
    );
    eprintln!("  for the AWS CLI   aws --endpoint-url {url} --region us-east-1 sqs list-queues\n");
}

fn print_rules(rules: &Rules) {
    let now = chrono::Utc::now();
    let mut upcoming = rules.upcoming(now).peekable();
    if upcoming.peek().is_some() {
        eprintln!("Rules of template.yaml, with their next firing (UTC):");
    }
    for (rule, next) in upcoming {
        let next = next.map_or("never".to_owned(), |next| next.format("%Y-%m-%d %H:%M").to_string());
        eprintln!("  {:<40}{next}  {}", rule.name, rule.expression);
    }
}

fn show_firing(fired: &Fired<'_>, progress: &Progress) {
    let time = fired.at.format("%H:%M:%S");
    match &fired.error {
        None => progress.line(&format!("{time}  rule {} fired", fired.rule)),
        Some(error) => {
            progress.line(&format!("{time}  rule {} could not send its message: {error}", fired.rule));
        }
    }
}

fn print_next_steps(port: &str, receiver: &Receiver) {
    let local = if port == "4566" { "--local".to_owned() } else { format!("--local={port}") };
    eprintln!("\nTry next, from another terminal:");
    let url = receiver.url("ok/mine");
    eprintln!("  cargo run -- webhooks deliver {url} --payload '{{\"hello\":1}}' {local}");
    eprintln!("  cargo run -- list {local}");
    eprintln!("  cargo run -- dead-letters list {local}");
    eprintln!("Stop with Ctrl-C.\n");
}

fn summarize(outcomes: &[DemoOutcome]) -> Result<(), Failure> {
    let mut table = output::table(&["demo", "status", "attempts", "took", "as expected"]);
    for outcome in outcomes {
        let job = outcome.job.as_ref();
        table.add_row([
            outcome.what.to_owned(),
            job.map_or("unknown".to_owned(), |job| job.status.to_string()),
            job.map_or(0, |job| job.attempt).to_string(),
            job.and_then(|job| job.execution_time)
                .map_or("-".to_owned(), |took| format!("{} ms", took.as_millis())),
            if outcome.as_expected() { "yes".to_owned() } else { format!("no: {}", outcome.expected) },
        ]);
    }
    output::line(&table.to_string())?;
    Ok(())
}

/// Prints a line whenever a worker has settled jobs.
async fn show_activity(manager: &JobManager, mut follower: Follower) -> Result<(), Failure> {
    let mut shown: Option<Counters> = None;
    loop {
        let mut sum = Counters::default();
        for (_, counters) in manager.counters().await? {
            sum.add(&counters);
        }
        if shown.is_some_and(|shown| shown != sum) {
            eprintln!(
                "{}  completed {}  failed {}  retried {}  cancelled {}",
                chrono::Utc::now().format("%H:%M:%S"),
                sum.completed,
                sum.failed,
                sum.retried,
                sum.cancelled
            );
        }
        shown = Some(sum);
        follower.written(LOOK_AFTER_WRITES).await;
    }
}

/// Completes at Ctrl-C, or when the system asks the process to end. It listens from the call on, not from the first
/// poll, so that a program that reads the printed address can end the stack at once.
fn stop_asked() -> impl Future<Output = ()> {
    #[cfg(unix)]
    let signals = {
        use tokio::signal::unix::{SignalKind, signal};
        [SignalKind::interrupt(), SignalKind::terminate()].map(signal)
    };
    async move {
        #[cfg(unix)]
        if let [Ok(mut interrupt), Ok(mut terminate)] = signals {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
        let _ = tokio::signal::ctrl_c().await;
    }
}
