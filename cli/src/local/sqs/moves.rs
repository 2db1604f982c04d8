//! The actions on message move tasks: the redrive of a dead-letter queue.

use lambda_jobs_core::sqs::{MoveStatus, MoveTask, SqsError};

use super::{
    context::ActionContext,
    wire::{
        CancelMessageMoveTask, ListMessageMoveTasks, MoveTasks, Moved, StartMessageMoveTask, TaskHandle,
        WireMoveTask, required,
    },
};

pub(super) fn start(
    context: &mut ActionContext<'_>,
    request: StartMessageMoveTask,
) -> Result<TaskHandle, SqsError> {
    let source = required(request.source_arn, "SourceArn")?;
    let (destination, rate) = (request.destination_arn, request.max_number_of_messages_per_second);
    let handle = context.sqs.start_move_task(&source, destination.as_deref(), rate, context.now)?;
    Ok(TaskHandle { task_handle: handle })
}

pub(super) fn cancel(
    context: &mut ActionContext<'_>,
    request: CancelMessageMoveTask,
) -> Result<Moved, SqsError> {
    let handle = required(request.task_handle, "TaskHandle")?;
    let moved = context.sqs.cancel_move_task(&handle, context.now)?;
    Ok(Moved { approximate_number_of_messages_moved: moved })
}

pub(super) fn list(
    context: &mut ActionContext<'_>,
    request: ListMessageMoveTasks,
) -> Result<MoveTasks, SqsError> {
    let source = required(request.source_arn, "SourceArn")?;
    let tasks = context.sqs.move_tasks(&source, request.max_results, context.now)?;
    Ok(MoveTasks { results: tasks.into_iter().map(show).collect() })
}

fn show(task: MoveTask) -> WireMoveTask {
    let failure = match task.status {
        MoveStatus::Failed(reason) => Some(reason),
        _ => None,
    };
    WireMoveTask {
        source_arn: task.source_arn(),
        destination_arn: task.destination_arn(),
        status: task.status.as_str(),
        max_number_of_messages_per_second: task.per_second,
        approximate_number_of_messages_moved: task.moved,
        approximate_number_of_messages_to_move: task.to_move,
        failure_reason: failure,
        started_timestamp: task.started_at.timestamp_millis(),
        // Only a running task can be cancelled.
        task_handle: (task.status == MoveStatus::Running).then_some(task.handle),
    }
}
