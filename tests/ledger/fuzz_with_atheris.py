"""Attack one reader with atheris, which steers by the branches it reaches; run it in a process of its own.

    python -m tests.ledger.fuzz_with_atheris TARGET CORPUS [libFuzzer options, such as -max_total_time=60]

CORPUS is a folder; the valid examples are put into it, and what was found is kept there. The process ends with an
error when an undeclared exception comes out or a law is broken, and leaves the bytes that did it as `crash-...`.
"""

from __future__ import annotations

import sys
from hashlib import sha256
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["ledger"]):
    from tests.ledger.fuzz_targets import TARGETS

from tests.ledger.mutations import TOKENS


def main(arguments: list[str]) -> None:
    """Set the corpus up and fuzz until the time is over."""
    name, folder, *options = arguments[1:]
    (target,) = [target for target in TARGETS if target.name == name]
    corpus = Path(folder)
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in target.seeds:
        (corpus / sha256(seed).hexdigest()).write_bytes(seed)
    words = corpus.with_name(f"{corpus.name}.dict")
    words.write_text("".join(f'"{_escaped(token)}"\n' for token in TOKENS if len(token) <= 64), encoding="ascii")
    longest = 2 * max(map(len, target.seeds)) + 64

    def attack(data: bytes) -> None:
        target.accepts(data)

    atheris.Setup(
        [
            arguments[0],
            str(corpus),
            f"-dict={words}",
            f"-max_len={longest}",
            f"-artifact_prefix={corpus.parent}/",
            *options,
        ],
        attack,
    )
    atheris.Fuzz()


def _escaped(token: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in token)


if __name__ == "__main__":
    main(sys.argv)
