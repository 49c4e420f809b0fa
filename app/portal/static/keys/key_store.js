/* Keys that this browser keeps, by their public half: a script of this site can sign with one, and not read it. */

const DATABASE = "marchamo-keys";
const STORE = "keys";

function open() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "public" });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

async function inStore(mode, act) {
  const database = await open();
  try {
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction(STORE, mode);
      const request = act(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
    });
  } finally {
    database.close();
  }
}

export function keepKey(key) {
  return inStore("readwrite", (store) => store.put(key));
}

export function keptKey(publicHalf) {
  return inStore("readonly", (store) => store.get(publicHalf));
}

export function keptKeys() {
  return inStore("readonly", (store) => store.getAll());
}

export function forgetKey(publicHalf) {
  return inStore("readwrite", (store) => store.delete(publicHalf));
}
