"""A client of the upload service, as the command line uses it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from time import monotonic
from typing import Any, Final

import httpx
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from contact_pipeline.errors import ContactPipelineError

_PARALLEL: Final = 8
_AWAY_SECONDS: Final = 600.0


class Refused(ContactPipelineError):
    """The service said no, in its own words.

    Attributes:
        code: its name for the reason.
    """

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code


class NotReached(ContactPipelineError):
    """The service does not answer."""

    code = "not_reached"
    retryable = True


class UploadClient:
    """Uploads files, watches and cancels imports, over HTTP."""

    def __init__(self, url: str, token: str) -> None:
        self._http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=httpx.Timeout(120, connect=5),
            trust_env=False,
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def upload(self, path: Path, on_bytes: Callable[[int], None], options: Mapping[str, Any] | None = None) -> str:
        """Upload a file in parallel chunks.

        Args:
            options: choices for its import, by their names.
            on_bytes: told of each further number of bytes that has arrived.

        Returns:
            The upload's id.

        Raises:
            Refused, NotReached: as named. The upload is then cancelled.
        """
        size = path.stat().st_size
        begun = self._ask(
            "POST", "/api/upload/init/", json={**(options or {}), "fileName": path.name, "fileSize": size}
        )
        upload_id: str = begun["uploadId"]
        try:
            with ThreadPoolExecutor(_PARALLEL) as pool:
                sent = [
                    pool.submit(self._send, path, upload_id, index, begun["chunkSize"])
                    for index in range(begun["totalChunks"])
                ]
                for one in as_completed(sent):
                    on_bytes(one.result())
            self._ask("POST", "/api/upload/complete/", json={"uploadId": upload_id})
        except BaseException:
            for one in sent:
                one.cancel()
            self.cancel(upload_id)
            raise
        return upload_id

    def progress(self, upload_id: str) -> dict[str, Any]:
        """How an upload or its import goes."""
        return self._ask("GET", "/api/upload/progress/", params={"uploadId": upload_id})

    def first_look(self, upload_id: str) -> dict[str, Any]:
        """How the first rows of an upload are read, by the options that it has.

        Raises:
            Refused: the file cannot be shown.
        """
        return self._ask("POST", f"/api/imports/{upload_id}/first-look", json={})

    def watch(self, upload_id: str, pause: Callable[[], object]) -> Iterator[dict[str, Any]]:
        """The progress again and again, until the import has ended. A service that is away is waited for, for minutes.

        Raises:
            Refused: there is no such upload.
            NotReached: the service did not come back.
        """
        asked = monotonic()
        while True:
            try:
                progress = self.progress(upload_id)
            except NotReached:
                if monotonic() - asked > _AWAY_SECONDS:
                    raise
                pause()
                continue
            asked = monotonic()
            yield progress
            if progress["phase"] == "finished":
                return
            pause()

    def cancel(self, upload_id: str) -> dict[str, Any]:
        """Cancel an upload or its import."""
        return self._ask("POST", "/api/upload/cancel/", json={"uploadId": upload_id})

    def _send(self, path: Path, upload_id: str, index: int, part_size: int) -> int:
        with path.open("rb") as source:
            source.seek(index * part_size)
            body = source.read(part_size)
        self._ask(
            "POST",
            "/api/upload/chunk/",
            data={"uploadId": upload_id, "chunkIndex": str(index)},
            files={"chunk": ("chunk", body, "application/octet-stream")},
        )
        return len(body)

    @retry(
        retry=retry_if_exception_type(NotReached),
        stop=stop_after_attempt(4),
        wait=wait_exponential_jitter(initial=0.5, max=8),
        reraise=True,
    )
    def _ask(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        try:
            answer = self._http.request(method, path, **request)
        except httpx.TransportError as error:
            raise NotReached(f"the upload service does not answer ({type(error).__name__})") from None
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            raise NotReached(answer.json().get("detail", "the upload service is not available"))
        if answer.is_error:
            problem = answer.json()
            raise Refused(answer.status_code, problem.get("code", ""), problem.get("detail", ""))
        found: dict[str, Any] = answer.json()
        return found
