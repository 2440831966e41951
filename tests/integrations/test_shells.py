"""Shells in which one may await: which event loop it is, and which sessions it has."""

import json
import re
import subprocess
import sys

import pytest

from tests.library.models import Account
from tests.support.engines import ENGINE
from tests.support.project import ROOT, databases, environment
from tests.support.waiting import wait_until

NAME = "a shell"
SMALL = {"pool": {"min_size": 0, "max_size": 5}, "application_name": NAME}
MANY = "await asyncio.gather(*[Account.objects.acount() for _ in range(20)])"
LOOP = "id(asyncio.get_running_loop())"


class Terminal:
    """A shell on a pseudo-terminal, which shows what is typed as well."""

    def __init__(self, program, prompt, settings):
        self._pexpect = pytest.importorskip("pexpect")
        # Without colours, and without waiting for a terminal that tells where its cursor is.
        plain = {"TERM": "dumb", "PROMPT_TOOLKIT_NO_CPR": "1", "PYTHON_BASIC_REPL": "1"}
        self._shell = self._pexpect.spawn(
            sys.executable,
            program,
            env={**settings, **plain},
            cwd=str(ROOT),
            encoding="utf-8",
            timeout=30,
            dimensions=(50, 400),
        )
        self._prompt = prompt
        self._number = 0
        if prompt == ">>> ":
            # It shows what it has imported as if that were typed.
            self._shell.expect_exact(">>> import asyncio")
        self._wait()

    def _wait(self):
        self._number += 1
        self._shell.expect_exact(self._prompt.format(self._number))

    def say(self, line):
        """Execute a line, and return what is shown."""
        self._shell.sendline(line)
        self._wait()
        return self._shell.before

    def close(self):
        """Leave the shell, and return what it says at the end."""
        self._shell.sendline("exit()")
        self._shell.expect(self._pexpect.EOF)
        self._shell.close()
        assert self._shell.exitstatus == 0
        return self._shell.before

    def kill(self):
        """Make sure that it has ended."""
        self._shell.close(force=True)


class Notebook:
    """A kernel of Jupyter's, by which a notebook has its cells executed."""

    def __init__(self, settings, log):
        manager = pytest.importorskip("jupyter_client.manager")
        pytest.importorskip("ipykernel")
        self._log = log.open("w+")
        self._kernel = manager.KernelManager()
        self._kernel.start_kernel(env=settings, cwd=str(ROOT), stderr=self._log)
        self._client = self._kernel.blocking_client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=30)

    def say(self, cell):
        """Execute a cell, and return what is shown."""
        shown = []

        def note(message):
            content = message["content"]
            shown.append(content.get("text", content.get("evalue", "")))

        self._client.execute_interactive(cell, timeout=30, output_hook=note)
        return "\n".join(shown)

    def close(self):
        """Shut the kernel down, and return what it has written to its log."""
        self._client.shutdown(reply=True, timeout=30)
        self._kernel.shutdown_kernel()
        self._log.seek(0)
        return self._log.read()

    def kill(self):
        """Make sure that it has ended."""
        self._client.stop_channels()
        if self._kernel.is_alive():
            self._kernel.shutdown_kernel(now=True)
        self._kernel.cleanup_resources()
        self._log.close()


SHELLS = {
    "python -m asyncio": lambda settings, path: Terminal(["-m", "asyncio"], ">>> ", settings),
    "manage.py shell": lambda settings, path: Terminal(
        ["-m", "django", "shell", "--interface", "ipython", "--verbosity", "0"],
        "In [{}]: ",
        settings,
    ),
    "Jupyter": lambda settings, path: Notebook(settings, path / "log"),
}


