import * as Headers from "@effect/platform/Headers"
import { assert, describe, it } from "@effect/vitest"
import { Duration, FastCheck, Option } from "effect"
import * as HttpFields from "../../../src/http/problem/HttpFields.js"

const now = Date.UTC(2026, 10, 21)
const headers = (fields: Record<string, string | ReadonlyArray<string>>) => Headers.fromInput(fields)
const millis = Option.map(Duration.toMillis)

describe("HttpFields.retryAfter", () => {
  it("reads seconds", () => {
    const read = HttpFields.retryAfter(headers({ "Retry-After": "120" }), now)
    assert.deepStrictEqual(millis(read), Option.some(120_000))
  })

  it("compares a date with the response's own", () => {
    const fields = { "retry-after": "Sun, 06 Nov 1994 08:49:57 GMT", date: "Sun, 06 Nov 1994 08:49:37 GMT" }
    assert.deepStrictEqual(millis(HttpFields.retryAfter(headers(fields), now)), Option.some(20_000))
  })

  it("compares a date with the time here when the response has none", () => {
    const fields = { "retry-after": "Sat, 21 Nov 2026 00:00:05 GMT" }
    assert.deepStrictEqual(millis(HttpFields.retryAfter(headers(fields), now)), Option.some(5000))
  })

  it("is zero when the date has passed", () => {
    const fields = { "retry-after": "Sun, 06 Nov 1994 08:49:57 GMT" }
    assert.deepStrictEqual(millis(HttpFields.retryAfter(headers(fields), now)), Option.some(0))
  })

  it.each([
    {},
    { "retry-after": "soon" },
    { "retry-after": ["5", "10"] },
    { date: "Sat, 21 Nov 2026 00:00:05 GMT" }
  ])("is undefined for %j", (fields) => {
    assert.deepStrictEqual(HttpFields.retryAfter(headers(fields), now), Option.none())
  })

  it("does not look at the quota", () => {
    const fields = { ratelimit: '"default";r=0;t=30' }
    assert.deepStrictEqual(HttpFields.retryAfter(headers(fields), now), Option.none())
  })
})

describe("HttpFields.rateLimit", () => {
  it("reads every item of every field", () => {
    const fields = { RateLimit: ['"burst";r=0;t=10;pk=:AQI=:', '"daily";r=700, "ever";t=0;r=1'] }
    assert.deepStrictEqual(HttpFields.rateLimit(headers(fields)), [
      { name: "burst", available: 0, window: Duration.seconds(10), partitionKey: Uint8Array.of(1, 2) },
      { name: "daily", available: 700 },
      { name: "ever", available: 1, window: Duration.zero }
    ])
  })

  it.each([
    {},
    { ratelimit: "default;r=1" },
    { ratelimit: ['"a";r=1', '"b"'] },
    { "x-ratelimit-remaining": "0" }
  ])("is empty for %j", (fields) => {
    assert.deepStrictEqual(HttpFields.rateLimit(headers(fields)), [])
  })

  it("holds a window to what counts in milliseconds", () => {
    const [quota] = HttpFields.rateLimit(headers({ ratelimit: '"default";r=0;t=999999999999999' }))
    assert.deepStrictEqual(quota.window, Duration.millis(Number.MAX_SAFE_INTEGER))
  })

  it("is empty for a response from a cache", () => {
    const fields = { ratelimit: '"default";r=0;t=30' }
    assert.deepStrictEqual(HttpFields.rateLimit(headers({ ...fields, age: "1" })), [])
    assert.lengthOf(HttpFields.rateLimit(headers({ ...fields, age: "0" })), 1)
  })
})

describe("HttpFields.rateLimitPolicy", () => {
  it("reads every item of every field", () => {
    const fields = {
      "RateLimit-Policy": ['"burst";q=100;w=60', '"bytes";q=1000;qu="content-bytes";pk=:AQI=:']
    }
    assert.deepStrictEqual(HttpFields.rateLimitPolicy(headers(fields)), [
      { name: "burst", quota: 100, window: Duration.minutes(1) },
      { name: "bytes", quota: 1000, unit: "content-bytes", partitionKey: Uint8Array.of(1, 2) }
    ])
  })

  it.each([{}, { "ratelimit-policy": '"a";w=60' }, { "ratelimit-policy": '"a";q=1', age: "1" }])(
    "is empty for %j",
    (fields) => {
      assert.deepStrictEqual(HttpFields.rateLimitPolicy(headers(fields)), [])
    }
  )
})

describe("HttpFields.quotaHint", () => {
  it("is the longest window without quota", () => {
    const fields = { ratelimit: '"a";r=0;t=10, "b";r=0;t=30, "c";r=5;t=60' }
    assert.deepStrictEqual(millis(HttpFields.quotaHint(headers(fields))), Option.some(30_000))
  })

  it.each([
    {},
    { ratelimit: '"a";r=1;t=10' },
    { ratelimit: '"a";r=0' },
    { ratelimit: '"a";r=0;t=10', age: "5" }
  ])("is undefined for %j", (fields) => {
    assert.deepStrictEqual(HttpFields.quotaHint(headers(fields)), Option.none())
  })
})

