/** HTTP-date (RFC 9110, section 5.6.7): the three formats to read and the one to write. Times are milliseconds since the epoch. */

const dayNames = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

const shortDay = `(?:${dayNames.map((name) => name.slice(0, 3)).join("|")})`
const longDay = `(?:${dayNames.join("|")})`
const month = `(?<month>${months.join("|")})`
const time = "(?<hour>[0-9]{2}):(?<minute>[0-9]{2}):(?<second>[0-9]{2})"

const imfFixdate = new RegExp(`^${shortDay}, (?<day>[0-9]{2}) ${month} (?<year>[0-9]{4}) ${time} GMT$`)
const rfc850 = new RegExp(`^${longDay}, (?<day>[0-9]{2})-${month}-(?<year>[0-9]{2}) ${time} GMT$`)
const asctime = new RegExp(`^${shortDay} ${month} (?<day>[0-9]{2}| [0-9]) ${time} (?<year>[0-9]{4})$`)

/** The time of a date, if it is one; the name of the day is not compared. `now` settles the century of a two-digit year. */
export const parse = (text: string, now: number): number | undefined => {
  const full = imfFixdate.exec(text) ?? asctime.exec(text)
  if (full !== null) return assemble(full, (fields) => fields.year)
  const short = rfc850.exec(text)
  return short === null ? undefined : assemble(short, (fields) => fullYear(fields, now))
}

/** The second that a time is in, as IMF-fixdate; `undefined` outside of the years 0 to 9999. */
export const format = (millis: number): string | undefined => {
  const date = new Date(Math.floor(millis))
  const year = date.getUTCFullYear()
  // ECMA-262 defines toUTCString, for years of four digits, as exactly this format.
  return year >= 0 && year <= 9999 ? date.toUTCString() : undefined
}

// ---------------------------------------------------------------------------------------------------------- calendar

interface Fields {
  readonly year: number
  /** From 1 to 12, as the day counts from 1. */
  readonly month: number
  readonly day: number
  readonly hour: number
  readonly minute: number
  readonly second: number
}

const assemble = (match: RegExpExecArray, yearOf: (fields: Fields) => number): number | undefined => {
  const groups = match.groups as Record<keyof Fields, string>
  const read: Fields = {
    year: Number(groups.year),
    month: months.indexOf(groups.month) + 1,
    day: Number(groups.day),
    hour: Number(groups.hour),
    minute: Number(groups.minute),
    second: Number(groups.second)
  }
  const fields = { ...read, year: yearOf(read) }
  return isReal(fields) ? toMillis(fields) : undefined
}

const isReal = ({ day, hour, minute, month, second, year }: Fields): boolean =>
  day >= 1 &&
  day <= daysIn(year, month) &&
  hour <= 23 &&
  minute <= 59 &&
  // A leap second ends a day, and a Unix time gives it the number of the second that follows it.
  (second <= 59 || (second === 60 && minute === 59 && hour === 23))

const daysIn = (year: number, month: number): number => {
  if (month === 2) return isLeap(year) ? 29 : 28
  return [4, 6, 9, 11].includes(month) ? 30 : 31
}

const isLeap = (year: number): boolean => year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)

/** Counted by hand: `Date.UTC` takes the years 0 to 99 for those of the twentieth century. */
const toMillis = ({ day, hour, minute, month, second, year }: Fields): number => {
  const before = year - 1
  const leapDays = Math.floor(before / 4) - Math.floor(before / 100) + Math.floor(before / 400)
  const daysBeforeYear = before * 365 + leapDays - daysBefore1970
  const days = daysBeforeYear + daysBeforeMonth(year, month) + day - 1
  return (((days * 24 + hour) * 60 + minute) * 60 + second) * 1000
}

/** From the first day of year 1 to the epoch. */
const daysBefore1970 = 719_162

const daysBeforeMonth = (year: number, month: number): number => {
  let days = 0
  for (let earlier = 1; earlier < month; earlier++) days += daysIn(year, earlier)
  return days
}

/** The latest year with these last two digits in which the time is not more than fifty years ahead of `now`. */
const fullYear = (fields: Fields, now: number): number => {
  const present = new Date(now)
  const horizonYear = present.getUTCFullYear() + 50
  const year = horizonYear - (horizonYear % 100) + fields.year
  const horizon =
    toMillis({
      year: horizonYear,
      month: present.getUTCMonth() + 1,
      day: present.getUTCDate(),
      hour: present.getUTCHours(),
      minute: present.getUTCMinutes(),
      second: present.getUTCSeconds()
    }) + present.getUTCMilliseconds()
  return toMillis({ ...fields, year }) > horizon ? year - 100 : year
}
