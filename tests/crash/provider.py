# The function of the crash harness: the provider of custom resources, a macro, the
# handler of a registered type, a hook and a rotation. What it makes are files, each
# written whole or not at all, as it may be killed at any instant.
import hashlib
import json
import os
import time
import urllib.request

import cfnresponse

folder = "@folder@"


# Making a thing takes a while after which the caller is told, so that kills come
# between the two.
def keep(kind, name, what):
    half = os.path.join(folder, "half", "%d-%s" % (os.getpid(), name))
    with open(half, "w") as f:
        json.dump(what, f)
    os.rename(half, os.path.join(folder, kind, name))
    time.sleep(0.03)


def kept(kind, name):
    try:
        with open(os.path.join(folder, kind, name)) as f:
            return json.load(f)
    except FileNotFoundError:
        return None


def drop(kind, name):
    try:
        os.remove(os.path.join(folder, kind, name))
    except FileNotFoundError:
        pass


def named(token):
    return hashlib.sha256(token.encode()).hexdigest()[:16]


# A request that comes again makes what it made; another zone is another thing.
def custom(event, context):
    asked, new, name = event["RequestType"], event["ResourceProperties"], event.get("PhysicalResourceId")
    if asked == "Delete":
        drop("custom", name)
    elif new.get("Fails"):
        return cfnresponse.send(event, context, cfnresponse.FAILED, {}, name, reason="as it is to")
    else:
        if asked == "Create" or new["Zone"] != event["OldResourceProperties"]["Zone"]:
            name = named(event["RequestId"])
        keep("custom", name, {"Stack": new["Stack"], "Version": new["Version"]})
    cfnresponse.send(event, context, cfnresponse.SUCCESS, {"Version": new.get("Version")}, name)


def macro(event):
    fragment = event["fragment"]
    fragment["Resources"]["Parameter"]["Properties"]["Value"] = event["templateParameterValues"]["Version"]
    return {"requestId": event["requestId"], "status": "success", "fragment": fragment}


def hook(event):
    request = event["requestData"]
    model = request["targetModel"]["resourceProperties"]
    token, value = event["clientRequestToken"], str(model.get("Value"))
    stack = event["stackId"].split("/")[1]
    keep("asked", token, {"Token": token, "Stack": stack, "Logical": request["targetLogicalId"], "Version": value})
    answer = {"clientRequestToken": token, "hookStatus": "SUCCESS", "errorCode": None, "message": "it is well"}
    if value.startswith("forbidden"):
        answer.update(hookStatus="FAILED", errorCode="NonCompliant", message="forbidden")
    return answer


# Creations and changes take two calls: the second looks for what the first has made.
def resource(event, context):
    action, model = event["action"], dict(event["requestData"]["resourceProperties"])
    if action == "CREATE":
        model["Id"] = named(event["bearerToken"])
    name = model.get("Id", "")
    if action in ("CREATE", "UPDATE") and not event.get("callbackContext"):
        if model.get("Fails"):
            return {"status": "FAILED", "errorCode": "InvalidRequest", "message": "as it is to"}
        if action == "UPDATE" and kept("items", name) is None:
            return {"status": "FAILED", "errorCode": "NotFound", "message": name}
        keep("items", name, {k: model[k] for k in ("Id", "Stack", "Version", "Zone")})
        return {"status": "IN_PROGRESS", "callbackContext": {"again": True}, "callbackDelaySeconds": 0, "resourceModel": model}
    was = kept("items", name)
    if action == "LIST":
        return {"status": "SUCCESS", "resourceModels": [{"Id": name} for name in os.listdir(os.path.join(folder, "items"))]}
    if was is None:
        return {"status": "FAILED", "errorCode": "NotFound", "message": name}
    if action == "DELETE":
        drop("items", name)
        return {"status": "SUCCESS"}
    return {"status": "SUCCESS", "resourceModel": was}


def secrets(action, **members):
    request = urllib.request.Request(os.environ["AWS_ENDPOINT_URL"], json.dumps(members).encode(), {
        "Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "secretsmanager." + action,
        "Authorization": "AWS4-HMAC-SHA256 Credential=000000000000/20260101/us-east-1/secretsmanager/aws4_request, SignedHeaders=host, Signature=0"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        return json.load(answer)


# Each step may come again.
def rotation(event):
    step, secret, token = event["Step"], event["SecretId"], event["ClientRequestToken"]
    stages = secrets("DescribeSecret", SecretId=secret)["VersionIdsToStages"]
    if "AWSCURRENT" in stages.get(token, []):
        return
    if step == "createSecret":
        secrets("PutSecretValue", SecretId=secret, ClientRequestToken=token, SecretString="password-" + token, VersionStages=["AWSPENDING"])
        return
    value = secrets("GetSecretValue", SecretId=secret, VersionId=token, VersionStage="AWSPENDING")["SecretString"]
    if step == "setSecret":
        keep("database", "password", {"Password": value})
    elif step == "testSecret":
        if kept("database", "password")["Password"] != value:
            raise ValueError("the password is another")
    elif step == "finishSecret":
        current = [v for v, at in stages.items() if "AWSCURRENT" in at]
        secrets("UpdateSecretVersionStage", SecretId=secret, VersionStage="AWSCURRENT", MoveToVersionId=token, RemoveFromVersionId=current[0])


def handler(event, context):
    if "RequestType" in event:
        return custom(event, context)
    if "fragment" in event:
        return macro(event)
    if "Step" in event:
        return rotation(event)
    return hook(event)
