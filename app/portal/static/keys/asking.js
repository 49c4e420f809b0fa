/* Asking the registry from a page of a signed-in person. */

const ATTEMPTS = 5;
const FIRST_PAUSE = 500; // milliseconds, doubled after each attempt

/* What went wrong, in a sentence for the person. */
export class Refused extends Error {
  constructor(sentence, fix) {
    super(fix ? `${sentence} ${fix}` : sentence);
    this.code = "";
  }
}

/* The registry's answer as JSON. What did not get through is asked again: asking twice changes nothing. Throws Refused;
   texts: { unreachable, failed, again }, what to say when the registry says nothing itself. */
export async function ask(path, texts, { method = "GET", token, body, type } = {}) {
  const headers = { Accept: "application/json" };
  if (token) {
    headers["X-CSRFToken"] = token;
  }
  if (type) {
    headers["Content-Type"] = type;
  }
  let answer;
  for (let attempt = 1, pause = FIRST_PAUSE; !answer; attempt += 1, pause *= 2) {
    try {
      answer = await fetch(path, { method, headers, body, cache: "no-store" });
    } catch {
      if (attempt === ATTEMPTS) {
        throw new Refused(texts.unreachable);
      }
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
  const members = await answer.json().catch(() => ({}));
  if (answer.ok) {
    return members;
  }
  const closed = answer.status === 401 || members.code === "confirmation_needed" || members.code === "csrf";
  const refused = new Refused(closed ? texts.again : members.sentence || texts.failed, closed ? null : members.said_fix);
  refused.code = members.code || "";
  throw refused;
}
