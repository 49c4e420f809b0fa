/* Records once that this unit was looked at, when the page is really seen, and on request roughly where.

   The page's address itself records nothing, so link previews, prefetching and prerendering are no scans. The key comes
   from the page: what is sent again with it is a retry. */
"use strict";
const report = document.getElementById("report");

function whenSeen(act) {
  const look = () => {
    if (!document.prerendering && document.visibilityState === "visible") {
      document.removeEventListener("prerenderingchange", look);
      document.removeEventListener("visibilitychange", look);
      act();
    }
  };
  document.addEventListener("prerenderingchange", look);
  document.addEventListener("visibilitychange", look);
  look();
}

async function send(more) {
  const answer = await fetch("/v1/public/scans", {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json" },
    body: JSON.stringify({ code: report.dataset.code, ...more }),
    keepalive: true,
  });
  if (!answer.ok) {
    throw new Error(String(answer.status));
  }
}

function roughPlace() {
  return new Promise((found, none) => {
    if (!navigator.geolocation) {
      none(new Error("no geolocation"));
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
      none,
      { timeout: 8000, maximumAge: 600000 },
    );
  });
}

function offerPlace(said) {
  const offer = document.getElementById("report-place");
  const button = offer.querySelector("button");
  offer.hidden = false;
  button.addEventListener("click", async () => {
    button.disabled = true;
    let place;
    try {
      place = await roughPlace();
    } catch {
      said.textContent = said.dataset.nowhere;
      button.disabled = false;
      return;
    }
    try {
      await send({ key: `${report.dataset.key}-place`, place });
      said.textContent = said.dataset.place;
      offer.hidden = true;
    } catch {
      said.textContent = said.dataset.unplaced;
      button.disabled = false;
    }
  });
}

if (report) {
  const said = document.getElementById("report-said");
  if ("noted" in report.dataset) {
    offerPlace(said);
  } else {
    const form = document.getElementById("report-form");
    form.hidden = true;
    whenSeen(async () => {
      try {
        await send({ key: report.dataset.key });
        said.textContent = said.dataset.done;
        offerPlace(said);
      } catch {
        said.textContent = said.dataset.failed;
        form.hidden = false;
      }
    });
  }
}
