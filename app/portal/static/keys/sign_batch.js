/* A batch's page: signs its codes with the firm's key that this browser keeps, or with one from its file. */

import { ask, Refused } from "./asking.js";
import { KeyFileFault } from "./key_file.js";
import { isSupported, openKeyFile } from "./key_pair.js";
import { keepKey, keptKey } from "./key_store.js";
import { OrderFault, readOrder, signBatch } from "./order.js";

const box = document.getElementById("signing");
const texts = JSON.parse(box.dataset.texts);
const form = box.querySelector("form");
const button = form.querySelector("button");
const fileFields = box.querySelector(".key-fields");
const shown = box.querySelector(".order");
const progress = box.querySelector(".progress");
const bar = progress.querySelector("progress");
const figures = progress.querySelector(".figures");
const said = box.querySelector(".said");
const fault = box.querySelector(".error");
const number = new Intl.NumberFormat(document.documentElement.lang === "es" ? "es-MX" : "en-US");

function complain(error) {
  const known = error instanceof KeyFileFault || error instanceof OrderFault ? texts[error.reason] : null;
  fault.textContent = error instanceof Refused ? error.message : known || texts.failed;
  fault.hidden = false;
}

/* What the person is about to sign, read from what will be signed and not from the rest of the page. */
function show(order, first) {
  const element = Object.fromEntries(order.elements);
  const rows = {
    number: order.reference,
    lot: element[10],
    expiry: element[17] && element[17].replace(/(..)(..)(..)/, "20$1-$2-$3"),
    units: number.format(order.quantity),
    signed: number.format(first.signed),
  };
  for (const [name, value] of Object.entries(rows)) {
    const row = shown.querySelector(`[data-row=${name}]`);
    row.hidden = !value;
    row.querySelector("dd").textContent = value || "";
  }
  shown.hidden = false;
}

function tell(done, total) {
  bar.max = total;
  bar.value = done;
  figures.textContent = `${number.format(done)} / ${number.format(total)}`;
}

async function keyFor(publicKey) {
  const kept = await keptKey(publicKey);
  if (kept) {
    return kept;
  }
  const [file] = form.elements.key_file.files;
  const key = await openKeyFile(await file.text(), form.elements.passphrase.value);
  if (key.public !== publicKey) {
    throw new OrderFault("key");
  }
  if (form.elements.keep.checked) {
    await keepKey(key);
  }
  form.elements.passphrase.value = "";
  return key;
}

async function sign(event) {
  event.preventDefault();
  fault.hidden = true;
  said.textContent = texts.signing;
  button.disabled = true;
  try {
    const first = await ask(`${box.dataset.path}/signing.json`, texts); // anew: it may have gone on elsewhere
    const order = readOrder(first);
    show(order, first);
    const key = await keyFor(order.publicKey);
    progress.hidden = false;
    tell(0, order.quantity);
    if (first.log_index === null) {
      await signBatch({
        path: box.dataset.path,
        first,
        key,
        token: form.elements.csrf_token.value,
        texts,
        told: (done) => tell(done, order.quantity),
      });
    }
    said.textContent = texts.done;
    location.reload();
  } catch (error) {
    said.textContent = "";
    progress.hidden = true;
    complain(error);
    button.disabled = false;
  }
}

async function begin() {
  if (!(await isSupported())) {
    box.querySelector(".unsupported").hidden = false;
    return;
  }
  try {
    const first = await ask(`${box.dataset.path}/signing.json`, texts);
    const order = readOrder(first);
    show(order, first);
    const isKept = Boolean(await keptKey(order.publicKey));
    fileFields.hidden = isKept;
    fileFields.disabled = isKept;
    box.querySelector(".kept").hidden = !isKept;
    form.hidden = false;
    form.addEventListener("submit", sign);
  } catch (error) {
    complain(error);
  }
}

begin();
