"""Vectors of the codes that we print: signed, changed, damaged, compact, items, foreign hosts."""

from __future__ import annotations

from tests.vectors.code_cases import (
    CASE_CODE,
    GTINS,
    HOSTS,
    ITEM,
    LOT,
    SIMPLE,
    SSCCS,
    Vectors,
    malformed,
    read,
    refused,
)
from tests.vectors.code_writer import Code, Pairs, crockford_serial, digits, with_check_digit


def well_signed() -> Vectors:
    """Codes as we print them, and in lower case: one reading, one signature."""
    serials = [crockford_serial(n, length) for n, length in ((3, 12), (4, 17), (5, 20))]
    serials += ["a", "abc-DEF_1.2", "50%/OFF", "A+B=C", "1&2", "(x)", '"q"', "x;y:z", "<1>?", "*,!'"]
    for number, serial in enumerate(serials):
        gtin = GTINS[number % len(GTINS)]
        for path, query in (
            ((("01", gtin), ("21", serial)), ()),
            ((("01", gtin), ("10", "L-1"), ("21", serial)), ()),
            ((("01", gtin), ("22", "v2"), ("10", "A/B"), ("21", serial)), (("17", "270228"),)),
        ):
            code = Code(path, query)
            yield "signed", code.text(), read(code, "valid")
            yield "signed lower case", code.text(upper=False), read(code, "valid")


def harmless_changes() -> Vectors:
    """A change of host, letter case of the host, link parameters, order or fragment never breaks the signature."""
    for code in (SIMPLE, LOT, ITEM, CASE_CODE):
        for host in HOSTS[1:]:
            other = code.but(host=host)
            yield "other trusted host", other.text(), read(other, "valid")
        plain = code.but(host="localhost:8000", scheme="http")
        yield "http on a trusted host", plain.text(), read(plain, "valid")
        prefixed = code.but(prefix="/codes/v1")
        yield "stem with a path", prefixed.text(), read(prefixed, "valid")
        linked = code.but(extensions=(("linkType", "gs1:pip"), ("lang", "es")))
        yield "extension parameters", linked.text(), read(linked, "valid")
        yield "fragment", code.text(fragment="#top"), read(code, "valid")
        yield "empty fragment", code.text(fragment="#"), read(code, "valid")
        yield "default port", code.text().replace(".EXAMPLE/", ".EXAMPLE:443/"), read(code, "valid")
        yield "host in mixed case", code.text().replace("ID.MARCHAMO", "Id.Marchamo"), read(code, "valid")
        yield "empty parameters", code.text().replace("?", "?&&") + "&", read(code, "valid")
        yield "S before the AIs", code.text(parameters=(("S", code.s), *code.query)), read(code, "valid")
    needless = SIMPLE.text().replace("/21/" + SIMPLE.path[1][1][0], f"/21/%{ord(SIMPLE.path[1][1][0]):02x}")
    yield "needless percent-encoding of a value", needless, read(SIMPLE, "valid")
    digsig = SIMPLE.but(query=(("8030", "abc-_9"),))
    yield "DigSig of another system, preserved and signed", digsig.text(), read(digsig, "valid")
    measures = SIMPLE.but(query=(("99", "x+1"), ("3103", "000195")))
    yield "attributes in printed order", measures.text(), read(measures, "valid")


def broken_signatures() -> Vectors:
    """Whatever is under the signature and changes makes it invalid."""
    for code in (SIMPLE, LOT, ITEM, CASE_CODE):
        for position in (0, 31, 32, 63):
            damaged = bytearray(code.signature)
            damaged[position] ^= 1
            s = digits(bytes(damaged), key_id=7)
            pairs = (*code.query, ("S", s))
            expected = read(code, "invalid") | {"canonical": code.canonical.replace(code.s, s)}
            yield "one bit of the signature", code.text(parameters=pairs), expected
        for name, s in (
            ("signature of another code", Code((("01", GTINS[0]), ("21", "OTHER"))).s),
            ("key id of another known key", digits(code.signature, key_id=4294967295)),
            ("signed by another key", digits(code.but(key="b").signature, key_id=7)),
            ("all bytes zero", digits(bytes(64), key_id=7)),
        ):
            expected = read(code, "invalid") | {"canonical": code.canonical.replace(code.s, s)}
            yield name, code.text(parameters=(*code.query, ("S", s))), expected
        unknown = code.but(key="c", key_id=8)
        yield "unknown key", unknown.text(), read(unknown, "unknown_key")
        zero = code.but(key="c", key_id=0)
        yield "unknown key zero", zero.text(), read(zero, "unknown_key")
        second = code.but(key="b", key_id=4294967295)
        yield "the other known key", second.text(), read(second, "valid")
    yield from changed_elements()


