"""Vectors of what others print and of what scanners send: GS1 syntax, element strings, reel labels, trouble."""

from __future__ import annotations

from tests.vectors.code_cases import (
    CASE_CODE,
    EOT,
    GS,
    GTINS,
    ITEM,
    LOT,
    RS,
    SIMPLE,
    SSCCS,
    Vectors,
    labels,
    read,
    refused,
    strings,
)
from tests.vectors.code_writer import Pairs, crockford_serial, with_check_digit


def gs1_syntax() -> Vectors:
    """GS1 Digital Link URI syntax 1.6, check digits, dates and associations."""
    gtin, stem = GTINS[1], "https://id.marchamo.example"
    wrong = gtin[:-1] + str((int(gtin[-1]) + 1) % 10)
    for rest, error in (
        (f"/01/{wrong}/21/A", "check_digit"),
        (f"/01/{gtin[1:]}/21/A", "value_length"),
        (f"/01/{gtin}0/21/A", "value_length"),
        (f"/01/{gtin[:-1]}X/21/A", "value_characters"),
        (f"/gtin/{gtin}/ser/A", "no_key"),
        (f"/01/{gtin}/21/A/10/B", "ai_order"),
        (f"/01/{gtin}/10/B/22/C", "ai_order"),
        (f"/01/{gtin}/21/A/21/A", "ai_order"),
        (f"/01/{gtin}/17/271231", "ai_order"),
        (f"/01/{gtin}/235/A/21/B", "ai_order"),
        (f"/01/{gtin}/10/B/235/A", "ai_order"),
        (f"/00/{SSCCS[0]}/21/A", "ai_order"),
        (f"/01/{gtin}/21/A/", "no_key"),
        (f"/01/{gtin}/21/", "empty_value"),
        (f"/01//21/{gtin}", "empty_value"),
        (f"/01//{gtin}", "no_key"),
        (f"/01/{gtin}/21", "no_key"),
        (f"/01/{gtin}/1234/A", "no_key"),
        ("/21/A/10/B", "no_key"),
        (f"/{gtin}", "no_key"),
        ("/", "no_key"),
        ("", "no_path"),
        (f"?01={gtin}", "no_path"),
        (f"/?01={gtin}&21=A", "no_key"),
        (f"/01/{gtin}/21/{'A' * 21}", "value_length"),
        (f"/01/{gtin}/21/A%20B", "value_characters"),
        (f"/01/{gtin}/21/A%7EB", "value_characters"),
        (f"/01/{gtin}/21/A%C3%B1B", "value_characters"),
        (f"/01/{gtin}/21/A%00", "value_characters"),
        (f"/01/{gtin}/21/A?21=B", "repeated_ai"),
        (f"/01/{gtin}/21/A?21=A", "repeated_ai"),
        (f"/01/{gtin}/21/A?01={gtin}", "repeated_ai"),
        (f"/01/{gtin}/21/A?17=271231&17=271231", "repeated_ai"),
        (f"/01/{gtin}?21=A", "attribute"),
        (f"/01/{gtin}?10=A", "attribute"),
        (f"/01/{gtin}/21/A?22=A", "attribute"),
        (f"/01/{gtin}/21/A?8200=x", "attribute"),
        (f"/01/{gtin}/21/A?1234=5", "unknown_ai"),
        (f"/01/{gtin}/21/A?5=5", "unknown_ai"),
        (f"/01/{gtin}/21/A?00000=5", "unknown_ai"),
        (f"/01/{gtin}/21/A?%31%37=271231", "escaped_key"),
        (f"/01/{gtin}/21/A?17=", "empty_value"),
        (f"/01/{gtin}/21/A?17=27123", "value_length"),
        (f"/01/{gtin}/21/A?17=2712310", "value_length"),
        (f"/01/{gtin}/21/A?17=2712+1", "value_characters"),
        (f"/01/{gtin}/21/A?17=271331", "illegal_month"),
        (f"/01/{gtin}/21/A?17=270229", "illegal_day"),
        (f"/01/{gtin}/21/A?422=999", "not_iso3166"),
        (f"/01/{gtin}/21/A?7003=2712312460", "illegal_hour"),
        (f"/01/{gtin}/21/A?02={gtin}&37=5", "excluded_ai"),
        (f"/01/{gtin}/21/A?12=271231", "required_ai"),
        (f"/01/{gtin}/21/A?3100=000100&3101=000100", "excluded_ai"),
        (f"/01/{gtin}?8030=abc", "required_ai"),
        (f"/01/{gtin}?250=A", "required_ai"),
        (f"/253/{with_check_digit('952123456789')}?8030=abc", "required_serial"),
        (f"/00/{SSCCS[0][:-1]}{(int(SSCCS[0][-1]) + 5) % 10}", "check_digit"),
        (f"/00/{SSCCS[0][:-1]}", "value_length"),
        (f"/01/{gtin}/21/A?99={'A' * 91}", "value_length"),
        (f"/01/{gtin}/21/A{{", "uri_characters"),
        (f'/01/{gtin}/21/A"', "uri_characters"),
        (f"/01/{gtin}/21/A<", "uri_characters"),
        (f"/01/{gtin}/21/..", "serial"),
        (f"/01/{gtin}/21/%2E", "serial"),
    ):
        yield "GS1 syntax", stem + rest, refused(error)
    for scheme, error in (
        ("Https", "scheme"),
        ("hTTPS", "scheme"),
        ("HTTPs", "scheme"),
        ("https:", "scheme"),
        ("httpsx", "unknown_form"),
        ("ftp", "unknown_form"),
        ("javascript", "unknown_form"),
        ("http ", "unknown_form"),
    ):
        yield "scheme", f"{scheme}://id.marchamo.example{SIMPLE.written_path}", refused(error)
    for ai in ("3100", "3305", "3922", "400", "422", "7008", "7230", "8008", "91"):
        value = {"422": "724", "7008": "COD", "7230": "EM123", "8008": "27123123", "3922": "0299"}.get(ai, "000150")
        needed = (("3100", "000150"),) if ai == "3922" else ()
        code = SIMPLE.but(query=(*needed, (ai, value)))
        yield "attribute under the signature", code.text(), read(code, "valid")
    zero_day = SIMPLE.but(query=(("17", "270200"),))
    yield "expiry without day", zero_day.text(), read(zero_day, "valid")
    leap = SIMPLE.but(query=(("17", "280229"),))
    yield "leap day", leap.text(), read(leap, "valid")


