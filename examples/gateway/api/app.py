"""The API of the gateway: says who answers, and what it was asked."""
import json
import os


def application(environ, start_response):
    """Answers every request. `server` is the process that the supervisor looks after."""
    answer = {
        "server": os.getppid(),
        "worker": os.getpid(),
        "program": os.environ.get("SUPERVISOR_PROCESS_NAME"),
        "group": os.environ.get("SUPERVISOR_GROUP_NAME"),
        "gateway": os.environ.get("GATEWAY"),
        "path": environ["PATH_INFO"],
    }
    body = (json.dumps(answer) + "\n").encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    start_response("200 OK", headers)
    return [body]
