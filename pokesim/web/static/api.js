// Send requests to the server.

/** An error with a message for people. */
export class Failure extends Error {
  constructor(message, { status = 0, retryAfter = 0 } = {}) {
    super(message);
    this.status = status; // HTTP status; 0: no response
    this.retryAfter = retryAfter; // seconds
  }
}

/**
 * Request JSON or a picture; rejects with a Failure or an AbortError.
 * Uses XMLHttpRequest, because fetch does not report upload progress.
 */
export function send(method, url, { photo = null, signal = null, onUpload = null } = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const unreachable = "The server is not responding. Is pokesim serve still running?";
    request.open(method, url);
    request.responseType = "blob";
    if (onUpload) request.upload.onprogress = (event) => onUpload(event.loaded / event.total);
    request.onerror = () => reject(new Failure(unreachable));
    request.onabort = () => reject(new DOMException("Replaced by another search.", "AbortError"));
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

// Multipart, to include the photo's name.
function withName(photo) {
  const form = new FormData();
  form.append("photo", photo, photo.name);
  return form;
}

function fileName(request) {
  const disposition = request.getResponseHeader("Content-Disposition") || "";
  return decodeURIComponent(disposition.match(/filename\*=UTF-8''([^;]+)/)?.[1] ?? "");
}

function failureOf(request, message) {
  const { status } = request;
  const retryAfter = Number(request.getResponseHeader("Retry-After")) || 0;
  if (status === 401) message = "This page needs a token. Open the address that pokesim serve printed.";
  return new Failure(message || `The server returned error ${status}.`, { status, retryAfter });
}
