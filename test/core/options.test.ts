import { assert, describe, it } from "@effect/vitest"
import * as Options from "../../src/core/options.js"

const thrownBy = (build: () => unknown): unknown => {
  try {
    build()
  } catch (error) {
    return error
  }
  return undefined
}

const unprintable: Record<string, unknown> = {}
unprintable["itself"] = unprintable

describe("options", () => {
  it("in their range are given back as they are", () => {
    assert.strictEqual(Options.integer("P", "o", 1, 1), 1)
    assert.strictEqual(Options.integer("P", "o", 5, 1, 5), 5)
    assert.strictEqual(Options.integer("P", "o", Number.MAX_SAFE_INTEGER, 1), Number.MAX_SAFE_INTEGER)
    assert.strictEqual(Options.finite("P", "o", 0, 0), 0)
    assert.strictEqual(Options.finite("P", "o", 2.5, 0, 2.5), 2.5)
    assert.strictEqual(Options.fraction("P", "o", 1), 1)
    assert.strictEqual(Options.fraction("P", "o", Number.MIN_VALUE), Number.MIN_VALUE)
  })

  it.each<[check: string, build: () => unknown, message: string]>([
    ["a whole number below", () => Options.integer("P", "o", 0, 1), "a whole number of at least 1, got 0"],
    ["a whole number above", () => Options.integer("P", "o", 6, 1, 5), "a whole number from 1 to 5, got 6"],
    ["a broken number", () => Options.integer("P", "o", 1.5, 1), "a whole number of at least 1, got 1.5"],
    [
      "an unsafe integer",
      () => Options.integer("P", "o", 2 ** 53, 1),
      `a whole number of at least 1, got ${2 ** 53}`
    ],
    ["no number", () => Options.integer("P", "o", NaN, 1), "a whole number of at least 1, got NaN"],
    [
      "an endless number",
      () => Options.integer("P", "o", Infinity, 1),
      "a whole number of at least 1, got Infinity"
    ],
    ["a finite number below", () => Options.finite("P", "o", -1, 0), "a finite number of at least 0, got -1"],
    [
      "a finite number above",
      () => Options.finite("P", "o", 2.6, 0, 2.5),
      "a finite number from 0 to 2.5, got 2.6"
    ],
    [
      "Infinity as finite",
      () => Options.finite("P", "o", Infinity, 0),
      "a finite number of at least 0, got Infinity"
    ],
    ["NaN as finite", () => Options.finite("P", "o", NaN, 0), "a finite number of at least 0, got NaN"],
    [
      "no share at all",
      () => Options.fraction("P", "o", 0),
      "a fraction greater than 0 and at most 1, got 0"
    ],
    [
      "a negative share",
      () => Options.fraction("P", "o", -0.1),
      "a fraction greater than 0 and at most 1, got -0.1"
    ],
    [
      "more than all",
      () => Options.fraction("P", "o", 1.01),
      "a fraction greater than 0 and at most 1, got 1.01"
    ],
    [
      "NaN as a share",
      () => Options.fraction("P", "o", NaN),
      "a fraction greater than 0 and at most 1, got NaN"
    ]
  ])("outside their range are refused: %s", (_, build, message) => {
    const error = thrownBy(build)
    assert.instanceOf(error, Options.InvalidOption)
    assert.strictEqual((error as Error).message, `P: option "o" must be ${message}`)
  })

  it.each<[value: unknown, shown: string]>([
    ["ten", '"ten"'],
    [10n, "10n"],
    [() => 1, "a function"],
    [undefined, "undefined"],
    [null, "null"],
    [true, "true"],
    [Symbol("s"), "Symbol(s)"],
    [[1, 2], "[1,2]"],
    [{ of: 5 }, '{"of":5}'],
    [{ toJSON: () => undefined }, "an object"],
    [unprintable, "an object"]
  ])("that are refused show what was given: %o", (value, shown) => {
    const error = new Options.InvalidOption("P", "a.b", value, "better")
    assert.strictEqual(error.message, `P: option "a.b" must be better, got ${shown}`)
  })

  it("that are refused say who refused what as fields", () => {
    const error = new Options.InvalidOption("Trip.failures", "count", 0, "more")
    assert.instanceOf(error, Error)
    assert.deepStrictEqual(
      [error._tag, error.name, error.policy, error.option, error.value, error.expected],
      ["InvalidOption", "InvalidOption", "Trip.failures", "count", 0, "more"]
    )
  })
})
