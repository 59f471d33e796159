"""Pictures a second: the fetcher (addresses on `url` to pictures on `image`, with its broker) beside img2dataset.

    python bench/fetch.py [--pictures 2000] [--rounds 3] [--latency 0] [--only http|https] [--hosts 32]

Both fetch the same photos from the same server on these cores, one after the other, and store them with a short side of
256 pixels as JPEG of quality 95. A run is timed from the first request that the server sees to the last picture stored;
processor time is that of the fetching processes, with start-up. img2dataset runs from a virtual environment of its own,
made on first use (--img2dataset PYTHON names another one).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from photo_web.photos import write

from entityflow.addresses import parse_address
from entityflow.admin import Admin, create_topics
from entityflow.embedded.supervisor import Stack
from entityflow.ids import candidate_id
from entityflow.records import Url
from entityflow.settings import Settings, load_settings
from entityflow.stage import Send, produce_all, read_topic

ANCHOR = "img2dataset==1.47.0"
SIDE_PIXELS, QUALITY = 256, 95
DEADLINE_SECONDS = 900.0
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "entityflow-bench"
TARGETS = {"http": 1.6, "https": 4.0}
SERVER = Path(__file__).parent / "photo_web" / "server.py"


@dataclass(frozen=True)
class Web:
    """The running server: what to ask of it, what its clients must trust."""

    addresses: list[str]
    control: str
    environment: dict[str, str]
    process: psutil.Process

    def first_request_at(self) -> float:
        """Epoch seconds; the next request after this begins a new run."""
        trust = self.environment.get("SSL_CERT_FILE")
        context = ssl.create_default_context(cafile=trust) if trust else None
        with urllib.request.urlopen(self.control, context=context) as answer:
            return float(answer.read())


@dataclass(frozen=True)
class Run:
    """`cpu`: milliseconds a picture by whose they are."""

    pictures: int
    seconds: float
    cpu: dict[str, float]

    @property
    def rate(self) -> float:
        return self.pictures / self.seconds


# --- the server ---


def certificate(folder: Path, hosts: int) -> tuple[Path, Path, Path]:
    """(certificate, key, bundle): self-signed for all addresses; the bundle also holds what this machine trusts."""
    names = ",".join(f"IP:127.0.0.{number}" for number in range(1, hosts + 1))
    cert, key, bundle = folder / "server.pem", folder / "server.key", folder / "bundle.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=bench"]
    command += ["-addext", f"subjectAltName={names}", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, check=True, capture_output=True)
    system = ssl.get_default_verify_paths().cafile
    bundle.write_text(cert.read_text() + (Path(system).read_text() if system and Path(system).exists() else ""))
    return cert, key, bundle


@contextmanager
def serving(folder: Path, photos: list[Path], scheme: str, hosts: int, latency: float) -> Iterator[Web]:
    command = [sys.executable, str(SERVER), str(photos[0].parent), str(hosts), "--latency", str(latency)]
    environment = {}
    if scheme == "https":
        cert, key, bundle = certificate(folder, hosts)
        command += ["--tls", str(cert), str(key)]
        environment = {"SSL_CERT_FILE": str(bundle)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        try:
            port = int(server.stdout.readline())
            addresses = [
                f"{scheme}://127.0.0.{number % hosts + 1}:{port}/{path.name}" for number, path in enumerate(photos)
            ]
            control = f"{scheme}://127.0.0.1:{port}/_first"
            yield Web(addresses, control, environment, psutil.Process(server.pid))
        finally:
            server.terminate()


# --- the two programs ---


def img2dataset(python: Path, web: Web, folder: Path) -> Run:
    listed, out = folder / "addresses.txt", folder / "out"
    listed.write_text("\n".join(web.addresses))
    shutil.rmtree(out, ignore_errors=True)
    options = {
        "url_list": str(listed),
        "output_folder": str(out),
        "output_format": "webdataset",
        "processes_count": 2,
        "thread_count": 64,
        "image_size": SIDE_PIXELS,
        "resize_mode": "keep_ratio",
        "resize_only_if_bigger": True,
        "encode_quality": QUALITY,
        "number_sample_per_shard": max(100, len(web.addresses) // 4),
    }
    call = f"import img2dataset; img2dataset.download(**{options!r})"
    environment = {**os.environ, **web.environment, "NO_ALBUMENTATIONS_UPDATE": "1"}
    seconds, _ = processor_seconds(
        lambda: subprocess.run([python, "-c", call], env=environment, check=True, capture_output=True)
    )
    stats = [json.loads(path.read_text()) for path in out.glob("*_stats.json")]
    pictures = sum(one["successes"] for one in stats)
    if not pictures:
        raise SystemExit(f"img2dataset stored nothing: {stats}")
    last = max(one["end_time"] for one in stats)
    return Run(pictures, last - web.first_request_at(), {"itself": seconds * 1000 / pictures})


def fetcher(stack: Settings, broker: psutil.Process, web: Web, folder: Path) -> Run:
    settings = stack.model_copy(update={"prefix": f"bench{uuid.uuid4().hex[:8]}"})
    create_topics(settings)
    produce_all("bench", settings, (offer(address) for address in web.addresses), ["url"])
    environment = {
        **os.environ,
        **web.environment,
        "ENTITYFLOW_PREFIX": settings.prefix,
        "ENTITYFLOW_STATE_DIR": str(folder / settings.prefix),
        "ENTITYFLOW_FETCHER_ALLOW_LOOPBACK": "true",
        "ENTITYFLOW_FETCHER_SHORT_SIDE_PIXELS": str(SIDE_PIXELS),
        "ENTITYFLOW_FETCHER_JPEG_QUALITY": str(QUALITY),
        "ENTITYFLOW_LOG_LEVEL": "error",
    }
    before = cpu(broker), cpu(web.process)
    seconds, _ = processor_seconds(lambda: until_all_images(settings, environment, len(web.addresses)))
    pictures = len(web.addresses)
    last = max(message.timestamp_ms for message, _ in read_topic(settings, "image")) / 1000
    spent = {
        "itself": seconds,
        "broker": cpu(broker) - before[0],
        "server": cpu(web.process) - before[1],
    }
    each = {who: amount * 1000 / pictures for who, amount in spent.items()}
    return Run(pictures, last - web.first_request_at(), each)


def offer(address: str) -> Send:
    url = parse_address(address)
    record = Url(
        candidate_id=candidate_id(url.url_id, "q"),
        url_id=url.url_id,
        address=address,
        query_id="q",
        provider="bench",
        alt_text="a picture of a benchmark",
    )
    return Send("url", record, key=url.host_key)


def until_all_images(settings: Settings, environment: dict[str, str], count: int) -> None:
    admin = Admin(settings)
    places = [("image", partition) for partition in range(admin.partitions(["image"])["image"])]
    with subprocess.Popen([sys.executable, "-m", "entityflow.serve", "fetcher"], env=environment) as process:
        try:
            end = time.monotonic() + DEADLINE_SECONDS
            while (found := sum(admin.ends(places).values())) < count:
                if time.monotonic() > end or process.poll() is not None:
                    raise SystemExit(f"the fetcher gave {found} of {count} pictures")
                time.sleep(0.2)
        finally:
            process.terminate()


def processor_seconds(work: Callable[[], object]) -> tuple[float, object]:
    """What the child processes of `work` used, with theirs."""
    before = os.times()
    result = work()
    after = os.times()
    return (after.children_user + after.children_system) - (before.children_user + before.children_system), result


def cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def broker_of(stack_folder: Path) -> psutil.Process:
    java = [p for p in psutil.process_iter(["cmdline"]) if "kafka" in " ".join(p.info["cmdline"] or []).lower()]
    return next(p for p in java if str(stack_folder) in " ".join(p.info["cmdline"] or []))


# --- side by side ---


def anchor_python(given: Path | None) -> Path:
    """The interpreter that has img2dataset; its environment is made where none is given."""
    if given is not None:
        return given
    python = CACHE / "img2dataset" / "bin" / "python"
    if not python.exists():
        print(f"making {python.parents[1]} with {ANCHOR}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(python.parents[1])], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "setuptools<81", ANCHOR], check=True)
    return python


def lines(scheme: str, runs: dict[str, list[Run]]) -> list[str]:
    found = []
    for who, all_ in runs.items():
        rates = [run.rate for run in all_]
        spent = ", ".join(f"{part} {statistics.median(run.cpu[part] for run in all_):.2f}" for part in all_[0].cpu)
        found.append(
            f"{scheme:>5} {who:<11} min {min(rates):6.1f}/s  median {statistics.median(rates):6.1f}/s"
            f"  cpu ms a picture: {spent}"
        )
    ours, theirs = (statistics.median(run.rate for run in runs[who]) for who in ("fetcher", "img2dataset"))
    cost = statistics.median(sum(run.cpu.values()) for run in runs["fetcher"])
    bound = os.cpu_count() or 1
    found.append(f"{scheme:>5} ratio       {ours / theirs:.2f} (target {TARGETS[scheme]})")
    found.append(
        f"{scheme:>5} bound       {cost:.2f} ms of all processes on {bound} cores allow {bound * 1000 / cost:.0f}/s;"
        f" reached {ours * cost / 10 / bound:.0f} %"
    )
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--hosts", type=int, default=32)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--only", choices=tuple(TARGETS))
    parser.add_argument("--img2dataset", type=Path, metavar="PYTHON")
    args = parser.parse_args()
    python = anchor_python(args.img2dataset)
    photos = write(CACHE / "photos", args.pictures)
    report: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stack = Stack(folder / "stack")
        os.environ.update(stack.up(only=("kafka",)))
        try:
            settings = load_settings(log_level="error")
            broker = broker_of(folder)
            for scheme in [args.only] if args.only else TARGETS:
                runs: dict[str, list[Run]] = {"img2dataset": [], "fetcher": []}
                with serving(folder, photos, scheme, args.hosts, args.latency) as web:
                    for _ in range(args.rounds):
                        runs["img2dataset"].append(img2dataset(python, web, folder))
                        runs["fetcher"].append(fetcher(settings, broker, web, folder))
                report += lines(scheme, runs)
        finally:
            stack.down()
    print("\n".join(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
