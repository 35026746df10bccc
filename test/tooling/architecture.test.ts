// The architecture rules report what they forbid and nothing else. A rule that has silently stopped matching looks
// exactly like clean code, so each one is shown an offending and an allowed snippet here.
import * as fs from "node:fs/promises"
import * as os from "node:os"
import * as path from "node:path"
import { ESLint, type Linter } from "eslint"
import tseslint from "typescript-eslint"
import { describe, expect, it } from "vitest"

const root = path.resolve(import.meta.dirname, "../..")

/** The repository's own configuration, less the rules that would need the file to be part of a program. */
const linter = (cwd: string, rules: Linter.RulesRecord = {}): ESLint =>
  new ESLint({
    cwd,
    overrideConfigFile: path.join(root, "eslint.config.js"),
    overrideConfig: [tseslint.configs.disableTypeChecked, { rules }]
  })

// Looking for cycles would parse all that a snippet imports.
const repository = linter(root, { "import-x/no-cycle": "off" })

const rulesBrokenBy = async (file: string, code: string): Promise<ReadonlyArray<string | null>> => {
  const [result] = await repository.lintText(code, { filePath: path.join(root, file) })
  return result.messages.map((message) => message.ruleId)
}

interface Rule {
  readonly rule: string
  readonly offending: ReadonlyArray<readonly [file: string, code: string]>
  readonly allowed: ReadonlyArray<readonly [file: string, code: string]>
}

const useOf = (specifier: string): string => `import * as X from "${specifier}"\nexport const x = X\n`

