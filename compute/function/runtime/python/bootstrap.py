"""Slipway's runtime for Python: a client of the Lambda Runtime API.

It takes invocations from AWS_LAMBDA_RUNTIME_API, hands each to the handler that
_HANDLER names, and answers with what that returns or raises. It needs nothing but
the standard library.
"""

import json
import logging
import os
import socket
import sys
import time

_PREFIX = "/2018-06-01/runtime"


class _Api:
    """One connection to the Runtime API, which speaks HTTP/1.1 with lengths."""

    def __init__(self, address):
        host, _, port = address.rpartition(":")
        self._where = (host, int(port))
        self._host = address
        self._socket = None
        self._rest = b""

    def call(self, method, path, body=b"", headers=()):
        if self._socket is None:
            self._socket = socket.create_connection(self._where)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._rest = b""
        head = "%s %s%s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n" % (method, _PREFIX, path, self._host, len(body))
        for name, value in headers:
            head += "%s: %s\r\n" % (name, value)
        self._socket.sendall(head.encode("latin-1", "replace") + b"\r\n" + body)
        return self._answer()

    def _answer(self):
        data = self._rest
        while b"\r\n\r\n" not in data:
            data += self._more()
        head, _, data = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ", 2)[1])
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        length = int(headers.get("content-length", "0"))
        parts, have = [data], len(data)
        while have < length:
            part = self._more()
            parts.append(part)
            have += len(part)
        data = b"".join(parts)
        self._rest = data[length:]
        if headers.get("connection", "").lower() == "close":
            self._socket.close()
            self._socket = None
        return status, headers, data[:length]

    def _more(self):
        part = self._socket.recv(1 << 16)
        if not part:
            raise SystemExit(0)  # the environment ends
        return part


class _Identity:
    def __init__(self, values):
        values = values or {}
        self.cognito_identity_id = values.get("cognitoIdentityId")
        self.cognito_identity_pool_id = values.get("cognitoIdentityPoolId")


class _Client:
    def __init__(self, values):
        self.installation_id = values.get("installation_id")
        self.app_title = values.get("app_title")
        self.app_version_name = values.get("app_version_name")
        self.app_version_code = values.get("app_version_code")
        self.app_package_name = values.get("app_package_name")


class _ClientContext:
    def __init__(self, values):
        self.client = _Client(values["client"]) if values.get("client") else None
        self.custom = values.get("custom")
        self.env = values.get("env")


class LambdaContext:
    """What handlers get as their second argument."""

    def __init__(self, headers):
        env = os.environ
        self.aws_request_id = headers.get("lambda-runtime-aws-request-id", "")
        self.invoked_function_arn = headers.get("lambda-runtime-invoked-function-arn", "")
        self.function_name = env.get("AWS_LAMBDA_FUNCTION_NAME")
        self.function_version = env.get("AWS_LAMBDA_FUNCTION_VERSION")
        self.memory_limit_in_mb = env.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.log_group_name = env.get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = env.get("AWS_LAMBDA_LOG_STREAM_NAME")
        self._deadline = int(headers.get("lambda-runtime-deadline-ms", "0"))
        client = headers.get("lambda-runtime-client-context")
        self.client_context = _ClientContext(json.loads(client)) if client else None
        identity = headers.get("lambda-runtime-cognito-identity")
        self.identity = _Identity(json.loads(identity) if identity else None)

    def get_remaining_time_in_millis(self):
        return max(0, self._deadline - int(time.time() * 1000))

    def log(self, message):
        sys.stdout.write(str(message))

    def __repr__(self):
        return "LambdaContext([aws_request_id=%s,log_group_name=%s,log_stream_name=%s,function_name=%s,memory_limit_in_mb=%s,function_version=%s,invoked_function_arn=%s])" % (
            self.aws_request_id, self.log_group_name, self.log_stream_name, self.function_name,
            self.memory_limit_in_mb, self.function_version, self.invoked_function_arn)


class _State:
    request_id = ""


class _LogHandler(logging.Handler):
    """Prints records as Lambda does. A record is one event, whatever lines it has."""

    def emit(self, record):
        try:
            sys.stdout.write(self.format(record).replace("\n", "\r") + "\n")
        except Exception:
            self.handleError(record)


class _RequestFilter(logging.Filter):
    def filter(self, record):
        record.aws_request_id = _State.request_id
        return True


