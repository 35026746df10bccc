// The tests, in two projects that run side by side:
//
// - `live`: tests over real sockets or child processes. These are the files named `*.live.test.ts`, and all of examples.
// - `pure`: every other `*.test.ts`, in virtual time, and docs/testing.md itself.
//
// Tests of what the compiler says compile whole programs. They are named `*.types.test.ts`, and `npm run test:types` (the mode
// "types") runs them and nothing else.
//
// Tests that start a real Redis are named `*.redis.live.test.ts`, those that start Prometheus or promtool
// `*.prometheus.live.test.ts`, and those that open pages in Chromium `*.browser.live.test.ts`. Where a program is missing, the run
// begins with a line that says so, and these files are not part of it.
//
// So the name of a file decides where it runs, wherever it lies, and a lint rule keeps sockets out of `pure`. Run one of them
// with `npm test -- --project pure`, or a part of it with `npm test -- Retry`.
//
// `npm run test:long` (the mode "long") runs the files that import test/support/runs.ts, with as many runs of each property and
// each storm as that says: a test that needs many runs asks it for two numbers. `LONG_SHARE=0.4` takes four tenths of the larger.
//
// The library is imported by its published names, which package.json maps to dist and this file maps to src.
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { defineConfig } from "vitest/config"
import packageJson from "./package.json" with { type: "json" }
import { docsAsTests } from "./scripts/lib/docs-as-tests.js"

const alias = Object.entries(packageJson.exports).flatMap(([entry, target]) =>
  typeof target === "string"
    ? []
    : {
        find: new RegExp(`^${path.posix.join(packageJson.name, entry)}$`),
        replacement: path.join(
          import.meta.dirname,
          target.default.replace("/dist/", "/src/").replace(/\.js$/, ".ts")
        )
      }
)

/** The files that have more to do in the long run. */
const withLongRuns = (): Array<string> =>
  fs
    .readdirSync(path.join(import.meta.dirname, "test"), { recursive: true, encoding: "utf8" })
    .map((file) => path.posix.join("test", file.replaceAll("\\", "/")))
    .filter((file) => file.endsWith(".test.ts") && fs.readFileSync(file, "utf8").includes("support/runs.js"))

/** The files whose tests start programs, and the programs. */
const starting: Readonly<Record<string, ReadonlyArray<string>>> = {
  "test/**/*.redis.live.test.ts": [process.env["REDIS_SERVER"] ?? "redis-server"],
  "test/**/*.prometheus.live.test.ts": ["prometheus", "promtool"],
  "test/**/*.browser.live.test.ts": [process.env["CHROMIUM"] ?? "/usr/bin/chromium"]
}
const missing = Object.entries(starting).flatMap(([files, programs]) =>
  programs
    .filter((program) => spawnSync(program, ["--version"]).status !== 0)
    .map((program) => ({ files, program }))
)
const notHere = missing.map(({ files }) => files)

const live = ["test/**/*.live.test.ts", "examples/**/*.test.ts"]
const types = ["test/**/*.types.test.ts"]

export default defineConfig(({ mode }) => {
  // Given to each project, because what a project extends is read again without the mode.
  const isLong = mode === "long"
  if (mode !== "types") {
    for (const { files, program } of missing) console.warn(`${program} was not found: ${files} is not run`)
  }
  const inMode = isLong ? { env: { LONG: "1" }, testTimeout: 300_000 } : {}
  return {
    plugins: [docsAsTests()],
    resolve: { alias },
    test: {
      // Loading Effect anew for every file would double the time, so files share a worker and its modules.
      isolate: false,
      // By default one processor is left alone, which on a machine with two makes the suite twice as long.
      maxWorkers: "100%",
      minWorkers: 1,
      // Hardly anything takes a second by itself; this is for a machine that has other things to do.
      testTimeout: 180_000,
      hookTimeout: 180_000,
      setupFiles: ["test/support/setup.ts"],
      diff: { contextLines: 2 },
      projects: [
        {
          extends: true,
          test: {
            ...inMode,
            name: "pure",
            pool: "threads",
            include: isLong
              ? withLongRuns()
              : mode === "types"
                ? types
                : ["test/**/*.test.ts", "docs/testing.md"],
            exclude: mode === "types" ? [] : [...live, ...types]
          }
        },
        // Projects without isolation run side by side only in pools of different kinds.
        {
          extends: true,
          test: {
            ...inMode,
            name: "live",
            pool: "forks",
            include: isLong
              ? withLongRuns().filter((file) => file.endsWith(".live.test.ts"))
              : mode === "types"
                ? []
                : live,
            exclude: notHere
          }
        }
      ]
    }
  }
})
