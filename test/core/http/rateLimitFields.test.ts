import { assert, describe, it } from "@effect/vitest"
import { FastCheck } from "effect"
import type { Quota, QuotaPolicy } from "../../../src/core/http/rateLimitFields.js"
import * as Fields from "../../../src/core/http/rateLimitFields.js"
import { type BareItem, maxInteger, parseList } from "../../../src/core/http/structuredFields.js"
import { mutated } from "../../support/mutated.js"

// ------------------------------------------------------------------------------------------------- the obvious model

// The grammar of RFC 9651, appendix C, put together piece by piece. It is looser than the algorithms of section 4.2 in
// padding, lengths and UTF-8, which the model checks by itself.
const key = "[a-z*][a-z0-9_\\-.*]*"
const bareItems = [
  "-?[0-9]{1,15}",
  "-?[0-9]{1,12}\\.[0-9]{1,3}",
  '"(?:[\\x20-\\x21\\x23-\\x5b\\x5d-\\x7e]|\\\\["\\\\])*"',
  "[A-Za-z*][!#$%&'*+\\-.^_`|~0-9A-Za-z:/]*",
  ":[A-Za-z0-9+/]*={0,2}:",
  "\\?[01]",
  "@-?[0-9]{1,15}",
  '%"(?:[\\x20-\\x21\\x23-\\x24\\x26-\\x7e]|%[0-9a-f]{2})*"'
]
const bareItem = `(?:${bareItems.join("|")})`
const item = `${bareItem}(?:; *${key}(?:=${bareItem})?)*`
const list = new RegExp(`^ *(?:${item}(?:[ \\t]*,[ \\t]*${item})*)?[ \\t]*$`)

const isUtf8 = (encoded: string): boolean => {
  const bytes = Array.from(encoded.matchAll(/%([0-9a-f]{2})|([^%])/g), ([, hex, plain]) =>
    hex === undefined ? plain.charCodeAt(0) : parseInt(hex, 16)
  )
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.from(bytes))
    return true
  } catch {
    return false
  }
}

/** Tokens first, which may have colons in them, then display strings, strings and byte sequences. */
const pieces = /[A-Za-z*][^\s,;="]*|%"(?<encoded>[^"]*)"|"(?:[^"\\]|\\.)*"|:(?<digits>[^:=]*)=*:/g

const isWellFormed = (field: string): boolean =>
  list.test(field) &&
  !(field.includes("\t") && field.trim() === "") &&
  Array.from(field.matchAll(pieces)).every(
    ({ groups: { digits = "", encoded = "" } = {} }) => digits.length % 4 !== 1 && isUtf8(encoded)
  )

// --------------------------------------------------------------------------------------------------------- arbitraries

const printable = FastCheck.string({
  unit: FastCheck.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)),
  maxLength: 12
})
const name = FastCheck.oneof(printable, FastCheck.constantFrom("default", 'a"b', "a\\b", "", ",", ";r=1"))
const number = (min: number) =>
  FastCheck.oneof(FastCheck.integer({ min, max: 5000 }), FastCheck.integer({ min, max: maxInteger }))
const bytes = FastCheck.uint8Array({ maxLength: 20 })

const quota: FastCheck.Arbitrary<Quota> = FastCheck.record(
  { name, available: number(0), windowSeconds: number(0), partitionKey: bytes },
  { requiredKeys: ["name", "available"] }
)
const policy: FastCheck.Arbitrary<QuotaPolicy> = FastCheck.record(
  { name, quota: number(0), unit: name, windowSeconds: number(1), partitionKey: bytes },
  { requiredKeys: ["name", "quota"] }
)
const quotas = FastCheck.array(quota, { maxLength: 4 })
const policies = FastCheck.array(policy, { maxLength: 4 })

