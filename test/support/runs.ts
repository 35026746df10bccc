/**
 * How often a test plays a random history or runs a property: a few times with the suite, many times in `npm run test:long`,
 * which runs the files that import this one.
 */
const isLong = process.env["LONG"] === "1"

/** The share of the long runs, such as 0.4 where they have to end within minutes. */
const share = Number(process.env["LONG_SHARE"] ?? 1)

export const runs = (short: number, long: number): number =>
  isLong ? Math.max(short, Math.ceil(long * share)) : short

/** Shows what a simulation found, for those who run it on purpose. */
export const show = (what: string | ReadonlyArray<object>): void => {
  if (!isLong) return
  if (typeof what === "string") console.log(what)
  else console.table(what)
}
