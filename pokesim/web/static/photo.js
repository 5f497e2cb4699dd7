// Accept a photo: chosen, taken with the camera, dropped anywhere, or pasted.

/** Call `onPhoto` with each file, or `onNothing` with a message if there was none. */
export function takePhotos(onPhoto, onNothing) {
  for (const input of document.querySelectorAll("input[type=file]"))
    input.addEventListener("change", () => {
      if (input.files.length) onPhoto(input.files[0]);
      input.value = ""; // so that the same file can be chosen again
    });

  let depth = 0; // dragenter and dragleave fire for every element under the pointer
  const drag = (step) => {
    depth = step && Math.max(0, depth + step);
    document.body.classList.toggle("dragging", depth > 0);
  };
  addEventListener("dragenter", () => drag(1));
  addEventListener("dragleave", () => drag(-1));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    drag(0);
    const [file] = event.dataTransfer.files;
    if (file) onPhoto(file);
    else onNothing("That is not a file. Save the picture first, then drop it here.");
  });

  addEventListener("paste", (event) => {
    const [file] = event.clipboardData.files;
    if (file) onPhoto(file);
    else if (!event.target.closest?.("input, textarea"))
      onNothing("There is no picture on the clipboard.");
  });
}
