/* Live progress of one job: asks for its state each second and loads the page again when it is finished. */
"use strict";
const box = document.getElementById("job");
const bar = box.querySelector("progress");
const figures = box.querySelector(".figures");
const said = document.getElementById("job-said");
const number = new Intl.NumberFormat(document.documentElement.lang === "es" ? "es-MX" : "en-US");
let saidTenth = 0;

async function look() {
  try {
    const answer = await fetch(box.dataset.state, { headers: { Accept: "application/json" }, cache: "no-store" });
    if (answer.status === 401 || answer.status === 404) {
      location.reload();
      return;
    }
    if (answer.ok) {
      const job = await answer.json();
      if (job.finished) {
        location.reload();
        return;
      }
      bar.max = job.total || 1;
      bar.value = job.done;
      figures.textContent = `${number.format(job.done)} / ${number.format(job.total)}`;
      const tenth = job.total ? Math.floor((10 * job.done) / job.total) : 0;
      if (tenth > saidTenth) {
        saidTenth = tenth;
        said.textContent = `${tenth * 10} %`;
      }
    }
  } catch {
    /* no connection for a moment: ask again */
  }
  setTimeout(look, 1000);
}
look();
