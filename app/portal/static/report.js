/* Records, when the reader asks for it, that this unit was seen. The page itself records nothing. */
"use strict";
const report = document.getElementById("report");

function place() {
  return new Promise((found) => {
    if (!document.getElementById("report-place").checked || !navigator.geolocation) {
      found(null);
      return;
    }
    navigator.geolocation.getCurrentPosition(
      (position) => {
        // Rounded to a tenth of a degree here already: the exact place never leaves the phone.
        const coarse = (degrees) => Math.round(degrees * 10) / 10;
        found({
          latitude: coarse(position.coords.latitude),
          longitude: coarse(position.coords.longitude),
          accuracy: Math.max(11000, Math.round(position.coords.accuracy)),
          source: "gps",
        });
      },
      () => found(null),
      { timeout: 8000, maximumAge: 600000 },
    );
  });
}

if (report) {
  const button = document.getElementById("report-send");
  const said = document.getElementById("report-said");
  const key = Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  report.hidden = false;
  button.addEventListener("click", async () => {
    button.disabled = true;
    said.textContent = said.dataset.busy;
    try {
      const body = { code: report.dataset.code, key };
      const where = await place();
      if (where) {
        body.place = where;
      }
      const answer = await fetch("/v1/public/scans", {
        method: "POST",
        headers: { "Content-Type": "application/json", Accept: "application/json" },
        body: JSON.stringify(body),
      });
      if (!answer.ok) {
        throw new Error(String(answer.status));
      }
      said.textContent = said.dataset.done;
      button.hidden = true;
    } catch {
      said.textContent = said.dataset.failed;
      button.disabled = false;
    }
  });
}
