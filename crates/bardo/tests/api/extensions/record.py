"""Records what the real extensions answer, for `tests/api/extensions.rs`.

Run it with a Python that has supervisor 4.3.0, supervisor_twiddler 1.0.0,
supervisor_cache 1.1.0 and mr.laforge 0.9:

    python record.py < answers.json > recorded.json

Each row has a `call` of a method with its parameters, and is given its answer anew:
`result`, `fault` (code and text) or `http` (a status). `@` waits until a process is in a
state. `ours` is what Bardo answers where it does not do the same, and `why`.
"""
import json
import os
import subprocess
import sys
import tempfile
import time
import xmlrpc.client

from supervisor.xmlrpc import SupervisorTransport

CONFIGURATION = open(os.path.join(os.path.dirname(__file__), "extensions.conf")).read()


def answer(server, method, parameters):
    try:
        return {"result": getattr(server, method)(*parameters)}
    except xmlrpc.client.Fault as fault:
        return {"fault": [fault.faultCode, fault.faultString]}
    except xmlrpc.client.ProtocolError as error:
        return {"http": error.errcode}


def wait_for(server, name, state):
    limit = time.monotonic() + 20
    while server.supervisor.getProcessInfo(name)["statename"] != state:
        if time.monotonic() > limit:
            raise SystemExit("%s never became %s" % (name, state))
        time.sleep(0.05)
    return {"result": True}


def main():
    with tempfile.TemporaryDirectory() as home:
        path = os.path.join(home, "supervisord.conf")
        with open(path, "w") as file:
            file.write(CONFIGURATION)
        daemon = subprocess.Popen(
            [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", path],
            stdout=subprocess.DEVNULL, stderr=sys.stderr, cwd=home)
        socket = os.path.join(home, "s.sock")
        while not os.path.exists(socket):
            time.sleep(0.05)
        rows = []
        try:
            record(socket, rows)
        finally:
            daemon.terminate()
            daemon.wait()
            print("[\n" + ",\n".join(json.dumps(row, sort_keys=True) for row in rows).replace(home, "HERE") + "\n]")


def record(socket, rows):
    for row in json.load(sys.stdin):
        method, parameters = row["call"]
        transport = SupervisorTransport("", "", "unix://" + socket)
        server = xmlrpc.client.ServerProxy("http://localhost", transport)
        if method == "@":
            said = wait_for(server, *parameters)
        else:
            said = answer(server, method, parameters)
        kept = {key: row[key] for key in ("call", "ours", "why") if key in row}
        rows.append(dict(kept, **said))



main()
