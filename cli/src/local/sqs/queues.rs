//! The actions on queues themselves.

use std::collections::BTreeMap;

use lambda_jobs_core::sqs::{AttributeMap, SqsError, queue_arn};

use super::{
    context::{ActionContext, queue_name},
    wire::{
        Attributes, CreateQueue, GetQueueAttributes, GetQueueUrl, ListDeadLetterSourceQueues, ListQueues,
        Nothing, OfQueue, QueueUrl, QueueUrls, SetQueueAttributes, SourceUrls, TagQueue, Tags, UntagQueue,
        required,
    },
};

/// Most queues of one page.
const PAGE: usize = 1000;

pub(super) fn create(context: &mut ActionContext<'_>, request: CreateQueue) -> Result<QueueUrl, SqsError> {
    let name = required(request.queue_name, "QueueName")?;
    context.sqs.create_queue(&name, &AttributeMap(request.attributes.unwrap_or_default().0), context.now)?;
    if let Some(tags) = request.tags.map(|tags| tags.0).filter(|tags| !tags.is_empty()) {
        context.sqs.tag_queue(&name, tags)?;
    }
    Ok(QueueUrl { queue_url: context.url(&name) })
}

pub(super) fn get_url(context: &mut ActionContext<'_>, request: GetQueueUrl) -> Result<QueueUrl, SqsError> {
    let name = required(request.queue_name, "QueueName")?;
    context.sqs.queue_state(&name)?;
    Ok(QueueUrl { queue_url: context.url(&name) })
}

pub(super) fn list(context: &mut ActionContext<'_>, request: ListQueues) -> Result<QueueUrls, SqsError> {
    let prefix = request.queue_name_prefix.unwrap_or_default();
    let names: Vec<String> =
        context.sqs.queue_names().filter(|name| name.starts_with(&prefix)).map(str::to_owned).collect();
    let (page, next_token) = page(names, request.max_results, request.next_token.as_deref())?;
    Ok(QueueUrls { queue_urls: page.iter().map(|name| context.url(name)).collect(), next_token })
}

pub(super) fn list_sources(
    context: &mut ActionContext<'_>,
    request: ListDeadLetterSourceQueues,
) -> Result<SourceUrls, SqsError> {
    let queue = queue_name(request.queue_url)?;
    let names = context.sqs.dead_letter_sources(&queue)?.into_iter().map(str::to_owned).collect();
    let (page, next_token) = page(names, request.max_results, request.next_token.as_deref())?;
    Ok(SourceUrls { queue_urls: page.iter().map(|name| context.url(name)).collect(), next_token })
}

pub(super) fn delete(context: &mut ActionContext<'_>, request: OfQueue) -> Result<Nothing, SqsError> {
    context.sqs.delete_queue(&queue_name(request.queue_url)?).map(|()| Nothing {})
}

pub(super) fn purge(context: &mut ActionContext<'_>, request: OfQueue) -> Result<Nothing, SqsError> {
    context.sqs.purge(&queue_name(request.queue_url)?).map(|()| Nothing {})
}

pub(super) fn set_attributes(
    context: &mut ActionContext<'_>,
    request: SetQueueAttributes,
) -> Result<Nothing, SqsError> {
    let queue = queue_name(request.queue_url)?;
    let attributes = AttributeMap(required(request.attributes, "Attributes")?.0);
    context.sqs.set_attributes(&queue, &attributes, context.now).map(|()| Nothing {})
}

pub(super) fn get_attributes(
    context: &mut ActionContext<'_>,
    request: GetQueueAttributes,
) -> Result<Attributes, SqsError> {
    let all = attributes(context, &queue_name(request.queue_url)?)?;
    let names = request.attribute_names.unwrap_or_default().0;
    if let Some(unknown) = names.iter().find(|name| !KNOWN.contains(&name.as_str())) {
        let expected = "All, or the names in the API reference of GetQueueAttributes";
        return Err(SqsError::InvalidAttributeName { attribute: unknown.clone(), expected });
    }
    let wanted = |name: &String| names.iter().any(|wanted| wanted == "All" || wanted == name);
    Ok(Attributes { attributes: all.into_iter().filter(|(name, _)| wanted(name)).collect() })
}

