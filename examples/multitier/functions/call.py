"""Signed calls of AWS's APIs with what Python brings. Where there is boto3, its
clients are shorter."""

import datetime
import hashlib
import hmac
import os
import urllib.parse
import urllib.request


def call(service, method, path="/", body=b"", headers={}):
    env, now = os.environ, datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    url = urllib.parse.urlsplit(env.get("AWS_ENDPOINT_URL") or "https://%s.%s.amazonaws.com" % (service, env["AWS_REGION"]))
    path, digest = urllib.parse.quote(path), hashlib.sha256(body).hexdigest()
    headers = {**headers, "host": url.netloc, "x-amz-date": now, "x-amz-content-sha256": digest,
               "x-amz-security-token": env["AWS_SESSION_TOKEN"]}
    signed = ";".join(sorted(headers))
    canonical = "\n".join([method, path, "", *(k + ":" + headers[k] for k in sorted(headers)), "", signed, digest])
    scope = [now[:8], env["AWS_REGION"], service, "aws4_request"]
    key = ("AWS4" + env["AWS_SECRET_ACCESS_KEY"]).encode()
    for part in scope:
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    text = "\n".join(["AWS4-HMAC-SHA256", now, "/".join(scope), hashlib.sha256(canonical.encode()).hexdigest()])
    headers["authorization"] = "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s" % (
        env["AWS_ACCESS_KEY_ID"], "/".join(scope), signed, hmac.new(key, text.encode(), hashlib.sha256).hexdigest())
    request = urllib.request.Request(url._replace(path=path).geturl(), data=body, method=method, headers=headers)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        return answer.read()
