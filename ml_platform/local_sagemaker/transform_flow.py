"""One input file through a model server into one output file, in order and several requests at a time.

What happens to single records is ``transform_data``; where files come from and go to is ``transform_run``.
"""

import asyncio
import csv
import gzip
import sys
import uuid
import zlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ml_platform.local_sagemaker.clock import Clock
from ml_platform.local_sagemaker.http_client import Answer, ConnectionLostError
from ml_platform.local_sagemaker.json_paths import ROOT
from ml_platform.local_sagemaker.logs import LogStream
from ml_platform.local_sagemaker.model_servers import ModelServer
from ml_platform.local_sagemaker.transform_data import (
    Rules,
    TransformDataError,
    answer_lines,
    batches,
    filter_input,
    join_output,
    mark_output,
)

MEBIBYTE = 1 << 20
DEFAULT_PAYLOAD_MEBIBYTES = 6
DEFAULT_TIMEOUT_SECONDS = 600
DEFAULT_RETRIES = 3
SERVER_ERROR = 500
UNREADABLE = (UnicodeDecodeError, gzip.BadGzipFile, zlib.error, EOFError, csv.Error)


@dataclass(frozen=True)
class FlowPlan:
    """What a CreateTransformJob request says about the data, with AWS's defaults."""

    is_csv: bool
    split_lines: bool
    zipped: bool
    single: bool
    payload_mebibytes: int
    parallel: int
    by_line: bool
    timeout_seconds: int
    retries: int
    rules: Rules
    mark: bool = False
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, request: dict[str, Any], advice: dict[str, Any] | None = None) -> "FlowPlan":
        """Read a request; what it leaves open is as the server's ``/execution-parameters`` say, else AWS's default."""
        advice = advice or {}
        strategy = {"SINGLE_RECORD": "SingleRecord"}.get(advice.get("BatchStrategy", ""), "MultiRecord")
        source, target = request["TransformInput"], request["TransformOutput"]
        processing, client = request.get("DataProcessing", {}), request.get("ModelClientConfig", {})
        content_type = source.get("ContentType", "")
        headers = {"Content-Type": content_type, "Accept": target.get("Accept")}
        return cls(
            is_csv=content_type.split(";")[0].strip() == "text/csv",
            split_lines=source.get("SplitType", "None") == "Line",
            zipped=source.get("CompressionType") == "Gzip",
            single=request.get("BatchStrategy", strategy) == "SingleRecord",
            payload_mebibytes=request.get("MaxPayloadInMB", advice.get("MaxPayloadInMB", DEFAULT_PAYLOAD_MEBIBYTES)),
            parallel=request.get("MaxConcurrentTransforms") or advice.get("MaxConcurrentTransforms", 1),
            by_line=target.get("AssembleWith") == "Line",
            timeout_seconds=client.get("InvocationsTimeoutInSeconds", DEFAULT_TIMEOUT_SECONDS),
            retries=client.get("InvocationsMaxRetries", DEFAULT_RETRIES),
            rules=Rules(
                input_filter=processing.get("InputFilter", ROOT),
                output_filter=processing.get("OutputFilter", ROOT),
                join_input=processing.get("JoinSource", "None") == "Input",
            ),
            mark=request.get("DataCaptureConfig", {}).get("GenerateInferenceId", False),
            headers={name: value for name, value in headers.items() if value},
        )

    def environment(self) -> dict[str, str]:
        """Return what SageMaker tells a server about the batch."""
        return {
            "SAGEMAKER_BATCH": "true",
            "SAGEMAKER_MAX_PAYLOAD_IN_MB": str(self.payload_mebibytes),
            "SAGEMAKER_BATCH_STRATEGY": "SINGLE_RECORD" if self.single else "MULTI_RECORD",
            "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": str(self.parallel),
        }


