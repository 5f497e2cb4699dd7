// Copy texts, such as the paths of matches, to the clipboard.

/** Copy the text of a button with one when it is pressed; `announce` tells people of it. */
export function offerCopies(announce) {
  addEventListener("click", async ({ target }) => {
    const button = target.closest?.("[data-copy]");
    if (!button) return;
    const isCopied = await copied(button.dataset.copy);
    announce(isCopied ? `Copied ${button.dataset.copy}.` : "This browser does not let the page copy.");
    button.classList.toggle("done", isCopied);
    setTimeout(() => button.classList.remove("done"), 2000);
  });
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch { // a page over plain HTTP has no clipboard
    const before = document.activeElement, area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const isCopied = document.execCommand("copy");
    area.remove();
    before?.focus();
    return isCopied;
  }
}