/** Every type of a structured field, in every place. */
const anyBareItem = FastCheck.oneof(
  FastCheck.integer().map(String),
  FastCheck.constantFrom(
    "-0",
    "1.5",
    "-12.125",
    "token",
    "*t:/!#",
    "t:a:%",
    "?0",
    "?1",
    "@1659578233",
    "@-1",
    "::",
    ":aGk=:",
    ":iZ==:",
    ':"":',
    '"a\\"b\\\\"',
    '%"f%c3%bc"',
    '%"%ff"',
    '%"a%2"',
    "(a b)",
    "1.",
    "@1.5",
    "?2",
    "1234567890123456",
    "1234567890123.1",
    "0.1234",
    ":a:",
    ":a b=:"
  )
)
const anyField = FastCheck.array(
  FastCheck.tuple(
    anyBareItem,
    FastCheck.array(
      FastCheck.tuple(
        FastCheck.constantFrom("r", "t", "q", "w", "qu", "pk", "acme-burst", "*", "a.b_c*", "R", "1", ""),
        FastCheck.option(anyBareItem),
        FastCheck.constantFrom(";", "; ", ";  ", " ;", ";\t")
      ),
      { maxLength: 3 }
    )
  ),
  { maxLength: 3 }
).chain((items) =>
  FastCheck.constantFrom(",", ", ", " ,\t", ",,").map((comma) =>
    items
      .map(([value, parameters]) =>
        parameters.reduce(
          (text, [key, parameter, separator]) =>
            `${text}${separator}${key}${parameter === null ? "" : `=${parameter}`}`,
          value
        )
      )
      .join(comma)
  )
)

const fields = FastCheck.oneof(
  quotas.map(Fields.formatRateLimit),
  policies.map(Fields.formatRateLimitPolicy),
  anyField
)
const anything = FastCheck.oneof(fields, mutated(fields), FastCheck.string({ unit: "binary" }))

// --------------------------------------------------------------------------------------------------------------- tests

describe("a structured list", () => {
  it.each([
    ['"a";k=1', true],
    ['"a";  k=1', true],
    ['"a" ;k=1', false],
    ['"a";\tk=1', false],
    ['"a";K=1', false],
    ['"a";1=1', false],
    ['"a";k=', false],
    ['"a";k =1', false],
    ['"a";', false],
    ['"a",', false],
    [',"a"', false],
    ['"a",,"b"', false],
    ['"a" "b"', false],
    ['"a"\t,\t"b"', true],
    ['"a" \t,\t "b"', true],
    ['"a', false],
    ['"a\\"', false],
    ['"a\\b"', false],
    ['"ä"', false],
    ['"a\tb"', false],
    ['"\u001f"', false],
    ['"\u007f"', false],
    ["'a'", false],
    ["  ", true],
    ["\t", false],
    ['("a" "b")', false],
    ["999999999999999", true],
    ["1000000000000000", false],
    ["-", false],
    ["--1", false],
    ["1.", false],
    [".5", false],
    ["123456789012.125", true],
    ["1234567890123.5", false],
    ["1.1234", false],
    ["?1", true],
    ["?2", false],
    ["@1659578233", true],
    ["@1.5", false],
    [":aGVsbG8=:", true],
    [":aGVsbG8:", true],
    [":iZ==:", true],
    ["::", true],
    [":a:", false],
    [":aGVs bG8=:", false],
    [":aGVsbG8=", false],
    [":_-Ah:", false],
    [":=aGk:", false],
    ['%"f%c3%bc"', true],
    ['%"f%C3%BC"', false],
    ['%"f%c3%bC"', false],
    ['%" !#$&~"', true],
    ['%"ä"', false],
    ['%"%ff"', false],
    ['%"%2"', false],
    ['%"a', false],
    ["%a", false],
    ['%a"', false]
  ])("%j is read: %s", (field, read) => {
    assert.strictEqual(parseList(field) !== undefined, read)
  })

  it.prop(
    "is read when the grammar allows it, and only then",
    [anything],
    ([field]) => {
      assert.strictEqual(parseList(field) !== undefined, isWellFormed(field))
    },
    { fastCheck: { numRuns: 3000 } }
  )

  it("keeps the values of integers, strings and bytes, and of other types only that they are there", () => {
    const other: BareItem = { _tag: "other" }
    assert.deepStrictEqual(parseList('7;a="b\\"";c=:AQI=:, ?1;d=t;e=1.5;f=@0;g=%"h";i'), [
      {
        value: { _tag: "integer", value: 7 },
        parameters: new Map<string, BareItem>([
          ["a", { _tag: "string", value: 'b"' }],
          ["c", { _tag: "bytes", value: Uint8Array.of(1, 2) }]
        ])
      },
      { value: other, parameters: new Map(Array.from("defgi", (key) => [key, other])) }
    ])
  })

  it("can be very long", () => {
    const long = "a".repeat(400_000)
    assert.isDefined(parseList(`"${long}";${long}=${long};b=:${long}:;c=%"${long}"`))
    assert.isUndefined(parseList(`"${long}`))
    assert.isUndefined(parseList(`:${long}`))
    assert.isUndefined(parseList(`%"${long}`))
    assert.isDefined(parseList(`%"${"%c3%bc".repeat(100_000)}"`))
  })
})

