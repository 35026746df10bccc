/** The parts of Effect and its test helpers that the tests of the rules use, so that a mutant does not load the rest. */
import * as FastCheck from "effect/FastCheck"
import { assert, describe, expect, it as test } from "vitest"

const prop = (
  name: string,
  arbitraries: ReadonlyArray<FastCheck.Arbitrary<unknown>>,
  holds: (values: ReadonlyArray<unknown>) => unknown,
  options?: { readonly fastCheck?: FastCheck.Parameters<[ReadonlyArray<unknown>]> }
) =>
  test(name, () =>
    FastCheck.assert(
      FastCheck.property(FastCheck.tuple(...arbitraries), (values) => holds(values) !== false),
      options?.fastCheck
    )
  )

const it = Object.assign(test, { prop })

export { assert, describe, expect, FastCheck, it }
