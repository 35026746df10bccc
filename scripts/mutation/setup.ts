/** Runs before each test file of a mutation run, in place of test/support/setup.ts, which loads all of Effect. */
import { FastCheck } from "effect"
import { vi } from "vitest"

// Files share a worker. A mutant of what a module does when it is loaded needs the module anew.
vi.resetModules()

// Most mutants die of the first values that a property tries, so it has a second for them and is not shrunk.
FastCheck.configureGlobal({ seed: 20, interruptAfterTimeLimit: 1000, endOnFailure: true })
