import { assert, describe, it } from "@effect/vitest"
import { FastCheck } from "effect"
import * as HttpDate from "../../../src/core/http/httpDate.js"
import { retryAfterMillis, retryAfterSeconds, wholeSeconds } from "../../../src/core/http/retryAfter.js"
import { mutated } from "../../support/mutated.js"

const longest = Number.MAX_SAFE_INTEGER
const sent = Date.UTC(1994, 10, 6, 8, 49, 37)
const date = "Sun, 06 Nov 1994 08:49:37 GMT"
const twentySecondsLater = "Sun, 06 Nov 1994 08:49:57 GMT"

const read = (retryAfter: string, date?: string, now = sent) => retryAfterMillis({ retryAfter, date }, now)

/** Any second that a date can express without a doubt about its century. */
const second = FastCheck.integer({ min: 0, max: 4_102_444_800 }).map((seconds) => seconds * 1000)
const format = (millis: number) => HttpDate.format(millis) ?? ""

describe("Retry-After in seconds", () => {
  it.each([
    ["0", 0],
    ["1", 1000],
    ["120", 120_000],
    ["007", 7000],
    [" 5", 5000],
    ["5\t ", 5000],
    ["9007199254740", 9_007_199_254_740_000],
    ["9007199254741", longest],
    ["99999999999999999999", longest],
    ["9".repeat(400), longest]
  ])("is read from %j", (value, millis) => {
    assert.strictEqual(read(value), millis)
  })

  it.prop("is the same whatever the time is", [FastCheck.nat(), second, second], ([seconds, date, now]) => {
    assert.strictEqual(read(String(seconds), format(date), now), seconds * 1000)
  })
})

describe("Retry-After with a date", () => {
  it("is compared with the response's own date", () => {
    assert.strictEqual(read(twentySecondsLater, date, sent + 3_600_000), 20_000)
    assert.strictEqual(read(twentySecondsLater, ` ${date}\t`, sent - 3_600_000), 20_000)
  })

  it("is compared with the time here when the response has no date", () => {
    assert.strictEqual(read(twentySecondsLater, undefined, sent + 1), 19_999)
  })

  it.each(["", "yesterday", "784111777", "Sun, 31 Feb 1994 08:49:37 GMT", `${date}, ${date}`])(
    "is compared with the time here when the response's date is %j",
    (date) => {
      assert.strictEqual(read(twentySecondsLater, date, sent + 5000), 15_000)
    }
  )

  it("is zero when it has passed", () => {
    assert.strictEqual(read(date, twentySecondsLater), 0)
    assert.strictEqual(read(date, date), 0)
    assert.strictEqual(read(date, undefined, sent + 1), 0)
  })

  it.each([
    ["RFC 850", "Sunday, 06-Nov-94 08:49:57 GMT"],
    ["asctime", "Sun Nov  6 08:49:57 1994"],
    ["with whitespace around", `\t ${twentySecondsLater} `]
  ])("can be %s", (_, value) => {
    assert.strictEqual(read(value, date), 20_000)
  })

  it.prop("is the difference of the dates", [second, second, second], ([until, date, now]) => {
    assert.strictEqual(read(format(until), format(date), now), Math.max(0, until - date))
  })

  it.prop(
    "never ends before the date does, by the clock that wrote it",
    [second, FastCheck.nat({ max: 999 }), FastCheck.integer({ min: 0, max: 86_400_000 })],
    ([second, part, ahead]) => {
      const answered = second + part
      // What the server means is cut to the second in both fields.
      const until = Math.floor((answered + ahead) / 1000) * 1000
      const wait = read(format(until), format(answered), 0) ?? NaN
      assert.isAtLeast(answered + wait, until)
      assert.isAtLeast(wait, Math.floor((until - answered) / 1000) * 1000)
    }
  )

  it.prop("never ends before the date does, by the clock here", [second, second], ([until, now]) => {
    assert.isAtLeast(now + (read(format(until), undefined, now) ?? NaN), until)
  })
})

