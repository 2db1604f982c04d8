"""Uses every action of SQS that the local stack answers, by the query protocol."""

import sys

import boto3

sqs = boto3.client("sqs", endpoint_url=sys.argv[1], region_name="us-east-1",
                   aws_access_key_id="local", aws_secret_access_key="local")
assert sqs.meta.service_model.metadata["protocol"] == "query"

arn = "arn:aws:sqs:us-east-1:000000000000:"
dead = sqs.create_queue(QueueName="old-dlq")["QueueUrl"]
policy = '{"deadLetterTargetArn":"%sold-dlq","maxReceiveCount":1}' % arn
url = sqs.create_queue(QueueName="old", Attributes={"RedrivePolicy": policy}, tags={"a": "b"})["QueueUrl"]
assert sqs.get_queue_url(QueueName="old")["QueueUrl"] == url
assert url in sqs.list_queues(QueueNamePrefix="old")["QueueUrls"]
assert sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == [url]
sqs.tag_queue(QueueUrl=url, Tags={"c": "d & e"})
sqs.untag_queue(QueueUrl=url, TagKeys=["a"])
assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"c": "d & e"}
sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "60"})
attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
assert attributes["VisibilityTimeout"] == "60" and attributes["QueueArn"] == arn + "old", attributes

# boto3 compares the digests of bodies itself.
body = "line\r\nnext <&> \u00e4 \U0001f600"
given = {"text": {"DataType": "String", "StringValue": "x\ny"}, "bytes": {"DataType": "Binary", "BinaryValue": b"\x01"}}
trace = {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-2-3"}}
sent = sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=given, MessageSystemAttributes=trace)
received = sqs.receive_message(QueueUrl=url, AttributeNames=["All"], MessageAttributeNames=["All"])["Messages"][0]
assert received["Body"] == body and received["MessageId"] == sent["MessageId"], received
assert received["MessageAttributes"] == given, received
assert received["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
assert received["Attributes"]["AWSTraceHeader"] == "Root=1-2-3"
sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=received["ReceiptHandle"], VisibilityTimeout=30)
sqs.delete_message(QueueUrl=url, ReceiptHandle=received["ReceiptHandle"])

entries = [{"Id": str(n), "MessageBody": str(n), "DelaySeconds": 0 if n else 901} for n in range(3)]
answer = sqs.send_message_batch(QueueUrl=url, Entries=entries)
assert [one["Id"] for one in answer["Successful"]] == ["1", "2"], answer
assert answer["Failed"][0]["SenderFault"] is True, answer
handles = [one["ReceiptHandle"] for one in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]]
hidden = [{"Id": str(n), "ReceiptHandle": handle, "VisibilityTimeout": 0} for n, handle in enumerate(handles)]
assert len(sqs.change_message_visibility_batch(QueueUrl=url, Entries=hidden)["Successful"]) == 2
assert "Messages" not in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
letters = sqs.receive_message(QueueUrl=dead, MaxNumberOfMessages=10)["Messages"]
assert len(letters) == 2, letters
done = [{"Id": str(n), "ReceiptHandle": letter["ReceiptHandle"]} for n, letter in enumerate(letters)]
assert len(sqs.delete_message_batch(QueueUrl=dead, Entries=done)["Successful"]) == 2

try:
    sqs.get_queue_url(QueueName="none")
    raise AssertionError("an error")
except sqs.exceptions.QueueDoesNotExist as error:
    assert "Queue: none" in str(error), error
sqs.purge_queue(QueueUrl=url)
sqs.delete_queue(QueueUrl=url)
print("passed")