def element_strings() -> Vectors:
    gtin, serial = GTINS[1], crockford_serial(30)
    unit = {"kind": "gtin", "identifier": gtin, "serial": serial}
    medicine: Pairs = (("01", gtin), ("21", serial), ("17", "271231"), ("10", "LOT7"))
    canonical = f"^01{gtin}21{serial}^1727123110LOT7"
    raw = f"01{gtin}21{serial}{GS}1727123110LOT7"
    expected = strings(medicine, canonical, unit)
    for prefix in ("", GS, "]d2", "]C1", "]Q3", "]d2" + GS):
        yield "medicine", prefix + raw, expected
    yield "bracketed", f"(01){gtin}(21){serial}(17)271231(10)LOT7", expected
    yield "separator after a fixed length", raw.replace("1231", f"1231{GS}"), expected
    yield "closing separator", raw + GS, expected
    as_text = strings(medicine, canonical, unit, ("gs_as_text",))
    for written in ("<GS>", "{GS}", "[GS]", "<FNC1>", "\\x1d", "\\u001D", "\u241d", "~d029", "^]", "|", "^"):
        yield "separator written out", raw.replace(GS, written), as_text
    yield "FNC1 written out", "^" + raw.replace(GS, "^"), as_text
    lost = strings(
        (("01", gtin), ("21", "AB17271231")),
        f"^01{gtin}21AB17271231",
        {"kind": "gtin", "identifier": gtin, "serial": "AB17271231"},
        ("gs_lost",),
    )
    yield "separator perhaps lost", f"01{gtin}21AB17271231", lost
    yield "separator lost, value too long", raw.replace(GS, ""), refused("gs_lost")
    yield "separator lost after the symbology identifier", "]d2" + raw.replace(GS, ""), refused("gs_lost")
    short: Pairs = (("01", gtin), ("10", "LOT7"))
    yield "no serial", f"01{gtin}10LOT7", strings(short, f"^01{gtin}10LOT7", None)
    for text, pair in (("10LOT7", ("10", "LOT7")), ("21S1", ("21", "S1")), ("95AB", ("95", "AB"))):
        yield "one element alone", text, strings((pair,), "^" + text, None)
    sscc = {"kind": "case", "identifier": "", "serial": SSCCS[0]}
    content: Pairs = (("00", SSCCS[0]), ("02", gtin), ("37", "24"))
    yield "logistic label", f"]C100{SSCCS[0]}02{gtin}3724", strings(content, f"^00{SSCCS[0]}02{gtin}3724", sscc)
    same: Pairs = (("01", gtin), ("10", "A"), ("10", "A"))
    yield "identical repeat", f"01{gtin}10A{GS}10A", strings(same, f"^01{gtin}10A^10A", None)
    for text, error in (
        (f"01{gtin[:-1]}{(int(gtin[-1]) + 3) % 10}21A", "check_digit"),
        (f"01{gtin[:-1]}", "value_length"),
        (f"01{gtin[:-1]}X", "value_characters"),
        (f"01{gtin}21{'A' * 21}", "value_length"),
        (f"01{gtin}21A{GS}{GS}10B", "unknown_ai"),
        (f"01{gtin}21A{GS}21B", "repeated_ai"),
        (f"01{gtin}04123", "unknown_ai"),
        (f"01{gtin}21", "value_length"),
        (f"01{gtin}21{GS}10A", "value_length"),
        (f"01{gtin}21A B", "value_characters"),
        (f"01{gtin}17271331", "illegal_month"),
        (f"01{gtin}17270230", "illegal_day"),
        ("0", "unknown_ai"),
        ("99", "value_length"),
        ("88123", "unknown_ai"),
        ("]d2", "no_ai"),
        (f"(01){gtin}(21)", "value_length"),
        (f"(01){gtin}(21", "brackets"),
        (f"(1){gtin}", "unknown_ai"),
        (f"(01) {gtin}", "value_length"),
        (f"(01){gtin}(01){GTINS[0]}", "repeated_ai"),
        (f"01{gtin}21A<GS>10B{GS}", "mixed_gs"),
        (f"]D201{gtin}21A", "case_swapped"),
        (f"]c101{gtin}21A", "case_swapped"),
        (f"HELLO01{gtin}", "unknown_form"),
    ):
        yield "bad element string", text, refused(error)
    for body in ("952123454321", "9521234", "95212345432", gtin[:-1]):
        number = with_check_digit(body)
        yield "article number without serial", number, refused("plain_gtin")
        yield "article number with symbology identifier", "]E0" + number, refused("plain_gtin")


