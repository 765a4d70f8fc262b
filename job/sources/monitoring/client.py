"""Talking to Cloud Monitoring: which client, how long it is patient, and what its errors mean to a person."""

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
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


def connect(endpoint: str, scope: str = READ) -> tuple[Any, str]:
    """Return a client, whose ListTimeSeries answers with bytes, and the project of its credentials, if they name one.

    With an `endpoint` ("127.0.0.1:8080") the client speaks to that address in the clear and without credentials.

    Raises:
        ConfigError: the endpoint is not an address.
        NotAllowed: there are no credentials.
    """
    types()  # or the clients of eight other services come with this one
    from google.cloud.monitoring_v3.services.metric_service import MetricServiceClient

    if endpoint:
        return MetricServiceClient(transport=_transport()(channel=_plain(endpoint))), ""
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError

    try:
        credentials, project = google.auth.default(scopes=[scope])
    except DefaultCredentialsError:
        raise NotAllowed(
            "no usable Google Cloud credentials were found; run `gcloud auth application-default login`, "
            "set GOOGLE_APPLICATION_CREDENTIALS to a sound key file, or run where a service account is attached"
        ) from None
    return MetricServiceClient(credentials=credentials, transport=_transport()), project or ""


def _transport() -> Any:
    """The client's own transport, but that the answers of ListTimeSeries stay as they came; see `decode`."""
    from google.cloud.monitoring_v3.services.metric_service.transports import MetricServiceGrpcTransport

    class Bytes(MetricServiceGrpcTransport):
        @cached_property
        def list_time_series(self) -> Any:
            serialize = types().ListTimeSeriesRequest.serialize
            return self.grpc_channel.unary_unary("/google.monitoring.v3.MetricService/ListTimeSeries", serialize)

    return Bytes


def _plain(endpoint: str) -> Any:
    import grpc

    if not re.fullmatch(r"(?:[\w.-]+|\[[0-9a-fA-F:]+\]):\d{1,5}", endpoint):
        raise ConfigError(
            f"the Monitoring endpoint {endpoint!r} is not an address; write host:port, as in 127.0.0.1:8080"
        )
    return grpc.insecure_channel(endpoint, options=[("grpc.max_receive_message_length", -1)])


class Unwritten(ConfigError):
    """The project has no such metric: it is misspelt, or nobody there has written it yet."""


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
        from google.api_core.exceptions import GoogleAPICallError, RetryError
        from google.auth.exceptions import GoogleAuthError

        seconds = self._patience.attempt.total_seconds()
        try:
            with self._slots:
                return self._retry()(function)(seconds)
        except (GoogleAPICallError, RetryError, GoogleAuthError, Incomplete) as error:
            # Nothing is chained: a traceback in a log must not quote what a token server answered.
            raise _meaning(error, about, project, permission) from None

    def _retry(self) -> Callable[[Callable[[float], T]], Callable[[float], T]]:
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
            timeout=patience.total.total_seconds(),
            on_error=self._obey,
        )
        return wrap

    def _obey(self, error: Exception) -> None:
        """Wait as long as the server asks for before a retry, within reason."""
        from google.rpc.error_details_pb2 import RetryInfo

        asked = [d.retry_delay.ToTimedelta() for d in getattr(error, "details", ()) if isinstance(d, RetryInfo)]
        if asked:
            Pause().wait(min(max(asked), self._patience.longest).total_seconds())


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
        unwritten = isinstance(error, exceptions.NotFound) and re.search("descriptor|Cannot find metric", _said(error))
        return (Unwritten if unwritten else ConfigError)(
            f"{about} in project {project!r}: Cloud Monitoring does not accept this: {_said(error)}"
        )
    return Failed(f"{about} in project {project!r}: Cloud Monitoring said: {_said(error)}")


def _role(permission: str) -> str:
    return "roles/monitoring.metricWriter" if permission.endswith(".create") else "roles/monitoring.viewer"


def _said(error: BaseException) -> str:
    text = " ".join(str(getattr(error, "message", "") or error).split())
    return text if len(text) <= _SAID else text[:_SAID] + "…"
