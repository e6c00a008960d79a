"""A provider of custom resources on premises: what a topic sends is done on this
machine, and answered at the URL that the request brings.

It keeps a line for each resource in a file, as an inventory of a workshop would."""

import http.server
import json
import os
import sys
import urllib.request


def answer(request, status, physical, data=None, reason=""):
    body = json.dumps({
        "Status": status, "Reason": reason, "PhysicalResourceId": physical, "Data": data or {},
        "StackId": request["StackId"], "RequestId": request["RequestId"], "LogicalResourceId": request["LogicalResourceId"],
    }).encode()
    put = urllib.request.Request(request["ResponseURL"], data=body, method="PUT", headers={"Content-Type": ""})
    urllib.request.urlopen(put).close()


def provide(request, inventory):
    properties = request["ResourceProperties"]
    machine = os.path.join(inventory, properties["Name"])
    physical = request.get("PhysicalResourceId", machine)
    if request["RequestType"] == "Delete":
        if os.path.exists(physical):
            os.remove(physical)
        return physical
    with open(machine, "w") as line:
        line.write(properties["Task"] + "\n")
    return machine


class Topic(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()
        if message["Type"] == "SubscriptionConfirmation":
            urllib.request.urlopen(message["SubscribeURL"]).close()
        elif message["Type"] == "Notification":
            request = json.loads(message["Message"])
            try:
                physical = provide(request, sys.argv[1])
                answer(request, "SUCCESS", physical, {"Machine": os.uname().nodename})
            except Exception as e:
                answer(request, "FAILED", request.get("PhysicalResourceId", "none"), reason=str(e))

    def log_message(self, *args):
        pass


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Topic)
    with open(os.path.join(sys.argv[1], ".port.new"), "w") as port:
        port.write(str(server.server_port))
    os.rename(os.path.join(sys.argv[1], ".port.new"), os.path.join(sys.argv[1], ".port"))
    server.serve_forever()
