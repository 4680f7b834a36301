"""The dozen kinds of error that every API answers with, and nothing service-specific.

A kind fixes the HTTP status; each API's dialect (`http/dialects.py`) fixes the body. `public` is shown to
whoever called, `internal` only to operators and the log. `code` is the name that some dialects carry
(Neutron's exception type, Placement's error code). Services raise these; drivers and agents raise their
own and the service that called them translates.
"""

from __future__ import annotations


class ApiError(Exception):
    """An answer other than success. Subclasses fix `status`, `title` and a default `public` text."""

    status = 500
    title = "Internal Server Error"
    default = "The server could not complete the request. An operator finds the cause under the request id."

    def __init__(
        self,
        public: str = "",
        *,
        internal: str = "",
        code: str = "",
        headers: dict[str, str] | None = None,
        extra: dict[str, object] | None = None,
    ) -> None:
        self.public = public or self.default
        self.internal = internal
        self.code = code
        self.headers = headers or {}
        self.extra = extra or {}
        super().__init__(f"{self.public} {internal}".strip())


class Internal(ApiError):
    """Our own fault."""


class BadRequest(ApiError):
    status = 400
    title = "Bad Request"
    default = "The request is not valid."


class Unauthorized(ApiError):
    status = 401
    title = "Unauthorized"
    default = "The request you have made requires authentication."


class Forbidden(ApiError):
    status = 403
    title = "Forbidden"
    default = "You are not authorized to perform the requested action."


class OverQuota(Forbidden):
    """A quota would be exceeded. `public` names the quota, its limit and its use."""


class NotFound(ApiError):
    status = 404
    title = "Not Found"
    default = "The resource could not be found."


class MethodNotAllowed(ApiError):
    status = 405
    title = "Method Not Allowed"
    default = "The method is not allowed for this resource."


class NotAcceptable(ApiError):
    status = 406
    title = "Not Acceptable"
    default = "The requested version is not supported."


class RequestTimeout(ApiError):
    status = 408
    title = "Request Timeout"
    default = "The request did not arrive in time."


class Conflict(ApiError):
    status = 409
    title = "Conflict"
    default = "The request conflicts with the state of the resource."


class Gone(ApiError):
    status = 410
    title = "Gone"
    default = "The resource is no longer available."


class PreconditionFailed(ApiError):
    status = 412
    title = "Precondition Failed"
    default = "A precondition of the request does not hold."


class TooLarge(ApiError):
    status = 413
    title = "Request Entity Too Large"
    default = "The request is too large."


class UnsupportedMediaType(ApiError):
    status = 415
    title = "Unsupported Media Type"
    default = "The media type of the request is not supported."


class RangeNotSatisfiable(ApiError):
    status = 416
    title = "Requested Range Not Satisfiable"
    default = "The requested range is outside of the content."


class NotImplementedHere(ApiError):
    status = 501
    title = "Not Implemented"
    default = "This cloud does not offer the requested operation."


class Unavailable(ApiError):
    status = 503
    title = "Service Unavailable"
    default = "The service is unavailable for the moment. Try again."
