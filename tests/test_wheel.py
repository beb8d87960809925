"""A wheel, installed elsewhere, works as a checkout does: its experiments, data and templates travel with it."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from chaosdrills.cli.experiments import shipped
from chaosdrills.errors import USAGE

REPOSITORY = Path(__file__).resolve().parents[1]
SOURCES = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the sources, so that nothing of an earlier build gets into it."""
    folder = tmp_path_factory.mktemp("build")
    for name in SOURCES:
        shutil.copy(REPOSITORY / name, folder)
    shutil.copytree(REPOSITORY / "chaosdrills", folder / "chaosdrills", ignore=shutil.ignore_patterns("__pycache__"))
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "dist", "."]
    done = subprocess.run(build, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = (folder / "dist").iterdir()
    return made


class Installed:
    """A virtual environment with the wheel; what it needs is taken from this one's."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.folder = folder / "elsewhere"
        self.folder.mkdir()
        self.programs = folder / "venv" / "bin"
        venv.create(folder / "venv", with_pip=False)
        (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
        (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
        pip = [sys.executable, "-m", "pip", "--python", self.programs / "python", "install"]
        quiet = ["--quiet", "--no-deps", "--no-index", "--ignore-installed", wheel]
        subprocess.run([*pip, *quiet], check=True, timeout=120, capture_output=True)
        self.site = site

    def run(self, *argv: str) -> "subprocess.CompletedProcess[str]":
        """Run one of its programs from a folder that is not a checkout."""
        env = {"PATH": f"{self.programs}:{os.environ['PATH']}", "HOME": str(self.folder), "LANG": "C.UTF-8"}
        return subprocess.run(
            [self.programs / argv[0], *argv[1:]], cwd=self.folder, env=env, capture_output=True, text=True, timeout=60
        )

    def chaos(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return self.run("python", "-m", "chaostoolkit", "--no-version-check", "--no-log-file", *arguments)


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("installed"), wheel)


def test_every_file_of_the_package_is_in_the_wheel(wheel: Path) -> None:
    package = REPOSITORY / "chaosdrills"
    files = {str(path.relative_to(REPOSITORY)) for path in package.rglob("*") if path.is_file()}
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith("chaosdrills/")}
    assert {name for name in files if "__pycache__" not in name} == packed


def test_it_is_the_wheel_that_runs(installed: Installed) -> None:
    done = installed.run("python", "-c", "import chaosdrills; print(chaosdrills.__file__)")
    assert Path(done.stdout.strip()).is_relative_to(installed.site), done.stderr


def test_its_experiments_are_listed_copied_and_valid(installed: Installed) -> None:
    listed = json.loads(installed.run("chaosdrills", "experiments", "list", "--json").stdout)
    assert sorted(f"{one['name']}.json" for one in listed["experiments"]) == sorted(shipped())
    copied = installed.run("chaosdrills", "experiments", "copy", "copies/of")
    assert (copied.returncode, copied.stderr) == (0, "")
    assert copied.stdout.split() == [f"copies/of/{name}" for name in sorted(shipped())]
    for name, content in shipped().items():
        assert (installed.folder / "copies" / "of" / name).read_bytes() == content
        valid = installed.chaos("validate", f"copies/of/{name}")
        assert valid.returncode == 0, valid.stderr
        assert "experiment syntax and semantic look valid" in valid.stderr


def test_copies_that_were_changed_are_not_overwritten_unasked(installed: Installed) -> None:
    assert installed.run("chaosdrills", "experiments", "copy", "changed").returncode == 0
    changed = installed.folder / "changed" / "kafka-broker-loss.json"
    changed.write_text("{}")
    refused = installed.run("chaosdrills", "experiments", "copy", "changed")
    assert refused.returncode == USAGE
    assert refused.stderr == (
        "Error: kafka-broker-loss.json in changed would be overwritten.\nTry: add --force, or choose another folder.\n"
    )
    assert changed.read_text() == "{}"
    assert installed.run("chaosdrills", "experiments", "copy", "changed", "--force").returncode == 0
    assert changed.read_bytes() == shipped()["kafka-broker-loss.json"]


def test_its_objectives_and_templates_are_found(installed: Installed) -> None:
    code = (
        "import json; from chaosdrills.host.settings import load_objectives; from chaosdrills.report.render import "
        "_environment; _environment().get_template('report.html.j2'); "
        "print(json.dumps({name: [it.rto_s, it.rpo_s] for name, it in load_objectives().items()}))"
    )
    done = installed.run("python", "-c", code)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["kafka"] == [600, 900]


def test_chaos_knows_its_commands_and_activities(installed: Installed) -> None:
    assert "Drills that prove recovery" in installed.chaos("drills", "--help").stdout
    assert installed.chaos("drills", "judge", "nowhere").returncode == USAGE
    found = installed.chaos("discover", "--no-install", "chaosdrills", "--discovery-path", "found.json")
    assert found.returncode == 0, found.stderr
    activities = json.loads((installed.folder / "found.json").read_text())["activities"]
    assert {"kill_broker", "wait_recovered", "data_loss"} <= {activity["name"] for activity in activities}
