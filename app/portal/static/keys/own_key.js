/* The page on which a firm makes its own key, or opens one that it has: the file is saved by the person, the key itself
   stays in this browser, and the registry is sent its public half and a signature. */

import { ask, Refused } from "./asking.js";
import { areEqual, fromBase64, toBase64 } from "./bytes.js";
import { KeyFileFault, LEAST_PASSPHRASE } from "./key_file.js";
import { isSupported, newKeyFile, openKeyFile, signature } from "./key_pair.js";
import { keepKey } from "./key_store.js";
import { possessionMessage } from "./messages.js";

const box = document.getElementById("own-key");
const texts = JSON.parse(box.dataset.texts);
const known = JSON.parse(box.dataset.known);
const making = document.getElementById("make-key");
const opening = document.getElementById("open-key");
const token = opening.elements.csrf_token.value;

function say(form, text, isFault = false) {
  const said = form.querySelector(".said");
  const fault = form.querySelector(".error");
  said.textContent = isFault ? "" : text;
  fault.textContent = isFault ? text : "";
  fault.hidden = !isFault;
}

/* Run what a form does; its button rests meanwhile, and what goes wrong stands in the form. */
function when(form, act) {
  const button = form.querySelector("button");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    say(form, texts.working);
    try {
      await act(form);
    } catch (error) {
      const isOurs = error instanceof Refused || error instanceof KeyFileFault;
      say(form, error instanceof Refused ? error.message : isOurs ? texts[error.reason] : texts.failed, true);
    }
    button.disabled = false;
  });
}

function save(text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/x-pem-file" }));
  link.download = `marchamo-key-${box.dataset.issuer}-${new Date().toISOString().slice(0, 10)}.pem`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

async function make(form) {
  const { passphrase, again } = form.elements;
  if (passphrase.value.length < LEAST_PASSPHRASE) {
    throw new Refused(texts.short);
  }
  if (passphrase.value !== again.value) {
    throw new Refused(texts.different);
  }
  save(await newKeyFile(passphrase.value));
  form.reset();
  say(form, texts.saved);
}

async function register(key) {
  const start = new URLSearchParams({ public_key: key.public });
  const waiting = await ask("/organisation/keys/registrations", texts, { method: "POST", token, body: start });
  const message = possessionMessage(waiting.key_id, waiting.issuer, fromBase64(key.public));
  if (waiting.issuer !== box.dataset.issuer || !areEqual(message, fromBase64(waiting.possession_message))) {
    throw new Refused(texts.otherMessage);
  }
  const possession = toBase64(await signature(key, message));
  const end = new URLSearchParams({ key_id: waiting.key_id, public_key: key.public, possession });
  await ask("/organisation/keys", texts, { method: "POST", token, body: end });
}

async function open(form) {
  const [file] = form.elements.key_file.files;
  const key = await openKeyFile(await file.text(), form.elements.passphrase.value);
  if (!known.some((one) => one.public_key === key.public)) {
    await register(key);
  }
  await keepKey(key);
  location.assign("/organisation/keys");
}

async function begin() {
  if (!(await isSupported())) {
    box.querySelector(".unsupported").hidden = false;
    return;
  }
  when(making, make);
  when(opening, open);
  making.hidden = false;
  opening.hidden = false;
}

begin();
