/** promtool, which checks what Prometheus reads, and Prometheus itself. Debian has both in its package `prometheus`. */
import { Effect, type Scope } from "effect"
import { execFile } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { ServerFailed, start } from "../../bench/fleet/server.js"

/** A folder that is there until the scope ends. */
const folder: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "prometheus-"))),
  (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
)

export interface Checked {
  /** 0 when all is well, 3 when something is only unusual. */
  readonly status: number | null
  readonly output: string
}

/** Runs beside the tests: one that waited in its own thread would keep a busy run from hearing of it for a minute. */
const promtool = (args: ReadonlyArray<string>, input = ""): Effect.Effect<Checked> =>
  Effect.async((resume) => {
    const child = execFile("promtool", args, { maxBuffer: Infinity }, (_, stdout, stderr) =>
      resume(Effect.succeed({ status: child.exitCode, output: `${stdout}${stderr}` }))
    )
    // A process that has refused its input says why in its output.
    child.stdin?.on("error", () => {})
    child.stdin?.end(input)
  })

/** What promtool says of a page of metrics. */
export const checkMetrics = (page: string): Effect.Effect<Checked> => promtool(["check", "metrics"], page)

const ofRules = (
  rules: string,
  ask: (at: (name: string) => string) => Effect.Effect<Checked>
): Effect.Effect<Checked> =>
  Effect.scoped(
    Effect.flatMap(folder, (folder) => {
      const at = (name: string) => path.join(folder, name)
      fs.writeFileSync(at("rules.yaml"), rules)
      return ask(at)
    })
  )

/** What promtool says of a file of rules. */
export const checkRules = (rules: string): Effect.Effect<Checked> =>
  ofRules(rules, (at) => promtool(["check", "rules", at("rules.yaml")]))

/** What promtool says of what rules do. JSON is YAML. */
export const testRules = (rules: string, tests: object): Effect.Effect<Checked> =>
  ofRules(rules, (at) => {
    fs.writeFileSync(at("tests.yaml"), JSON.stringify({ rule_files: ["rules.yaml"], ...tests }))
    return promtool(["test", "rules", at("tests.yaml")])
  })

export interface Series {
  readonly metric: Readonly<Record<string, string>>
  readonly value: readonly [at: number, value: string]
}

/** An alert as Prometheus has evaluated it. */
export interface Evaluated {
  readonly name: string
  readonly query: string
  readonly health: "unknown" | "ok" | "err"
  readonly lastError?: string
}

export interface Prometheus {
  readonly query: (expr: string) => Effect.Effect<ReadonlyArray<Series>, ServerFailed>
  readonly alerts: Effect.Effect<ReadonlyArray<Evaluated>, ServerFailed>
}

const ask = (port: number, path: string): Effect.Effect<string, ServerFailed> =>
  Effect.tryPromise({
    try: async () => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`)
      return await response.text()
    },
    catch: (cause) => new ServerFailed({ message: String(cause) })
  })

/** A Prometheus that reads a page over and over again, and that evaluates rules. It ends with the scope. */
export const startPrometheus = ({
  port: target,
  rules = ""
}: {
  readonly port: number
  readonly rules?: string
}): Effect.Effect<Prometheus, ServerFailed, Scope.Scope> =>
  Effect.gen(function* () {
    const here = yield* folder
    const at = (name: string) => path.join(here, name)
    fs.writeFileSync(at("rules.yaml"), rules)
    const config = {
      global: { scrape_interval: "500ms", scrape_timeout: "500ms", evaluation_interval: "500ms" },
      rule_files: rules === "" ? [] : [at("rules.yaml")],
      scrape_configs: [{ job_name: "shop", static_configs: [{ targets: [`127.0.0.1:${target}`] }] }]
    }
    fs.writeFileSync(at("prometheus.yml"), JSON.stringify(config))
    const { port } = yield* start({
      program: "prometheus",
      args: (port) => [
        `--config.file=${at("prometheus.yml")}`,
        `--storage.tsdb.path=${at("data")}`,
        `--web.listen-address=127.0.0.1:${port}`
      ],
      answers: (port) => Effect.filterOrFail(ask(port, "/-/ready"), (text) => text.includes("Ready"))
    })
    const dataOf = <A>(path: string) =>
      Effect.flatMap(ask(port, `/api/v1/${path}`), (text) => {
        const { data } = JSON.parse(text) as { readonly data?: A }
        return data === undefined ? new ServerFailed({ message: `${path}\n${text}` }) : Effect.succeed(data)
      })
    return {
      query: (expr: string) =>
        Effect.map(
          dataOf<{ readonly result: ReadonlyArray<Series> }>(`query?query=${encodeURIComponent(expr)}`),
          ({ result }) => result
        ),
      alerts: Effect.map(
        dataOf<{ readonly groups: ReadonlyArray<{ readonly rules: ReadonlyArray<Evaluated> }> }>("rules"),
        ({ groups }) => groups.flatMap(({ rules }) => rules)
      )
    }
  })