@pytest.fixture(params=SHELLS)
def start(request, scratch, tmp_path):
    """Return a function that starts a shell, with variables of its environment."""
    if request.param == "manage.py shell":
        pytest.importorskip("IPython")
    started = []

    def start(**variables):
        settings = environment(DATABASES=databases(ENGINE=ENGINE, OPTIONS=SMALL))
        # What IPython and Python keep of a shell.
        kept = {"IPYTHONDIR": str(tmp_path), "PYTHON_HISTORY": str(tmp_path / "history")}
        shell = SHELLS[request.param]({**settings, **kept, **variables}, tmp_path)
        started.append(shell)
        shell.say("import asyncio, json, django; django.setup()")
        shell.say("from tests.library.models import Account; from turbo_orm import run_sync")
        return shell

    start.name = request.param
    Account.objects.create(owner="Ada")
    yield start
    for shell in started:
        shell.kill()


@pytest.fixture
def sessions(driver):
    """Return a function that returns how many sessions the shell has."""

    def sessions():
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
        (number,) = driver.execute(query, [NAME]).fetchone()
        return number

    return sessions


def value(shell, expression):
    """Return what an expression is in a shell. What is typed must not look like it."""
    shown = shell.say(f'print("<" "<" + json.dumps({expression}) + ">" ">")')
    found = re.search("<<(.*)>>", shown)
    assert found, shown
    return json.loads(found[1])


def test_what_is_awaited_has_one_loop_and_one_pool(start, sessions):
    shell = start()
    (first, loop), (second, same_loop) = (value(shell, f"[{MANY}, {LOOP}]") for _ in range(2))
    assert first == second == [1] * 20
    assert loop == same_loop
    assert value(shell, "await run_sync(lambda: Account.objects.get().owner)") == "Ada"
    assert 0 < sessions() <= 5
    shown = shell.close()
    assert "Traceback" not in shown
    assert "never" not in shown
    wait_until(lambda: sessions() == 0, seconds=5)


def test_code_that_does_not_await(start, sessions):
    """IPython's loop runs for what awaits. The other two have all code in a running one."""
    shell = start()
    if start.name == "manage.py shell":
        assert value(shell, "Account.objects.count()") == 1
    else:
        assert "Use `await ….acount(…)`" in shell.say("Account.objects.count()")
    assert value(shell, MANY) == [1] * 20
    shell.close()
    wait_until(lambda: sessions() == 0, seconds=5)


def test_code_that_may_block_the_loop(start, sessions):
    """It has Django's own connection, beside the pool, and all that is awaited is as ever.

    Django's is that of a context: ``python -m asyncio`` may have one for each line.
    """
    shell = start(DJANGO_ALLOW_ASYNC_UNSAFE="true")
    assert value(shell, "Account.objects.count()") == 1
    assert sessions() == 1
    assert value(shell, MANY) == [1] * 20
    assert value(shell, "[each.owner for each in Account.objects.all()]") == ["Ada"]
    assert 1 < sessions() <= 5 + (2 if start.name == "python -m asyncio" else 1)
    assert value(shell, "await Account.objects.filter(owner='Ada').aupdate(balance=7)") == 1
    assert value(shell, "Account.objects.get().balance") == 7
    shell.close()
    wait_until(lambda: sessions() == 0, seconds=5)


def test_a_shell_that_runs_no_loop(scratch, sessions):
    """By ``-c``, or with Python's own prompt, each ``asyncio.run()`` has a loop and a pool."""
    code = f"""
import asyncio, json
from django.db import connection
from tests.library.models import Account

async def many():
    return {MANY}

def sessions():
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = '{NAME}'")
        return cursor.fetchone()[0]

found = [asyncio.run(many()), asyncio.run(many()), Account.objects.count()]
while sessions() > 1:
    pass
print(json.dumps(found))
"""
    Account.objects.create(owner="Ada")
    done = subprocess.run(
        [sys.executable, "-m", "django", "shell", "-c", code],
        env=environment(DATABASES=databases(ENGINE=ENGINE, OPTIONS=SMALL)),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout.splitlines()[-1]) == [[1] * 20, [1] * 20, 1]
    wait_until(lambda: sessions() == 0, seconds=5)
