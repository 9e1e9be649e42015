"""`orderflow sandbox`: what it prints and writes is enough to connect orderflow to it."""

import json
import re
import signal
import subprocess
import urllib.request

from orderflow.sandbox import Response, serve

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


SCENARIO = """
stores = ["acme", "globex"]

[webhooks]
url = "{bell}/{{store}}"

[faults.glopal]
error_503 = 1

[[orders]]
store = "globex"
steps = [{{ act = "ready" }}, {{ act = "cancel" }}, {{ act = "complete" }}]
"""


def test_a_scenario_is_told_over_real_http(tmp_path):
    rung = []

    def receive(request):
        rung.append(request.path)
        return Response(200, b"")

    with serve(receive) as bell:
        (tmp_path / "story.toml").write_text(SCENARIO.format(bell=bell.url))
        arguments = ("--scenario", str(tmp_path / "story.toml"), "--switch", "get_lag=1 s", "--faults", "error_503=0")
        place = ("--port", "0", "--dir", str(tmp_path / "sandbox"))
        process = subprocess.Popen(
            command("sandbox", *arguments, *place), env=with_bytecode(), stdout=subprocess.PIPE, text=True
        )
        try:
            said = ""
            for line in process.stdout:
                said += line
                if "Ctrl-C" in line:
                    break
            assert "stores acme, globex" in said
            assert "scenario  1 order," in said
            control = re.search(r"^control +(\S+)", said, re.MULTILINE)[1]
            wait(lambda: '"status":"CANCELLED"' in call(f"{control}/ledger", "GET"), 10)
            wait(lambda: len(rung) == 3, 10)
            assert set(rung) == {"/globex"}
            assert '"get_lag":{"now":"1 s"' in call(f"{control}/switches", "GET")
            glopal = re.search(r"^Glopal +(\S+)", said, re.MULTILINE)[1]
            request = urllib.request.Request(
                f"{glopal}/v2/events/globex", headers={"authorization": "Bearer GL.sandbox"}
            )
            with urllib.request.urlopen(request, timeout=10) as answer:  # the faults of the file were overruled
                assert answer.read().count(b"order.cancelled") == 1
        finally:
            process.send_signal(signal.SIGINT)
            rest, _ = process.communicate(timeout=20)
        assert process.returncode == 0
        assert "not possible" not in rest  # completing waits for ever


def refused(*arguments):
    done = subprocess.run(
        command("sandbox", *arguments), env=with_bytecode(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    return done.stderr


def test_what_is_wrong_is_said_before_anything_is_started(tmp_path):
    story = tmp_path / "story.toml"
    story.write_text('[switches]\nget_lagg = 1\n[[orders]]\nsteps = [{ act = "sing" }]')
    said = refused("--scenario", str(story))
    assert "switches.get_lagg: there is no such switch; did you mean get_lag?" in said
    assert "orders[1].steps[1].act: must be one of ready" in said
    assert "cannot be read" in refused("--scenario", str(tmp_path / "nothing.toml"))
    assert "names its stores" in refused("--scenario", str(story), "--store", "acme")
    assert "it takes plain | overlapping | shrinking" in refused("--switch", "pages=odd")
    assert "no NAME=SETTING" in refused("--switch", "pages")
    assert "there is no such fault" in refused("--faults", "nonsense=1")


def test_everything_can_be_listed():
    done = subprocess.run(command("sandbox", "--list"), env=with_bytecode(), capture_output=True, text=True, check=True)
    assert "  get_lag " in done.stdout
    assert "  cut_after " in done.stdout
    said = subprocess.run(
        command("sandbox", "--list", "--json"), env=with_bytecode(), capture_output=True, text=True, check=True
    )
    told = json.loads(said.stdout)
    assert {"get_lag"} <= set(told["switches"])
    assert {"cut_after"} <= set(told["faults"])


def test_its_addresses_are_told_to_programs(tmp_path):
    arguments = ("sandbox", "--json", "--port", "0", "--dir", str(tmp_path / "sandbox"))
    process = subprocess.Popen(command(*arguments), env=with_bytecode(), stdout=subprocess.PIPE, text=True)
    said = ""
    for line in process.stdout:
        said += line
        if line == "}\n":
            break
    told = json.loads(said)
    assert "POST /STORE/place" in call(told["control"] + "/", "GET")
    assert told["stores"] == ["acme"]
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=20)[0] == ""
    assert process.returncode == 0
