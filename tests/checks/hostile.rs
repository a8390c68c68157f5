//! Code that wants more than it may have: each is ended by its own limit, and the next submission is judged as ever.

use crate::{check, host, languages};
use anyhow::ensure;
use serde_json::{Value, json};

/// What must be said of code that is stopped.
fn cases() -> Vec<(&'static str, &'static str, &'static str)> {
    vec![
        ("python", "while True:\n    pass\n", "limit `cpu`"),
        (
            "python",
            "x = []\nwhile True:\n    x.append(' ' * 1000000)\n",
            "MemoryError",
        ),
        (
            "python",
            "while True:\n    print('x' * 1000)\n",
            "limit `output`",
        ),
        (
            "python",
            "import sys\nwhile True:\n    sys.stderr.write('x' * 1000)\n",
            "limit `output`",
        ),
        (
            "python",
            "import socket\nsocket.create_connection(('127.0.0.1', 80))\n",
            "Error",
        ),
        (
            "python",
            "open('/etc/passwd').read()\n",
            "FileNotFoundError",
        ),
        (
            "python",
            "import os\nprint(os.environ['PATH'])\n",
            "KeyError",
        ),
        (
            "python",
            "import os\nos.listdir('/')\nopen('/x', 'w')\n",
            "Error",
        ),
        (
            "python",
            "import subprocess\nsubprocess.run(['ls'])\n",
            "Error",
        ),
        ("python", "import os\nos.kill(1, 9)\n", "Error"),
        (
            "python",
            "import threading\nthreading.Thread(target=print).start()\n",
            "RuntimeError",
        ),
        (
            "python",
            "def f():\n    return f()\nf()\n",
            "RecursionError",
        ),
        ("python", "x = 10 ** 10 ** 8\n", "limit `cpu`"),
        (
            "python",
            "import re\nre.match('(a+)+$', 'a' * 40 + 'b')\n",
            "limit `cpu`",
        ),
        ("python", "import ctypes\nctypes.string_at(0)\n", "Error"),
        ("javascript", "for (;;) {}\n", "limit `cpu`"),
        (
            "javascript",
            "const f = () => Promise.resolve().then(f); f();\n",
            "limit `cpu`",
        ),
        (
            "javascript",
            "const x = []; for (;;) x.push('y'.repeat(1e6) + x.length);\n",
            "memory",
        ),
        (
            "javascript",
            "for (;;) console.log('x'.repeat(1000));\n",
            "limit `output`",
        ),
        (
            "javascript",
            "const f = () => f() + 1; f();\n",
            "call stack",
        ),
        (
            "javascript",
            "require('fs').readFileSync('/etc/passwd')\n",
            "rror",
        ),
        (
            "javascript",
            "require('child_process')\n",
            "Cannot find module",
        ),
        ("javascript", "fetch('http://127.0.0.1/')\n", "rror"),
        (
            "javascript",
            "/(a+)+$/.test('a'.repeat(40) + 'b')\n",
            "limit `cpu`",
        ),
    ]
}

#[test]
fn each_is_ended_by_its_own_limit_and_the_next_is_judged_as_ever() -> anyhow::Result<()> {
    let host = host()?;
    for (language, code, expected) in cases() {
        if !languages()?.contains(&language) {
            continue;
        }
        let (file, honest) = match language {
            "python" => ("main.py", "print(1)\n"),
            _ => ("main.js", "console.log(1)\n"),
        };
        let submission = |code: &str| {
            json!({
                "files": { file: code },
                "steps": ["cases"],
                "cases": [ { "stdout": "1\n" } ],
                "limits": { "time_ms": 2000, "memory_bytes": 134_217_728 },
            })
        };
        let verdict = check(&host, &submission(code))?;
        ensure!(verdict["verdict"] == "failed", "{code}: {verdict:#}");
        let test = &verdict["steps"][0]["tests"][0];
        let said = format!("{} {}", test["message"], test["output"]);
        let shown: String = said
            .chars()
            .rev()
            .take(2000)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect();
        ensure!(
            // On a busy machine the wall clock is the first to run out.
            said.contains(expected)
                || (expected == "limit `cpu`" && said.contains("limit `time`"))
                || (expected == "MemoryError" && said.contains("limit `memory`")),
            "{code}: no `{expected}` in {shown}"
        );
        let wall = verdict["steps"][0]["usage"]["wall_us"]
            .as_u64()
            .unwrap_or_default();
        ensure!(wall < 10_000_000, "{code}: {wall} µs");
        let next = check(&host, &submission(honest))?;
        ensure!(next["verdict"] == "passed", "after {code}: {next:#}");
    }
    Ok(())
}

#[test]
fn nothing_of_one_is_seen_by_the_next() -> anyhow::Result<()> {
    if !languages()?.contains(&"python") {
        return Ok(());
    }
    let host = host()?;
    let leave = "import builtins, sys, os\nbuiltins.left = 1\nsys.modules['left'] = sys\nos.environ['LEFT'] = '1'\nprint(1)\n";
    let look = "import builtins, sys, os\nprint(hasattr(builtins, 'left'), 'left' in sys.modules, 'LEFT' in os.environ, os.listdir('/') if os.path.exists('/') else [])\n";
    let verdict = |code: &str, expected: &str| -> anyhow::Result<Value> {
        check(
            &host,
            &json!({ "files": { "main.py": code }, "steps": ["cases"], "cases": [ { "stdout": expected } ] }),
        )
    };
    for _ in 0..3 {
        let left = verdict(leave, "1")?;
        ensure!(left["verdict"] == "passed", "{left:#}");
        let seen = verdict(look, "False False False []")?;
        ensure!(seen["verdict"] == "passed", "{seen:#}");
    }
    Ok(())
}

#[test]
fn who_sleeps_costs_nothing() -> anyhow::Result<()> {
    if !languages()?.contains(&"python") {
        return Ok(());
    }
    let host = host()?;
    let code = "import time\na = time.monotonic()\ntime.sleep(3600)\nprint(3600 <= time.monotonic() - a < 3601)\n";
    let verdict = check(
        &host,
        &json!({ "files": { "main.py": code }, "steps": ["cases"], "cases": [ { "stdout": "True" } ] }),
    )?;
    ensure!(verdict["verdict"] == "passed", "{verdict:#}");
    Ok(())
}
