"""A firm that holds its key in the browser: made, registered, signing, refused, withdrawn, in Chromium."""

from __future__ import annotations

import json
import subprocess
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from playwright.sync_api import Page, Request, Route
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.accounts.vocabulary import KeyHolder, OrganisationKeyPurpose
from app.core import jobs
from app.core.authorisation import Role
from app.registry import service as registry
from scanners.codes.identity import CodeIdentity, CodeKind
from scanners.codes.key_messages import possession_message, seal_message
from scanners.codes.signature import signed_message
from scanners.key_files import CodeKeyPair, encrypted_pem, read_key
from scanners.sign_cli import sign
from tests.builders import api_key, gtin, make_approved_firm, owner_email, principal
from tests.firm_keys import register_firm_key, signatures_of
from tests.journeys.visiting import DESK, PHONE, Site, Visitor

pytestmark = pytest.mark.browser

PASSPHRASE = "caballo grapa correcto pila"
VECTORS = Path(__file__).parents[1] / "vectors" / "codes.json"
english = pytest.mark.parametrize("visitor", [("en", DESK)], indirect=True, ids=["english desk"])


class Firm:
    """A firm with a product, whose batches are made as they are asked for."""

    def __init__(self, site: Site, prefix: str) -> None:
        self.services = site.services
        self.organisation = make_approved_firm(site.services, name="Destilería Tres Ríos", prefix=prefix)
        self.owner = owner_email(site.services, self.organisation)
        self.product = registry.register_product(
            site.services,
            organisation_id=self.organisation.id,
            name="Mezcal",
            brand="Tres Ríos",
            gtin=gtin(prefix=prefix),
        )

    def batch(self, units: int) -> registry.Batch:
        wanted = registry.CommissionRequest(product=self.product.reference, quantity=units, lot="L-7", expiry="281231")
        job = registry.request_commission(self.services, principal=principal(self.organisation), requests=[wanted])
        while True:
            with Session(self.services.engine) as session:
                state = jobs.find_job(session, job.id, organisation_id=self.organisation.id).state
                if state is jobs.JobState.DONE:
                    (batch,) = registry.batches_of_job(session, job.id)
                    return batch
                assert state is not jobs.JobState.FAILED

    def holds_a_key(self) -> Ed25519PrivateKey:
        return register_firm_key(self.services, self.organisation)[1]

    def code_key(self) -> accounts.KeyRecord:
        with Session(self.services.engine) as session:
            keys = accounts.list_keys(session, organisation_id=self.organisation.id)
        return next(key for key in keys if key.purpose is OrganisationKeyPurpose.CODE)

    def signing(self, batch: registry.Batch) -> registry.Signing:
        with Session(self.services.engine) as session:
            return registry.signing_of(session, batch)


def key_file(folder: Path, key: Ed25519PrivateKey) -> Path:
    path = folder / "key.pem"
    path.write_bytes(encrypted_pem(CodeKeyPair(key), PASSPHRASE))
    return path


def sign_here(page: Page, file: Path | None = None, *, passphrase: str = PASSPHRASE) -> None:
    """Press the button of the batch's page, with a key file unless the browser keeps the key."""
    page.locator("#signing form").wait_for()
    if file is not None:
        page.locator("#sign-file").set_input_files(file)
        page.locator("#sign-passphrase").fill(passphrase)
    page.locator("#signing form button").click()


