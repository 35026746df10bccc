/** Holds for every test file: the same random values in each run, and failures that fit on a screen. */
import { FastCheck } from "effect"
import { afterEach } from "vitest"

// A property that fails once fails again. The environment variable `SEED` tries other values.
FastCheck.configureGlobal({ seed: Number(process.env["SEED"] ?? 20) })

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
