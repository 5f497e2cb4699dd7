// The card: download it, or hand it to the system's share sheet where there is one.

const find = (selector) => document.querySelector(selector);

/** Let the card be downloaded and shared; `load` requests it, and the others tell people of it. */
export function offerCard(load, whileBusy, announce, showMessage) {
  const download = find("#card"), share = find("#share");
  share.hidden = !sharesPictures();
  download.classList.toggle("main", share.hidden);
  download.addEventListener("click", () => whileBusy(download, async () => {
    saveFile(await drawn(load));
    announce("Card downloaded.");
  }));
  share.addEventListener("click", () => whileBusy(share, async () => {
    const file = await drawn(load);
    try {
      await openSheet(file);
    } catch (failure) {
      // Drawing the card took so long that the browser does not see a person's wish any more.
      if (failure.name !== "NotAllowedError") throw failure;
      showMessage("The card is ready.", { Share: () => openSheet(file).catch(() => saveFile(file)) });
    }
  }));
}

function sharesPictures() {
  const files = [new File([""], "card.png", { type: "image/png" })];
  return Boolean(navigator.canShare?.({ files })); // pages over plain HTTP lack it
}

async function drawn(load) {
  const { body, name } = await load("card");
  return new File([body], name || "pokesim.png", { type: "image/png" });
}

const openSheet = (file) => navigator.share({ files: [file], title: document.title });

function saveFile(file) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = file.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
