import { assert, describe, it } from "@effect/vitest"
import { FastCheck } from "effect"
import * as HttpDate from "../../../src/core/http/httpDate.js"
import { mutated } from "../../support/mutated.js"

// ------------------------------------------------------------------------------------------------- the obvious model

const shortDays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
const longDays = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

/** Lets a `Date` do the calendar, and refuses what it has moved to another day or hour. */
const modelTime = (year: number, month: string, day: string, time: string): number | undefined => {
  const [hour, minute, second] = time.split(":").map(Number)
  const leap = time === "23:59:60"
  const date = new Date(0)
  date.setUTCFullYear(year, months.indexOf(month), Number(day))
  date.setUTCHours(hour, minute, leap ? 59 : second)
  const kept =
    date.getUTCDate() === Number(day) &&
    date.getUTCHours() === hour &&
    date.getUTCMinutes() === minute &&
    date.getUTCSeconds() === (leap ? 59 : second)
  return kept ? date.getTime() + (leap ? 1000 : 0) : undefined
}

/** Tries one year after the other, from far in the future on. */
const modelYear = (digits: string, month: string, day: string, time: string, now: number): number => {
  const horizon = new Date(now)
  horizon.setUTCFullYear(horizon.getUTCFullYear() + 50)
  let year = horizon.getUTCFullYear() + 1
  for (;;) {
    const date = new Date(0)
    date.setUTCFullYear(year, months.indexOf(month), Number(day))
    const [hour, minute, second] = time.split(":").map(Number)
    date.setUTCHours(hour, minute, second)
    if (String(year).padStart(4, "0").endsWith(digits) && date.getTime() <= horizon.getTime()) return year
    year--
  }
}

/** Splits at the spaces, and looks at each part by itself. */
const model = (text: string, now: number): number | undefined => {
  const isTime = (part: string) => /^\d\d:\d\d:\d\d$/.test(part)
  const parts = text.split(" ")
  if (parts.length === 6 && parts[5] === "GMT") {
    const [name, day, month, year, time] = parts
    const shape =
      shortDays.some((short) => `${short},` === name) &&
      /^\d\d$/.test(day) &&
      months.includes(month) &&
      /^\d{4}$/.test(year) &&
      isTime(time)
    return shape ? modelTime(Number(year), month, day, time) : undefined
  }
  if (parts.length === 4 && parts[3] === "GMT") {
    const [name, date, time] = parts
    const [day, month, year, ...rest] = date.split("-")
    const shape =
      longDays.some((long) => `${long},` === name) &&
      rest.length === 0 &&
      /^\d\d$/.test(day) &&
      months.includes(month) &&
      /^\d\d$/.test(year ?? "") &&
      isTime(time)
    return shape ? modelTime(modelYear(year, month, day, time, now), month, day, time) : undefined
  }
  const padded = parts.length === 6 && parts[2] === "" && /^\d$/.test(parts[3])
  const [name, month, day, time, year, ...rest] = padded
    ? [parts[0], parts[1], parts[3], parts[4], parts[5]]
    : parts
  const shape =
    rest.length === 0 &&
    shortDays.includes(name) &&
    months.includes(month) &&
    (padded || /^\d\d$/.test(day)) &&
    isTime(time ?? "") &&
    /^\d{4}$/.test(year ?? "")
  return shape ? modelTime(Number(year), month, day, time) : undefined
}

// --------------------------------------------------------------------------------------------------------- arbitraries

/** Sat, 01 Jan 0000 00:00:00 GMT and Fri, 31 Dec 9999 23:59:59 GMT. */
const firstSecond = -62_167_219_200_000
const lastSecond = 253_402_300_799_000

const second = FastCheck.oneof(
  FastCheck.integer({ min: 0, max: 4_102_444_800 }),
  FastCheck.integer({ min: firstSecond / 1000, max: lastSecond / 1000 })
).map((seconds) => seconds * 1000)

const now = FastCheck.integer({ min: 0, max: 7_258_118_400_000 })

const twoDigits = (max: number) =>
  FastCheck.integer({ min: 0, max }).map((number) => String(number).padStart(2, "0"))

/** Of the right shape, though not always in the calendar. */
const parts = FastCheck.record({
  name: FastCheck.integer({ min: 0, max: 6 }),
  day: twoDigits(32),
  month: FastCheck.constantFrom(...months),
  year: FastCheck.oneof(
    FastCheck.constantFrom("0000", "0004", "0099", "0100", "1900", "1999", "2000", "2024", "2100", "9999"),
    FastCheck.integer({ min: 1950, max: 2150 }).map(String)
  ),
  time: FastCheck.oneof(
    { weight: 1, arbitrary: FastCheck.constantFrom("23:59:60", "12:00:60", "23:59:61", "24:00:00") },
    {
      weight: 9,
      arbitrary: FastCheck.tuple(twoDigits(24), twoDigits(60), twoDigits(61)).map((fields) =>
        fields.join(":")
      )
    }
  )
})