def reel_labels() -> Vectors:
    fields: Pairs = (("1P", "LM358-N"), ("1T", "L0T/77"), ("Q", "2500"), ("9D", "2631"), ("4L", "MY"), ("S", "R0001"))
    body = GS.join(name + value for name, value in fields)
    full = f"[)>{RS}06{GS}{body}{RS}{EOT}"
    for text in (full, full.removesuffix(EOT), full.removesuffix(RS + EOT)):
        yield "reel label", text, labels(fields)
    for gs, rs, eot in (
        ("<GS>", "<RS>", "<EOT>"),
        ("{GS}", "{RS}", "{EOT}"),
        ("^]", "^^", "^D"),
        ("\u241d", "\u241e", "\u2404"),
    ):
        written = full.replace(GS, gs).replace(RS, rs).replace(EOT, eot)
        yield "reel label, separators written out", written, labels(fields, ("gs_as_text",))
    yield "linear symbol", "1PLM358-N", labels((("1P", "LM358-N"),))
    yield "linear lot", "1TL0T 77", labels((("1T", "L0T 77"),))
    decimal: Pairs = (("P", "77-1"), ("Q", "12.5"), ("10D", "2631"), ("1J", "UN123456789"))
    text = f"[)>{RS}06{GS}" + GS.join(name + value for name, value in decimal) + RS + EOT
    yield "reel label with licence plate", text, labels(decimal)
    for text, error in (
        (full.replace(GS, "").replace(RS, "").replace(EOT, ""), "gs_lost"),
        (full.replace(GS, ""), "gs_lost"),
        (full.replace(f"{RS}06", f"{RS}05"), "envelope_format"),
        (full.replace(f"{RS}06", f"{RS}12"), "envelope_format"),
        (full.replace(f"{RS}06", f"{RS}6"), "envelope"),
        (full.replace(RS + EOT, f"{RS}06{GS}1PX{RS}{EOT}"), "envelope"),
        (full.replace("Q2500", "QMANY"), "quantity"),
        (full.replace("Q2500", "Q-5"), "quantity"),
        (full.replace("4LMY", "4LXX"), "country"),
        (full.replace("4LMY", "4LMalaysia"), "country"),
        (full.replace("SR0001", "1PLM359"), "repeated_identifier"),
        (full.replace("SR0001", "1p"), "case_swapped"),
        (full.replace("SR0001", "1234PX"), "field"),
        (full.replace("SR0001", ""), "field"),
        (full.replace("SR0001", "S"), "field"),
        ("[)>", "gs_lost"),
    ):
        yield "bad reel label", text, refused(error)


