// The rooms of src/ and what each may import; arrows point down. The lint rules (eslint-architecture.js) and
// test/tooling/rooms.test.ts are derived from this table; docs/architecture.md draws it.

import * as fs from "node:fs"

/** The rooms that every policy may see. */
const base = ["policy", "internal", "core"]

const integrations = ["observability", "http", "fleet", "redis", "ioredis"]

/** The other policies that a policy may see; a policy not named here sees none. */
const besides = {
  hedge: ["retryBudget"],
  retry: ["backoff", "retryBudget"],
  pipeline: ["retry"]
}

const folders = fs.readdirSync(new URL("../../src", import.meta.url), { withFileTypes: true })

/** The policies, which every integration may see: each folder of src/ that is neither in `base` nor an integration. */
export const policies = folders
  .filter((entry) => entry.isDirectory() && ![...base, ...integrations].includes(entry.name))
  .map((entry) => entry.name)

/** What an integration may see of the rooms of policies besides their public modules, whose names are capitalized. */
export const internals = {
  "http/internal": ["bulkhead/options.js", "circuitBreaker/options.js", "rateLimiter/options.js"],
  "http/client": ["timeout/limit.js", "timeout/telling.js"],
  "http/server": ["timeout/telling.js"],
  fleet: ["cache/secondLevel.js", "rateLimiter/limiter.js", "rateLimiter/options.js"]
}

const http = [...policies, ...base, "core/http"]

/** @type {Readonly<Record<string, ReadonlyArray<string>>>} */
export const rooms = {
  core: [],
  "core/http": ["core"],
  internal: ["core"],
  policy: ["internal", "core"],
  ...Object.fromEntries(policies.map((policy) => [policy, [...(besides[policy] ?? []), ...base]])),
  observability: [...policies, ...base],
  "http/internal": http,
  "http/problem": http,
  "http/client": ["http/internal", ...http],
  "http/server": ["http/internal", "http/problem", ...http],
  "http/admin": ["observability", ...http],
  "http/ops": ["http/admin", "http/server", "observability", ...http],
  "http/dashboard": ["http/admin", "http/server", "observability", ...http],
  "core/fleet": ["core"],
  fleet: [...policies, ...base, "core/fleet"],
  "redis/store": ["fleet", ...base, "core/fleet"],
  redis: ["redis/store", "fleet", ...base],
  ioredis: ["redis/store", "fleet", ...base]
}

/** Whether a room is an integration, which sees public modules of policies alone. */
export const isIntegration = (room) => integrations.includes(room.split("/")[0])

/** The room of a file of src/, given its path in src/: its folder. */
export const roomOf = (file) => file.split("/").slice(0, -1).join("/")
