/**
 * `npm run bench`: every path of the table beside plain Effect and the promise libraries, calls from promises, longer runs, and
 * how costs grow. Takes a few minutes, in several processes, whose medians count.
 *
 *     npm run bench                          the tables
 *     npm run bench -- --json results.json   and the numbers for machines
 *     npm run bench -- --check               fails where a target is missed
 *     npm run bench -- --readme              puts the tables into bench/README.md, and the short one into README.md
 *     npm run bench -- --only retry          only paths whose name contains this, and nothing else
 *     npm run bench -- --processes 1         fewer processes, for a first look
 */
import { fork } from "node:child_process"
import * as fs from "node:fs"
import { Effect, Exit, Runtime, Scope } from "effect"
import { growth } from "./growth.js"
import { guarded } from "./guarded.js"
import { compare, type Contender, ofEdge, ofEffect, ofPromise, sustained } from "./measure.js"
import { median } from "./median.js"
import { bare, bodies, type Body, type Call, type Path, paths } from "./paths.js"
import { peersOf } from "./peers.js"
import { byHand, plain } from "./plain.js"
import { machine, misses, report, summary } from "./report.js"
import { scrapes } from "./scrape.js"
import { buildings, coldStarts, crowds, type Study } from "./studies.js"

/** How one path did, in one way of calling it. */
export interface Row {
  readonly table: "in a fiber" | "from promises" | "sustained"
  readonly path: string
  readonly body: Body
  readonly nanos: number
  /** Its time divided by that of the others. */
  readonly ratios: { readonly [other: string]: number }
}

export interface Results {
  readonly rows: ReadonlyArray<Row>
  readonly studies: ReadonlyArray<Study>
}

const option = (name: string): string | undefined => {
  const index = process.argv.indexOf(`--${name}`)
  return index === -1 ? undefined : process.argv[index + 1]
}
const only = option("only")
const processes = Number(option("processes") ?? 3)
const rounds = 11

const shortName = ({ path, policy }: Path): string => `${policy}, ${path}`

// ----------------------------------------------------------------------------------------------------- in one process

/** Runs something with the call of a path, and with all that it is compared with. */
const withContenders = async <A>(
  path: Path,
  body: Body,
  edge: boolean,
  use: (contenders: ReadonlyArray<Contender>) => Promise<A>
): Promise<A> => {
  const scope = await Effect.runPromise(Scope.make())
  const name = shortName(path)
  const given = bodies[body]
  const { call } = await Effect.runPromise(Scope.extend(path.prepare(given), scope))
  const { call: base } = await Effect.runPromise(Scope.extend(bare.prepare(given), scope))
  const of = (other: string, its: Call) =>
    edge ? ofEdge(other, its) : ofEffect(other, its, other === "ours" ? path.clock : undefined)
  const guard = edge ? guarded.find((each) => each.path === name) : undefined
  const contenders = [await of(guard === undefined ? "ours" : "fiber", call), await of("bare", base)]
  if (guard !== undefined) {
    const made = await Effect.runPromise(guard.prepare)
    contenders.unshift(ofPromise("ours", made(Runtime.defaultRuntime)))
  }
  for (const [other, prepare] of [
    ["plain", plain[name]],
    ["hand", byHand[name]]
  ] as const) {
    if (prepare !== undefined) {
      contenders.push(await of(other, await Effect.runPromise(Scope.extend(prepare(given), scope))))
    }
  }
  for (const [peer, peerCall] of Object.entries(peersOf(name, body)))
    contenders.push(ofPromise(peer, peerCall))
  const result = await use(contenders)
  await Effect.runPromise(Scope.close(scope, Exit.void))
  return result
}

const rowOf = (
  table: Row["table"],
  path: Path,
  body: Body,
  results: ReadonlyArray<{ readonly name: string; readonly nanos: number; readonly ratio: number }>
): Row => ({
  table,
  path: shortName(path),
  body,
  nanos: results[0].nanos,
  ratios: Object.fromEntries(results.slice(1).map(({ name, ratio }) => [name, ratio]))
})

const measured = paths.filter((path) => path.waits !== true && shortName(path).includes(only ?? ""))

/** Where calls come from promises, and where they run for longer: one path of each policy, and the pipeline. */
const common = measured.filter((path) =>
  [
    "circuit breaker, closed, consecutive",
    "circuit breaker, closed, default options",
    "retry, success",
    "timeout, in time",
    "bulkhead, free",
    "fallback, not used",
    "pipeline, timeout, breaker, retry, fallback"
  ].includes(shortName(path))
)

