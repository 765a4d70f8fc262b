"""Talking to Cloud Monitoring: which client, how long it is patient, and what its errors mean to a person."""

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from job.errors import ConfigError, Failed, NetanomalyError, NotAllowed
from job.sources.monitoring.messages import types

T = TypeVar("T")

READ = "https://www.googleapis.com/auth/monitoring.read"
WRITE = "https://www.googleapis.com/auth/monitoring.write"
_SAID = 500

Pause = threading.Event
"""Never set: only waited for."""


@dataclass(frozen=True)
class Patience:
    """How long a call may take, and how it is tried again.

    `attempt` bounds one try and `total` all of them; the pause between two begins at `first` and doubles up to
    `longest`.
    """

    attempt: timedelta = timedelta(seconds=60)
    total: timedelta = timedelta(seconds=180)
    first: timedelta = timedelta(seconds=1)
    longest: timedelta = timedelta(seconds=30)


@dataclass(frozen=True)
class Service:
    """The methods of Cloud Monitoring that are used, over a channel; each is given the seconds that it may take."""

    channel: Any

    def list_time_series(self, request: Any, seconds: float) -> bytes:
        """The page that answers a raw request, as it came; see `decode`."""
        page: bytes = self._ask("ListTimeSeries", request, None)(request, timeout=seconds, metadata=_routing(request))
        return page

    def get_metric_descriptor(self, name: str, seconds: float) -> Any:
        """A metric's raw descriptor."""
        from google.api.metric_pb2 import MetricDescriptor

        request = types().GetMetricDescriptorRequest.pb(types().GetMetricDescriptorRequest(name=name))
        ask = self._ask("GetMetricDescriptor", request, MetricDescriptor.FromString)
        return ask(request, timeout=seconds, metadata=_routing(request))

    def create_time_series(self, request: Any, seconds: float) -> None:
        """Write the points of a raw request."""
        self._ask("CreateTimeSeries", request, None)(request, timeout=seconds, metadata=_routing(request))

    def _ask(self, method: str, request: Any, read: Callable[[bytes], Any] | None) -> Any:
        write = type(request).SerializeToString
        return self.channel.unary_unary(f"/google.monitoring.v3.MetricService/{method}", write, read)


def _routing(request: Any) -> tuple[tuple[str, str], ...]:
    """By what the service finds whoever is to answer."""
    from urllib.parse import urlencode

    return (("x-goog-request-params", urlencode({"name": request.name}, safe="/")),)


def connect(endpoint: str, scope: str = READ) -> tuple[Service, str]:
    """Return the service, and the project of its credentials, if they name one.

    With an `endpoint` ("127.0.0.1:8080") it is that address, spoken to in the clear and without credentials.

    Raises:
        ConfigError: the endpoint is not an address.
        NotAllowed: there are no credentials.
    """
    if endpoint:
        return Service(_plain(endpoint)), ""
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError

    try:
        credentials, project = google.auth.default(scopes=[scope])
    except DefaultCredentialsError:
        raise NotAllowed(
            "no usable Google Cloud credentials were found; run `gcloud auth application-default login`, "
            "set GOOGLE_APPLICATION_CREDENTIALS to a sound key file, or run where a service account is attached"
        ) from None
    return Service(_secured(credentials)), project or ""


def _secured(credentials: Any) -> Any:
    """The channel of Google's own client, which knows its address, certificates and quotas."""
    types()  # or all the other services' clients come with it
    from google.cloud.monitoring_v3.services.metric_service import MetricServiceClient

    transport: Any = MetricServiceClient(credentials=credentials).transport
    return transport.grpc_channel


def _plain(endpoint: str) -> Any:
    import grpc

    if not re.fullmatch(r"(?:[\w.-]+|\[[0-9a-fA-F:]+\]):\d{1,5}", endpoint):
        raise ConfigError(
            f"the Monitoring endpoint {endpoint!r} is not an address; write host:port, as in 127.0.0.1:8080"
        )
    return grpc.insecure_channel(endpoint, options=[("grpc.max_receive_message_length", -1)])


class Incomplete(Exception):
    """An answer that says of itself that data may be missing."""


