/** Runs before each test file of a mutation run instead of test/support/setup.ts, which loads all of Effect. */
import { FastCheck } from "effect"
import { vi } from "vitest"

// Files share a worker, but a mutant of top-level code needs a freshly loaded module.
vi.resetModules()

// Most mutants fail on the first values of a property, so a property gets one second and no shrinking.
FastCheck.configureGlobal({ seed: 20, interruptAfterTimeLimit: 1000, endOnFailure: true })