describe("HttpFields.hint", () => {
  const ratelimit = '"default";r=0;t=30'

  it.each([
    ["Retry-After, though it is shorter", { "retry-after": "5", ratelimit }, 5000],
    ["Retry-After, though it is longer", { "retry-after": "500", ratelimit }, 500_000],
    ["Retry-After, though it is zero", { "retry-after": "0", ratelimit }, 0],
    ["the quota without Retry-After", { ratelimit }, 30_000],
    ["the quota when Retry-After cannot be read", { "retry-after": "soon", ratelimit }, 30_000],
    ["Retry-After of a response from a cache", { "retry-after": "5", ratelimit, age: "1" }, 5000]
  ])("is what is said by %s", (_, fields, expected) => {
    assert.deepStrictEqual(millis(HttpFields.hint(headers(fields), now)), Option.some(expected))
  })

  it("is undefined when neither says anything", () => {
    assert.deepStrictEqual(
      HttpFields.hint(headers({ "retry-after": "soon", ratelimit: '"a";r=1;t=1' }), now),
      Option.none()
    )
    assert.deepStrictEqual(HttpFields.hint(Headers.empty, now), Option.none())
  })
})

describe("what HttpFields writes", () => {
  it.each<readonly [Duration.DurationInput, string]>([
    ["0 millis", "0"],
    ["1 nanos", "1"],
    ["1500 millis", "2"],
    ["2 minutes", "120"],
    [Duration.nanos(2_000_000_001n), "3"],
    [Infinity, "9007199254741"],
    [-5, "0"]
  ])("for a wait of %s is %s seconds", (duration, value) => {
    assert.strictEqual(HttpFields.formatRetryAfter(duration), value)
  })

  it("for quotas has the syntax of the draft", () => {
    const quotas: ReadonlyArray<HttpFields.Quota> = [
      { name: "default", available: 50, window: Duration.seconds(30) },
      { name: 'a "b"', available: 0, window: Duration.millis(1001), partitionKey: Uint8Array.of(1, 2) },
      { name: "ever", available: 7 }
    ]
    assert.strictEqual(
      HttpFields.formatRateLimit(quotas),
      '"default";r=50;t=30, "a \\"b\\"";r=0;t=2;pk=:AQI=:, "ever";r=7'
    )
  })

  it("for policies has the syntax of the draft", () => {
    const policies: ReadonlyArray<HttpFields.QuotaPolicy> = [
      { name: "burst", quota: 100, window: Duration.millis(10) },
      { name: "upload", quota: 1_000_000, unit: "content-bytes", window: Duration.minutes(1) },
      { name: "ever", quota: 7, partitionKey: Uint8Array.of(1, 2) }
    ]
    assert.strictEqual(
      HttpFields.formatRateLimitPolicy(policies),
      '"burst";q=100;w=1, "upload";q=1000000;qu="content-bytes";w=60, "ever";q=7;pk=:AQI=:'
    )
  })

  it("for nothing is empty", () => {
    assert.strictEqual(HttpFields.formatRateLimit([]), "")
    assert.strictEqual(HttpFields.formatRateLimitPolicy([]), "")
  })

  // ---------------------------------------------------------------------------------------------------- round trips

  const name = FastCheck.string({ maxLength: 10 })
  const seconds = FastCheck.integer({ min: 1, max: 4_000_000_000 })
  const item = {
    name,
    partitionKey: FastCheck.uint8Array({ maxLength: 8 }),
    window: seconds.map(Duration.seconds)
  }

  it.prop(
    "as RateLimit reads back",
    [
      FastCheck.array(
        FastCheck.record({ ...item, available: FastCheck.nat() }, { requiredKeys: ["name", "available"] })
      )
    ],
    ([quotas]) => {
      const ratelimit = HttpFields.formatRateLimit(quotas)
      assert.deepStrictEqual(HttpFields.rateLimit(headers({ ratelimit })), quotas)
    }
  )

  it.prop(
    "as RateLimit-Policy reads back",
    [
      FastCheck.array(
        FastCheck.record({ ...item, quota: FastCheck.nat(), unit: name }, { requiredKeys: ["name", "quota"] })
      )
    ],
    ([policies]) => {
      const field = HttpFields.formatRateLimitPolicy(policies)
      assert.deepStrictEqual(HttpFields.rateLimitPolicy(headers({ "ratelimit-policy": field })), policies)
    }
  )

  it.prop(
    "as Retry-After asks for the wait and less than a second more",
    [FastCheck.bigInt({ min: 0n, max: 10n ** 18n })],
    ([nanos]) => {
      const field = HttpFields.formatRetryAfter(Duration.nanos(nanos))
      const read = HttpFields.retryAfter(headers({ "retry-after": field }), now)
      const back = Option.getOrThrow(Option.flatMap(read, Duration.toNanos))
      // A double holds a million seconds to a fraction of a microsecond.
      assert.isTrue(back >= nanos - 1000n && back < nanos + 1_000_001_000n)
    }
  )
})

describe("HttpFields of any response", () => {
  const text = FastCheck.string({ unit: "binary" })

  it.prop(
    "are read without throwing",
    [
      FastCheck.record(
        { "retry-after": text, date: text, age: text, ratelimit: text, "ratelimit-policy": text },
        { requiredKeys: [] }
      )
    ],
    ([fields]) => {
      const read = headers(fields)
      const hint = HttpFields.hint(read, now)
      assert.isTrue(Option.isNone(hint) || Duration.isFinite(hint.value))
      assert.isArray(HttpFields.rateLimit(read))
      assert.isArray(HttpFields.rateLimitPolicy(read))
    }
  )
})
