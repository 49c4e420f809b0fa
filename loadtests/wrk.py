"""wrk, a load generator that costs little itself: on two shared cores that matters."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CONNECTIONS = 16
_SCRIPT = """
local bodies = {}
for line in io.lines("%(bodies)s") do bodies[#bodies + 1] = line end
local at = math.random(#bodies)
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
%(headers)s
%(pace)s
request = function()
  at = at %% #bodies + 1
  return wrk.format(nil, nil, nil, bodies[at])
end
local threads = {}
function setup(thread) table.insert(threads, thread) end
function init(args) wrong = 0 end
function response(status, headers, body) if status ~= 200 then wrong = wrong + 1 end end
function done(summary, latency, requests)
  local wrong = 0
  for _, thread in ipairs(threads) do wrong = wrong + thread:get("wrong") end
  io.write(string.format("RESULT %%d %%f %%f %%f %%d\\n", summary.requests, summary.duration / 1e6,
    latency:percentile(95) / 1e3, latency:percentile(99) / 1e3, wrong + summary.errors.connect
    + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
"""
# wrk calls `delay` before each request and waits so many milliseconds. Handing out the next free slot of one timetable
# to whichever connection asks keeps the rate; a server that falls behind finds the slots taken at once.
_PACE = """
local ffi = require("ffi")
ffi.cdef("typedef struct { long seconds; long nanoseconds; } moment; int clock_gettime(int, moment *);")
local moment = ffi.new("moment")
local slot = 0
function delay()
  ffi.C.clock_gettime(1, moment)
  local now = tonumber(moment.seconds) * 1000 + tonumber(moment.nanoseconds) / 1e6
  slot = math.max(slot + %f, now - 50)
  return math.max(0, math.floor(slot - now + 0.5))
end
"""


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What one run showed."""

    per_second: float
    p95_ms: float
    p99_ms: float
    errors: int


def available() -> bool:
    """Whether wrk is on this machine (Debian package wrk)."""
    return shutil.which("wrk") is not None


def post(
    url: str,
    bodies: Sequence[bytes],
    *,
    seconds: float,
    headers: dict[str, str] | None = None,
    per_second: float | None = None,
) -> LoadResult:
    """POST the bodies in turn over 16 connections for some seconds; every answer but 200 is an error.

    As fast as the server answers, or at the rate `per_second`: then latencies are timed from the sending, so measure
    them with `loadtests.rate`.
    """
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "bodies"
        lines.write_bytes(b"\n".join(bodies))
        script = Path(folder) / "post.lua"
        header_lines = "\n".join(f'wrk.headers["{name}"] = "{value}"' for name, value in (headers or {}).items())
        pace = _PACE % (1000 / per_second) if per_second else ""
        script.write_text(_SCRIPT % {"bodies": lines, "headers": header_lines, "pace": pace})
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:.0f}s", "--timeout", "10s", "-s", str(script), url]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(r"RESULT (\d+) ([\d.]+) ([\d.]+) ([\d.]+) (\d+)", done.stdout)
    if found is None:
        raise RuntimeError(f"wrk said: {done.stdout}{done.stderr}")
    requests, duration, p95, p99, errors = (float(group) for group in found.groups())
    return LoadResult(requests / duration, p95, p99, int(errors))
