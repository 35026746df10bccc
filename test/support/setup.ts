/** Holds for every test file: the same random values in each run, failures that fit on a screen, and cheap test services. */
import { layer } from "@effect/vitest"
import { Effect, FastCheck, Layer, TestClock } from "effect"
import { afterEach, beforeEach, chai, expect } from "vitest"

// A property that fails once fails again. The environment variable `SEED` tries other values.
FastCheck.configureGlobal({ seed: Number(process.env["SEED"] ?? 20) })

// The proxy around each assertion finds misspelt names, which the compiler finds too, at twice the price of the assertion.
chai.config.useProxy = false

// Making the test services takes more processor time than most tests do. The tests of a file in virtual time run one after the
// other, so they share the services, and each starts with the clock at 0 and nobody asleep. Live tests may run side by side.
if (!/\.live\.|[\\/]examples[\\/]/.test(expect.getState().testPath ?? "")) {
  let startClock = Effect.void
  layer(
    Layer.effectDiscard(
      Effect.map(TestClock.save(), (restore) => {
        startClock = restore
      })
    )
  )(() => {})
  beforeEach(() => Effect.runSync(startClock))
}

/** The lines of a difference between two values that are printed, after the legend, which has three. */
const lines = 10

// Two long lists would fill screens. The environment variable `FULL_DIFFS` leaves the differences whole.
afterEach(({ task }) => {
  if (process.env["FULL_DIFFS"] !== undefined) return
  for (const error of task.result?.errors ?? []) {
    const all = error.diff?.trim().split("\n") ?? []
    const left = all.length - lines - 3
    if (left <= 0) continue
    error.diff = [...all.slice(0, -left), `... and ${left} more lines, which FULL_DIFFS=1 shows`].join("\n")
  }
})
