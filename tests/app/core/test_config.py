"""Settings: read strictly, described for people, secrets never shown."""

import base64
from pathlib import Path

import pytest

from app.core.config import Settings, SettingsError, describe

KEY = base64.b64encode(bytes(32)).decode()


def read(**variables: str) -> Settings:
    return Settings.from_environment({f"MARCHAMO_{name}": value for name, value in variables.items()})


def test_nothing_in_the_environment_gives_the_documented_defaults() -> None:
    assert read() == Settings()
    assert read().effective_database_url.startswith("sqlite:////")
    assert read().effective_log_origin == "127.0.0.1:8000/log"


def test_each_type_of_setting_is_read() -> None:
    settings = read(
        DATA_DIR="/srv/m",
        PORT="9000",
        TRUST_PROXY="yes",
        TRUSTED_HOSTS="a.example, b.example:8443,",
        KEY_ENCRYPTION_KEY=KEY,
    )
    assert settings.data_dir == Path("/srv/m")
    assert settings.port == 9000
    assert settings.trust_proxy is True
    assert settings.trusted_hosts == ("a.example", "b.example:8443")
    assert settings.key_encryption_key == bytes(32)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "eighty"),
        ("TRUST_PROXY", "perhaps"),
        ("KEY_ENCRYPTION_KEY", "not base64!"),
        ("KEY_ENCRYPTION_KEY", base64.b64encode(b"short").decode()),
        ("PUBLIC_URL", "ftp://example.org"),
        ("PUBLIC_URL", "https://example.org/path"),
        ("SCAN_DURABILITY", "never"),
        ("WORKERS", "0"),
        ("NO_SUCH_SETTING", "1"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name_without_repeating_a_secret(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"MARCHAMO_{name}") as refused:
        read(**{name: value})
    if name == "KEY_ENCRYPTION_KEY":
        assert value not in str(refused.value)


def test_other_programs_variables_are_left_alone() -> None:
    assert Settings.from_environment({"PATH": "/bin", "PORT": "1"}) == Settings()


def test_a_secret_is_never_shown() -> None:
    settings = read(KEY_ENCRYPTION_KEY=KEY)
    rows = {variable: shown for variable, shown, _ in describe(settings)}
    assert rows["MARCHAMO_KEY_ENCRYPTION_KEY"] == "set"
    assert "key_encryption_key" not in repr(settings)
    assert str(bytes(32)) not in repr(settings)


def test_every_setting_says_what_it_means() -> None:
    assert all(len(meaning) > 5 for _, _, meaning in describe(Settings()))


def test_codes_of_our_own_and_of_trusted_hosts_are_ours() -> None:
    settings = read(PUBLIC_URL="https://Registry.example", CODE_URL="https://m.example", TRUSTED_HOSTS="old.example")
    assert settings.code_hosts == {"registry.example", "m.example", "old.example"}
    assert settings.code_stem == "HTTPS://M.EXAMPLE"