const imfFixdate = parts.map(
  ({ day, month, name, time, year }) => `${shortDays[name]}, ${day} ${month} ${year} ${time} GMT`
)
const rfc850 = parts.map(
  ({ day, month, name, time, year }) => `${longDays[name]}, ${day}-${month}-${year.slice(2)} ${time} GMT`
)
const asctime = FastCheck.tuple(parts, FastCheck.boolean()).map(
  ([{ day, month, name, time, year }, padded]) =>
    `${shortDays[name]} ${month} ${padded ? day.replace(/^0/, " ") : day} ${time} ${year}`
)
const shaped = FastCheck.oneof(imfFixdate, rfc850, asctime)

// --------------------------------------------------------------------------------------------------------------- tests

const example = Date.UTC(1994, 10, 6, 8, 49, 37)

describe("an HTTP-date", () => {
  it.each([
    ["IMF-fixdate", "Sun, 06 Nov 1994 08:49:37 GMT", example],
    ["RFC 850", "Sunday, 06-Nov-94 08:49:37 GMT", example],
    ["asctime", "Sun Nov  6 08:49:37 1994", example],
    ["asctime with a day of two digits", "Wed Nov 16 08:49:37 1994", example + 10 * 86_400_000],
    ["asctime with a zero instead of a space", "Sun Nov 06 08:49:37 1994", example],
    ["the epoch", "Thu, 01 Jan 1970 00:00:00 GMT", 0],
    ["a time before the epoch", "Wed, 31 Dec 1969 23:59:59 GMT", -1000],
    ["29 February in a leap year", "Thu, 29 Feb 2024 00:00:00 GMT", Date.UTC(2024, 1, 29)],
    ["29 February 2000", "Tue, 29 Feb 2000 00:00:00 GMT", Date.UTC(2000, 1, 29)],
    ["a leap second", "Sat, 31 Dec 2016 23:59:60 GMT", Date.UTC(2017, 0, 1)],
    ["a day's name that does not fit the date", "Mon, 06 Nov 1994 08:49:37 GMT", example],
    ["the first year", "Sat, 01 Jan 0000 00:00:00 GMT", firstSecond],
    ["a year of the first century", "Thu, 01 Jan 0099 00:00:00 GMT", -59_042_995_200_000],
    ["the last second", "Fri, 31 Dec 9999 23:59:59 GMT", lastSecond]
  ])("can be %s", (_, text, millis) => {
    assert.strictEqual(HttpDate.parse(text, example), millis)
  })

  it.each([
    ["nothing", ""],
    ["a number", "784111777"],
    ["ISO 8601", "1994-11-06T08:49:37Z"],
    ["a date without a day's name", "06 Nov 1994 08:49:37 GMT"],
    ["a day's name in lower case", "sun, 06 Nov 1994 08:49:37 GMT"],
    ["a day's name in upper case", "SUN, 06 Nov 1994 08:49:37 GMT"],
    ["a month in lower case", "Sun, 06 nov 1994 08:49:37 GMT"],
    ["a zone in lower case", "Sun, 06 Nov 1994 08:49:37 gmt"],
    ["another zone", "Sun, 06 Nov 1994 08:49:37 UTC"],
    ["an offset", "Sun, 06 Nov 1994 08:49:37 +0000"],
    ["no zone", "Sun, 06 Nov 1994 08:49:37"],
    ["a zone in asctime", "Sun Nov  6 08:49:37 1994 GMT"],
    ["a day of one digit", "Sun, 6 Nov 1994 08:49:37 GMT"],
    ["a day of one digit in asctime without the space", "Sun Nov 6 08:49:37 1994"],
    ["a long day's name in IMF-fixdate", "Sunday, 06 Nov 1994 08:49:37 GMT"],
    ["a short day's name in RFC 850", "Sun, 06-Nov-94 08:49:37 GMT"],
    ["a year of four digits in RFC 850", "Sunday, 06-Nov-1994 08:49:37 GMT"],
    ["a year of two digits in IMF-fixdate", "Sun, 06 Nov 94 08:49:37 GMT"],
    ["two spaces", "Sun, 06  Nov 1994 08:49:37 GMT"],
    ["a space before", " Sun, 06 Nov 1994 08:49:37 GMT"],
    ["a line break after", "Sun, 06 Nov 1994 08:49:37 GMT\n"],
    ["digits of another script", "Sun, ٠٦ Nov 1994 08:49:37 GMT"],
    ["day 0", "Sun, 00 Nov 1994 08:49:37 GMT"],
    ["31 April", "Sun, 31 Apr 1994 08:49:37 GMT"],
    ["31 February", "Sun, 31 Feb 1994 08:49:37 GMT"],
    ["29 February in a common year", "Wed, 29 Feb 2023 00:00:00 GMT"],
    ["29 February 1900", "Thu, 29 Feb 1900 00:00:00 GMT"],
    ["hour 24", "Sun, 06 Nov 1994 24:00:00 GMT"],
    ["minute 60", "Sun, 06 Nov 1994 08:60:00 GMT"],
    ["second 61", "Sat, 31 Dec 2016 23:59:61 GMT"],
    ["a leap second that does not end a day", "Sat, 31 Dec 2016 12:00:60 GMT"],
    ["a leap second in the minute before", "Sat, 31 Dec 2016 23:58:60 GMT"],
    ["a leap second in the hour before", "Sat, 31 Dec 2016 22:59:60 GMT"]
  ])("cannot be %s", (_, text) => {
    assert.isUndefined(HttpDate.parse(text, example))
  })

  it.prop(
    "is what the model says, of the right shape or almost",
    [FastCheck.oneof(shaped, mutated(shaped)), now],
    ([text, now]) => {
      assert.strictEqual(HttpDate.parse(text, now), model(text, now))
    },
    { fastCheck: { numRuns: 2000 } }
  )

  it.prop("is what the platform says, in its own format", [second], ([millis]) => {
    // The platform takes an earlier year, such as 0099, for 1999.
    FastCheck.pre(millis >= Date.UTC(100, 0, 1))
    const text = HttpDate.format(millis) ?? ""
    assert.strictEqual(HttpDate.parse(text, 0), Date.parse(text))
  })

  it.prop(
    "reads from any string without throwing",
    [FastCheck.string({ unit: "binary" }), now],
    ([text, now]) => {
      assert.strictEqual(HttpDate.parse(text, now), model(text, now))
    }
  )
})

