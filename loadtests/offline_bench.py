"""The offline check of a code, as a scanner does it: read the text, check the signature under a key it holds.

``python -m loadtests.offline_bench``. One process, one core; medians of five rounds over different codes.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from loadtests.figures import Figure, at_most, number
from scanners.codes.build import code_text
from scanners.codes.identity import CodeIdentity, CodeKind
from scanners.codes.reader import ReadCode, read_code
from scanners.codes.serial import generate_serials
from scanners.codes.signature import sign_code, verify_code

GTIN = "09521234000013"
KEY_ID = 7
HOST = "id.marchamo.org"
ELEMENTS = (("10", "LOT-2026-47"), ("17", "271231"))
ROUNDS = 5


def measure(*, codes: int = 5_000) -> list[Figure]:
    """Microseconds a code of each step; raises RuntimeError when a good code is refused or a bad one passes."""
    key = Ed25519PrivateKey.generate()
    public_key = key.public_key()
    texts = _texts(key, codes)
    trusted = frozenset({HOST})

    def check(text: str) -> bool:
        code = read_code(text, trusted_hosts=trusted)
        return code.signature is not None and verify_code(public_key, code.message(KEY_ID), code.signature.signature)

    forged = _texts(Ed25519PrivateKey.generate(), 10)
    if not all(check(text) for text in texts) or any(check(text) for text in forged):
        raise RuntimeError("the offline check does not tell good codes from forged ones")

    read = [read_code(text, trusted_hosts=trusted) for text in texts]
    message, signature = _signed(read[0])
    reading = _microseconds(lambda text: read_code(text, trusted_hosts=trusted), texts)
    bare = _microseconds(lambda _text: public_key.verify(signature, message), texts)
    whole = _microseconds(check, texts)
    return [
        Figure("offline check of a code: read, build the signed bytes, verify", "us", whole, goal=at_most(1_000)),
        Figure("of which reading the text", "us", reading),
        Figure("for comparison: the bare Ed25519 verification", "us", bare),
    ]


def _texts(key: Ed25519PrivateKey, count: int) -> list[str]:
    identities = [CodeIdentity(CodeKind.GTIN, GTIN, serial) for serial in generate_serials("ABCDE", count)]
    return [
        code_text(
            identity,
            stem=f"HTTPS://{HOST.upper()}",
            elements=ELEMENTS,
            signature=sign_code(key, identity, ELEMENTS, KEY_ID),
        )
        for identity in identities
    ]


def _signed(code: ReadCode) -> tuple[bytes, bytes]:
    if code.signature is None:
        raise RuntimeError("a code that was just signed carries no signature")
    return code.message(KEY_ID), code.signature.signature


def _microseconds(work: Callable[[str], object], texts: Sequence[str]) -> float:
    rounds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for text in texts:
            work(text)
        rounds.append((time.process_time() - start) / len(texts) * 1e6)
    return statistics.median(rounds)


def main() -> int:
    """Print the figures; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description="Measure the offline check of codes on one core.")
    parser.add_argument("--codes", type=int, default=5_000)
    figures = measure(codes=parser.parse_args().codes)
    for figure in figures:
        print(f"{figure.what:<70}{number(figure.value):>8} {figure.unit}  {figure.goal or ''}")
    return 0 if all(figure.met for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
