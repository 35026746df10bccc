// The tests of the rules for `npm run mutation`: all once without a mutant, then for each mutant those that reach it.
import * as fs from "node:fs"
import type { RunnerTestFile, RunnerTestSuite } from "vitest"
import { defineConfig } from "vitest/config"
import { BaseSequencer, type TestSpecification } from "vitest/node"
import type { Reporter } from "vitest/reporters"

/** Stryker counts failed tests. A file that fails to load has none, so its failure is reported as one. */
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

/** Runs small files first: the first failure ends a run, and they fail soonest. */
class SmallFirst extends BaseSequencer {
  override sort(files: Array<TestSpecification>): Promise<Array<TestSpecification>> {
    const sizeOf = ({ moduleId }: TestSpecification) => fs.statSync(moduleId).size
    return Promise.resolve([...files].sort((one, other) => sizeOf(one) - sizeOf(other)))
  }
}

export default defineConfig({
  resolve: {
    alias: [{ find: /^(effect|@effect\/vitest)$/, replacement: `${import.meta.dirname}/light.ts` }]
  },
  test: {
    include: ["test/core/**/*.test.ts"],
    isolate: false,
    reporters: [unloadedFiles],
    sequence: { sequencer: SmallFirst },
    setupFiles: ["scripts/mutation/setup.ts"],
    testTimeout: 60_000
  }
})
