"""Calls an operation of CloudFormation that the aws command is too old to know.

query.py ENDPOINT OPERATION[/ELEMENT] [NAME=VALUE ...] has curl sign and send it, and
prints each text of the answer after its element's name, or those of ELEMENT alone.
A VALUE of the form @FILE is what the file holds."""

import os
import subprocess
import sys
import xml.etree.ElementTree

endpoint, operation, *parameters = sys.argv[1:]
operation, _, element = operation.partition("/")
fields = []
for name, value in (p.split("=", 1) for p in parameters):
    fields += ["--data-urlencode", name + value if value.startswith("@") else name + "=" + value]
curl = subprocess.run(
    ["curl", "-sS", "--fail-with-body", "--aws-sigv4", "aws:amz:" + os.environ["AWS_DEFAULT_REGION"] + ":cloudformation",
     "--user", os.environ["AWS_ACCESS_KEY_ID"] + ":" + os.environ["AWS_SECRET_ACCESS_KEY"],
     "-d", "Action=" + operation, "-d", "Version=2010-05-15", *fields, endpoint],
    stdout=subprocess.PIPE, text=True)
if curl.returncode != 0:
    sys.exit(curl.stdout)
for e in xml.etree.ElementTree.fromstring(curl.stdout).iter():
    name, text = e.tag.split("}")[-1], (e.text or "").strip()
    if element and name == element:
        print(text)
    elif text and not element:
        print(name, text)
