"""Laws of scripts/migrate and scripts/test: the first launch on a bare machine, and later ones."""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOT_COPIED = shutil.ignore_patterns(".git", ".venv*", ".*_cache", "__pycache__")
NAMES = ["python3", *(f"python3.{minor}" for minor in range(11, 15))]


def copy(folder: Path) -> Path:
    """A fresh clone, as far as the launchers can tell, below a path with spaces."""
    return Path(shutil.copytree(ROOT, folder / "a fresh clone", ignore=NOT_COPIED))


def launch(
    checkout: Path, *arguments: str, script: str = "migrate", cwd: str = "/", **environment: str
) -> subprocess.Popen[str]:
    """Start a launcher with the Python that runs this test, unless told otherwise."""
    clean = {name: text for name, text in os.environ.items() if name != "PGPROOF_VENV"}
    return subprocess.Popen(
        [checkout / "scripts" / script, *arguments],
        cwd=cwd,
        env=clean | {"PYTHON": sys.executable} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def refused(process: subprocess.Popen[str]) -> str:
    """What a launch that fails says: on stderr, with exit code 1, in no traceback."""
    printed, told = process.communicate(timeout=120)
    assert (process.returncode, printed) == (1, ""), told
    assert "Traceback" not in told
    return told


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder that the server's account can enter, too."""
    folder = Path(tempfile.mkdtemp(prefix="pgproof-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone without an environment."""
    return copy(tmp_path)


@pytest.fixture(scope="module")
def eight(place: Path) -> Iterator[tuple[Path, list[tuple[int, str]]]]:
    """One clone after eight cold launches at once: the only environment that these tests build."""
    checkout = copy(place)
    home = str(place / "home")
    processes = [launch(checkout, "server", "start", PGPROOF_HOME=home) for _ in range(8)]
    ended = [(process, process.communicate(timeout=600)[1]) for process in processes]
    yield checkout, [(process.returncode, told) for process, told in ended]
    launch(checkout, "server", "stop", PGPROOF_HOME=home).communicate(timeout=60)


def test_eight_cold_launches_make_one_environment(
    eight: tuple[Path, list[tuple[int, str]]],
) -> None:
    """One builds, seven wait and say so, all run the command, and the server holds no lock."""
    checkout, results = eight
    assert [code for code, _ in results] == [0] * 8, results
    told = "".join(told for _, told in results)
    assert told.count("making the environment in") == 1
    assert told.count("waiting for another launch") == 7
    with (checkout / ".venv.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert (checkout / ".venv.lock").read_text() == ""


@pytest.mark.parametrize("way", ["from another folder", "through a link", "from scripts/"])
def test_a_warm_launch_runs_no_pip_and_no_other_python(
    eight: tuple[Path, list[tuple[int, str]]], tmp_path: Path, way: str
) -> None:
    """Every other Python in reach fails, and the log of pip stays as it was."""
    checkout, _ = eight
    before = (checkout / ".venv/pip.log").stat().st_mtime_ns
    for name in NAMES:
        (tmp_path / name).symlink_to("/bin/false")
    broken = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHON": "/bin/false"}
    if way == "through a link":
        (tmp_path / "scripts").mkdir()
        (tmp_path / "scripts/migrate").symlink_to(checkout / "scripts/migrate")
        process = launch(tmp_path, "--version", **broken)
    else:
        cwd = str(checkout / "scripts") if way == "from scripts/" else str(tmp_path)
        process = launch(checkout, "--version", cwd=cwd, **broken)
    printed, told = process.communicate(timeout=60)
    assert (process.returncode, told) == (0, "")
    assert printed
    assert (checkout / ".venv/pip.log").stat().st_mtime_ns == before


@pytest.mark.parametrize("script", ["migrate", "test"])
def test_a_python_that_is_too_old_is_named(clone: Path, tmp_path: Path, script: str) -> None:
    """What was found, what is needed, and how to name another."""
    for name in NAMES:
        (tmp_path / name).write_text("#!/bin/sh\necho 3.9\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    told = refused(launch(clone, script=script, PATH=path, PYTHON=""))
    assert "Python 3.11 or newer is needed; found: python3 is 3.9" in told
    assert "PYTHON=" in told
    told = refused(launch(clone, script=script, PYTHON="/nonexistent/python3"))
    assert "none that runs (/nonexistent/python3)" in told


def test_a_python_without_venv_and_pip_is_told_what_to_install(clone: Path, tmp_path: Path) -> None:
    """Debian's bare python3 comes without ensurepip and pip."""
    for module in ("ensurepip", "pip"):
        (tmp_path / f"{module}.py").write_text(f"raise ImportError('no {module}')\n")
    told = refused(launch(clone, PYTHONPATH=str(tmp_path)))
    assert "apt-get install python3-venv" in told
    assert not (clone / ".venv").exists()


def broken_environment(clone: Path) -> Path:
    """An environment whose Python is gone, as an upgrade of the system leaves it."""
    venv = clone / ".venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin/python").symlink_to("/nonexistent/python3")
    return venv


def test_a_broken_environment_that_is_not_ours_is_left_alone(clone: Path) -> None:
    """It may hold what somebody needs: the message says how to remove it."""
    venv = broken_environment(clone)
    assert f"rm -rf '{venv}'" in refused(launch(clone))
    assert (venv / "bin/python").is_symlink()


def test_a_broken_environment_of_ours_is_made_anew(clone: Path, tmp_path: Path) -> None:
    """So is one whose making was interrupted; here by pip, which finds no packages at all."""
    venv = broken_environment(clone)
    (venv / "pgproof.stamp").write_text(f"{clone}\n0 0 0\nembedded\n")
    nothing = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path), "PIP_CONFIG_FILE": os.devnull}
    told = refused(launch(clone, **nothing))
    assert "its Python is gone" in told
    assert "making the environment" in told
    assert "ERROR: " in told
    assert "pip could not install" in told
    assert (venv / "bin/python").exists()

    (venv / "bin/python").unlink()
    told = refused(launch(clone, **nothing))
    assert "making the environment" in told


def test_a_checkout_that_cannot_be_written_names_the_variable(clone: Path) -> None:
    """Nor can any other place that was asked for."""
    told = refused(launch(clone, PGPROOF_VENV="/dev/null/venv"))
    assert "set PGPROOF_VENV" in told
