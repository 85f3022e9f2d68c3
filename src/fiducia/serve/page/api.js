// The server: what it offers, and faces for a picture.

let token = sessionStorage.getItem("fiducia-token") || "";

export class ServerError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export function setToken(value) {
  token = value;
  sessionStorage.setItem("fiducia-token", value);
}

async function ask(path, options = {}) {
  const headers = { ...options.headers };
  if (token) headers.authorization = `Bearer ${token}`;
  let answer;
  try {
    answer = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError(0, "The server does not answer. Does it still run?");
  }
  if (answer.ok) return answer;
  let message = `The server answered ${answer.status}.`;
  try {
    message = (await answer.json()).error.message;
  } catch {
    // Not one of the server's own errors, such as a proxy's page.
  }
  throw new ServerError(answer.status, message);
}

export async function models() {
  return (await ask("/v1/models")).json();
}

// Returns the answer's only photograph, with weights, hash and the stages' milliseconds.
export async function detect(blob, name, { weights, detector, signal }) {
  const form = new FormData();
  form.append("file", blob, name);
  form.append("weights", weights);
  form.append("detector", detector);
  const answer = await ask("/v1/detect", { method: "POST", body: form, signal });
  const table = await answer.json();
  const stages = {};
  for (const part of (answer.headers.get("server-timing") || "").split(",")) {
    const found = /^\s*(\w+);dur=([\d.-]+)/.exec(part);
    if (found) stages[found[1]] = Number(found[2]);
  }
  const { weights: used, weights_sha256, detector: finder } = table;
  return { ...table.photographs[0], weights: used, weights_sha256, detector: finder, stages };
}
