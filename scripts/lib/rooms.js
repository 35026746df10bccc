// The rooms of src/ and what each may import; arrows point down. The lint rules (eslint-architecture.js) and
// test/tooling/rooms.test.ts are derived from this table; docs/architecture.md draws it.

/** The rooms that every policy may see. */
const base = ["policy", "internal", "core"]

/** The policies, which every integration may see. */
const policies = [
  "backoff",
  "bulkhead",
  "cache",
  "circuitBreaker",
  "fallback",
  "hedge",
  "pipeline",
  "rateLimiter",
  "retry",
  "retryBudget",
  "timeout"
]

const http = [...policies, ...base, "core/http"]

/** @type {Readonly<Record<string, ReadonlyArray<string>>>} */
export const rooms = {
  core: [],
  "core/http": ["core"],
  internal: ["core"],
  policy: ["internal", "core"],
  backoff: base,
  bulkhead: base,
  cache: base,
  circuitBreaker: base,
  fallback: base,
  rateLimiter: base,
  retryBudget: base,
  timeout: base,
  hedge: ["retryBudget", ...base],
  retry: ["backoff", "retryBudget", ...base],
  pipeline: ["retry", ...base],
  "http/internal": http,
  "http/problem": http,
  "http/client": ["http/internal", ...http],
  "http/server": ["http/internal", "http/problem", ...http],
  "http/admin": http
}

/** The room of a file of src/, given its path in src/: its folder. */
export const roomOf = (file) => file.split("/").slice(0, -1).join("/")
