import { assert, describe, it } from "@effect/vitest"
import { FastCheck } from "effect"
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
  ])("that are refused are shown as they were given: %o", (value, shown) => {
    const error = new Options.InvalidOption("P", "a.b", value, "better")
    assert.strictEqual(error.message, `P: option "a.b" must be better, got ${shown}`)
  })

  const long = "a".repeat(10_000_000)

  it.each<[what: string, value: unknown, shown: string]>([
    ["text of 200 characters with its quotes", "a".repeat(198), `"${"a".repeat(198)}"`],
    ["text", long, `"${"a".repeat(199)}… (10000002 characters)`],
    ["an object", { long }, `{"long":"${"a".repeat(191)}… (10000011 characters)`],
    ["a list", long.slice(0, 1000).split(""), `["a"${',"a"'.repeat(49)}… (4001 characters)`],
    ["a symbol", Symbol(long), `Symbol(${"a".repeat(193)}… (10000008 characters)`],
    ["a number", 10n ** 300n, `1${"0".repeat(199)}… (302 characters)`]
  ])("that are refused are shown in 200 characters: %s", (_, value, shown) => {
    const error = new Options.InvalidOption("P", "o", value, "better")
    assert.strictEqual(error.message, `P: option "o" must be better, got ${shown}`)
    assert.strictEqual(error.value, value)
  })

  it("with a long name that is not known are refused by its beginning", () => {
    const error = thrownBy(() => Options.object("P", "", { [long]: 1 }, { name: Options.flag }))
    assert.strictEqual(
      (error as Options.InvalidOption).message,
      `P: option "${"a".repeat(200)}… (10000000 characters)" must be one of "name", got 1`
    )
  })

  it("that are refused are named in the fields of the error", () => {
    const error = new Options.InvalidOption("Trip.failures", "count", 0, "more")
    assert.instanceOf(error, Error)
    assert.deepStrictEqual(
      [error._tag, error.name, error.policy, error.option, error.value, error.expected],
      ["InvalidOption", "InvalidOption", "Trip.failures", "count", 0, "more"]
    )
  })
})

describe("the check of an option", () => {
  const refusal = (check: Options.Check, value: unknown): string | undefined => {
    const error = thrownBy(() => check("P", "o", value)) as Error | undefined
    return error?.message.replace('P: option "o" must be ', "").replace(/, got .*/, "")
  }

  it.each<
    [what: string, check: Options.Check, accepted: ReadonlyArray<unknown>, refused: ReadonlyArray<unknown>]
  >([
    ["a function", Options.callable, [() => 1, Options.InvalidOption], [{}, "f", null]],
    ["true or false", Options.flag, [true, false], [0, "true", null]],
    ["a string that is not empty", Options.text, ["a", " "], ["", 5, null]],
    ["a whole number of at least 2", Options.whole(2), [2, 1e6], [1, 2.5, "3", Infinity, null]],
    ["a whole number from 2 to 4", Options.whole(2, 4), [2, 4], [1, 5, null]],
    ["a whole number of at least 0", Options.times, [0, 7, Infinity], [-1, 0.5, -Infinity, NaN, "1"]],
    ["a finite number of at least 0.5", Options.number(0.5), [0.5, 1e9], [0.4, NaN, Infinity, "1"]],
    ["a finite number from 0 to 0.5", Options.number(0, 0.5), [0, 0.5], [-0.1, 0.6]],
    ['"a", 2 or true', Options.among("a", 2, true), ["a", 2, true], ["b", "2", false, undefined]],
    ['"a" or "b"', Options.among("a", "b"), ["a", "b"], ["c"]],
    ["anything", Options.whereRead, [0, null, "x", {}], []]
  ])("accepts %s and nothing else", (what, check, accepted, refused) => {
    for (const value of accepted) assert.isUndefined(refusal(check, value), String(value))
    for (const value of refused) assert.strictEqual(refusal(check, value), what, String(value))
  })

  it("of a few words gives back the word", () => {
    assert.strictEqual(Options.oneOf("P", "o", "b", "a", "b"), "b")
  })

  it.each([
    [[], true, false],
    [{}, false, true],
    [null, false, false],
    ["list", false, false],
    [() => 1, false, false],
    [undefined, false, false]
  ])("of %o knows a list: %s, and an object: %s", (value, isList, isObject) => {
    assert.deepStrictEqual([Options.isList(value), Options.isObject(value)], [isList, isObject])
  })
})

