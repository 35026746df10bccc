/**
 * How often a test plays a random history or runs a property: a few times with the suite, many times in `npm run test:long`,
 * which runs the files that import this one.
 */
const isLong = process.env["LONG"] === "1"

export const runs = (short: number, long: number): number => (isLong ? long : short)

/** Shows what a simulation found, for those who run it on purpose. */
export const show = (what: string | ReadonlyArray<object>): void => {
  if (!isLong) return
  if (typeof what === "string") console.log(what)
  else console.table(what)
}
