// One request to the admin API: what it answers, or an ApiError that says why not.

export const API = "/admin/v1";

export type Params = Record<string, string | number | null | undefined>;

/** A refusal, in the API's own words; status 0 where nobody answered. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly param: string | null;

  constructor(status: number, code: string, message: string, param: string | null) {
    super(message);
    this.status = status;
    this.code = code;
    this.param = param;
  }
}

interface Options {
  method?: string;
  params?: Params | undefined;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
}

/** The address of an operation; parameters without a value are left out. */
export function address(path: string, params: Params = {}): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value !== null && value !== undefined && value !== "") query.set(name, String(value));
  }
  const text = query.toString();
  return API + path + (text === "" ? "" : `?${text}`);
}

/** Raises ApiError, or the AbortError of the signal. */
export async function ask<T>(path: string, { method = "GET", params, body, headers = {}, signal }: Options = {}): Promise<T> {
  const init: RequestInit = { method, headers, credentials: "same-origin", cache: "no-store", signal: signal ?? null };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers = { ...headers, "content-type": "application/json" };
  }
  let response: Response;
  try {
    response = await fetch(address(path, params), init);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, "unreachable", "The gateway does not answer.", null);
  }
  if (response.status === 204) return undefined as T;
  const answer: unknown = await response.json().catch(() => null);
  if (!response.ok) throw refusal(response.status, answer);
  if (answer === null) throw new ApiError(response.status, "no_json", "The answer is not what was expected.", null);
  return answer as T;
}

/** Why a stream of events was refused, which the browser does not tell; null where it would be given now. */
export async function whyRefused(path: string): Promise<ApiError | null> {
  const leaving = new AbortController();
  try {
    const response = await fetch(API + path, { credentials: "same-origin", cache: "no-store", signal: leaving.signal });
    return response.ok ? null : refusal(response.status, await response.json().catch(() => null));
  } catch {
    return new ApiError(0, "unreachable", "The gateway does not answer.", null);
  } finally {
    leaving.abort();
  }
}

function refusal(status: number, answer: unknown): ApiError {
  const told = (answer as { error?: { code?: string; message?: string; param?: string | null } } | null)?.error;
  return new ApiError(status, told?.code ?? "error", told?.message ?? `The gateway answered with status ${status}.`, told?.param ?? null);
}
