"""Works orders off: writes a receipt for each, signed with the shop's key. What it
cannot read goes back to the queue, and after three times to the dead letters."""

import hashlib
import hmac
import json
import os

from call import call


def handler(event, context):
    failed = []
    for record in event["Records"]:
        try:
            order = json.loads(record["body"])
            line = "%s: %s for order %s" % (os.environ["SHOP"], order["item"], order["id"])
            signature = hmac.new(os.environ["SIGNING_KEY"].encode(), line.encode(), hashlib.sha256).hexdigest()
            call("s3", "PUT", "/%s/%s.txt" % (os.environ["RECEIPTS"], order["id"]), (line + "\n" + signature + "\n").encode())
            print("receipt for", order["id"])
        except Exception as e:
            print("order", record["messageId"], "failed:", repr(e))
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}