const worker = async (last: boolean): Promise<Results> => {
  const rows: Array<Row> = []
  // Once for nothing: while the compiler is still at it, the first numbers would be about the compiler.
  await withContenders(bare, "sync", false, (contenders) => compare(contenders, rounds))
  for (const path of measured) {
    for (const body of Object.keys(path.targets) as ReadonlyArray<Body>) {
      rows.push(
        await withContenders(path, body, false, async (contenders) =>
          rowOf("in a fiber", path, body, await compare(contenders, rounds))
        )
      )
    }
  }
  for (const path of common) {
    rows.push(
      await withContenders(path, "promise", true, async (contenders) =>
        rowOf("from promises", path, "promise", await compare(contenders, rounds))
      )
    )
  }
  // What takes long is done in one of the processes.
  if (!last) return { rows, studies: [] }
  for (const path of common) {
    rows.push(
      await withContenders(path, "promise", false, async (contenders) =>
        rowOf("sustained", path, "promise", await sustained(contenders, 2000))
      )
    )
  }
  if (only !== undefined) return { rows, studies: [] }
  return {
    rows,
    studies: [...(await buildings()), ...(await crowds(3)), ...(await growth())]
  }
}

// ------------------------------------------------------------------------------------------------------- over several

const runWorker = (last: boolean): Promise<Results> =>
  new Promise((resolve, reject) => {
    const child = fork(process.argv[1], [...process.argv.slice(2), "--worker", last ? "last" : "first"])
    child.on("message", (results: Results) => resolve(results))
    child.on("exit", (code) => {
      if (code !== 0) reject(new Error(`a process of the benchmark ended with ${code}`))
    })
  })

/** The median over the processes, number by number. */
const combine = (all: ReadonlyArray<Results>): Results => {
  const key = ({ body, path, table }: Row): string => `${table}|${path}|${body}`
  const groups = new Map<string, Array<Row>>()
  for (const row of all.flatMap(({ rows }) => rows))
    groups.set(key(row), [...(groups.get(key(row)) ?? []), row])
  const rows = [...groups.values()].map((group): Row => {
    const others = Object.keys(group[0].ratios)
    return {
      ...group[0],
      nanos: median(group.map(({ nanos }) => nanos)),
      ratios: Object.fromEntries(
        others.map((other) => [other, median(group.map(({ ratios }) => ratios[other]))])
      )
    }
  })
  return { rows, studies: all.flatMap((results) => results.studies) }
}

/** Puts a text between the two marks of this name in a file. */
const replaceBetween = (file: string, mark: string, text: string): void => {
  const [begin, end] = [`<!-- ${mark} -->`, `<!-- /${mark} -->`]
  const content = fs.readFileSync(file, "utf8")
  if (!content.includes(begin) || !content.includes(end))
    throw new Error(`${file} has no place for its ${mark}`)
  const [before] = content.split(begin)
  const [, after] = content.split(end)
  fs.writeFileSync(file, `${before}${begin}\n\n${text.trim()}\n\n${end}${after}`)
}

const main = async (): Promise<void> => {
  const all: Array<Results> = []
  // One after the other: at the same time they would be in each other's way.
  for (let index = 1; index <= processes; index++) {
    all.push(await runWorker(index === processes))
    console.error(`process ${index} of ${processes} is done`)
  }
  const combined = combine(all)
  // This process has done nothing else yet, so its memory is that of a program that has just begun.
  const looks = only === undefined ? await scrapes() : []
  const cold = only === undefined ? coldStarts(7) : []
  const results = { ...combined, studies: [...combined.studies, ...looks, ...cold] }
  const text = report(results)
  console.log(text)
  const json = option("json")
  if (json !== undefined) {
    fs.writeFileSync(json, `${JSON.stringify({ ...machine(), ...results }, undefined, 2)}\n`)
  }
  if (process.argv.includes("--readme")) {
    replaceBetween("bench/README.md", "results", text)
    replaceBetween("README.md", "costs", summary(results))
  }
  if (process.argv.includes("--check")) {
    const missed = misses(results)
    for (const miss of missed) console.error(miss)
    process.exitCode = missed.length > 0 ? 1 : 0
  }
}

const role = option("worker")
if (role === undefined) await main()
else {
  process.send?.(await worker(role === "last"), () => process.exit(0))
}