def changed_elements() -> Vectors:
    gtin, lot, serial = LOT.path
    changes: list[tuple[str, Pairs, Pairs]] = [
        ("serial changed", (gtin, lot, ("21", serial[1][:-1] + "!")), LOT.query),
        ("serial shortened", (gtin, lot, ("21", serial[1][:-1])), LOT.query),
        ("serial in lower case", (gtin, lot, ("21", serial[1].lower())), LOT.query),
        ("lot changed", (gtin, ("10", "LOT8"), serial), LOT.query),
        ("lot removed", (gtin, serial), LOT.query),
        ("variant added", (gtin, ("22", "v2"), lot, serial), LOT.query),
        ("GTIN changed", (("01", GTINS[0]), lot, serial), LOT.query),
        ("lot and serial exchanged", (gtin, ("10", serial[1]), ("21", lot[1])), LOT.query),
        ("expiry changed", LOT.path, (("17", "281231"),)),
        ("expiry removed", LOT.path, ()),
        ("expiry turned into best before", LOT.path, (("15", "271231"),)),
        ("AI added", LOT.path, (*LOT.query, ("99", "X"))),
        ("price added", LOT.path, (*LOT.query, ("8005", "000100"))),
    ]
    for name, path, query in changes:
        code = LOT.but(path=path, query=query)
        s = (("S", LOT.s),)
        expected = read(code, "invalid") | {"canonical": code.canonical.replace(code.s, LOT.s)}
        yield name, code.text(parameters=query + s), expected
    issuer, item, item_serial = ITEM.path
    for name, path in (
        ("issuer changed", (("issuer", "ACME6"), item, item_serial)),
        ("item changed", (issuer, ("item", "WIDGET-2"), item_serial)),
        ("item serial changed", (issuer, item, ("serial", "X" + item_serial[1][1:]))),
        ("part moved from item to issuer", (("issuer", "ACME"), ("item", "5WIDGET-1"), item_serial)),
    ):
        code = ITEM.but(path=path)
        expected = read(code, "invalid") | {"canonical": code.canonical.replace(code.s, ITEM.s)}
        yield name, code.text(parameters=(("S", ITEM.s),)), expected
    other = CASE_CODE.but(path=(("00", SSCCS[1]),))
    expected = read(other, "invalid") | {"canonical": other.canonical.replace(other.s, CASE_CODE.s)}
    yield "SSCC changed", other.text(parameters=(("S", CASE_CODE.s),)), expected


def malformed_signatures() -> Vectors:
    """`S` is never repaired."""
    for code in (SIMPLE, LOT, ITEM, CASE_CODE):
        s = code.s
        head = code.but(signed=False).text()
        joint = "&" if "?" in head else "?"
        for name, written, error in (
            ("one digit missing", s[:-1], "signature_length"),
            ("one digit more", s + "0", "signature_length"),
            ("leading zero removed", s[1:], "signature_length"),
            ("leading zero added", "0" + s, "signature_length"),
            ("empty", "", "signature_length"),
            ("letter", s[:-1] + "A", "signature_digits"),
            ("sign", "-" + s[1:], "signature_digits"),
            ("underscore", s[:80] + "_" + s[81:], "signature_digits"),
            ("space", "+" + s[1:], "signature_digits"),
            ("full stop", s[:-1] + ".", "signature_digits"),
            ("percent-encoded digit", "%30" + s[1:], "signature_digits"),
            ("Arabic digit in UTF-8", "%D9%A0" + s[2:], "signature_digits"),
            ("too large for 69 bytes", "9" * 167, "signature_range"),
            ("just too large", str(256**69), "signature_range"),
            ("version 0", digits(code.signature, key_id=7, version=0), "signature_version"),
            ("version 2", digits(code.signature, key_id=7, version=2), "signature_version"),
            ("version 255", digits(code.signature, key_id=7, version=255), "signature_version"),
            ("all zeros", "0" * 167, "signature_version"),
            ("same twice", f"{s}&S={s}", "duplicate_signature"),
            ("two different", f"{s}&S={digits(bytes(64), key_id=7)}", "duplicate_signature"),
            ("second empty", f"{s}&S=", "duplicate_signature"),
            ("second without sign", f"{s}&S", "duplicate_signature"),
        ):
            yield f"malformed S: {name}", f"{head}{joint}S={written}", malformed(error)
        yield "malformed S: no equals sign", f"{head}{joint}S", malformed("signature_length")
        yield "S written with an escaped key", f"{head}{joint}%53={s}", refused("escaped_key")


def compact() -> Vectors:
    """Codes without `S`: read, signature missing; a whole code in lower case is a suspicion, not a refusal."""
    for number in range(10, 22):
        code = Code((("01", GTINS[number % 4]), ("21", crockford_serial(number))), signed=False)
        yield "compact", code.text(), read(code, "missing")
        lower = Code((("01", GTINS[number % 4]), ("21", crockford_serial(number).lower())), signed=False)
        yield "compact in lower case", lower.text(upper=False), read(lower, "missing", diagnoses=("case_swapped",))
        yield "lower-case serials of a firm", lower.text(), read(lower, "missing")
    for code in (ITEM, CASE_CODE, LOT):
        unsigned = code.but(signed=False)
        yield "unsigned", unsigned.text(), read(unsigned, "missing")
    for path in ((("01", GTINS[1]),), (("01", GTINS[1]), ("10", "LOT7")), (("414", with_check_digit("952123456789")),)):
        code = Code(path, signed=False)
        yield "no single unit", code.text(), read(code, "missing")


