"""A witness's folder: its private keys and its state, which belong together and are made together.

The keys alone are worthless without the state, and dangerous: a witness that kept its name but forgot what it cosigned
would cosign a fork. So keys without state are refused, and so is a state that knows logs but has lost its keys.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ledger.cosignature import ED25519_COSIGNATURE, ML_DSA_44_COSIGNATURE, CosignatureSigner
from ledger.errors import NoteError, WitnessError
from ledger.witness.state import WitnessState

KEY_FILE = "witness.key"
STATE_FILE = "witness.db"
MAX_KEY_FILE = 4_096
_FIX = (
    "A witness cannot go back to an earlier state, nor on without one: begin a new one, with another folder and a new "
    "key, and tell those who know the old key."
)


@dataclass(frozen=True, slots=True)
class WitnessFolder:
    """An open folder: the signers (Ed25519, and ML-DSA-44 where this machine has it) and the state."""

    signers: tuple[CosignatureSigner, ...]
    state: WitnessState

    @property
    def name(self) -> str:
        """The witness's name."""
        return self.signers[0].name


def open_folder(folder: Path, name: str | None = None) -> WitnessFolder:
    """Open a witness's folder; made with new keys when `name` is given and neither keys nor state are there.

    Raises WitnessError when something is missing, readable by others, or belongs to a witness of another name.
    """
    keys, state = folder / KEY_FILE, folder / STATE_FILE
    if not keys.exists():
        if name is None:
            raise WitnessError(f"there is no witness in {folder}", fix="Give it a name with --name to make one.")
        _make(folder, name)
    if not state.exists():
        raise WitnessError(f"{state} is gone: this witness has forgotten what it cosigned", fix=_FIX)
    signers = read_keys(folder)
    if name is not None and name != signers[0].name:
        raise WitnessError(f"the witness in {folder} is called {signers[0].name}, not {name}")
    return WitnessFolder(signers, WitnessState(state))


def read_keys(folder: Path) -> tuple[CosignatureSigner, ...]:
    """Read the private keys, one a line. Raises WitnessError."""
    path = folder / KEY_FILE
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise WitnessError(f"{path} may be read by others than its owner", fix=f"chmod 600 {path}")
            text = file.read(MAX_KEY_FILE).decode("ascii")
        signers = tuple(CosignatureSigner.from_text(line) for line in text.splitlines())
    except (OSError, NoteError, UnicodeDecodeError):
        # What stands in the file is not repeated: it is a secret.
        raise WitnessError(f"the keys of the witness in {path} cannot be read") from None
    if not signers or len({signer.name for signer in signers}) > 1:
        raise WitnessError(f"{path} must hold the keys of one witness")
    return signers


def _make(folder: Path, name: str) -> None:
    try:
        signers = [CosignatureSigner.generate(name, ED25519_COSIGNATURE)]
    except NoteError as error:
        raise WitnessError(f"{name!r} cannot be the name of a witness: {error.message}", fix=error.fix) from None
    with suppress(NoteError):  # a cryptography library without ML-DSA-44: Ed25519 alone is what most logs ask for
        signers.append(CosignatureSigner.generate(name, ML_DSA_44_COSIGNATURE))
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    state = folder / STATE_FILE
    if not state.exists():
        WitnessState.create(state)
    elif WitnessState(state).all_latest():
        raise WitnessError(f"{folder / KEY_FILE} is gone, but the witness there has cosigned", fix=_FIX)
    # The keys come last and whole: a crash before leaves an empty state, which the next start takes up.
    unfinished = folder / f".{KEY_FILE}.{os.getpid()}.new"
    file = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(file, "w", encoding="ascii") as writer:
        writer.write("".join(f"{signer.to_text()}\n" for signer in signers))
        writer.flush()
        os.fsync(writer.fileno())
    with suppress(FileExistsError):  # another process was first: its keys count
        os.link(unfinished, folder / KEY_FILE)
    unfinished.unlink()
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    os.fsync(directory)
    os.close(directory)