def _log_like_lambda():
    formatter = logging.Formatter(
        "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler = _LogHandler()
    handler.setFormatter(formatter)
    handler.addFilter(_RequestFilter())
    logging.getLogger().addHandler(handler)


class _InitError(Exception):
    def __init__(self, kind, message, trace=()):
        super().__init__(message)
        self.kind, self.trace = kind, list(trace)


def _load(name):
    """Finds the function that "module.function" names."""
    module_name, dot, function_name = name.rpartition(".")
    if not dot:
        raise _InitError("Runtime.MalformedHandlerName",
                         "Bad handler '%s': not enough values to unpack (expected 2, got 1)" % name)
    import importlib
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as e:
        raise _InitError("Runtime.ImportModuleError", "Unable to import module '%s': %s" % (module_name, e))
    except SyntaxError as e:
        raise _InitError("Runtime.UserCodeSyntaxError", "Syntax error in module '%s': %s" % (module_name, e),
                         ['  File "%s" Line %s\n    %s' % (e.filename, e.lineno, (e.text or "").rstrip())])
    try:
        return getattr(module, function_name)
    except AttributeError:
        raise _InitError("Runtime.HandlerNotFound", "Handler '%s' missing on module '%s'" % (function_name, module_name))


def _document(error, request_id):
    """An exception as callers see it, and its trace without the frames of this program."""
    if isinstance(error, _InitError):
        return {"errorMessage": str(error), "errorType": error.kind, "requestId": request_id, "stackTrace": error.trace}
    import traceback
    frames = traceback.extract_tb(error.__traceback__)
    while frames and frames[0].filename == __file__:
        frames = frames[1:]
    return {"errorMessage": str(error), "errorType": type(error).__name__, "requestId": request_id,
            "stackTrace": traceback.format_list(frames)}


def _report(document):
    """Prints an error to the log, as one event, whose lines keep their indentation where blanks are cut."""
    text = "[ERROR] %s: %s" % (document["errorType"], document["errorMessage"])
    if document["stackTrace"]:
        text += "\nTraceback (most recent call last):"
        for line in "".join(document["stackTrace"]).rstrip("\n").split("\n"):
            rest = line.lstrip(" ")
            text += "\n" + "\u00a0" * (len(line) - len(rest)) + rest
    sys.stdout.write(text.replace("\n", "\r") + "\n")
    sys.stdout.flush()


def _number(value):
    import decimal
    if isinstance(value, decimal.Decimal):
        return float(value)
    raise TypeError("Object of type %s is not JSON serializable" % type(value).__name__)


def _serve(api, handler):
    while True:
        status, headers, body = api.call("GET", "/invocation/next")
        if status != 200:
            raise SystemExit("the Runtime API answered %d" % status)
        _State.request_id = request_id = headers["lambda-runtime-aws-request-id"]
        trace = headers.get("lambda-runtime-trace-id")
        if trace:
            os.environ["_X_AMZN_TRACE_ID"] = trace
        else:
            os.environ.pop("_X_AMZN_TRACE_ID", None)
        path = "/invocation/" + request_id
        try:
            try:
                event = json.loads(body)
            except ValueError as e:
                raise _InitError("Runtime.UnmarshalError", "Unable to unmarshal input: %s" % e)
            result = handler(event, LambdaContext(headers))
            try:
                answer = json.dumps(result, default=_number).encode()
            except (TypeError, ValueError) as e:
                raise _InitError("Runtime.MarshalError", "Unable to marshal response: %s" % e)
        except Exception as e:
            document = _document(e, request_id)
            _report(document)
            api.call("POST", path + "/error", json.dumps(document).encode(),
                     (("Lambda-Runtime-Function-Error-Type", document["errorType"]),))
            continue
        sys.stdout.flush()
        sys.stderr.flush()
        api.call("POST", path + "/response", answer)


def main():
    # Lines come out whole, and at once.
    sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    _log_like_lambda()
    task, layers = os.environ.pop("SLIPWAY_TASK"), os.environ.pop("SLIPWAY_LAYERS")
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [p for p in sys.path if p != here]
    sys.path[:0] = [task, layers + "/python",
                    "%s/python/lib/python%d.%d/site-packages" % (layers, sys.version_info[0], sys.version_info[1]), here]
    sys.argv = sys.argv[:1]
    api = _Api(os.environ["AWS_LAMBDA_RUNTIME_API"])
    try:
        handler = _load(os.environ.get("_HANDLER", ""))
    except Exception as e:
        document = _document(e, "")
        _report(document)
        api.call("POST", "/init/error", json.dumps(document).encode(),
                 (("Lambda-Runtime-Function-Error-Type", document["errorType"]),))
        raise SystemExit(1)
    _serve(api, handler)


if __name__ == "__main__":
    main()