describe("RateLimit", () => {
  it.each<readonly [string, ReadonlyArray<Quota>]>([
    ['"default";r=50;t=30', [{ name: "default", available: 50, windowSeconds: 30 }]],
    ['"default";t=30;r=50', [{ name: "default", available: 50, windowSeconds: 30 }]],
    ['"default"; r=0; t=0', [{ name: "default", available: 0, windowSeconds: 0 }]],
    ['"default";r=-0', [{ name: "default", available: 0 }]],
    [
      '"burst";r=1;t=2, "daily";r=3;t=4',
      [
        { name: "burst", available: 1, windowSeconds: 2 },
        { name: "daily", available: 3, windowSeconds: 4 }
      ]
    ],
    ['"a";r=5;pk=:AQID:', [{ name: "a", available: 5, partitionKey: Uint8Array.of(1, 2, 3) }]],
    ['"a";r=5;pk=::', [{ name: "a", available: 5, partitionKey: Uint8Array.of() }]],
    ['"a";r=5;q=x;acme-burst="y";b;c=?0;d=@1;e=1.5;f=%"%c3%bc"', [{ name: "a", available: 5 }]],
    ['"a";r=1;r=2', [{ name: "a", available: 2 }]],
    ['"a";r=oops;r=2', [{ name: "a", available: 2 }]],
    ['"a\\"b\\\\c, d;r=1";r=2', [{ name: 'a"b\\c, d;r=1', available: 2 }]],
    ['"";r=999999999999999', [{ name: "", available: maxInteger }]],
    ["", []]
  ])("%s", (field, quotas) => {
    assert.deepStrictEqual(Fields.parseRateLimit(field), quotas)
  })

  it.each([
    ["the number that is left missing", '"a";t=30'],
    ["a token for a name", "a;r=50;t=30"],
    ["an integer for a name", "100;r=50"],
    ["a negative number", '"a";r=-1'],
    ["a decimal", '"a";r=1.0'],
    ["a number in quotes", '"a";r="1"'],
    ["a parameter without a value", '"a";r'],
    ["a negative window", '"a";r=1;t=-1'],
    ["a window in quotes", '"a";r=1;t="30"'],
    ["a decimal window", '"a";r=1;t=0.5'],
    ["a partition key that is a string", '"a";r=1;pk="b"'],
    ["an inner list", '("a" "b");r=1'],
    ["one malformed item among others", '"a";r=1, "b";r=x, "c";r=2'],
    ["one item without a number among others", '"a";r=1, "b"'],
    ["a comma at the end", '"a";r=1,'],
    ["the syntax of an older draft", "limit=100, remaining=50, reset=5"],
    ["16 digits", '"a";r=1000000000000000']
  ])("is ignored with %s", (_, field) => {
    assert.deepStrictEqual(Fields.parseRateLimit(field), [])
  })

  it("can be missing", () => {
    assert.deepStrictEqual(Fields.parseRateLimit(undefined), [])
  })

  it.prop("reads back as it was written", [quotas], ([quotas]) => {
    assert.deepStrictEqual(Fields.parseRateLimit(Fields.formatRateLimit(quotas)), quotas)
  })

  it.prop("means the same split over several fields", [quotas, quotas], ([some, others]) => {
    FastCheck.pre(some.length > 0 && others.length > 0)
    const joined = `${Fields.formatRateLimit(some)}, ${Fields.formatRateLimit(others)}`
    assert.deepStrictEqual(Fields.parseRateLimit(joined), [...some, ...others])
  })

  it.prop(
    "reads nothing from any other string, or something valid",
    [anything],
    ([field]) => {
      const quotas = Fields.parseRateLimit(field)
      assert.deepStrictEqual(Fields.parseRateLimit(Fields.formatRateLimit(quotas)), quotas)
      if (!isWellFormed(field)) assert.deepStrictEqual(quotas, [])
    },
    { fastCheck: { numRuns: 1000 } }
  )
})

