/**
 * `npm run gates`: what every path costs in operations, fibers, timers and bytes, what instances hold, and how large the library
 * is, against what is recorded in record.json. Fails on any difference, better ones too: a gain that is not recorded can be lost
 * unseen.
 * `-- --update` records what is there.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { Effect } from "effect"
import { guarded, guardedName } from "../guarded.js"
import { bare, type Body, nameOf, type Path, paths } from "../paths.js"
import { weighAll } from "./bytes.js"
import { limit, weighInstances } from "./memory.js"
import { type Count, count, countPromise } from "./operations.js"
import { limits, measure } from "./sizes.js"

/** What a path costs. Bytes are compared with the same major version of Node.js, since they are the engine's. */
interface Recorded {
  readonly ops: number
  readonly fibers: number
  readonly timers: number
  readonly bytes?: { readonly [nodeMajor: string]: number } | undefined
}

type Counted = "ops" | "fibers" | "timers" | "bytes"

const file = path.resolve("bench/gates/record.json")
const updating = process.argv.includes("--update")
const nodeMajor = process.versions.node.split(".")[0]

/** How much heavier a call may get, or lighter, before it is a difference. */
const slack = 0.1

const record: { readonly [name: string]: Recorded } = JSON.parse(fs.readFileSync(file, "utf8"))
const next: { [name: string]: Recorded } = {}
const problems: Array<string> = []
const unweighed: Array<string> = []

const compare = (name: string, what: Counted, before: number | undefined, now: number): void => {
  const allowed = what === "bytes" ? (before ?? 0) * slack : 0
  if (before === undefined) problems.push(`${name}: ${what} not recorded, now ${now}`)
  else if (Math.abs(now - before) > allowed) {
    problems.push(`${name}: ${what} ${now > before ? "up" : "down"} from ${before} to ${now}`)
  }
}

/** What a path costs beside what it should. A target that is missed is shown, and no failure: the record is the gate. */
const show = (name: string, target: Partial<Record<Counted, number>>, now: Record<Counted, number>): void => {
  const columns = (["ops", "fibers", "timers", "bytes"] as const).map((what) => {
    const wanted = target[what]
    const missed = wanted !== undefined && now[what] > wanted * (what === "bytes" ? 1 + slack : 1)
    return `${what} ${Number.isNaN(now[what]) ? "-" : now[what]}${missed ? ` (target ${wanted})` : ""}`.padEnd(
      26
    )
  })
  console.log(`${name.padEnd(58)} ${columns.join("").trimEnd()}`)
}

const cases = [bare, ...paths].flatMap((path): ReadonlyArray<{ readonly path: Path; readonly body: Body }> =>
  (Object.keys(path.targets) as ReadonlyArray<Body>).map((body) => ({ path, body }))
)

const recordedBytes = (name: string): number | undefined => record[name]?.bytes?.[nodeMajor]

const differs = (name: string, bytes: number): boolean => {
  const before = recordedBytes(name) ?? bytes
  return Math.abs(bytes - before) > before * slack
}

const weigh = (): Promise<ReadonlyMap<string, number>> =>
  weighAll(
    cases.filter(({ path }) => path.waits !== true),
    guarded
  )

/** What differs is weighed again: on a busy machine the compiler may be late, and a call makes objects that it would have saved. */
const weights = new Map(await weigh())
for (let left = 2; left > 0; left--) {
  const different = [...weights].filter(([name, bytes]) => differs(name, bytes))
  if (different.length === 0) break
  const again = await weigh()
  for (const [name, bytes] of different) weights.set(name, again.get(name) ?? bytes)
}

const check = (name: string, target: Partial<Record<Counted, number>>, counted: Count): void => {
  const before = record[name]
  const bytes = weights.get(name)
  show(name, target, { ...counted, bytes: bytes ?? NaN })
  for (const what of ["ops", "fibers", "timers"] as const) compare(name, what, before?.[what], counted[what])
  if (bytes === undefined) next[name] = counted
  else {
    const weightBefore = recordedBytes(name)
    if (weightBefore !== undefined) compare(name, "bytes", weightBefore, bytes)
    else unweighed.push(name)
    const kept = weightBefore !== undefined && !differs(name, bytes)
    next[name] = {
      ...counted,
      bytes: { ...before?.bytes, [nodeMajor]: kept ? weightBefore : bytes }
    }
  }
}

for (const { body, path } of cases)
  check(nameOf(path, body), path.targets[body] ?? {}, await count(path, body))
for (const edge of guarded)
  check(guardedName(edge), edge.target, await countPromise(await Effect.runPromise(edge.prepare)))
for (const name of Object.keys(record)) if (!(name in next)) problems.push(`${name}: recorded, and not there`)

for (const { limit, name, program } of limits) {
  const { bytes, parts } = await measure(program, process.cwd())
  console.log(`${name}: ${bytes} bytes, minified and compressed, of at most ${limit}`)
  if (bytes < limit) continue
  const largest = parts.slice(0, 5).map(([part, size]) => `${part} ${size}`)
  problems.push(`${name}: ${bytes} bytes, the limit is ${limit}; the largest parts: ${largest.join(", ")}`)
}

for (const [name, bytes] of await weighInstances()) {
  console.log(`${name}: ${bytes} bytes in memory, of at most ${limit}`)
  if (bytes > limit) problems.push(`${name}: ${bytes} bytes in memory, the limit is ${limit}`)
}

if (updating) {
  fs.writeFileSync(file, `${JSON.stringify(next, undefined, 2)}\n`)
  console.log(`recorded ${Object.keys(next).length} paths in ${path.relative(process.cwd(), file)}`)
} else {
  if (unweighed.length > 0) {
    console.log(
      `No bytes are recorded for Node.js ${nodeMajor}, so ${unweighed.length} paths were not compared.`
    )
  }
  for (const problem of problems) console.error(problem)
  if (problems.length > 0) console.error("A change that is meant is recorded by: npm run gates -- --update")
  process.exitCode = problems.length > 0 ? 1 : 0
}
