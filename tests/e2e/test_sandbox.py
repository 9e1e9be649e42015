"""`orderflow sandbox`: what it prints and writes is enough to connect orderflow to it."""

import re
import signal
import subprocess
import urllib.request

from .stage import command, wait, with_bytecode


def call(url: str, method: str = "POST") -> str:
    request = urllib.request.Request(url, method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode().strip()


def orderflow(home, *arguments):
    settings = ["--config", str(home / "sandbox" / "orderflow.toml")]
    return subprocess.run(
        command(*settings, *arguments), env=with_bytecode(), capture_output=True, text=True, timeout=60, check=True
    ).stdout


def test_one_order_with_the_sandbox(tmp_path):
    tmp_path.chmod(0o711)
    arguments = ("sandbox", "--port", "0", "--dir", str(tmp_path / "sandbox"))
    process = subprocess.Popen(command(*arguments), env=with_bytecode(), stdout=subprocess.PIPE, text=True)
    try:
        said = ""
        for line in process.stdout:
            said += line
            if "Ctrl-C" in line:
                break
        control = re.search(r"^control +(\S+)", said, re.MULTILINE)[1]
        assert "POST /STORE/place" in call(control + "/", "GET")
        order_id = call(f"{control}/acme/place")
        call(f"{control}/acme/{order_id}/ready")
        assert "migrated" in orderflow(tmp_path, "migrate")
        worker = subprocess.Popen(
            command("--config", str(tmp_path / "sandbox" / "orderflow.toml"), "work"),
            env=with_bytecode(),
            stdout=subprocess.DEVNULL,
        )
        try:
            wait(lambda: '"status":"ACCEPTED"' in call(f"{control}/ledger", "GET"), 30)
            wait(lambda: "ACCEPTED" in orderflow(tmp_path, "orders", "list"))
        finally:
            worker.send_signal(signal.SIGINT)
            assert worker.wait(timeout=20) == 0
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
        assert process.returncode == 0
    again = subprocess.run(command(*arguments), env=with_bytecode(), capture_output=True, text=True, check=False)
    assert again.returncode == 2
    assert "--fresh" in again.stderr