describe("RateLimit-Policy", () => {
  it.each<readonly [string, ReadonlyArray<QuotaPolicy>]>([
    ['"default";q=100;w=10', [{ name: "default", quota: 100, windowSeconds: 10 }]],
    [
      '"permin";q=50;w=60,"perhr";q=1000;w=3600',
      [
        { name: "permin", quota: 50, windowSeconds: 60 },
        { name: "perhr", quota: 1000, windowSeconds: 3600 }
      ]
    ],
    [
      '"peruser";q=65535;qu="content-bytes";w=10;pk=:AQID:',
      [
        {
          name: "peruser",
          quota: 65_535,
          unit: "content-bytes",
          windowSeconds: 10,
          partitionKey: Uint8Array.of(1, 2, 3)
        }
      ]
    ],
    ['"a";w=1;x;q=0;qu="beans"', [{ name: "a", quota: 0, unit: "beans", windowSeconds: 1 }]]
  ])("%s", (field, policies) => {
    assert.deepStrictEqual(Fields.parseRateLimitPolicy(field), policies)
  })

  it("is read with a partition key whose last bits are left over, as in the draft", () => {
    const [policy] = Fields.parseRateLimitPolicy(
      '"peruser";q=65535;qu="content-bytes";w=10;pk=:sdfjLJUOUH==:'
    )
    assert.deepStrictEqual(policy.partitionKey, Uint8Array.of(0xb1, 0xd7, 0xe3, 0x2c, 0x95, 0x0e, 0x50))
  })

  it.each([
    ["the quota missing", '"a";w=60'],
    ["a token for a name", "a;q=100"],
    ["a negative quota", '"a";q=-1'],
    ["a window of zero", '"a";q=1;w=0'],
    ["a negative window", '"a";q=1;w=-1'],
    ["a unit that is a token", '"a";q=1;qu=requests'],
    ["a partition key that is a token", '"a";q=1;pk=abc'],
    ["the syntax of an older draft", "100;w=60"]
  ])("is ignored with %s", (_, field) => {
    assert.deepStrictEqual(Fields.parseRateLimitPolicy(field), [])
  })

  it.prop("reads back as it was written", [policies], ([policies]) => {
    assert.deepStrictEqual(Fields.parseRateLimitPolicy(Fields.formatRateLimitPolicy(policies)), policies)
  })

  it.prop(
    "reads nothing from any other string, or something valid",
    [anything],
    ([field]) => {
      const policies = Fields.parseRateLimitPolicy(field)
      assert.deepStrictEqual(Fields.parseRateLimitPolicy(Fields.formatRateLimitPolicy(policies)), policies)
      if (!isWellFormed(field)) assert.deepStrictEqual(policies, [])
    },
    { fastCheck: { numRuns: 1000 } }
  )
})

