"""The real Supervisor, asked the same questions as bardo-config.

Reads one JSON object a line from standard input and answers each with one line.
The machine it sees is the one that differential.rs describes: nothing of the real
one is looked at. Where bardo-config differs from Supervisor 4.3 on purpose, the
difference is applied here, and each place says so.
"""

import builtins
import configparser
import fnmatch
import glob
import io
import json
import os
import pwd
import grp
import shlex
import sys
import tempfile

ENVIRONMENT = {"HOME": "/home/me", "A": "1", "EMPTY": "", "PATH": "/bin:/usr/bin", "U": "\u00e9"}
DIRECTORIES = {"/", "/tmp", "/work", "/work/sub", "/etc", "/home/me", "/etc/more"}
USERS = {"root": (0, 0, "/root"), "me": (1000, 1000, "/home/me"), "web": (33, 34, "/srv")}
GROUPS = {"root": 0, "me": 1000, "www": 34}
FILES = {}

os.environ.clear()
os.environ.update(ENVIRONMENT)
sys.argv[0] = "supervisord"

from supervisor import datatypes, options  # noqa: E402
from supervisor.datatypes import Automatic  # noqa: E402

REAL_EXPAND = options.expand


class Account:
    def __init__(self, name, uid, gid, home):
        self.pw_name, self.pw_uid, self.pw_gid, self.pw_dir = name, uid, gid, home
        self.gr_name, self.gr_gid = name, gid

    def __getitem__(self, index):
        return {0: self.pw_name, 2: self.pw_uid, 3: self.pw_gid, 5: self.pw_dir}[index]


class Group(Account):
    def __getitem__(self, index):
        return {0: self.gr_name, 2: self.gr_gid}[index]


def user_by_name(name):
    return Account(name, *USERS[name])


def user_by_id(uid):
    return next((Account(n, *u) for n, u in USERS.items() if u[0] == uid), None) or missing(uid)


def group_by_name(name):
    return Group(name, 0, GROUPS[name], "")


def group_by_id(gid):
    return next((Group(n, 0, g, "") for n, g in GROUPS.items() if g == gid), None) or missing(gid)


def missing(key):
    raise KeyError(key)


def is_directory(path):
    return (path.rstrip("/") or "/") in DIRECTORIES


def open_file(path, *_args, **_kwargs):
    if path not in FILES:
        raise FileNotFoundError(path)
    raw = io.BytesIO(FILES[path].encode("utf-8"))
    raw.name = path
    return io.TextIOWrapper(raw, encoding="utf-8")


def find_files(pattern):
    def match(path):
        ours, theirs = pattern.split("/"), path.split("/")
        return len(ours) == len(theirs) and all(
            fnmatch.fnmatchcase(b, a) and not (b.startswith(".") and not a.startswith("."))
            for a, b in zip(ours, theirs))
    return [path for path in FILES if match(path)]


class Names(builtins.dict):
    """Refuses to be written out as a whole: bardo-config does not leak the mapping."""

    def __str__(self):
        raise TypeError("not enough arguments for format string")

    __repr__ = __str__


Names.__name__ = "dict"


def expand(text, names, label):
    # [supervisord] environment is expanded once, and may name the machine.
    if label == "supervisord.environment":
        names = dict(names, host_node_name="node")
    if label == "environment" and "program_name" not in names:
        return text
    return REAL_EXPAND(text, Names(names), label)


def posix_tokens(text):
    lexer = shlex.shlex(str(text), posix=True)
    lexer.wordchars += "/.+-():"
    return list(lexer)


def posix_environment(text):
    """The grammar of environment= with POSIX lexing."""
    tokens = posix_tokens(text)
    variables = {}
    for start in range(0, len(tokens), 4):
        group = tokens[start:start + 3]
        if len(group) != 3 or group[1] != "=":
            raise ValueError("Unexpected end of key/value pairs in value '%s'" % text)
        variables[group[0]] = group[2]
    return variables


pwd.getpwnam, pwd.getpwuid = user_by_name, user_by_id
grp.getgrnam, grp.getgrgid = group_by_name, group_by_id
os.getuid = lambda: 1000
os.getcwd = lambda: "/work"
os.path.isdir = is_directory
os.path.exists = lambda path: path in FILES or is_directory(path)
glob.glob = find_files
tempfile.gettempdir = lambda: "/tmp"
configparser.open = open_file
options.ServerOptions.open = lambda self, path, mode="r": open_file(path)
options.ClientOptions.open = options.ServerOptions.open
options.platform.node = lambda: "node"
options.poller.Poller = lambda _options: None
options.expand = expand
options.dict_of_key_value_pairs = posix_environment


class Usage(Exception):
    pass


def usage(_self, message):
    raise Usage(str(message))


options.Options.usage = usage


def log_file(value):
    if value is Automatic:
        return "auto"
    return value or "none"


def process(config):
    names = ("command directory priority autostart startsecs startretries stopwaitsecs "
             "stopasgroup killasgroup exitcodes redirect_stderr serverurl uid").split()
    shown = {name: getattr(config, name) for name in names}
    for stream in ("stdout", "stderr"):
        for name in ("logfile_backups", "logfile_maxbytes", "capture_maxbytes", "events_enabled",
                     "syslog"):
            shown["%s_%s" % (stream, name)] = getattr(config, "%s_%s" % (stream, name))
        shown[stream + "_logfile"] = log_file(getattr(config, stream + "_logfile"))
    restart = config.autorestart
    shown["autorestart"] = {datatypes.RestartUnconditionally: "always",
                            datatypes.RestartWhenExitUnexpected: "unexpected"}.get(restart, "never")
    shown["stopsignal"] = int(config.stopsignal)
    shown["umask"] = None if config.umask is None else config.umask & 0o7777
    shown["name"] = config.name
    shown["environment"] = [list(pair) for pair in config.environment.items()]
    return shown