const rules: Record<string, Rule> = {
  "core imports nothing but core": {
    rule: "no-restricted-imports",
    offending: [
      ["src/core/circuit.ts", useOf("effect/Effect")],
      ["src/core/circuit.ts", useOf("effect")],
      [
        "src/core/circuit.ts",
        `import type { Effect } from "effect/Effect"\nexport type X = Effect<number>\n`
      ],
      ["src/core/circuit.ts", useOf("@effect/platform/HttpClient")],
      ["src/core/circuit.ts", useOf("node:fs")],
      ["src/core/circuit.ts", useOf("fs")],
      ["src/core/circuit.ts", useOf("../retry/Retry.js")],
      ["src/core/circuit.ts", useOf("../internal/time.js")],
      ["src/core/circuit.ts", useOf("./http/httpDate.js")],
      ["src/core/circuit.ts", `export * from "../retry/Retry.js"\n`]
    ],
    allowed: [
      ["src/core/circuit.ts", useOf("./window.js")],
      ["src/core/http/httpDate.ts", useOf("../options.js")],
      ["src/circuitBreaker/breaker.ts", useOf("../core/circuit.js")]
    ]
  },
  "a room sees the rooms that are named for it": {
    rule: "no-restricted-imports",
    offending: [
      ["src/retry/Retry.ts", useOf("../http/client/HttpResilience.js")],
      ["src/retry/Retry.ts", useOf("../circuitBreaker/breaker.js")],
      ["src/retry/Retry.ts", useOf("../pipeline/Pipeline.js")],
      ["src/retryBudget/ledger.ts", useOf("../retry/Retry.js")],
      ["src/policy/Policy.ts", useOf("../retry/Retry.js")],
      ["src/policy/Policy.ts", `import type { Retry } from "../retry/Retry.js"\nexport type X = Retry\n`],
      ["src/internal/time.ts", useOf("../policy/Policy.js")],
      ["src/http/client/retry.ts", useOf("../server/admission.js")],
      ["src/http/client/retry.ts", useOf("../../retry/run.js")],
      ["src/http/client/shared.ts", useOf("../../bulkhead/options.js")],
      ["src/circuitBreaker/CircuitBreaker.ts", useOf("../fleet/SharedStore.js")],
      ["src/fleet/SharedStore.ts", useOf("../redis/RedisStore.js")],
      ["src/ioredis/RedisStore.ts", useOf("../redis/RedisStore.js")],
      ["src/redis/store/store.ts", useOf("../RedisStore.js")]
    ],
    allowed: [
      ["src/retry/Retry.ts", useOf("../retryBudget/call.js")],
      ["src/retry/Retry.ts", useOf("../internal/time.js")],
      ["src/pipeline/Pipeline.ts", useOf("../policy/Policy.js")],
      ["src/http/client/retry.ts", useOf("../../retry/Retry.js")],
      ["src/http/internal/shared.ts", useOf("../../bulkhead/options.js")],
      ["src/http/client/retry.ts", useOf("./call.js")],
      ["src/http/client/retry.ts", useOf("effect/Effect")],
      ["src/redis/RedisStore.ts", useOf("./store/store.js")],
      ["src/ioredis/RedisStore.ts", useOf("../redis/store/store.js")]
    ]
  },
  "policies need effect alone": {
    rule: "no-restricted-imports",
    offending: [
      ["src/retry/Retry.ts", useOf("@effect/platform/HttpClient")],
      ["src/circuitBreaker/breaker.ts", useOf("node:events")]
    ],
    allowed: [["src/http/client/RetryAfter.ts", useOf("@effect/platform/HttpClient")]]
  },
  "src imports no barrel": {
    rule: "no-restricted-imports",
    offending: [
      ["src/retry/Retry.ts", useOf("../index.js")],
      ["src/http/client/RetryAfter.ts", useOf("../index.js")],
      ["src/http/client/RetryAfter.ts", useOf("../../index.js")],
      ["src/retry/Retry.ts", useOf("effect-resilience")],
      ["src/http/client/RetryAfter.ts", useOf("effect-resilience/Retry")],
      ["src/retry/Retry.ts", useOf("effect")],
      ["src/http/client/RetryAfter.ts", useOf("effect")],
      ["src/http/client/RetryAfter.ts", useOf("@effect/platform")]
    ],
    allowed: [
      ["src/retry/Retry.ts", useOf("effect/Effect")],
      ["src/index.ts", `export * as Retry from "./retry/Retry.js"\n`],
      ["test/retry.test.ts", useOf("effect")],
      ["examples/retry.ts", useOf("effect-resilience")]
    ]
  },
  "src imports statically": {
    rule: "no-restricted-syntax",
    offending: [["src/retry/Retry.ts", `export const load = () => import("../internal/time.js")\n`]],
    allowed: [
      ["src/http/dashboard/files.ts", `export const load = () => import("./assets.js")\n`],
      ["scripts/load.ts", `export const load = () => import("./lib/doc-blocks.js")\n`]
    ]
  },
  "src reads no clock and no random numbers": {
    rule: "no-restricted-properties",
    offending: [
      ["src/retry/Retry.ts", "export const now = Date.now()\n"],
      ["src/core/circuit.ts", "export const { now } = Date\n"],
      ["src/circuitBreaker/breaker.ts", "export const jitter = Math.random()\n"],
      ["src/http/client/RetryAfter.ts", "export const jitter = Math.random()\n"]
    ],
    allowed: [
      ["src/internal/time.ts", "export const now = Date.now()\n"],
      ["src/retry/Retry.ts", "export const max = Math.max(1, 2)\n"],
      ["src/http/client/RetryAfter.ts", "export const when = (text: string) => Date.parse(text)\n"],
      ["test/retry.test.ts", "export const now = Date.now()\n"]
    ]
  },
  "src creates no date of now": {
    rule: "no-restricted-syntax",
    offending: [
      ["src/retry/Retry.ts", "export const now = new Date()\n"],
      ["src/core/circuit.ts", "export const now = Date()\n"],
      ["src/retry/Retry.ts", "export const now = globalThis.Date.now()\n"]
    ],
    allowed: [
      ["src/internal/time.ts", "export const now = new Date()\n"],
      ["src/http/client/RetryAfter.ts", "export const when = (millis: number) => new Date(millis)\n"]
    ]
  },
  "one file draws a secret from the host": {
    rule: "no-restricted-globals",
    offending: [
      ["src/http/admin/admin.ts", "export const host = crypto.subtle\n"],
      ["src/http/admin/keys.ts", "setTimeout(() => {}, 1)\n"]
    ],
    allowed: [["src/http/admin/keys.ts", "export const host = crypto.subtle\n"]]
  },
  "src starts no timer": {
    rule: "no-restricted-globals",
    offending: [
      ["src/retry/Retry.ts", "setTimeout(() => {}, 1)\n"],
      ["src/retry/Retry.ts", "setInterval(() => {}, 1)\n"],
      ["src/core/circuit.ts", "setImmediate(() => {})\n"],
      ["src/circuitBreaker/breaker.ts", "queueMicrotask(() => {})\n"],
      ["src/http/client/RetryAfter.ts", "globalThis.setTimeout(() => {}, 1)\n"],
      ["src/retry/Retry.ts", "export const now = performance.now()\n"],
      ["src/retry/Retry.ts", "export const now = process.hrtime()\n"]
    ],
    allowed: [
      ["src/internal/time.ts", "setTimeout(() => {}, 1)\n"],
      ["src/internal/time.ts", "export const now = performance.now()\n"],
      ["test/retry.test.ts", "setTimeout(() => {}, 1)\n"]
    ]
  },
  "what differs between versions of Effect is in one file each": {
    rule: "no-restricted-syntax",
    offending: [
      ["src/hedge/race.ts", "export const wait = Effect.async(() => {})\n"],
      ["src/cache/store.ts", "export const start = (self) => Effect.forkDaemon(self)\n"],
      ["src/internal/wait.ts", "export const start = (self) => Effect.fork(self)\n"],
      ["src/hedge/race.ts", "export const start = Runtime.runFork\n"],
      [
        "src/retry/Retry.ts",
        `import type { DurationInput } from "effect/Duration"\nexport type X = DurationInput\n`
      ],
      ["src/retry/Retry.ts", "export type X = Duration.DurationInput\n"],
      ["src/retry/run.ts", useOf("effect/ScheduleIntervals")],
      ["src/http/client/retry.ts", "export const error = new HttpClientError.ResponseError({})\n"]
    ],
    allowed: [
      ["src/internal/wait.ts", "export const wait = Effect.async(() => {})\n"],
      ["src/internal/fork.ts", "export const start = (self) => Effect.fork(self)\n"],
      [
        "src/retry/Retry.ts",
        `import { type DurationInput } from "../internal/duration.js"\nexport type X = DurationInput\n`
      ],
      ["test/retry.test.ts", "export const start = (self) => Effect.fork(self)\n"]
    ]
  },
  "src takes time from no module either": {
    rule: "no-restricted-imports",
    offending: [
      ["src/retry/Retry.ts", useOf("node:timers/promises")],
      ["src/http/server/Store.ts", useOf("timers")],
      ["src/http/server/Store.ts", useOf("node:perf_hooks")],
      ["src/redis/store/keys.ts", `import { randomBytes } from "node:crypto"\nexport const x = randomBytes\n`]
    ],
    allowed: [
      ["src/http/server/Store.ts", useOf("node:net")],
      ["src/redis/store/keys.ts", `import { createHash } from "node:crypto"\nexport const x = createHash\n`]
    ]
  },
  "src does not write to the console": {
    rule: "no-console",
    offending: [
      ["src/retry/Retry.ts", `console.log("retrying")\n`],
      ["src/core/circuit.ts", `console.error("open")\n`]
    ],
    allowed: [["examples/retry.ts", `console.log("retrying")\n`]]
  }
}