describe("a year of two digits", () => {
  const at = (time: string) => Date.parse(time)

  it.each([
    ["is this year's", "2026-11-21T00:00:00Z", "Saturday, 21-Nov-26 00:00:00 GMT", "2026-11-21T00:00:00Z"],
    ["is one ahead", "2026-11-21T00:00:00Z", "Friday, 21-Nov-70 00:00:00 GMT", "2070-11-21T00:00:00Z"],
    ["is fifty ahead", "2026-11-21T00:00:00Z", "Saturday, 21-Nov-76 00:00:00 GMT", "2076-11-21T00:00:00Z"],
    [
      "is past when it would be more than fifty ahead by a second",
      "2026-11-21T00:00:00Z",
      "Sunday, 21-Nov-76 00:00:01 GMT",
      "1976-11-21T00:00:01Z"
    ],
    [
      "can be of the next century",
      "2095-06-01T00:00:00Z",
      "Monday, 01-Jun-05 00:00:00 GMT",
      "2105-06-01T00:00:00Z"
    ],
    [
      "can be of the last one",
      "2005-06-01T00:00:00Z",
      "Thursday, 01-Jun-95 00:00:00 GMT",
      "1995-06-01T00:00:00Z"
    ],
    [
      "counts to the millisecond",
      "2026-11-21T00:00:00.999Z",
      "Saturday, 21-Nov-76 00:00:00 GMT",
      "2076-11-21T00:00:00Z"
    ]
  ])("%s", (_, now, text, expected) => {
    assert.strictEqual(HttpDate.parse(text, at(now)), at(expected))
  })

  it.prop("is within a hundred years, of which fifty are ahead", [rfc850, now], ([text, now]) => {
    const millis = HttpDate.parse(text, now)
    FastCheck.pre(millis !== undefined)
    const years = (shift: number) => {
      const date = new Date(now)
      return date.setUTCFullYear(date.getUTCFullYear() + shift)
    }
    assert.isAtMost(millis, years(50))
    assert.isAbove(millis, years(-50) - 86_400_000)
  })
})

describe("a formatted HTTP-date", () => {
  it("is an IMF-fixdate", () => {
    assert.strictEqual(HttpDate.format(example), "Sun, 06 Nov 1994 08:49:37 GMT")
    assert.strictEqual(HttpDate.format(firstSecond), "Sat, 01 Jan 0000 00:00:00 GMT")
    assert.strictEqual(HttpDate.format(lastSecond), "Fri, 31 Dec 9999 23:59:59 GMT")
  })

  it.prop(
    "reads back as the second that the time is in",
    [second, FastCheck.double({ min: 0, max: 999.999, noNaN: true })],
    ([millis, part]) => {
      FastCheck.pre(millis + part < millis + 1000)
      assert.strictEqual(HttpDate.parse(HttpDate.format(millis + part) ?? "", 0), millis)
    }
  )

  it.each([firstSecond - 1, lastSecond + 1000, Infinity, -Infinity, NaN])(
    "does not exist for %s",
    (millis) => {
      assert.isUndefined(HttpDate.format(millis))
    }
  )
})
