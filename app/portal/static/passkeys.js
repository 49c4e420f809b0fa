/* Asks a passkey and sends what it answers with the form it stands in. Without passkeys the forms stay hidden. */
"use strict";

function bytes(text) {
  const plain = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
  return Uint8Array.from(plain, (character) => character.charCodeAt(0));
}

function base64url(buffer) {
  const text = btoa(String.fromCharCode(...new Uint8Array(buffer)));
  return text.replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

/* The options of WebAuthn in JSON have base64url where the browser wants bytes. */
function readable(options) {
  options.challenge = bytes(options.challenge);
  if (options.user) {
    options.user.id = bytes(options.user.id);
  }
  for (const list of [options.excludeCredentials, options.allowCredentials]) {
    for (const known of list || []) {
      known.id = bytes(known.id);
    }
  }
  return options;
}

function written(credential) {
  const { response } = credential;
  const said = { clientDataJSON: base64url(response.clientDataJSON) };
  for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (response[name]) {
      said[name] = base64url(response[name]);
    }
  }
  return JSON.stringify({
    id: credential.id,
    rawId: base64url(credential.rawId),
    type: credential.type,
    response: said,
    clientExtensionResults: credential.getClientExtensionResults(),
  });
}

async function ask(form) {
  const answer = await fetch(form.dataset.options, {
    method: "POST",
    headers: { "X-CSRFToken": form.elements.csrf_token.value, Accept: "application/json" },
  });
  if (answer.status === 401 || answer.status === 403) {
    location.reload(); // the sign-in or its confirmation is over: the page itself leads to what is needed
    return null;
  }
  if (!answer.ok) {
    throw new Error(String(answer.status));
  }
  const publicKey = readable(JSON.parse((await answer.json()).options));
  return form.dataset.passkey === "create"
    ? navigator.credentials.create({ publicKey })
    : navigator.credentials.get({ publicKey });
}

function prepare(form) {
  const said = form.querySelector(".passkey-said");
  const button = form.querySelector("button");
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    said.hidden = true;
    button.disabled = true;
    try {
      const credential = await ask(form);
      if (credential) {
        form.elements.credential.value = written(credential);
        form.submit();
      }
    } catch (error) {
      said.textContent = error.name === "InvalidStateError" ? said.dataset.none : said.dataset.failed;
      said.hidden = false;
      button.disabled = false;
    }
  });
}

if (window.PublicKeyCredential) {
  document.querySelectorAll("form[data-passkey]").forEach(prepare);
}