describe.each(Object.entries(rules))("%s", (_, { rule, offending, allowed }) => {
  it.each(offending)("is a rule that reports %s: %j", async (file, code) => {
    expect(await rulesBrokenBy(file, code)).toContain(rule)
  })

  it.each(allowed)("is a rule that accepts %s: %j", async (file, code) => {
    expect(await rulesBrokenBy(file, code)).not.toContain(rule)
  })
})

// A cycle needs files that exist, so this one lints a small source tree.
it("an import cycle within a room is reported", async () => {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), "effect-resilience-cycle-"))
  try {
    const files = {
      "a.ts": `import { b } from "./b.js"\nexport const a = () => b\n`,
      "b.ts": `import { c } from "./internal/c.js"\nexport const b = () => c\n`,
      "internal/c.ts": `import { a } from "../a.js"\nexport const c = () => a\n`,
      "d.ts": `import { a } from "./a.js"\nexport const d = () => a\n`
    }
    await fs.mkdir(path.join(folder, "src/internal"), { recursive: true })
    for (const [name, code] of Object.entries(files)) await fs.writeFile(path.join(folder, "src", name), code)

    const results = await linter(folder).lintFiles(["src"])
    const cyclic = results
      .filter((result) => result.messages.some((message) => message.ruleId === "import-x/no-cycle"))
      .map((result) => path.relative(folder, result.filePath).replaceAll("\\", "/"))
    expect(cyclic.sort()).toEqual(["src/a.ts", "src/b.ts", "src/internal/c.ts"])
  } finally {
    await fs.rm(folder, { recursive: true, force: true })
  }
})