def owner(pair):
    return None if pair is None else [pair[0], None if pair[1] == -1 else pair[1]]


def group(config):
    shown = {"name": config.name, "priority": config.priority, "kind": "programs"}
    # Of two processes of one name the last one is used, in the place of the first.
    shown["processes"] = list({p.name: process(p) for p in config.process_configs}.values())
    if isinstance(config, options.EventListenerPoolConfig):
        from supervisor.events import getEventNameByType
        shown["kind"] = "listeners"
        shown["events"] = sorted(getEventNameByType(e) for e in config.pool_events)
        shown["buffer_size"] = config.buffer_size
    if isinstance(config, options.FastCGIGroupConfig):
        sock = config.socket_config
        unix = sock.url.startswith("unix:")
        shown["kind"] = "fastcgi"
        shown["socket"] = {"url": sock.url, "backlog": sock.backlog,
                           "owner": owner(sock.owner) if unix else None,
                           "mode": sock.mode & 0o7777 if unix else None}
    return shown


def absolute(path):
    return None if path is None else os.path.normpath(os.path.join("/work", path))


def server(config):
    shown = {"section": config["section"], "username": config["username"],
             "password": config["password"]}
    if "file" in config:
        chown = config["chown"]
        shown.update(path=config["file"], mode=config["chmod"] & 0o7777,
                     owner=None if chown == (-1, -1) else owner(chown))
    else:
        shown.update(host=config["host"], port=config["port"])
    return shown


def load(case):
    FILES.clear()
    FILES.update(case["files"])
    got = options.ServerOptions()
    try:
        got.realize(["-c", case["file"]] + case["arguments"])
    except Usage as why:
        return {"error": str(why)}
    groups = {}
    for config in got.process_group_configs:
        # Of two groups of one name the first one is used.
        groups.setdefault(config.name, group(config))
    section = got.configroot.supervisord
    settings = {name: getattr(got, name) for name in (
        "logfile logfile_maxbytes logfile_backups loglevel pidfile minfds minprocs "
        "identifier user uid gid").split()}
    settings["umask"] = octal(got.umask) & 0o7777
    for flag in ("nodaemon", "silent", "nocleanup", "strip_ansi"):
        settings[flag] = bool(getattr(got, flag))
    settings["childlogdir"] = absolute(got.childlogdir)
    settings["directory"] = absolute(got.directory)
    settings["environment"] = [list(pair) for pair in section.environment.items()]
    return {
        "groups": list(groups.values()),
        "settings": settings,
        "servers": [server(config) for config in got.server_configs],
        "interfaces": [[name, extras] for name, _, extras in got.rpcinterface_factories],
        "warnings": got.parse_warnings,
        "infos": got.parse_infos,
        "server_url": got.serverurl,
    }


def octal(value):
    return int(value, 8) if isinstance(value, str) else value


def control(case):
    FILES.clear()
    FILES.update(case["files"])
    got = options.ClientOptions()
    try:
        got.realize(["-c", case["file"]] + case["arguments"])
    except Usage as why:
        return {"error": str(why)}
    except configparser.ParsingError as why:
        # The real client dies with a traceback here.
        return {"error": str(why)}
    names = "serverurl prompt username password history_file".split()
    return {name: getattr(got, name) for name in names}


def ini(case):
    parser = options.UnhosedConfigParser()
    try:
        raw = io.BytesIO(bytes.fromhex(case["hex"]))
        parser.read_file(io.TextIOWrapper(raw, encoding="utf-8"), "FILE")
    except (configparser.ParsingError, UnicodeDecodeError) as why:
        return {"error": str(why)}
    return {"sections": [[name, [list(pair) for pair in sorted(parser.items(name))]]
                         for name in parser.sections()]}


def expansion(case):
    try:
        return {"text": expand(case["text"], case["names"], "LABEL")}
    except ValueError as why:
        return {"error": str(why)}


def environment(case):
    try:
        return {"variables": [list(pair) for pair in posix_environment(case["text"]).items()]}
    except ValueError as why:
        return {"error": str(why)}


def command(case):
    try:
        return {"words": shlex.split(case["text"])}
    except ValueError as why:
        return {"error": str(why)}


def value(case):
    convert = getattr(datatypes, case["type"])
    try:
        got = convert(case["text"])
    except ValueError as why:
        return {"error": str(why)}
    if case["type"] == "signal_number":
        got = int(got)
    if case["type"] == "octal_type":
        got &= 0o7777
    if isinstance(got, type) or got is False and case["type"] == "auto_restart":
        got = {datatypes.RestartUnconditionally: "always",
               datatypes.RestartWhenExitUnexpected: "unexpected"}.get(got, "never")
    return {"value": got}


KINDS = {f.__name__: f for f in (load, control, ini, expansion, environment, command, value)}

for line in sys.stdin:
    question = json.loads(line)
    try:
        answer = KINDS[question["kind"]](question)
    except Exception as error:  # Told, so that the test can show the question.
        answer = {"crash": "%s: %s" % (type(error).__name__, error)}
    print(json.dumps(answer), flush=True)
