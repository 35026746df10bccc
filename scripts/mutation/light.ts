/** What the tests of the rules use of Effect and its test helpers, without loading the rest of Effect for each mutant. */
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
