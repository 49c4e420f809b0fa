/* The tree over the units of a batch (RFC 6962 section 2.1, with salted leaves): grown again here, so that what is
   sealed is over the units that were signed and no others. */

import { bigEndian, joined } from "./bytes.js";

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);
export const PAGE = 8192; // serials of one page: a power of two, so that a full page is a whole subtree

async function sha256(bytes) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

async function rootOf(hashes) {
  let level = hashes;
  while (level.length > 1) {
    const pairs = [];
    for (let at = 0; at + 1 < level.length; at += 2) {
      pairs.push(sha256(joined(NODE, level[at], level[at + 1])));
    }
    const above = await Promise.all(pairs);
    level = level.length % 2 ? [...above, level[level.length - 1]] : above;
  }
  return level[0];
}

export class Tree {
  static async of(saltSecret) {
    const tree = new Tree();
    const how = { name: "HMAC", hash: "SHA-256" };
    tree.salts = await crypto.subtle.importKey("raw", saltSecret, how, false, ["sign"]);
    return tree;
  }

  constructor() {
    this.size = 0;
    this.pages = [];
  }

  /* Add the next page of messages; all but the last have PAGE. */
  async add(messages) {
    const start = this.size;
    const leaves = messages.map(async (message, at) => {
      const salt = new Uint8Array(await crypto.subtle.sign("HMAC", this.salts, bigEndian(start + at, 8)));
      return sha256(joined(LEAF, salt, message));
    });
    this.pages.push(await rootOf(await Promise.all(leaves)));
    this.size += messages.length;
  }

  root() {
    return rootOf(this.pages);
  }
}
