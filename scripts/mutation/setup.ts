/** For each test file of a mutation run. */
import { FastCheck } from "effect"
import { vi } from "vitest"

// Files share a worker, which loads Effect once; a mutant of what a module does when it is loaded needs the module anew.
vi.resetModules()

// Thousands of mutants are run, and most die of the first values: a property has a second for them, and is not shrunk.
FastCheck.configureGlobal({
  ...FastCheck.readConfigureGlobal(),
  interruptAfterTimeLimit: 1000,
  endOnFailure: true
})
