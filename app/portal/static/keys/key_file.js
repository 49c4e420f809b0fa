/* The file of a firm's key: EncryptedPrivateKeyInfo (RFC 5958 section 3) in PEM, as `marchamo key new` and OpenSSL
   write it: PBES2 (RFC 8018 section 6.2) with PBKDF2-HMAC-SHA-256 and AES-256-CBC. The DER around it is written and
   read here; the cryptography is the browser's. */

import { areEqual, fromBase64, fromText, joined, toBase64 } from "./bytes.js";

export const ROUNDS = 600000;
export const LEAST_PASSPHRASE = 12;
const MOST_ROUNDS = 10000000;
const MAX_FILE = 64 * 1024;

/* DER of object identifiers, tag and length included. */
const PBES2 = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d];
const PBKDF2 = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0c];
const HMAC_SHA256 = [0x06, 0x08, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x09];
const AES_256_CBC = [0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a];
const SEQUENCE = 0x30;
const OCTETS = 0x04;
const INTEGER = 0x02;

/* The file is no key file that can be read here, or its passphrase is another; `reason` says which. */
export class KeyFileFault extends Error {
  constructor(reason) {
    super(reason);
    this.reason = reason;
  }
}

/* PKCS#8 bytes as the text of an encrypted file. */
export async function sealedPem(pkcs8, passphrase) {
  const salt = crypto.getRandomValues(new Uint8Array(16));
  const iv = crypto.getRandomValues(new Uint8Array(16));
  const key = await derivedKey(passphrase, salt, ROUNDS);
  const sealed = new Uint8Array(await crypto.subtle.encrypt({ name: "AES-CBC", iv }, key, pkcs8));
  const derivation = sequence(tagged(OCTETS, salt), integer(ROUNDS), sequence(HMAC_SHA256, [0x05, 0x00]));
  const parameters = sequence(sequence(PBKDF2, derivation), sequence(AES_256_CBC, tagged(OCTETS, iv)));
  const text = toBase64(sequence(sequence(PBES2, parameters), tagged(OCTETS, sealed)));
  const lines = ["-----BEGIN ENCRYPTED PRIVATE KEY-----", ...text.match(/.{1,64}/g), "-----END ENCRYPTED PRIVATE KEY-----"];
  return `${lines.join("\n")}\n`;
}

/* The PKCS#8 bytes in the text of an encrypted file; throws KeyFileFault. */
export async function openedPem(text, passphrase) {
  const found = /-----BEGIN ENCRYPTED PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END ENCRYPTED PRIVATE KEY-----/.exec(text);
  if (text.length > MAX_FILE || !found) {
    throw new KeyFileFault("file");
  }
  let parts;
  try {
    parts = readParts(fromBase64(found[1].replace(/\s/g, "")));
  } catch {
    throw new KeyFileFault("file");
  }
  const key = await derivedKey(passphrase, parts.salt, parts.rounds);
  try {
    return new Uint8Array(await crypto.subtle.decrypt({ name: "AES-CBC", iv: parts.iv }, key, parts.sealed));
  } catch {
    throw new KeyFileFault("passphrase");
  }
}

async function derivedKey(passphrase, salt, iterations) {
  const material = await crypto.subtle.importKey("raw", fromText(passphrase), "PBKDF2", false, ["deriveKey"]);
  const how = { name: "PBKDF2", hash: "SHA-256", salt, iterations };
  return crypto.subtle.deriveKey(how, material, { name: "AES-CBC", length: 256 }, false, ["encrypt", "decrypt"]);
}

function readParts(der) {
  const whole = new Reader(der).enter(SEQUENCE);
  const scheme = whole.enter(SEQUENCE);
  const sealed = whole.take(OCTETS);
  whole.finish();
  scheme.expect(PBES2);
  const parameters = scheme.enter(SEQUENCE);
  const derivation = parameters.enter(SEQUENCE);
  derivation.expect(PBKDF2);
  const how = derivation.enter(SEQUENCE);
  const salt = how.take(OCTETS);
  const rounds = how.take(INTEGER).reduce((number, byte) => number * 256 + byte, 0);
  if (how.nextIs(INTEGER)) {
    how.take(INTEGER); // the length of the derived key, which AES-256 tells too
  }
  how.enter(SEQUENCE).expect(HMAC_SHA256);
  const cipher = parameters.enter(SEQUENCE);
  cipher.expect(AES_256_CBC);
  const iv = cipher.take(OCTETS);
  if (rounds < 1 || rounds > MOST_ROUNDS || iv.length !== 16) {
    throw new RangeError("parameters");
  }
  return { salt, rounds, iv, sealed };
}

/* Reads DER elements one after the other; throws RangeError for anything that is not expected. */
class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  nextIs(tag) {
    return this.bytes[this.at] === tag;
  }

  take(tag) {
    if (!this.nextIs(tag)) {
      throw new RangeError("tag");
    }
    let length = this.bytes[this.at + 1];
    this.at += 2;
    if (length >= 0x80) {
      const size = length & 0x7f;
      if (size < 1 || size > 3) {
        throw new RangeError("length");
      }
      length = this.bytes.subarray(this.at, this.at + size).reduce((number, byte) => number * 256 + byte, 0);
      this.at += size;
    }
    const content = this.bytes.subarray(this.at, this.at + length);
    if (content.length !== length) {
      throw new RangeError("end");
    }
    this.at += length;
    return content;
  }

  enter(tag) {
    return new Reader(this.take(tag));
  }

  expect(bytes) {
    if (!areEqual(this.bytes.subarray(this.at, this.at + bytes.length), Uint8Array.from(bytes))) {
      throw new RangeError("algorithm");
    }
    this.at += bytes.length;
  }

  finish() {
    if (this.at !== this.bytes.length) {
      throw new RangeError("rest");
    }
  }
}

function tagged(tag, content) {
  const length = content.length;
  if (length < 0x80) {
    return joined([tag, length], content);
  }
  return length < 0x100 ? joined([tag, 0x81, length], content) : joined([tag, 0x82, length >> 8, length & 0xff], content);
}

function sequence(...parts) {
  return tagged(SEQUENCE, joined(...parts));
}

function integer(value) {
  const digits = [];
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) {
    digits.unshift(rest % 256);
  }
  return tagged(INTEGER, Uint8Array.from(digits[0] & 0x80 ? [0, ...digits] : digits));
}