pub(super) fn tag(context: &mut ActionContext<'_>, request: TagQueue) -> Result<Nothing, SqsError> {
    let queue = queue_name(request.queue_url)?;
    context.sqs.tag_queue(&queue, required(request.tags, "Tags")?.0).map(|()| Nothing {})
}

pub(super) fn untag(context: &mut ActionContext<'_>, request: UntagQueue) -> Result<Nothing, SqsError> {
    let queue = queue_name(request.queue_url)?;
    context.sqs.untag_queue(&queue, &required(request.tag_keys, "TagKeys")?.0).map(|()| Nothing {})
}

pub(super) fn list_tags(context: &mut ActionContext<'_>, request: OfQueue) -> Result<Tags, SqsError> {
    let state = context.sqs.queue_state(&queue_name(request.queue_url)?)?;
    Ok(Tags { tags: state.tags.clone() })
}

/// Every attribute that can be asked for.
const KNOWN: [&str; 22] = [
    "All",
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesDelayed",
    "ApproximateNumberOfMessagesNotVisible",
    "ContentBasedDeduplication",
    "CreatedTimestamp",
    "DeduplicationScope",
    "DelaySeconds",
    "FifoQueue",
    "FifoThroughputLimit",
    "KmsDataKeyReusePeriodSeconds",
    "KmsMasterKeyId",
    "LastModifiedTimestamp",
    "MaximumMessageSize",
    "MessageRetentionPeriod",
    "Policy",
    "QueueArn",
    "ReceiveMessageWaitTimeSeconds",
    "RedriveAllowPolicy",
    "RedrivePolicy",
    "SqsManagedSseEnabled",
    "VisibilityTimeout",
];

fn attributes(context: &mut ActionContext<'_>, queue: &str) -> Result<BTreeMap<String, String>, SqsError> {
    let counts = context.sqs.counts(queue, context.now)?;
    let state = context.sqs.queue_state(queue)?;
    let mut attributes = state.attributes.to_map().0;
    attributes.extend(
        [
            ("ApproximateNumberOfMessages", counts.visible.to_string()),
            ("ApproximateNumberOfMessagesDelayed", counts.delayed.to_string()),
            ("ApproximateNumberOfMessagesNotVisible", counts.in_flight.to_string()),
            ("CreatedTimestamp", state.created_at.timestamp().to_string()),
            ("LastModifiedTimestamp", state.modified_at.timestamp().to_string()),
            ("QueueArn", queue_arn(queue)),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    Ok(attributes)
}

/// The names after the token, and a token if more remain: the last name given.
fn page(
    names: Vec<String>,
    max: Option<i64>,
    token: Option<&str>,
) -> Result<(Vec<String>, Option<String>), SqsError> {
    let size = match max {
        None => PAGE,
        Some(max) => usize::try_from(max).ok().filter(|max| (1..=PAGE).contains(max)).ok_or_else(|| {
            SqsError::InvalidParameterValue {
                parameter: "MaxResults",
                value: max.to_string(),
                reason: format!("Must be between 1 and {PAGE}, if provided"),
            }
        })?,
    };
    let after = |name: &String| token.is_none_or(|token| name.as_str() > token);
    let mut rest: Vec<String> = names.into_iter().filter(after).collect();
    let more = rest.len() > size;
    rest.truncate(size);
    let next = rest.last().filter(|_| more).cloned();
    Ok((rest, next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_to_the_end() {
        let names = || ["a", "b", "c"].map(str::to_owned).to_vec();
        let (first, token) = page(names(), Some(2), None).unwrap();
        assert_eq!((first.len(), token.as_deref()), (2, Some("b")));
        assert_eq!(page(names(), Some(2), token.as_deref()).unwrap(), (vec!["c".to_owned()], None));
        assert_eq!(page(names(), Some(3), None).unwrap().1, None);
        for max in [0, 1001, -1] {
            assert!(page(names(), Some(max), None).unwrap_err().to_string().contains("MaxResults"));
        }
    }
}
