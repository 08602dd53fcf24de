"""schemathesis against the HAN's OpenAPI description; in no lock: it has a venv of its own.

    python3 -m venv build/schemathesis && build/schemathesis/bin/pip install schemathesis
    .venv/bin/python tools/schemathesis_han.py build/schemathesis/bin/schemathesis

Starts a gateway with two seeded days on loopback, as the tests do, and behind it a plain HTTP
port that logs in for schemathesis, which knows no Digest. Exit code: that of schemathesis.
"""

import asyncio
import sys
import tempfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "unit"))

from han_kit import Client, han_config, served  # pyright: ignore[reportMissingImports]

from clsbench.pki.layout import Pki
from clsbench.smgw.han.openapi import OPENAPI_PATH

CHECKS = "not_a_server_error,status_code_conformance"


def main() -> int:
    """Runs it; returns the exit code."""
    program = str(Path(sys.argv[1]).absolute()) if len(sys.argv) > 1 else "schemathesis"
    with tempfile.TemporaryDirectory(prefix="clsbench-schemathesis-") as folder:
        return asyncio.run(_run(program, Path(folder)))


async def _run(program: str, folder: Path) -> int:
    pki = Pki.init(folder / "pki")
    config = han_config(pki, folder, requests_per_min=1_000_000, lock_tries=1000)
    async with served(config) as gateway:
        door = ThreadingHTTPServer(("127.0.0.1", 0), _logging_in(gateway.port))
        Thread(target=door.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{door.server_port}"
        words = ["run", f"{url}{OPENAPI_PATH}", "--url", url, "--checks", CHECKS]
        process = await asyncio.create_subprocess_exec(program, *words, cwd=folder)
        code = await process.wait()
        door.shutdown()
        return code


def _logging_in(port: int) -> type[BaseHTTPRequestHandler]:
    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline(65_537)
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            client = Client(port)
            answer = client.ask(self.command, self.path, body or None)
            client.close()
            self.send_response(answer.status)
            kind = answer.headers.get("Content-Type")
            if kind:
                self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: object) -> None:
            return

    return Door


if __name__ == "__main__":
    sys.exit(main())
