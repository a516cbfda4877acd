"""`manage.py demo`: a running study on real photos, from nothing, in one command. `make demo` calls it."""

import importlib.resources
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from types import FrameType
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from studies.errors import EvalsiteError
from studies.management.commands._progress import progress_bar
from studies.management.commands.sample_photos import samples_make
from studies.models import Cropping, Origin, PhotoSet, RatingSession, Researcher, SessionState, Study, StudyState
from studies.services import photos
from studies.services.studies import study_create, study_open, study_prepare

SLUG = "demo"
USERNAME = "researcher"
TEST_SET, BANK_SET = "Interiors: judged", "Interiors: bank"

LEFT_OUT = frozenset({"pexels-2560067.jpg", "pexels-36444540.jpg", "pexels-3062948.jpg"})
"""Files of the package that are no use here: a footballer, a rendered model room, and a wall with nothing on it."""

SAME_SCENE = (
    ("7303773", "cup-of-couple-7303788"),
    ("7303782", "7303800", "7303842"),
    ("7303992", "7303994", "7303995"),
)
"""Photos that nearly repeat each other: each group stays on one side of the split."""

TEST_SHARE = 0.6
"""Share of the photos that are judged; the others are the nearest-neighbour bank."""

STARTUP_S = 60
STOPPING_S = 2
TRAINER_STOPPING_S = 10
"""The worker that trains ends the update that it is making, and keeps what it has."""
TRAINER_AGAIN_S = 5
"""If it dies, as for want of memory, the demo goes on, and starts another one after so many seconds."""

QUIET = ("-W", "ignore:You're running the worker with superuser")
"""In a container one is often root; that is no news."""


class Command(BaseCommand):
    """Set up the demo study, once, and serve it."""

    help = "Set up a study on real photos, where that is not done yet, and serve it until Ctrl-C."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument(
            "--raters", type=int, default=0, help="simulated raters to have in the study, marked as such"
        )
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--prepare-only", action="store_true", help="set up, do not serve")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Set up what is missing, serve, and let simulated raters vote if asked for."""
        port = options["port"]
        if not options["prepare_only"]:
            self._port_check(port)
        call_command("migrate", verbosity=0)
        owner = self._researcher()
        try:
            study = self._study(owner)
        except EvalsiteError as error:
            raise CommandError(str(error)) from error
        if options["prepare_only"]:
            return
        with _serving(port) as serving:
            base = f"http://127.0.0.1:{port}"
            if options["raters"]:
                self._simulate(study, raters=options["raters"], base=base)
            self._announce(study, base=base)
            serving.wait()

    def _researcher(self) -> Researcher:
        """Return the demo's researcher; a new account's password is printed now, once."""
        owner = Researcher.objects.filter(username=USERNAME).first()
        if owner is None:
            password = secrets.token_urlsafe(12)
            owner = Researcher.objects.create_superuser(USERNAME, password=password)
            self.stdout.write(f"Made the account “{USERNAME}” with the password {password} (shown only this once).")
        return owner

    def _study(self, owner: Researcher) -> Study:
        """Return the demo study, open; whatever an earlier run left unfinished is gone on with."""
        study = Study.objects.filter(slug=SLUG).first()
        if study is None:
            self.stdout.write("Importing photos of interiors ...")
            judged, bank = self._photo_sets(owner)
            study = study_create(
                owner=owner,
                title="Rooms: which picture is a photo?",
                slug=SLUG,
                photo_set=judged,
                preset="founding_mixed",
                bank=bank,
                checkpoint="rooms",
            )
        if study.state == StudyState.DRAFT:
            study_prepare(study=study)
        if study.state == StudyState.PREPARING:
            self.stdout.write("Making the samples of each condition ...")
            samples_make(study)
            study.refresh_from_db()
        if study.state == StudyState.READY:
            study_open(study=study)
        return study

    def _photo_sets(self, owner: Researcher) -> tuple[PhotoSet, PhotoSet]:
        """Import the photos, split so that no scene is on both sides."""
        files = _interior_photos()
        sets = []
        for name, chosen in zip((TEST_SET, BANK_SET), _split(list(files)), strict=True):
            photo_set = PhotoSet.objects.filter(owner=owner, name=name).first() or photos.photo_set_create(
                owner=owner, name=name, cropping=Cropping.TILES
            )
            bar = progress_bar(chosen, label=name, unit="photo")
            photos.photos_add(photo_set=photo_set, files=((file, files[file]) for file in bar))
            sets.append(photo_set)
        return sets[0], sets[1]

    def _simulate(self, study: Study, *, raters: int, base: str) -> None:
        there = RatingSession.objects.filter(study=study, rater__origin=Origin.SIMULATED).exclude(
            state=SessionState.ACTIVE
        )
        if study.state == StudyState.OPEN and there.count() < raters:
            call_command("simulate_raters", study.slug, raters=raters - there.count(), url=base, stdout=self.stdout)

    def _announce(self, study: Study, *, base: str) -> None:
        self.stdout.write(
            f"\nThe study “{study.title}” is {study.state}.\n"
            f"  Vote     {base}/s/{study.code}/\n"
            f"  Admin    {base}/admin/\n"
            f"  Results  {base}/admin/studies/study/{study.pk}/results/\n"
            f"  Sign in  {USERNAME}, with the password shown when the account was made; to set another:\n"
            f"           .venv/bin/python manage.py changepassword {USERNAME}\n"
            "Ctrl-C stops it; the same command goes on from here."
        )
        self.stdout.flush()

    def _port_check(self, port: int) -> None:
        with closing(socket.socket()) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise CommandError(
                    f"Port {port} is taken by another program; choose another one: make demo PORT={port + 1}"
                ) from error


