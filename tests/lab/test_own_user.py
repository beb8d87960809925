"""A user of a node's own, who has a name for initdb: in a namespace where two users have changed names."""

import os
import subprocess
from pathlib import Path

import pytest

from chaosdrills.lab import own_user

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or bool(own_user.why_not()), reason=f"NO USERS OF ONE'S OWN HERE: {own_user.why_not()}"
)


def test_two_have_changed_names_and_all_others_keep_theirs() -> None:
    lines = "0 0 1\n1 60901 1\n2 2 60899\n60901 1 1\n60902 60902 4634\n"
    assert own_user.exchanged(1, 60901) == lines
    assert own_user.exchanged(1, 2) == "0 0 1\n1 2 1\n2 1 1\n3 3 65533\n"


@needs_root
def test_a_command_runs_as_its_own_user_with_a_name_and_reads_what_root_may(tmp_path: Path) -> None:
    secret, made = tmp_path / "secret", tmp_path / "made"
    secret.write_text("for root alone\n")
    secret.chmod(0o600)
    script = f"id -un && id -u && cat {secret} && touch {made}"
    done = subprocess.run([*own_user.prefix(60_907), "sh", "-c", script], capture_output=True, text=True, timeout=30)
    name, uid, said = done.stdout.splitlines()
    assert (done.returncode, done.stderr, said) == (0, "", "for root alone")
    assert name in own_user.USERS
    assert int(uid) == own_user.known_user() != 0
    assert (made.stat().st_uid, made.stat().st_gid) == (60_907, 60_907)


@needs_root
def test_where_there_can_be_no_such_user_it_says_why() -> None:
    inside = ["unshare", "--user", "--map-root-user", *own_user.prefix(60_907), "true"]
    done = subprocess.run(inside, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert done.stderr == "there is no user namespace for it: Operation not permitted\n"
