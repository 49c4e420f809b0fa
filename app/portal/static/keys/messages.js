/* The bytes that a firm's key signs: codes, the possession of the key, and the seal of a batch. The registry sends
   fields and never a hash; what is signed is computed here (docs/formats.md). */

import { bigEndian, fromText, joined } from "./bytes.js";

const CODE_DOMAIN = "marchamo code v1\n";
const POSSESSION_DOMAIN = "marchamo key possession v1\n";
const SEAL_DOMAIN = "marchamo batch seal v1\n";
const PLACEHOLDER = { gtin: "0", item: "0", case: "0".repeat(18) };
const SERIAL_FIELD = { gtin: "21", item: "serial", case: "00" };

function identityFields(kind, reference, serial) {
  if (kind === "item") {
    const [issuer, item] = reference.split("/");
    return { own: [["issuer", issuer], ["item", item], ["serial", serial]], merged: [] };
  }
  return { own: [], merged: kind === "gtin" ? [["01", reference], ["21", serial]] : [["00", serial]] };
}

function fieldsOf(kind, reference, serial, elements) {
  const { own, merged } = identityFields(kind, reference, serial);
  const others = elements.filter(([name]) => !merged.some(([known]) => known === name));
  return [...own, ...[...merged, ...others].sort(([one], [other]) => (one < other ? -1 : 1))];
}

function field([name, value]) {
  const rawName = fromText(name);
  const rawValue = fromText(value);
  return joined([rawName.length], rawName, bigEndian(rawValue.length, 2), rawValue);
}

/* What is signed of one code: domain, key id, and length-prefixed fields in a fixed order. */
export function signedMessage(kind, reference, serial, elements, keyId) {
  const fields = fieldsOf(kind, reference, serial, elements);
  return joined(fromText(CODE_DOMAIN), bigEndian(keyId, 4), ...fields.map(field));
}

/* `signedMessage` of codes that differ in their serial only: what stands before and after it is computed once. */
export function messagesOf(kind, reference, elements, keyId) {
  const fields = fieldsOf(kind, reference, PLACEHOLDER[kind], elements);
  const place = fields.findIndex(([name]) => name === SERIAL_FIELD[kind]);
  const start = joined(fromText(CODE_DOMAIN), bigEndian(keyId, 4), ...fields.slice(0, place).map(field));
  const end = joined(...fields.slice(place + 1).map(field));
  return (serial) => joined(start, field([SERIAL_FIELD[kind], serial]), end);
}

export function possessionMessage(keyId, issuer, publicKey) {
  return joined(fromText(POSSESSION_DOMAIN), bigEndian(keyId, 4), publicKey, fromText(`${issuer}\ncode`));
}

export function sealMessage(keyId, root, count) {
  return joined(fromText(SEAL_DOMAIN), bigEndian(keyId, 4), root, bigEndian(count, 8));
}
