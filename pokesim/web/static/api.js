// Ask the server.

/** What went wrong, as one sentence for people. */
export class Failure extends Error {
  constructor(sentence, { status = 0, retryAfter = 0 } = {}) {
    super(sentence);
    this.status = status; // of HTTP; 0: no answer
    this.retryAfter = retryAfter; // seconds
  }
}

/**
 * Ask for JSON or a picture; rejects with a Failure, or an AbortError.
 * XMLHttpRequest, because fetch cannot tell how much of an upload is through.
 */
export function ask(method, url, { photo = null, signal = null, onUpload = null } = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const gone = "The server does not answer. Is pokesim serve still running?";
    request.open(method, url);
    request.responseType = "blob";
    if (onUpload) request.upload.onprogress = (event) => onUpload(event.loaded / event.total);
    request.onerror = () => reject(new Failure(gone));
    request.onabort = () => reject(new DOMException("Another question came.", "AbortError"));
    request.onload = async () => {
      const isJson = (request.getResponseHeader("Content-Type") || "").startsWith("application/json");
      const body = isJson ? JSON.parse(await request.response.text()) : request.response;
      if (request.status < 400) resolve({ body, name: fileName(request) });
      else reject(failureOf(request, isJson ? body.error : ""));
    };
    signal?.addEventListener("abort", () => request.abort());
    request.send(photo && withName(photo));
  });
}

// Multipart, because it carries the photo's name.
function withName(photo) {
  const form = new FormData();
  form.append("photo", photo, photo.name);
  return form;
}

function fileName(request) {
  const told = request.getResponseHeader("Content-Disposition") || "";
  return decodeURIComponent(told.match(/filename\*=UTF-8''([^;]+)/)?.[1] ?? "");
}

function failureOf(request, sentence) {
  const { status } = request;
  const retryAfter = Number(request.getResponseHeader("Retry-After")) || 0;
  if (status === 401) sentence = "The page needs its token: open the address that pokesim serve printed.";
  return new Failure(sentence || `The server answered with error ${status}.`, { status, retryAfter });
}
