/* A button that copies the text beside it. Without script there is no button and the text can be marked by hand. */
"use strict";
for (const box of document.querySelectorAll(".copy")) {
  const button = box.querySelector("button");
  const text = box.querySelector("code");
  const label = button.textContent;
  button.hidden = false;
  button.setAttribute("aria-live", "polite");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text.textContent);
    } catch {
      /* no right to the clipboard (such as a page without TLS): mark the text, so that Ctrl-C is enough */
      const range = document.createRange();
      range.selectNodeContents(text);
      const selection = getSelection();
      selection.removeAllRanges();
      selection.addRange(range);
      return;
    }
    button.textContent = box.dataset.copied;
    setTimeout(() => {
      button.textContent = label;
    }, 2000);
  });
}
