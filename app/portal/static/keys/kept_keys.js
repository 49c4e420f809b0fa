/* The list of keys says which of them this browser keeps, and can forget them. */

import { forgetKey, keptKeys } from "./key_store.js";

async function show() {
  const kept = new Set((await keptKeys()).map((key) => key.public));
  for (const mark of document.querySelectorAll("[data-public-key]")) {
    mark.hidden = !kept.has(mark.dataset.publicKey);
  }
}

for (const mark of document.querySelectorAll("[data-public-key]")) {
  mark.querySelector("button").addEventListener("click", async () => {
    await forgetKey(mark.dataset.publicKey);
    show();
  });
}

if ("indexedDB" in window) {
  show();
}
