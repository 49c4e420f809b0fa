/* A firm's Ed25519 key in this browser. `private` signs and can be read by nobody, not even by this program; `public`
   is what the registry knows, in base64. */

import { fromBase64Url, toBase64 } from "./bytes.js";
import { KeyFileFault, openedPem, sealedPem } from "./key_file.js";

const ED25519 = "Ed25519";

/* Whether this browser makes Ed25519 signatures: the page came over TLS or from this machine, and it is new enough. */
export async function isSupported() {
  try {
    await crypto.subtle.generateKey(ED25519, false, ["sign", "verify"]);
    return "indexedDB" in window;
  } catch {
    return false;
  }
}

/* The text of the file of a new key: the only place where the key is when this returns. */
export async function newKeyFile(passphrase) {
  const pair = await crypto.subtle.generateKey(ED25519, true, ["sign", "verify"]);
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey));
  const text = await sealedPem(pkcs8, passphrase);
  pkcs8.fill(0);
  return text;
}

/* The key in the text of a file; throws KeyFileFault. */
export async function openKeyFile(text, passphrase) {
  const pkcs8 = await openedPem(text, passphrase);
  try {
    // Extractable for as long as it takes to learn its public half; nothing else gives that.
    const readable = await crypto.subtle.importKey("pkcs8", pkcs8, ED25519, true, ["sign"]);
    const { x } = await crypto.subtle.exportKey("jwk", readable);
    const kept = await crypto.subtle.importKey("pkcs8", pkcs8, ED25519, false, ["sign"]);
    return { public: toBase64(fromBase64Url(x)), private: kept };
  } catch {
    throw new KeyFileFault("kind");
  } finally {
    pkcs8.fill(0);
  }
}

export async function signature(key, message) {
  return new Uint8Array(await crypto.subtle.sign(ED25519, key.private, message));
}