describe("a value that a field cannot express", () => {
  it.each([
    [{ name: "grüße 👋\n\u007f", available: 1 }, '"gr??e ???";r=1'],
    [{ name: "\ud800", available: 1 }, '"?";r=1'],
    [{ name: "a", available: 1.9, windowSeconds: 1.1 }, '"a";r=1;t=2'],
    [{ name: "a", available: -1, windowSeconds: -1 }, '"a";r=0;t=0'],
    [{ name: "a", available: NaN, windowSeconds: NaN }, '"a";r=0'],
    [{ name: "a", available: Infinity, windowSeconds: Infinity }, '"a";r=999999999999999;t=999999999999999'],
    [{ name: "a", available: 1e21, windowSeconds: 1e-9 }, '"a";r=999999999999999;t=1']
  ])("is approximated in an item of RateLimit: %j", (quota, field) => {
    assert.strictEqual(Fields.formatRateLimit([quota]), field)
  })

  it.each([
    [{ name: "a", quota: 1.9, unit: "bräu", windowSeconds: 0 }, '"a";q=1;qu="br?u";w=1'],
    [{ name: "a", quota: NaN, windowSeconds: NaN }, '"a";q=0'],
    [{ name: "a", quota: -Infinity, windowSeconds: 0.001 }, '"a";q=0;w=1']
  ])("is approximated in an item of RateLimit-Policy: %j", (policy, field) => {
    assert.strictEqual(Fields.formatRateLimitPolicy([policy]), field)
  })

  it.prop(
    "still reads back, item by item",
    [
      FastCheck.array(
        FastCheck.record({
          name: FastCheck.string({ unit: "binary" }),
          number: FastCheck.double(),
          unit: FastCheck.option(FastCheck.string({ unit: "binary" }), { nil: undefined }),
          windowSeconds: FastCheck.option(FastCheck.double(), { nil: undefined }),
          partitionKey: FastCheck.option(bytes, { nil: undefined })
        })
      )
    ],
    ([items]) => {
      const quotas = items.map(({ number, ...rest }) => ({ ...rest, available: number }))
      const policies = items.map(({ number, ...rest }) => ({ ...rest, quota: number }))
      assert.lengthOf(Fields.parseRateLimit(Fields.formatRateLimit(quotas)), items.length)
      assert.lengthOf(Fields.parseRateLimitPolicy(Fields.formatRateLimitPolicy(policies)), items.length)
    }
  )

  it("is an empty field for an empty list", () => {
    assert.strictEqual(Fields.formatRateLimit([]), "")
    assert.strictEqual(Fields.formatRateLimitPolicy([]), "")
  })
})

describe("the hint of the quotas", () => {
  it.each<readonly [string, string, number | undefined]>([
    ["is the window of what has nothing left", '"a";r=0;t=10', 10_000],
    ["is the longest of them", '"a";r=0;t=10, "b";r=0;t=30, "c";r=0;t=20', 30_000],
    ["leaves out what has something left", '"a";r=0;t=10, "b";r=1;t=3600', 10_000],
    ["leaves out what has no window", '"a";r=0, "b";r=0;t=5', 5000],
    ["can be zero", '"a";r=0;t=0', 0],
    ["does not overflow", '"a";r=0;t=999999999999999', Number.MAX_SAFE_INTEGER],
    ["is missing when there is quota", '"a";r=1;t=10', undefined],
    ["is missing without a window", '"a";r=0', undefined],
    ["is missing without quotas", "", undefined],
    ["is missing when the field is malformed", '"a";r=0;t=10, b;r=0;t=10', undefined]
  ])("%s", (_, field, millis) => {
    assert.strictEqual(Fields.quotaHint(Fields.parseRateLimit(field)), millis)
  })

  it.prop("is a window that no item with nothing left exceeds", [quotas], ([quotas]) => {
    const empty = quotas.filter(
      ({ available, windowSeconds }) => available === 0 && windowSeconds !== undefined
    )
    const windows = empty.map(({ windowSeconds = NaN }) =>
      Math.min(windowSeconds * 1000, Number.MAX_SAFE_INTEGER)
    )
    const sorted = [...windows].sort((a, b) => b - a)
    assert.strictEqual(Fields.quotaHint(quotas), sorted.at(0))
  })
})

describe("Age", () => {
  it.each([
    ["1", true],
    ["007", true],
    [" 60 ", true],
    ["60, 0", true],
    ["99999999999999999999", true],
    ["0", false],
    ["00", false],
    ["0, 60", false],
    ["-1", false],
    ["1.5", false],
    ["old", false],
    ["", false],
    [undefined, false]
  ])("%j shows a response from a cache: %s", (age, cached) => {
    assert.strictEqual(Fields.isFromCache(age), cached)
  })
})
