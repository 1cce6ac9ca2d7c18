"""Records what Python's marshaller and a real Supervisor 4.3.0 write.

    python3 -m venv venv && venv/bin/pip install supervisor==4.3.0 setuptools==65.5.0
    venv/bin/python record.py > recorded.json

`answers` are the bodies that a real supervisord sends for each call; `values` are
single values as `xmlrpc.client.dumps` writes them in an answer and in a call, beside
a description of the value: [type, content].
"""

import datetime
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import xmlrpc.client

CONFIGURATION = """
[unix_http_server]
file=%(here)s/s.sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisord]
logfile=%(here)s/main.log
pidfile=%(here)s/main.pid
[program:cat]
command=/bin/sh -c 'echo "<a> & b é"; exec cat'
[program:off]
command=/bin/cat
autostart=false
exitcodes=0,2
stdout_logfile=NONE
environment=A="1"
[program:bad]
command=/nothing/here
autostart=false
[program:n]
command=/bin/cat
process_name=%(program_name)s_%(process_num)02d
numprocs=2
autostart=false
"""

CALLS = [
    ("supervisor.getAPIVersion",), ("supervisor.getVersion",), ("supervisor.getSupervisorVersion",),
    ("supervisor.getIdentification",), ("supervisor.getState",), ("supervisor.getPID",),
    ("supervisor.getAllConfigInfo",), ("supervisor.getAllProcessInfo",),
    ("supervisor.getProcessInfo", "cat"), ("supervisor.getProcessInfo", "n:n_00"),
    ("supervisor.getProcessInfo", "ghost"), ("supervisor.getProcessInfo",),
    ("supervisor.readLog", 0, 0), ("supervisor.readLog", -10, 0), ("supervisor.readLog", 0, -1),
    ("supervisor.readProcessStdoutLog", "cat", 0, 0), ("supervisor.readProcessStdoutLog", "off", 0, 0),
    ("supervisor.tailProcessStdoutLog", "cat", 0, 5), ("supervisor.tailProcessStderrLog", "cat", 0, 5),
    ("supervisor.startProcess", "bad"), ("supervisor.startProcess", "cat"), ("supervisor.startProcess", "off"),
    ("supervisor.stopProcess", "off"), ("supervisor.stopProcess", "off"), ("supervisor.signalProcess", "cat", "NOPE"),
    ("supervisor.signalProcess", "cat", "CONT"), ("supervisor.signalAllProcesses", "CONT"),
    ("supervisor.startProcessGroup", "n"), ("supervisor.stopProcessGroup", "n"), ("supervisor.stopProcessGroup", "n"),
    ("supervisor.startProcess", "bad:*"), ("supervisor.sendProcessStdin", "cat", "é\n"), ("supervisor.sendProcessStdin", "off", "x"),
    ("supervisor.sendRemoteCommEvent", "t", "d"), ("supervisor.clearProcessLogs", "cat"), ("supervisor.clearAllProcessLogs",),
    ("supervisor.reloadConfig",), ("supervisor.addProcessGroup", "cat"), ("supervisor.addProcessGroup", "ghost"),
    ("supervisor.removeProcessGroup", "cat"), ("supervisor.removeProcessGroup", "bad"), ("supervisor.addProcessGroup", "bad"),
    ("supervisor.nothing",), ("nothing",), ("system.listMethods",), ("system.methodSignature", "supervisor.startProcess"),
    ("system.methodSignature", "ghost"), ("system.multicall", []),
    ("system.multicall", [{"methodName": "supervisor.getState"}, {"methodName": "supervisor.getProcessInfo", "params": ["ghost"]}, {}]),
    ("supervisor.stopAllProcesses",), ("supervisor.startAllProcesses",), ("supervisor.clearLog",), ("supervisor.shutdown",),
]

VALUES = [
    ["int", 0], ["int", -1], ["int", 2147483647], ["int", -2147483648], ["boolean", True], ["boolean", False],
    ["string", ""], ["string", "plain"], ["string", "a & b < c > d \" e ' f"], ["string", "line\nline\ttab"],
    ["string", "é ☃ \U0001f600"], ["string", " blank "], ["string", "]]>"], ["double", 0.0], ["double", 1.5], ["double", -2.0],
    ["double", 1e100], ["double", 1e-7], ["double", 123456789.125], ["double", 1e16], ["double", 0.1],
    ["dateTime", "20260102T03:04:05"], ["array", []], ["array", [["int", 1], ["string", "x"], ["array", [["boolean", True]]]]],
    ["struct", []], ["struct", [["b", ["int", 1]], ["a", ["string", "<&>"]], ["é", ["array", []]], ["s", ["struct", [["x", ["double", 0.5]]]]]]],
]


def python(value):
    kind, content = value
    if kind == "array":
        return [python(item) for item in content]
    if kind == "struct":
        return {name: python(item) for name, item in content}
    if kind == "dateTime":
        return xmlrpc.client.DateTime(datetime.datetime.strptime(content, "%Y%m%dT%H:%M:%S"))
    return content


class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(15)
        self.sock.connect("s.sock")


def post(call):
    connection = Connection("localhost")
    connection.request("POST", "/RPC2", xmlrpc.client.dumps(call[1:], call[0]).encode(), {"Content-Type": "text/xml"})
    answer = connection.getresponse()
    return answer.read().decode() if answer.status == 200 else None


def until(what, test):
    for _ in range(200):
        try:
            if test():
                return
        except OSError:
            pass
        time.sleep(0.05)
    sys.exit("never: " + what)


def answers():
    with tempfile.TemporaryDirectory(prefix="recorded") as folder:
        os.chdir(folder)
        with open("s.conf", "w", encoding="utf-8") as file:
            file.write(CONFIGURATION)
        command = [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", "s.conf"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as daemon:
            until("an answer", lambda: post(("supervisor.getState",)))
            until("running", lambda: "RUNNING" in post(("supervisor.getProcessInfo", "cat")))
            rows = [{"call": list(call), "answer": post(call).replace(folder, "/folder").replace("/tmp/", "/folder/")} for call in CALLS]
            daemon.wait(60)
        os.chdir("/")
    return rows


def values():
    rows = []
    for value in VALUES:
        content = (python(value),)
        answer = xmlrpc.client.dumps(content, methodresponse=True)
        rows.append({"value": value, "answer": answer, "call": xmlrpc.client.dumps(content, "a.b")})
    return rows


faults = [{"code": code, "text": text, "answer": xmlrpc.client.dumps(xmlrpc.client.Fault(code, text))}
          for code, text in [(10, "BAD_NAME: <x>"), (1, "UNKNOWN_METHOD"), (92, "CANT_REREAD: é\nline")]]
json.dump({"answers": answers(), "values": values(), "faults": faults}, sys.stdout, indent=1, ensure_ascii=False)
print()