@dataclass(frozen=True)
class Flow:
    """Sends files through one server."""

    plan: FlowPlan
    server: ModelServer
    clock: Clock
    data_log: LogStream

    async def transform(self, uri: str, source: Path, output: Path) -> None:
        """Write the answers to a file's records to another file; ``uri`` names the input in messages.

        Raises:
            TransformDataError: When the input cannot be read, or the server refuses or breaks.
        """
        try:
            await self._transform(uri, source, output)
        except UNREADABLE as error:
            raise TransformDataError(f"ClientError: {uri} cannot be read as the job says: {error}") from error

    async def _transform(self, uri: str, source: Path, output: Path) -> None:
        # A window of parallel requests, whose answers are written in the order of the input.
        window: deque[asyncio.Task[bytes]] = deque()
        with output.open("wb") as file:
            try:
                for request in self._requests(source):
                    if len(window) == self.plan.parallel:
                        file.write(self._assembled(await window.popleft()))
                    window.append(asyncio.create_task(self._answer(uri, request)))
                while window:
                    file.write(self._assembled(await window.popleft()))
            finally:
                for task in window:
                    task.cancel()
                await asyncio.gather(*window, return_exceptions=True)

    def _requests(self, source: Path) -> Iterator[bytes | list[str]]:
        """Yield a whole body, or the records of each body when the input is split."""
        # 0 means no limit.
        limit = self.plan.payload_mebibytes * MEBIBYTE or sys.maxsize
        with gzip.open(source) if self.plan.zipped else source.open("rb") as file:
            if self.plan.split_lines:
                lines = (line.decode().rstrip("\r\n") for line in file)
                yield from batches((line for line in lines if line), limit, single=self.plan.single)
                return
            content = file.read()
        if len(content) > limit:
            raise TransformDataError(f"ClientError: an object of {len(content)} bytes is larger than MaxPayloadInMB.")
        yield content

    async def _answer(self, uri: str, request: bytes | list[str]) -> bytes:
        rules, as_csv = self.plan.rules, self.plan.is_csv
        if isinstance(request, bytes):
            return await self._answer_whole(uri, request)
        lines = [filter_input(rules, line, is_csv=as_csv) for line in request]
        answer = await self._invoke(uri, "".join(f"{line}\n" for line in lines).encode())
        if rules.passive and not self.plan.mark:
            return answer
        pairs = zip(request, answer_lines(answer, len(request)), strict=True)
        joined = (join_output(rules, line, said, is_csv=as_csv) for line, said in pairs)
        if self.plan.mark:
            now = self.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
            joined = (mark_output(line, str(uuid.uuid4()), now, is_csv=as_csv) for line in joined)
        return "".join(f"{line}\n" for line in joined).encode()

    async def _answer_whole(self, uri: str, content: bytes) -> bytes:
        """A file that is not split is one record; only a JSON document can be filtered and joined so."""
        rules = self.plan.rules
        if rules.passive:
            return await self._invoke(uri, content)
        record = content.decode()
        answer = await self._invoke(uri, filter_input(rules, record, is_csv=False).encode())
        return join_output(rules, record, answer.decode(), is_csv=False).encode()

    async def _invoke(self, uri: str, body: bytes) -> bytes:
        answer = await self._try(body)
        for attempt in range(self.plan.retries):
            if answer.status < SERVER_ERROR:
                break
            await self.clock.sleep(2**attempt)
            answer = await self._try(body)
        if answer.status == 200:  # noqa: PLR2004 - HTTP
            return answer.body
        blame = "ClientError" if answer.status < SERVER_ERROR else "AlgorithmError"
        said = answer.body.decode(errors="replace")
        self.data_log.write(f"{uri}: {blame}: {answer.status}")
        self.data_log.write(f"{uri}: Message: {said}")
        raise TransformDataError(f"{blame}: See job logs for more information ({uri}: {answer.status} {said[:200]})")

    async def _try(self, body: bytes) -> Answer:
        try:
            return await self.server.invoke(self.plan.headers, body, self.plan.timeout_seconds)
        except (ConnectionLostError, TimeoutError) as error:
            return Answer(status=SERVER_ERROR, body=f"no answer from the model server: {error}".encode())

    def _assembled(self, answer: bytes) -> bytes:
        """With ``AssembleWith`` Line, the next answer begins on a line of its own."""
        return answer + b"\n" if self.plan.by_line and answer and not answer.endswith(b"\n") else answer