describe("an object of options", () => {
  const shape = { count: Options.whole(1, 5), openFor: Options.text }

  it.each<[path: string, options: unknown, message: string]>([
    ["", null, "P: the options must be an object, got null"],
    ["", [], "P: the options must be an object, got []"],
    ["a", "x", 'P: option "a" must be an object, got "x"'],
    ["", { count: 6 }, 'P: option "count" must be a whole number from 1 to 5, got 6'],
    ["a.b", { count: 1, openFor: "" }, 'P: option "a.b.openFor" must be a string that is not empty, got ""'],
    [
      "",
      { openfor: "" },
      'P: option "openfor" must be left out, there is no such option (did you mean "openFor"?), got ""'
    ],
    ["a", { other: 1 }, 'P: option "a.other" must be one of "count", "openFor", got 1'],
    ["", { toString: 1 }, 'P: option "toString" must be one of "count", "openFor", got 1']
  ])("at %j is refused: %o", (path, options, message) => {
    assert.strictEqual((thrownBy(() => Options.object("P", path, options, shape)) as Error).message, message)
  })

  it("is accepted without options, with some, and with some that are undefined", () => {
    for (const options of [
      {},
      { count: 1 },
      { count: 5, openFor: "x" },
      { count: undefined, unknown: undefined }
    ]) {
      assert.isUndefined(thrownBy(() => Options.object("P", "", options, shape)))
    }
  })

  /** The edit distance of two words, from every way to change one into the other. */
  const distance = (from: string, to: string): number =>
    from === "" || to === ""
      ? from.length + to.length
      : Math.min(
          distance(from.slice(1), to) + 1,
          distance(from, to.slice(1)) + 1,
          distance(from.slice(1), to.slice(1)) + (from[0] === to[0] ? 0 : 1)
        )

  it("with a name that is not known suggests the nearest, if two fifths of the name or less are wrong", () => {
    const word = FastCheck.string({ unit: FastCheck.constantFrom("a", "b", "C"), minLength: 1, maxLength: 6 })
    FastCheck.assert(
      FastCheck.property(word, FastCheck.uniqueArray(word, { minLength: 1, maxLength: 3 }), (name, known) => {
        FastCheck.pre(!known.includes(name))
        const distances = known.map((each) => distance(name.toLowerCase(), each.toLowerCase()))
        const least = Math.min(...distances)
        const error = thrownBy(() =>
          Options.object(
            "P",
            "",
            { [name]: 1 },
            Object.fromEntries(known.map((each) => [each, Options.flag]))
          )
        ) as Options.InvalidOption
        assert.strictEqual(
          error.expected,
          least <= name.length * 0.4
            ? `left out, there is no such option (did you mean "${known[distances.indexOf(least)]}"?)`
            : `one of ${known.map((each) => `"${each}"`).join(", ")}`
        )
      }),
      { numRuns: 300 }
    )
  })
})

describe("the path of an option", () => {
  it.each([
    [undefined, "a", "a"],
    ["", "a", "a"],
    ["a", "", "a"],
    ["a", "b", "a.b"],
    ["", "", ""],
    [undefined, "", ""]
  ])("at %j and of name %j is %j", (path, name, joined) => {
    assert.strictEqual(Options.join(path, name), joined)
  })
})

describe("a constructor called on behalf of another", () => {
  const refused = () => Options.integer("Inner", "count", 0, 1)

  it("refuses as the other, at the path that its user knows", () => {
    const error = thrownBy(() => Options.onBehalfOf({ policy: "Outer", path: "rule" }, "Inner", refused))
    assert.strictEqual(
      (error as Error).message,
      'Outer: option "rule.count" must be a whole number of at least 1, got 0'
    )
  })

  it("makes what it makes alone", () => {
    assert.strictEqual(
      Options.onBehalfOf({ policy: "Outer" }, "Inner", () => 5),
      5
    )
    assert.strictEqual(
      Options.onBehalfOf(undefined, "Inner", () => 5),
      5
    )
  })

  it.each<[what: string, caller: Options.Caller | undefined, thrown: () => Error]>([
    ["for nobody", undefined, () => new Options.InvalidOption("Inner", "count", 0, "more")],
    [
      "of a third constructor",
      { policy: "Outer" },
      () => new Options.InvalidOption("Third", "count", 0, "more")
    ],
    [
      "that only looks like a refusal",
      { policy: "Outer" },
      () => Object.assign(new Error("defect"), { policy: "Inner", option: "count" })
    ]
  ])("throws what is thrown %s as it is", (_, caller, thrown) => {
    const error = thrown()
    const caught = thrownBy(() =>
      Options.onBehalfOf(caller, "Inner", () => {
        throw error
      })
    )
    assert.strictEqual(caught, error)
  })
})