@english
def test_a_firm_makes_its_key_in_the_browser_and_nobody_else_ever_has_it(
    visitor: Visitor, site: Site, tmp_path: Path
) -> None:
    firm = Firm(site, "9521111")
    sent: list[bytes] = []

    def note(request: Request) -> None:
        sent.append(request.url.encode() + b"\n" + json.dumps(request.headers).encode() + b"\n")
        sent.append(request.post_data_buffer or b"")

    page = visitor.signs_in(firm.owner)
    page.on("request", note)
    visitor.goes_to("/organisation/keys")
    page.get_by_role("link", name="Hold the key of your codes yourself").click()
    page.get_by_label("Passphrase", exact=True).fill(PASSPHRASE)
    page.get_by_label("The passphrase again").fill(PASSPHRASE)
    with page.expect_download() as saving:
        page.get_by_role("button", name="Make the key and save its file").click()
    file = tmp_path / "key.pem"
    saving.value.save_as(file)
    assert firm.code_key().holder is KeyHolder.SERVICE

    page.get_by_label("Key file").set_input_files(file)
    page.get_by_label("Its passphrase").fill(PASSPHRASE)
    page.get_by_role("button", name="Register the key").click()
    page.locator("[data-public-key]").wait_for()
    known = firm.code_key()
    assert known.holder is KeyHolder.FIRM

    batch = firm.batch(600)
    visitor.goes_to(f"/batches/{batch.handle}")
    page.locator("#signing form").wait_for()
    assert page.locator("#signing .order [data-row=number] dd").inner_text() == firm.product.reference
    page.get_by_role("button", name="Sign 600 codes in this browser").click()
    page.get_by_role("button", name="Make the labels").wait_for()
    assert firm.signing(batch).log_index is not None

    key = read_key(file, PASSPHRASE)
    assert key.public_key == known.public_key
    opened = subprocess.run(
        ["openssl", "pkey", "-in", file, "-passin", f"pass:{PASSPHRASE}", "-pubout", "-outform", "DER"],
        capture_output=True,
        check=True,
    )
    assert opened.stdout[-32:] == known.public_key
    secret_file = tmp_path / "passphrase"
    secret_file.write_text(PASSPHRASE, "utf-8")
    other_batch = firm.batch(20)
    machine = api_key(site.services, Role.OWNER, organisation=firm.organisation)
    arguments = ["--key", file, "--passphrase-file", secret_file, "--server", site.address, "--api-key", machine]
    ran = CliRunner().invoke(sign, [other_batch.handle, *map(str, arguments)])
    assert ran.exit_code == 0, ran.output
    assert firm.signing(other_batch).log_index is not None

    secret = key.private_key.private_bytes_raw()
    traffic = b"".join(sent)
    assert b64encode(known.public_key) in traffic.replace(b"%2B", b"+").replace(b"%2F", b"/").replace(b"%3D", b"=")
    for shape in (
        secret,
        secret.hex().encode(),
        b64encode(secret),
        PASSPHRASE.encode(),
        PASSPHRASE.replace(" ", "+").encode(),
    ):
        assert shape not in traffic
    body = b64decode(b"".join(file.read_bytes().splitlines()[1:-1]))
    assert body[-64:] not in traffic
    assert b64encode(body)[:60] not in traffic
    assert visitor.complaints == []


@english
def test_the_key_that_the_browser_keeps_can_be_used_and_not_read(visitor: Visitor, site: Site, tmp_path: Path) -> None:
    firm = Firm(site, "9521112")
    file = key_file(tmp_path, firm.holds_a_key())
    page = visitor.signs_in(firm.owner)
    visitor.goes_to("/organisation/keys/own")
    page.get_by_label("Key file").set_input_files(file)
    page.get_by_label("Its passphrase").fill(PASSPHRASE)
    page.get_by_role("button", name="Register the key").click()
    page.locator("[data-public-key]").wait_for()
    with Session(site.services.engine) as session:
        held = accounts.list_keys(session, organisation_id=firm.organisation.id)
    assert [key.holder for key in held].count(KeyHolder.FIRM) == 1  # it was registered before
    read = """async (how) => {
      const { keptKeys } = await import("/static/keys/key_store.js");
      const [key] = await keptKeys();
      return crypto.subtle.exportKey(how, key.private).then(() => "read", (error) => error.name);
    }"""
    assert [page.evaluate(read, how) for how in ("pkcs8", "jwk")] == ["InvalidAccessError"] * 2
    page.get_by_role("button", name="Forget it here").click()
    page.locator("[data-public-key]").wait_for(state="hidden")
    assert page.evaluate("import('/static/keys/key_store.js').then(async (m) => (await m.keptKeys()).length)") == 0


