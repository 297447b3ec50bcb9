"""The model server of ``bench.standin``: answers at once, so that what is measured is the way to it."""

import os

import uvicorn
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope

WHERE = b"where"


async def app(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Answer every request; asked where, tell the port for those who want to ask directly."""
    assert scope["type"] == "http"  # noqa: S101  # for the type checker
    body, more = b"", True
    while more:
        message = await receive()
        assert message["type"] == "http.request"  # noqa: S101  # for the type checker
        body, more = body + message["body"], message["more_body"]
    answer = os.environ["SAGEMAKER_BIND_TO_PORT"].encode() if body == WHERE else b"0.0123\n"
    headers = [(b"content-type", b"text/csv"), (b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers, "trailers": False})
    await send({"type": "http.response.body", "body": answer, "more_body": False})


if __name__ == "__main__":
    port = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
    uvicorn.run(app, host="127.0.0.1", port=port, lifespan="off", log_level="warning", http="httptools", loop="asyncio")
