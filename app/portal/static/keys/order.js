/* What the registry says is to be signed, read strictly, and the walk through it. */

import { areEqual, fromBase64, toBase64 } from "./bytes.js";
import { ask } from "./asking.js";
import { signature } from "./key_pair.js";
import { messagesOf, sealMessage } from "./messages.js";
import { PAGE, Tree } from "./tree.js";

const MOST_UNITS = 2 ** 24;
const REFERENCE = { gtin: /^[0-9]{14}$/, item: /^[0-9A-HJKMNP-TV-Z]{4,12}\/[A-Z0-9._-]{1,20}$/, case: /^$/ };
const GS1_TEXT = /^[!"%&'()*+,\-./0-9:;<=>?A-Z_a-z]{1,20}$/; // lots (AI 10) and serials (AI 21)
const ELEMENT = { 10: GS1_TEXT, 17: /^[0-9]{6}$/ };
const SERIAL = { gtin: GS1_TEXT, item: GS1_TEXT, case: /^[0-9]{18}$/ };

/* What is to be signed is not what it should be. `reason`: order, serials, root or key. */
export class OrderFault extends Error {
  constructor(reason) {
    super(reason);
    this.reason = reason;
  }
}

function isNumber(value, most) {
  return Number.isInteger(value) && value >= 0 && value <= most;
}

/* The order in the first page of an answer; throws OrderFault for anything else. */
export function readOrder(members) {
  const { kind, reference, elements, key_id: keyId, quantity } = members;
  const isSound =
    Object.hasOwn(REFERENCE, kind) &&
    REFERENCE[kind].test(reference) &&
    isNumber(keyId, 2 ** 32 - 1) &&
    isNumber(quantity, MOST_UNITS) &&
    quantity > 0 &&
    Array.isArray(elements) &&
    elements.every(([ai, value]) => Object.hasOwn(ELEMENT, ai) && ELEMENT[ai].test(value)) &&
    new Set(elements.map(([ai]) => ai)).size === elements.length;
  let root;
  let salts;
  try {
    root = fromBase64(members.root);
    salts = fromBase64(members.salt_secret);
  } catch {
    throw new OrderFault("order");
  }
  if (!isSound || root.length !== 32 || salts.length !== 32) {
    throw new OrderFault("order");
  }
  return { kind, reference, elements, keyId, quantity, root, salts, publicKey: members.public_key };
}

/* The serials of a page, which follow on those before. */
function serialsOf(members, order, start, last) {
  const { serials } = members;
  const wanted = Math.min(PAGE, order.quantity - start);
  let before = last;
  const follow = (serial) => {
    const isNext = typeof serial === "string" && SERIAL[order.kind].test(serial) && serial > before;
    before = serial;
    return isNext;
  };
  if (!Array.isArray(serials) || serials.length !== wanted || !serials.every(follow)) {
    throw new OrderFault("serials");
  }
  return serials;
}

/* Signs what is missing, hands it in, compares the tree with the root on the ledger, and closes the batch.

   path: of the batch. first: the first page of the order, as read before. told(done): how many units are through. */
export async function signBatch({ path, first, key, token, texts, told }) {
  const order = readOrder(first);
  if (order.publicKey !== key.public) {
    throw new OrderFault("key");
  }
  const messageOf = messagesOf(order.kind, order.reference, order.elements, order.keyId);
  const tree = await Tree.of(order.salts);
  const unsigned = first.first_unsigned ?? order.quantity;
  let members = first;
  let last = "";
  let sending = Promise.resolve();
  while (tree.size < order.quantity) {
    const start = tree.size;
    if (start > 0) {
      members = await ask(`${path}/signing.json?from=${start}&after=${encodeURIComponent(last)}`, texts);
    }
    const serials = serialsOf(members, order, start, last);
    const messages = serials.map(messageOf);
    await tree.add(messages);
    const skipped = Math.max(0, unsigned - start); // whole rows of 512, as the registry counts what is missing
    const missing = messages.slice(skipped);
    if (missing.length) {
      const made = await Promise.all(missing.map((message) => signature(key, message)));
      const body = new Uint8Array(made.length * 64);
      made.forEach((one, at) => body.set(one, at * 64));
      const before = skipped > 0 ? serials[skipped - 1] : last;
      const after = before ? `&after=${encodeURIComponent(before)}` : "";
      await sending; // one part is under way while the next is signed
      sending = ask(`${path}/signatures?from=${start + skipped}${after}`, texts, {
        method: "PUT",
        token,
        body,
        type: "application/octet-stream",
      });
      sending.catch(() => {}); // heard where it is awaited
    }
    last = serials[serials.length - 1];
    told(tree.size);
  }
  await sending;
  if (!areEqual(await tree.root(), order.root)) {
    throw new OrderFault("root");
  }
  const seal = await signature(key, sealMessage(order.keyId, order.root, order.quantity));
  const form = new URLSearchParams({ seal: toBase64(seal) });
  return ask(`${path}/seal`, texts, { method: "POST", token, body: form });
}