describe("a Retry-After that says nothing", () => {
  it("is a missing one", () => {
    assert.isUndefined(retryAfterMillis({ retryAfter: undefined, date }, sent))
  })

  it.each([
    "",
    " ",
    "-5",
    "+5",
    "-0",
    "1.5",
    "5.",
    "1e3",
    "0x10",
    "1_000",
    "1 000",
    "5s",
    "5 seconds",
    "٥",
    "５",
    "\u00a05",
    "5\n",
    "NaN",
    "Infinity",
    "soon",
    "1994-11-06T08:49:57Z",
    "Sun, 31 Feb 1994 08:49:57 GMT",
    "sun, 06 nov 1994 08:49:57 gmt"
  ])("is %j", (value) => {
    assert.isUndefined(read(value, date))
  })

  it.each([
    "5, 10",
    "5,5",
    "120,",
    ",120",
    `${twentySecondsLater}, 20`,
    `${twentySecondsLater}, ${twentySecondsLater}`
  ])("has several values: %j", (value) => {
    assert.isUndefined(read(value, date))
  })
})

describe("any Retry-After", () => {
  const valid = FastCheck.oneof(FastCheck.nat().map(String), second.map(format))
  const value = FastCheck.oneof(valid, mutated(valid), FastCheck.string({ unit: "binary" }))

  it.prop(
    "is nothing, or a time from zero to the longest one",
    [value, FastCheck.option(value, { nil: undefined }), second],
    ([retryAfter, date, now]) => {
      const millis = retryAfterMillis({ retryAfter, date }, now)
      if (millis === undefined) return
      assert.isAtLeast(millis, 0)
      assert.isAtMost(millis, longest)
      assert.isTrue(
        /^[ \t]*[0-9]+[ \t]*$/.test(retryAfter) || HttpDate.parse(retryAfter.trim(), now) !== undefined
      )
    },
    { fastCheck: { numRuns: 1000 } }
  )

  it("can be very long", () => {
    assert.isUndefined(read(`${" ".repeat(1_000_000)}x${" ".repeat(1_000_000)}`))
    assert.strictEqual(read(`${" ".repeat(1_000_000)}${"0".repeat(1_000_000)}1`), 1000)
  })
})

describe("a Retry-After that is written", () => {
  it.each([
    [0, "0"],
    [0.000_001, "1"],
    [1, "1"],
    [999, "1"],
    [1000, "1"],
    [1000.000_001, "2"],
    [1001, "2"],
    [90_000, "90"],
    [longest, "9007199254741"],
    [Infinity, "9007199254741"],
    [-1, "0"],
    [-Infinity, "0"],
    [NaN, "0"]
  ])("is exact for %d ms", (millis, value) => {
    assert.strictEqual(retryAfterSeconds(millis), value)
  })

  it("has no sign for zero", () => {
    for (const millis of [0, -0, -1]) assert.isTrue(Object.is(wholeSeconds(millis), 0), String(millis))
  })

  it.prop(
    "asks for the time itself and less than a second more",
    [FastCheck.oneof(FastCheck.double({ min: 0, max: 1e12, noNaN: true }), FastCheck.nat())],
    ([millis]) => {
      const read = retryAfterMillis({ retryAfter: retryAfterSeconds(millis), date: undefined }, 0) ?? NaN
      assert.isAtLeast(read, millis)
      // Adding to the time could round; taking whole milliseconds away does not.
      assert.isTrue(read - 1000 < millis || millis === 0)
    }
  )

  it.prop("reads back", [FastCheck.double()], ([millis]) => {
    const read = retryAfterMillis({ retryAfter: retryAfterSeconds(millis), date: undefined }, 0) ?? NaN
    assert.isAtLeast(read, Math.min(longest, millis > 0 ? millis : 0))
  })
})
