// The whole test suite: unit tests, the example programs' tests over real sockets, and docs/testing.md itself.
// The library is imported by its published names, which package.json maps to dist and this file maps to src.
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

export default defineConfig({
  plugins: [docsAsTests()],
  resolve: { alias },
  test: {
    // By default one processor is left alone, which on a machine with two makes the suite twice as long; and what waits for
    // sockets leaves another one free. Loading Effect anew for every file would do the same again, so files share a worker
    // and its modules.
    pool: "threads",
    isolate: false,
    maxWorkers: "150%",
    minWorkers: 1,
    // Nothing here takes a second by itself; this is for a machine that has other things to do.
    testTimeout: 30_000,
    include: ["test/**/*.test.ts", "examples/**/*.test.ts", "docs/testing.md"]
  }
})
