"""Agents by the thousand: a process that has loaded the agent's code forks one for each plan it reads from stdin.

It prints `pid N`, then `ended STATUS` when that agent is gone, so whoever reads can kill it in between. What is forked
is the agent's own command with all it does; only the seconds of importing are saved.
"""

import importlib
import os
import sys
import traceback

import faults
import msgspec
import shim

import edge.agent
import edge.cli
import edge.clinic.serve
import edge.delivery.exchange
import edge.delivery.publish
import edge.intake.folder
from edge.classify import RUNTIMES


def main() -> None:
    """Serve until stdin ends."""
    edge.intake.folder.MOVE_AGAIN_S = 0.5  # a campaign has no half minutes to wait
    importlib.import_module(RUNTIMES["litert"])  # an interpreter itself has threads, which would not outlive a fork
    for line in sys.stdin.buffer:
        plan = msgspec.json.decode(line, type=faults.Plan)
        child = os.fork()
        if child == 0:
            _be_an_agent(plan)
        print(f"pid {child}", flush=True)
        _, status = os.waitpid(child, 0)
        print(f"ended {os.waitstatus_to_exitcode(status)}", flush=True)


def _be_an_agent(plan: faults.Plan) -> None:
    code = faults.CRASHED
    try:
        log = os.open(plan.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.dup2(log, 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(2, 1)
        if plan.call is None:
            faults.install(plan)
        else:
            shim.arm(plan.call)
        code = edge.cli.main(plan.arguments)
    except SystemExit as error:
        code = int(error.code or 0)
    except BaseException:  # noqa: BLE001 - as an interpreter does at its end
        traceback.print_exc()
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
