"""The whole suite on this machine, for tests that call it as a client of another language does: grpcio, PyJWT and the published contract, no code of this repository."""

import functools
import importlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import grpc
import jwt
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from google.rpc import error_details_pb2, status_pb2

from manifests import ROOT

SERVICE_CONFIG = ROOT / "proto" / "service_config.json"
MAX_METADATA_BYTES = 4096
CHATBOT = "claims:write wallet:read orders:write orders:read"
STAFF = "campaigns:read campaigns:write coupons:write stores:read stores:write orders:read orders:fulfil feed:read"
PUSHBACK = "grpc-retry-pushback-ms"
DETAILS = "grpc-status-details-bin"
START_SECONDS = 60
STOP_SECONDS = 30
# Every public file of the contract; the shared types come with them.
SERVICES = {
    "gateway": ("claim_service", "order_service", "wallet_service"),
    "quota": ("campaign_service", "lease_service", "queue_service"),
    "issuance": ("issuance_service", "lease_fence_service", "coupon_admin_service"),
    "order_intake": ("order_intake_service", "store_service", "feed_service"),
}


@functools.cache
def contract(service, file):
    """The generated messages of one file of the contract."""
    return importlib.import_module(f"tidegate.{service}.v1.{file}_pb2")


def compile_contract(folder):
    from grpc_tools import protoc

    proto = ROOT / "proto"
    files = [str(file) for file in sorted((proto / "tidegate").rglob("*.proto"))]
    known = Path(protoc.__file__).parent / "_proto"
    assert protoc.main(["protoc", f"-I{proto}", f"-I{known}", f"--python_out={folder}", *files]) == 0
    sys.path.insert(0, str(folder))


class Told:
    """What a failed call told its caller."""

    def __init__(self, error, seconds):
        self.code = error.code().name
        self.seconds = seconds
        trailers = list(error.trailing_metadata() or ()) + list(error.initial_metadata() or ())
        self.bytes = sum(len(name) + len(value) + 32 for name, value in encoded(trailers)) + len(error.details() or "")
        trailers = dict(trailers)
        self.pushback = int(trailers[PUSHBACK]) if PUSHBACK in trailers else None
        self.details = {}
        self.words = {}
        status = status_pb2.Status.FromString(trailers.get(DETAILS, b""))
        for packed in status.details:
            name = packed.TypeName().removeprefix("google.rpc.")
            detail = getattr(error_details_pb2, name)()
            packed.Unpack(detail)
            if name == "LocalizedMessage":
                self.words[detail.locale] = detail.message
            else:
                self.details[name] = detail
        info = self.details.get("ErrorInfo")
        self.reason = info.reason if info and info.domain == "tidegate" else None
        self.facts = dict(info.metadata) if info else {}
        retry = self.details.get("RetryInfo")
        self.retry_seconds = retry.retry_delay.ToNanoseconds() / 1e9 if retry else None
        self.message = error.details()

    def __repr__(self):
        return f"{self.code} {self.reason} after {self.seconds:.3f} s, {self.bytes} bytes, pushback {self.pushback}: {self.message}"


def encoded(metadata):
    """Metadata as it travels: binary values are in base64."""
    for name, value in metadata:
        yield name, b"=" * ((len(value) * 4 + 2) // 3) if name.endswith("-bin") else value


class Suite:
    """A running stack, seen from outside."""

    def __init__(self, folder, output):
        self.credentials = folder / "credentials"
        self.addresses = dict(re.findall(r"^  ([a-z-]+-\d) +(\S+:\d+) ", output, re.MULTILINE))
        self.campaign = re.search(r'"campaignId":"([^"]+)"', output)[1]
        self.key = load_pem_private_key((self.credentials / "token.key").read_bytes(), None)
        self.key_id = json.loads((self.credentials / "jwks.json").read_text())["keys"][0]["kid"]
        self.channels = {}

    def token(self, scope=CHATBOT, **claims):
        now = int(time.time())
        said = {"iss": "https://tidegate.local/issuer", "aud": "tidegate", "sub": "python", "iat": now, "exp": now + 600, "scope": scope}
        return jwt.encode({**said, **claims}, self.key, algorithm="EdDSA", headers={"kid": self.key_id})

    def channel(self, replica, retries=True):
        """A connection with the published service config that takes no more metadata than is promised; with the certificate of staff inside."""
        if (replica, retries) not in self.channels:
            read = lambda name: (self.credentials / name).read_bytes()
            inside = () if replica.startswith("gateway") else (read("staff.key"), read("staff.pem"))
            options = [("grpc.max_metadata_size", MAX_METADATA_BYTES), ("grpc.absolute_max_metadata_size", MAX_METADATA_BYTES)]
            options += [("grpc.service_config", SERVICE_CONFIG.read_text())] if retries else [("grpc.enable_retries", 0)]
            made = grpc.secure_channel(self.addresses[replica], grpc.ssl_channel_credentials(read("ca.pem"), *inside), options)
            grpc.channel_ready_future(made).result(timeout=10)
            self.channels[replica, retries] = made
        return self.channels[replica, retries]

    def call(self, replica, service, method, message, token=None, timeout=2, retries=True):
        """The first message of the answer, or what the refusal told."""
        package = {"order-intake": "order_intake"}.get(replica.rsplit("-", 1)[0], replica.rsplit("-", 1)[0])
        path = f"/tidegate.{package}.v1.{service}/{method}"
        scope = CHATBOT if package == "gateway" else STAFF
        metadata = [("authorization", f"Bearer {token or self.token(scope)}")]
        # A unary call is a stream of one message each way.
        serialize = lambda sent: sent if isinstance(sent, bytes) else sent.SerializeToString()
        began = time.monotonic()
        answers = self.channel(replica, retries).stream_stream(path, request_serializer=serialize)(iter([message]), timeout=timeout, metadata=metadata)
        try:
            return next(answers, b"")
        except grpc.RpcError:
            # The stream itself is the error that knows its metadata.
            return Told(answers, time.monotonic() - began)
        finally:
            answers.cancel()

    def close(self):
        for channel in self.channels.values():
            channel.close()


def run(tmp_path_factory):
    """Starts the suite and stops it afterwards."""
    binary = Path(os.environ["TIDEGATE_BIN_DIR"]) / "tidegate-local"
    if not binary.is_file():
        message = f"{binary} is missing: build it (cargo build --workspace), or say in TIDEGATE_BIN_DIR where the binaries are"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    compile_contract(tmp_path_factory.mktemp("contract"))
    # Where the user that PostgreSQL runs as can enter.
    with tempfile.TemporaryDirectory(prefix="tidegate-python.", dir="/var/tmp") as folder:
        os.chmod(folder, 0o711)
        data, output, errors = Path(folder) / "data", Path(folder) / "output", Path(folder) / "errors"
        with output.open("w") as told, errors.open("w") as said:
            process = subprocess.Popen([binary, "--no-replay", "--data", data], stdout=told, stderr=said)
        try:
            until = time.monotonic() + START_SECONDS
            while "stays up" not in errors.read_text():
                assert process.poll() is None and time.monotonic() < until, errors.read_text()
                time.sleep(0.1)
            suite = Suite(data, output.read_text())
            yield suite
            suite.close()
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
