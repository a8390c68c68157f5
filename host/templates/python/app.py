"""The agent PLUGIN: joins the host's interfaces to `greeting.py`."""

import json

import wit_world
from greeting import greet
from wit_world.imports import logging, types, wasi_config_store as settings


class WitWorld(wit_world.WitWorld):
    def run(self, invocation: types.Invocation) -> types.Report:
        # A string in the agent's settings comes as it is, everything else as JSON.
        name = settings.get("name") or "world"
        logging.log(logging.Level.INFO, "", f"run {invocation.run_id} greets {name}")
        summary, problem = greet(name)
        findings = []
        if problem is not None:
            findings.append(
                types.Finding(
                    rule="PLUGIN/no-name",
                    level=types.Level.ERROR,
                    message=problem,
                    location=None,
                    help="set `name` in the agent's settings",
                )
            )
        return types.Report(
            verdict=types.Verdict.FAILED if findings else types.Verdict.PASSED,
            summary=summary,
            findings=findings,
            output=json.dumps({"name": name}),
            effects=[],
        )