def _interior_photos() -> dict[str, bytes]:
    """Return the photos of the package that requirements-demo.txt installs, by file name."""
    try:
        folder = importlib.resources.files("interior_photos") / "images"
    except ModuleNotFoundError as error:
        raise CommandError(
            "The demo's photos are not installed; run `make demo`, or pip install --no-deps --require-hashes "
            "-r requirements-demo.txt."
        ) from error
    found = sorted((f for f in folder.iterdir() if f.name.endswith(".jpg")), key=lambda f: f.name)
    return {f.name: f.read_bytes() for f in found if f.name not in LEFT_OUT}


def _split(names: list[str]) -> tuple[list[str], list[str]]:
    """Part file names into those that are judged and those of the bank; photos of one scene stay together."""
    scenes: dict[str, list[str]] = {}
    for name in sorted(names):
        group = next((group[0] for group in SAME_SCENE if any(name.endswith(f"{part}.jpg") for part in group)), name)
        scenes.setdefault(group, []).append(name)
    judged: list[str] = []
    bank: list[str] = []
    for scene in scenes.values():
        (judged if len(judged) < TEST_SHARE * (len(judged) + len(bank) + len(scene)) else bank).extend(scene)
    return judged, bank


class _Serving:
    """The processes of the demo: a web server, a worker that makes samples, and one that trains."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.processes: list[subprocess.Popen[bytes]] = []
        self.trainers: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start them; return once the server answers."""
        gunicorn = ["gunicorn", "evalsite.wsgi", "--bind", f"127.0.0.1:{self.port}", "--workers", "2", "--threads", "4"]
        for command in ([*gunicorn, "--no-control-socket", "--log-level", "warning"], _worker("celery")):
            self.processes.append(_start(command))
        self.trainers.append(_trainer_start())
        deadline = time.monotonic() + STARTUP_S
        while time.monotonic() < deadline:
            if any(process.poll() is not None for process in self.processes):
                raise CommandError("The server or the worker did not start; its own message is above.")
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        raise CommandError(f"The server did not answer within {STARTUP_S} seconds; its messages are above.")

    def wait(self) -> None:
        """Stay as long as the server and the worker do."""
        while all(process.poll() is None for process in self.processes):
            time.sleep(0.5)
            if self.trainers[-1].poll() is not None:
                time.sleep(TRAINER_AGAIN_S)
                self.trainers.append(_trainer_start())
        raise CommandError("The server or the worker ended by itself; its own message is above.")

    def end(self) -> None:
        """End all processes, in order where they can."""
        for process in (*self.processes, *self.trainers):
            process.terminate()
        for process in self.processes:
            _end(process, STOPPING_S)
        for process in self.trainers:
            _end(process, TRAINER_STOPPING_S)


@contextmanager
def _serving(port: int) -> Iterator[_Serving]:
    """Serve, ready to answer; everything ends with the block."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    serving = _Serving(port)
    try:
        serving.start()
        yield serving
    except KeyboardInterrupt:
        sys.stdout.write("\nStopping ...\n")
    finally:
        serving.end()


def _worker(queue: str) -> list[str]:
    worker = ["celery", "--quiet", "-A", "evalsite", "worker", "--pool", "solo", "--loglevel", "warning"]
    return [*worker, "--without-gossip", "--without-mingle", "--without-heartbeat", "-Q", queue, "-n", f"{queue}@%h"]


def _trainer_start() -> "subprocess.Popen[bytes]":
    """Start the worker that trains, which yields the processor to raters and samples where there is `nice`."""
    nice = shutil.which("nice")
    return _start(_worker("training"), before=[nice, "-n", "10"] if nice else [])


def _start(command: list[str], *, before: Sequence[str] = ()) -> "subprocess.Popen[bytes]":
    """Start a process in a group of its own: Ctrl-C reaches this command alone, which then ends all in order."""
    arguments = [*before, sys.executable, *QUIET, "-m", *command]
    return subprocess.Popen(arguments, process_group=0)  # noqa: S603 -- our own words


def _end(process: "subprocess.Popen[bytes]", seconds: float) -> None:
    """Wait for a process that was told to end; a browser's idle connection may keep a server, but not for long."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
