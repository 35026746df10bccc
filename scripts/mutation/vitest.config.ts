// The tests of the rules for `npm run mutation`: all once without a mutant, then for each mutant those that reach it.
import type { RunnerTestFile, RunnerTestSuite } from "vitest"
import { defineConfig } from "vitest/config"
import type { Reporter } from "vitest/reporters"

/** Stryker counts failed tests. A file that a mutant keeps from loading has none, so its failure becomes one. */
const unloadedFiles: Reporter = {
  onTestRunEnd([testModule]) {
    for (const file of testModule?.project.vitest.state.getFiles() ?? []) {
      if (file.result?.state === "fail" && file.tasks.length === 0) file.tasks.push(failureOf(file))
    }
  }
}

const failureOf = (file: RunnerTestFile): RunnerTestSuite["tasks"][number] => ({
  type: "test",
  id: `${file.id}_load`,
  name: "loads",
  mode: "run",
  suite: file,
  file,
  meta: {},
  timeout: 0,
  annotations: [],
  context: undefined as never,
  result: file.result!
})

export default defineConfig({
  resolve: {
    alias: [{ find: /^(effect|@effect\/vitest)$/, replacement: `${import.meta.dirname}/light.ts` }]
  },
  test: {
    include: ["test/core/**/*.test.ts"],
    isolate: false,
    reporters: [unloadedFiles],
    setupFiles: ["test/support/setup.ts", "scripts/mutation/setup.ts"],
    testTimeout: 60_000
  }
})