@english
def test_the_browser_signs_the_same_bytes_as_everybody_else(visitor: Visitor, site: Site) -> None:
    vectors = json.loads(VECTORS.read_text("utf-8"))["vectors"]
    cases, wanted = [], []
    for vector in vectors:
        said = vector["expect"]
        if said.get("signature") != "valid":
            continue
        named = said["identity"]
        identity = CodeIdentity(CodeKind(named["kind"]), named["identifier"], named["serial"])
        own = {ai for ai, _ in identity.elements()}
        others = [pair for pair in said["elements"] if pair[0] not in own]
        cases.append([named["kind"], named["identifier"], named["serial"], others, 4_294_967_295])
        wanted.append(signed_message(identity, [(ai, value) for ai, value in others], 4_294_967_295).hex())
    assert len(cases) > 50
    assert {case[0] for case in cases} == {"gtin", "item", "case"}
    page = visitor.goes_to("/")
    compute = """async (cases) => {
      const { signedMessage, messagesOf } = await import("/static/keys/messages.js");
      const hex = (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
      return cases.map(([kind, reference, serial, elements, key]) => [
        hex(signedMessage(kind, reference, serial, elements, key)),
        hex(messagesOf(kind, reference, elements, key)(serial)),
      ]);
    }"""
    for made, expected in zip(page.evaluate(compute, cases), wanted, strict=True):
        assert made == [expected, expected]
    public, root = bytes(range(32)), bytes(range(100, 132))
    messages = page.evaluate(
        """async ([key, root]) => {
          const { possessionMessage, sealMessage } = await import("/static/keys/messages.js");
          return [possessionMessage(7, "ABCD", Uint8Array.from(key)), sealMessage(7, Uint8Array.from(root), 16777216)]
            .map((bytes) => [...bytes]);
        }""",
        [list(public), list(root)],
    )
    assert bytes(messages[0]) == possession_message(key_id=7, issuer="ABCD", purpose="code", public_key=public)
    assert bytes(messages[1]) == seal_message(key_id=7, root=root, count=16_777_216)


@pytest.mark.parametrize("visitor", [("es", PHONE)], indirect=True, ids=["spanish phone"])
def test_signing_goes_on_where_it_was_broken_off_and_says_what_is_wrong(
    visitor: Visitor, site: Site, tmp_path: Path
) -> None:
    firm = Firm(site, "9521113")
    key = firm.holds_a_key()
    batch = firm.batch(8_192 + 700)
    registry.put_signatures(
        site.services,
        handle=batch.handle,
        organisation_id=firm.organisation.id,
        start=0,
        signatures=signatures_of(site.services, batch, key)[: 1_024 * 64],
    )
    page = visitor.signs_in(firm.owner)
    visitor.goes_to(f"/batches/{batch.handle}")
    page.locator("#signing form").wait_for()
    assert page.locator("[data-row=signed] dd").inner_text() == "1,024"
    file = key_file(tmp_path, key)
    fault = page.locator("#signing .error")

    sign_here(page, file, passphrase="another passphrase")
    fault.wait_for()
    other = tmp_path / "other"
    other.mkdir()
    sign_here(page, key_file(other, Ed25519PrivateKey.generate()))
    fault.filter(has_text=str(batch.key_id)).wait_for()  # it names the key that is needed

    parts: list[str] = []
    page.on("request", lambda request: parts.append(request.url) if request.method == "PUT" else None)
    page.route("**/signatures?**", lambda route: route.abort() if len(parts) == 1 else route.continue_())
    page.locator("input[name=keep]").check()
    sign_here(page, file)
    page.locator("form[action$='/labels']").wait_for()
    assert "from=1024&" in parts[0]
    assert parts[1] == parts[0]  # the connection was lost once
    assert "from=8192&" in parts[2]
    assert firm.signing(batch).log_index is not None


@english
def test_units_that_are_not_under_the_root_are_not_sealed(visitor: Visitor, site: Site, tmp_path: Path) -> None:
    firm = Firm(site, "9521114")
    key = firm.holds_a_key()
    batch = firm.batch(5)
    page = visitor.signs_in(firm.owner)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method != "GET" else None)

    def with_another_serial(route: Route) -> None:
        answer = route.fetch()
        members: dict[str, Any] = answer.json()
        members["serials"][-1] = members["serials"][-1] + "Z"
        route.fulfill(response=answer, json=members)

    page.route("**/signing.json*", with_another_serial)
    page.route("**/signatures?*", lambda route: route.fulfill(json={}))  # a registry that takes anything
    visitor.goes_to(f"/batches/{batch.handle}")
    sign_here(page, key_file(tmp_path, key))
    page.get_by_text("The units given are not those that stand in the register").wait_for()
    assert not any("/seal" in url for url in sent)

    page.unroute("**/signing.json*")
    page.route("**/signing.json*", lambda route: route.fulfill(json=route.fetch().json() | {"elements": [["99", "X"]]}))
    visitor.goes_to(f"/batches/{batch.handle}")
    page.get_by_text("does not describe a batch that can be signed").wait_for()


