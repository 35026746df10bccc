// The tests of the rules for `npm run mutation`: all once without a mutant, then for each mutant those that reach it.
import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    env: { MUTATION: "1" },
    include: ["test/core/**/*.test.ts"],
    pool: "threads",
    setupFiles: ["test/support/setup.ts"],
    testTimeout: 60_000
  }
})
