"""Takes orders by HTTP and puts them into the queue."""

import base64
import json
import os

from call import call


def handler(event, context):
    body = event.get("body") or ""
    try:
        order = json.loads(base64.b64decode(body) if event.get("isBase64Encoded") else body)
        item = order["item"]
    except (ValueError, KeyError, TypeError):
        return {"statusCode": 400, "body": json.dumps({"error": 'an order is {"item": ...}'})}
    message = {"QueueUrl": os.environ["ORDERS"], "MessageBody": json.dumps({"id": context.aws_request_id, "item": item})}
    call("sqs", "POST", body=json.dumps(message).encode(), headers={
        "content-type": "application/x-amz-json-1.0", "x-amz-target": "AmazonSQS.SendMessage"})
    return {"statusCode": 202, "body": json.dumps({"order": context.aws_request_id})}