@pytest.mark.parametrize("visitor", [("es", PHONE), ("en", DESK)], indirect=True, ids=["spanish phone", "english desk"])
def test_an_old_browser_is_told_so_with_the_way_around(visitor: Visitor, site: Site) -> None:
    firm = Firm(site, "9521115" if visitor.page.viewport_size == PHONE else "9521116")
    firm.holds_a_key()
    batch = firm.batch(5)
    page = visitor.signs_in(firm.owner)
    visitor.context.add_init_script(
        "crypto.subtle.generateKey = () => Promise.reject(new DOMException('', 'NotSupportedError'))"
    )
    for path, command in (
        (f"/batches/{batch.handle}", f"marchamo sign {batch.handle} --key firm-key.pem --server {site.address}"),
        ("/organisation/keys/own", "marchamo key new --out firm-key.pem"),
    ):
        visitor.goes_to(path)
        notice = page.locator(".unsupported")
        notice.wait_for()
        assert command in notice.inner_text()
        assert page.locator("form[id], #signing form").locator("visible=true").count() == 0
        assert visitor.barriers() == []
        assert not visitor.is_wider_than_the_screen()


@english
def test_a_stolen_key_is_withdrawn_from_the_batch_that_is_not_ours(visitor: Visitor, site: Site) -> None:
    firm = Firm(site, "9521117")
    firm.holds_a_key()
    firm.batch(10)
    later = firm.batch(20)
    key = firm.code_key()
    page = visitor.signs_in(firm.owner)
    visitor.goes_to("/organisation/keys")
    page.locator(f"a[href='/organisation/keys/{key.key_id}/revocation']").click()
    page.get_by_label("The key no longer counts").select_option(str(later.log_index))
    page.get_by_role("button", name="Show what that would do").first.click()
    assert page.locator(".figure").all_inner_texts() == ["10", "20"]
    page.get_by_label("Reason").select_option("stolen")
    page.get_by_label("More about it").fill("laptop of the workshop")
    page.get_by_role("button", name="Withdraw the key").click()
    page.get_by_text("The key is withdrawn.").wait_for()
    known = firm.code_key()
    assert (known.revoked_from, known.revocation_reason) == (later.log_index, "stolen: laptop of the workshop")
    assert visitor.barriers() == []


@pytest.mark.parametrize(
    ("language", "viewport"),
    [("es", PHONE), ("en", PHONE), ("es", DESK)],
    ids=["spanish phone", "english phone", "spanish desk"],  # Spanish words are the longer ones
)
def test_the_pages_of_keys_have_no_barrier(
    browser: Any, site: Site, tmp_path: Path, language: str, viewport: Any
) -> None:
    number = 20 + 2 * (language == "es") + (viewport == DESK)
    firm = Firm(site, f"95211{number}")
    key = firm.holds_a_key()
    batch = firm.batch(30)
    context = browser.new_context(viewport=viewport, locale=language)
    context.set_default_timeout(10_000)
    someone = Visitor(context, site.address)
    page = someone.signs_in(firm.owner)
    revocation = f"/organisation/keys/{firm.code_key().key_id}/revocation"
    faults: dict[str, list[str]] = {}

    def look(name: str) -> None:
        found = someone.barriers() + (["wider than the screen"] if someone.is_wider_than_the_screen() else [])
        if found:
            faults[name] = found

    pages = ("/organisation/keys", "/organisation/keys/own", "/organisation/keys/advice", revocation)
    for path in (*pages, f"{revocation}?from_index={batch.log_index}", f"{revocation}?from_index=0"):
        someone.goes_to(path)
        if path.endswith("own"):
            page.locator("#open-key").wait_for()
        look(path)
    someone.goes_to(f"/batches/{batch.handle}")
    page.locator("#signing form").wait_for()
    look("before signing")
    sign_here(page, key_file(tmp_path, key), passphrase="another passphrase")
    page.locator("#signing .error").wait_for()
    look("refused")
    page.route("**/seal", lambda route: None)  # the last answer does not come
    sign_here(page, key_file(tmp_path, key))
    page.locator("#signing progress[value='30']").wait_for()
    look("signing")
    context.close()
    assert faults == {}
