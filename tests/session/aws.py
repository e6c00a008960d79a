"""Runs the aws command many times with one start of it.

Importing the command's modules and reading its models takes ten times as long
as a call. "serve SOCKET" does both once and forks for each call: the child has
the caller's arguments, environment, folder and streams, and calls the same main
as /usr/bin/aws. It is one thread, as what forks should be, and ends with its
standard input. "call SOCKET ARG ..." is the caller's side: it hands its streams
over, waits, and exits as the command did.
"""

import os
import socket
import sys
import traceback


def call(path, args):
    """Has the command run and returns its exit code."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    parts = [os.getcwd(), str(len(args)), *args, *(name + "=" + value for name, value in os.environ.items())]
    request = os.fsencode("\0".join(parts))
    socket.send_fds(connection, [len(request).to_bytes(4, "big")], [0, 1, 2])
    connection.sendall(request)
    return int(connection.recv(4) or b"255")


def receive(connection):
    """The folder, arguments, environment and streams of a call."""
    head, streams, _, _ = socket.recv_fds(connection, 4, 3)
    request = connection.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL)
    folder, count, *rest = os.fsdecode(request).split("\0")
    count = int(count)
    return folder, rest[:count], dict(pair.split("=", 1) for pair in rest[count:]), streams


def run(main, folder, args, environment, streams):
    """Becomes the command. Never returns."""
    code = 255
    try:
        for at, stream in enumerate(streams):
            os.dup2(stream, at)
        sys.stdin, sys.stdout, sys.stderr = (open(at, mode, closefd=False) for at, mode in enumerate("rww"))
        models = os.environ["AWS_DATA_PATH"]  # the import of awscli has set it
        os.environ.clear()
        os.environ.update(environment, AWS_DATA_PATH=models)
        os.chdir(folder)
        sys.argv = ["aws", *args]
        code = main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except OSError:  # nobody reads any more
                pass
        os._exit(code or 0)


def keep_models(services):
    """Reads the models that the scripts use; children find them parsed."""
    import functools

    import botocore.loaders
    import botocore.session

    loader = botocore.loaders.JSONFileLoader
    loader.__hash__, loader.__eq__ = lambda self: 0, lambda self, other: True  # they have no state
    loader.load_file = functools.lru_cache(maxsize=None)(loader.load_file)
    listed, one = botocore.loaders.Loader.list_available_services, botocore.loaders.create_loader()
    known = functools.lru_cache(maxsize=None)(lambda type_name: listed(one, type_name))
    botocore.loaders.Loader.list_available_services = lambda self, type_name: known(type_name)
    for type_name in ("service-2", "waiters-2", "paginators-1", "endpoint-rule-set-1"):
        known(type_name)
    session = botocore.session.Session()
    for service in services:
        session.create_client(service, region_name="us-east-1", aws_access_key_id="none", aws_secret_access_key="none")


def wait_often():
    """Has the client look four times a second at what it waits for, for as long as
    it would: its own 5 and 30 seconds between two looks are all that most waits are."""
    import botocore.waiter

    wait, pause = botocore.waiter.Waiter.wait, 0.25

    def often(self, **args):
        own = args.pop("WaiterConfig", {})
        seconds = own.get("Delay", self.config.delay) * own.get("MaxAttempts", self.config.max_attempts)
        wait(self, WaiterConfig={"Delay": pause, "MaxAttempts": int(seconds / pause)}, **args)

    botocore.waiter.Waiter.wait = often


def know_endpoint_url():
    """Has clients without an endpoint take AWS_ENDPOINT_URL, as newer versions do."""
    import botocore.session

    create = botocore.session.Session.create_client

    def create_client(self, *args, **named):
        named["endpoint_url"] = named.get("endpoint_url") or os.environ.get("AWS_ENDPOINT_URL")
        return create(self, *args, **named)

    botocore.session.Session.create_client = create_client


def serve(path):
    """Forks a child for each call, and ends a child whose caller has gone."""
    import gc
    import selectors
    import signal

    import awscli.clidriver
    import awscli.handlers  # with all its plugins, which the command imports late

    wait_often()
    know_endpoint_url()
    keep_models(("cloudformation", "ec2", "iam", "kms", "s3", "sqs", "ssm", "sts"))
    distribution = getattr(awscli.clidriver, "_get_distribution", None)
    if distribution:
        distribution()  # runs lsb_release, for the user agent
    gc.freeze()  # a child's collector leaves alone what it shares
    wake, woken = os.pipe()
    for end in (wake, woken):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    ready = selectors.DefaultSelector()
    for source in (0, wake, listener):
        ready.register(source, selectors.EVENT_READ)
    children = {}
    print("ready", flush=True)

    while True:
        for key, _ in ready.select():
            if key.fileobj == 0:
                return
            if key.fileobj is listener:
                connection, _ = listener.accept()
                folder, args, environment, streams = receive(connection)
                child = os.fork()
                if child == 0:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    ready.close()
                    listener.close()
                    run(awscli.clidriver.main, folder, args, environment, streams)
                for stream in streams:
                    os.close(stream)
                children[child] = connection
                ready.register(connection, selectors.EVENT_READ, child)
            elif key.fileobj == wake:
                os.read(wake, 4096)
                for child in list(children):
                    pid, status = os.waitpid(child, os.WNOHANG)
                    if pid:
                        connection = children.pop(child)
                        if connection.fileno() >= 0:
                            ready.unregister(connection)
                            connection.send(b"%d" % (os.waitstatus_to_exitcode(status) & 255))
                            connection.close()
            elif key.fileobj.fileno() >= 0:  # the caller has gone
                ready.unregister(key.fileobj)
                key.fileobj.close()
                os.kill(key.data, signal.SIGKILL)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    else:
        sys.exit(call(sys.argv[2], sys.argv[3:]))