def item_paths() -> Vectors:
    for issuer in ("ACME", "0123456789AB", "ZZZZ9"):
        for item in ("A", "WIDGET-1", "X.Y_Z", "12345678901234567890", "7040"):
            code = ITEM.but(path=(("issuer", issuer), ("item", item), ("serial", "S/1")))
            yield "item", code.text(), read(code, "valid")
    dated = ITEM.but(query=(("10", "LOT7"), ("17", "271231")))
    yield "item with lot and expiry", dated.text(), read(dated, "valid")
    stem, serial = "HTTPS://ID.MARCHAMO.EXAMPLE", crockford_serial(2)
    for path, error in (
        (f"/i/ACM/W/{serial}", "issuer"),
        (f"/i/ACME012345678/W/{serial}", "issuer"),
        (f"/i/acme/W/{serial}", "issuer"),
        (f"/i/ACMI/W/{serial}", "issuer"),
        (f"/i/ACM%45/W/{serial}", "issuer"),
        (f"/i/ACME/w/{serial}", "item"),
        (f"/i/ACME/W%20X/{serial}", "item"),
        (f"/i/ACME//{serial}", "item"),
        (f"/i/ACME/../{serial}", "item"),
        (f"/i/ACME/123456789012345678901/{serial}", "item"),
        ("/i/ACME/W/", "serial"),
        ("/i/ACME/W/..", "serial"),
        ("/i/ACME/W/123456789012345678901", "serial"),
        ("/i/ACME/W/A%20B", "serial"),
        ("/i/ACME/W/A%00B", "serial"),
        ("/i/ACME/W/%C3%A9", "serial"),
        (f"/i/ACME/W/{serial}?01={GTINS[0]}", "attribute"),
        (f"/i/ACME/W/{serial}?21=5", "attribute"),
        (f"/i/ACME/W/{serial}?17=271231&17=271231", "repeated_ai"),
        (f"/i/ACME/W/{serial}?17=271331", "illegal_month"),
        (f"/i/ACME/W/{serial}?1234=5", "unknown_ai"),
        (f"/I/ACME/W/{serial}", "case_swapped"),
        (f"/i/ACME/W/{serial}/", "no_key"),
        (f"/i/ACME/{serial}", "no_key"),
        (f"/x/ACME/W/{serial}", "no_key"),
    ):
        yield "bad item path", stem + path, refused(error)
    tricky = Code((("01", GTINS[1]),), prefix="/i/ACME", signed=False)
    yield "a GS1 key in an item's place is a GS1 key", tricky.text(), read(tricky, "missing")


def foreign_hosts() -> Vectors:
    """A foreign host is read, named and not trusted; its `S` is not judged as ours."""
    for host in (
        "id.gs1.org",
        "marchamo.example",
        "id.marchamo.example.evil.test",
        "id-marchamo.example",
        "id.marchamo.example.",
        "id.marchamo.example:8443",
        "localhost:8001",
        "localhost",
        "xn--marchamo-p6a.example",
        "192.0.2.1",
        "[2001:db8::1]",
    ):
        code = SIMPLE.but(host=host)
        yield "foreign host", code.text(upper=False), read(code, "valid", trusted=False)
        bare = code.but(signed=False)
        yield "foreign host without S", bare.text(upper=False), read(bare, "missing", trusted=False)
    for s in ("5", "A" * 167, "9" * 167):
        code = SIMPLE.but(host="shop.example", signed=False, extensions=(("S", s),))
        yield "foreign S", code.text(), read(code, "missing", trusted=False)
    for authority, error in (
        ("user@id.marchamo.example", "host"),
        ("id.marchamo.example@evil.test", "host"),
        ("id.marchamo.example:443@evil.test", "host"),
        ("id.marchamo.example:", "host"),
        ("id.marchamo.example:99999", "host"),
        ("id.marchamo.example:8x", "host"),
        (".id.marchamo.example", "host"),
        ("id..example", "host"),
        ("id%2emarchamo.example", "host"),
        ("id_marchamo.example", "host"),
        ("id.marchamo.example\\evil.test", "uri_characters"),
        ("", "no_path"),
    ):
        yield "bad host", f"https://{authority}{SIMPLE.written_path}", refused(error)
    yield "cyrillic look-alike", f"https://id.m\u0430rchamo.example{SIMPLE.written_path}", refused("uri_characters")
    for host in ("id.gs1.org", "evil.test"):
        yield "http elsewhere", SIMPLE.but(host=host, scheme="http").text(upper=False), refused("insecure_scheme")
    yield "http on another trusted port", "http://localhost:8001" + SIMPLE.written_path, refused("insecure_scheme")