def scanner_trouble() -> Vectors:
    for code in (SIMPLE, LOT, ITEM, CASE_CODE):
        text = code.text()
        for name, sent, found in (
            ("one Enter", text + "\r", ()),
            ("one line end", text + "\r\n", ()),
            ("tab", text + "\t", ()),
            ("two Enters", text + "\r\r", ("double_enter",)),
            ("two line ends", text + "\r\n\r\n", ("double_enter",)),
            ("scanned twice", f"{text}\n{text}\n", ("double_enter",)),
            ("spaces around", f"  {text} ", ("white_space",)),
            ("byte order mark", "\ufeff" + text, ("white_space",)),
            ("spaces and two codes", f" {text}\n{text}", ("double_enter", "white_space")),
        ):
            yield name, sent, read(code, "valid", diagnoses=found)
        other = SIMPLE.but(signed=False).text()
        yield "two different codes", f"{text}\n{other}", refused("two_codes")
        yield (
            "space inside",
            text.replace("/21/", "/21/ ").replace("/00/", "/00/ ").replace("/i/", "/i/ "),
            refused("uri_characters"),
        )
        # The first S swallows the second code up to its next "&".
        error = "duplicate_signature" if code.query else "signature_length"
        yield "code twice without Enter", text + text, refused(error)
        yield "caps lock", text.swapcase(), refused("case_swapped")
        yield "caps lock on a lower-case code", code.text(upper=False).swapcase(), refused("case_swapped")
    for name, text in (
        ("Spanish", "HTTPS\u00d1--ID.MARCHAMO.EXAMPLE-01-09521234543213-21-ABC_S\u00a1123"),
        ("Spanish, lower case", "https\u00d1--id.marchamo.example-01-09521234543213-21-abc"),
        ("Latin American", "HTTPS\u00d1--ID.MARCHAMO.EXAMPLE-01-09521234543213-21-ABC_S\u00bf123"),
        ("German", "HTTPS\u00d6--ID.MARCHAMO.EXAMPLE-01-09521234543213-21-ABC_S\u00b4123"),
        ("French", 'HTTPSM!!ID:?QRCHQ?O:EXQ?PLE!\u00e0&!\u00e0\u00e7(\u00e9&\u00e9"\'(\'"\u00e9&"'),
        ("Italian", "HTTPS\u00e7--ID.MARCHAMO.EXAMPLE-01-09521234543213-21-ABC_S\u00ec123"),
        ("Brazilian", "HTTPS\u00c7;;ID.MARCHAMO.EXAMPLE;01;09521234543213;21;ABC:S=123"),
        ("Spanish scanner", "HTTPS>&&ID.MARCHAMO.EXAMPLE&01&09521234543213&21&ABC_S)123"),
        ("French scanner", "HTTPS.>>ID<:QRCHQ:O<EXQ:PLE>)!>)(%@!@#$%$#@!#"),
        ("French, element string", '\u00e0&\u00e0\u00e7(\u00e9&\u00e9"\'(\'"\u00e9&"\u00e9&QBC'),
    ):
        yield f"keyboard: {name}", text, refused("keyboard_layout")


def garbage() -> Vectors:
    text = SIMPLE.text()
    for sent, error in (
        ("", "empty"),
        (" ", "empty"),
        ("\r\n", "empty"),
        ("hello", "unknown_form"),
        ("{}", "unknown_form"),
        ("BEGIN:VCARD", "unknown_form"),
        ("WIFI:T:WPA;S:net;;", "unknown_form"),
        ("mailto:a@b.example", "unknown_form"),
        ("\x00", "control_character"),
        (text + "\x00", "control_character"),
        ("\x1b[2J" + text, "control_character"),
        (text[:30] + "\x07" + text[30:], "control_character"),
        (text + "\x7f", "control_character"),
        ("\u00e9\u00e8", "characters"),
        ("\u4e2d\u6587", "characters"),
        ("\U0001f600", "characters"),
        ("\u0660\u0661", "characters"),
        (text + "\u200b", "uri_characters"),
        ("A" * 2049, "too_long"),
        (text + "&x=" + "A" * 2048, "too_long"),
        (" " * 2049, "too_long"),
        ("https://", "no_path"),
        ("https:///", "no_path"),
        ("http", "unknown_form"),
        ("https:", "scheme"),
        ("HTTPS:/ID/", "scheme"),
        ("--", "unknown_form"),
        ("'; DROP TABLE units;--", "unknown_form"),
        ("<script>", "unknown_form"),
        ("%s%n", "unknown_form"),
    ):
        yield "garbage", sent, refused(error)
    longest = SIMPLE.but(extensions=(("x", "A" * (2048 - len(text) - 3)),))
    yield "longest code", longest.text(), read(longest, "valid")