class Line:
    """Calls to the service: only so many at once, retried while that can help, with errors a person can act on."""

    def __init__(self, calls: int, patience: Patience) -> None:
        self._slots = threading.Semaphore(calls)
        self._patience = patience

    def call(self, about: str, project: str, permission: str, function: Callable[[float], T]) -> T:
        """Return what `function`, given the seconds that one try may take, returns.

        Raises:
            ConfigError, NotAllowed, Failed: naming `about`, the project, and what the service said.
        """
        try:
            with self._slots:
                return self._insisting(function)
        except _troubles() as error:
            # Nothing is chained: a traceback in a log must not quote what a token server answered.
            raise _meaning(error, about, project, permission) from None

    def _insisting(self, function: Callable[[float], T]) -> T:
        """What the function returns; what is needed to try again is imported when the first try has failed."""
        import grpc

        seconds, began = self._patience.attempt.total_seconds(), time.monotonic()
        try:
            return function(seconds)
        except (grpc.RpcError, Incomplete) as error:
            failed = [error]
        from google.api_core import exceptions

        named: Callable[[grpc.RpcError], Exception] = exceptions.from_grpc_error

        def again(seconds: float) -> T:
            try:
                if failed:
                    raise failed.pop()
                return function(seconds)
            except grpc.RpcError as error:
                raise named(error) from error

        return self._retry(time.monotonic() - began)(again)(seconds)

    def _retry(self, spent: float) -> Callable[[Callable[[float], T]], Callable[[float], T]]:
        from google.api_core import exceptions
        from google.api_core.retry import Retry, if_exception_type

        patience = self._patience
        wrap: Callable[[Callable[[float], T]], Callable[[float], T]] = Retry(
            predicate=if_exception_type(
                exceptions.ServiceUnavailable,
                exceptions.TooManyRequests,
                exceptions.InternalServerError,
                exceptions.GatewayTimeout,
                exceptions.Aborted,
                Incomplete,
            ),
            initial=patience.first.total_seconds(),
            maximum=patience.longest.total_seconds(),
            multiplier=2,
            timeout=max(0.0, patience.total.total_seconds() - spent),
            on_error=self._obey,
        )
        return wrap

    def _obey(self, error: Exception) -> None:
        """Wait as long as the server asks for before a retry, within reason."""
        from google.rpc.error_details_pb2 import RetryInfo

        asked = [d.retry_delay.ToTimedelta() for d in getattr(error, "details", ()) if isinstance(d, RetryInfo)]
        if asked:
            Pause().wait(min(max(asked), self._patience.longest).total_seconds())


def _troubles() -> tuple[type[Exception], ...]:
    """What a call may end with that says something to a person."""
    from google.api_core.exceptions import GoogleAPICallError, RetryError
    from google.auth.exceptions import GoogleAuthError

    return GoogleAPICallError, RetryError, GoogleAuthError, Incomplete


def _meaning(error: Exception, about: str, project: str, permission: str) -> NetanomalyError:
    """What an error of the service means, classed by what to do."""
    from google.api_core import exceptions
    from google.auth.exceptions import GoogleAuthError

    cause = error.cause if isinstance(error, exceptions.RetryError) and error.cause is not None else error
    # The text of an authentication error may quote what a token server answered.
    if isinstance(cause, GoogleAuthError) or "metadata from plugin" in str(cause):
        return NotAllowed(
            f"{about} in project {project!r}: no access token could be had; renew the credentials with "
            "`gcloud auth application-default login`, or check the service account"
        )
    if cause is not error:
        return Failed(f"{about} in project {project!r}: given up after retries; Cloud Monitoring said: {_said(cause)}")
    if isinstance(error, exceptions.Forbidden | exceptions.Unauthorized):
        return NotAllowed(
            f"{about} in project {project!r}: {permission} was refused; grant {_role(permission)} on that project. "
            f"Cloud Monitoring said: {_said(error)}"
        )
    if isinstance(error, exceptions.BadRequest | exceptions.NotFound):
        return ConfigError(f"{about} in project {project!r}: Cloud Monitoring does not accept this: {_said(error)}")
    return Failed(f"{about} in project {project!r}: Cloud Monitoring said: {_said(error)}")


def _role(permission: str) -> str:
    return "roles/monitoring.metricWriter" if permission.endswith(".create") else "roles/monitoring.viewer"


def _said(error: BaseException) -> str:
    text = " ".join(str(getattr(error, "message", "") or error).split())
    return text if len(text) <= _SAID else text[:_SAID] + "…"
