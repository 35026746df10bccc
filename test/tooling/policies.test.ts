// The places that every policy has to join by hand. One that is missing somewhere would go unnoticed.
import * as fs from "node:fs"
import * as path from "node:path"
import * as library from "effect-resilience"
import { Observability } from "effect-resilience/observability"
import { expect, it } from "vitest"
import packageJson from "../../package.json" with { type: "json" }
import { rows, subjects } from "../policy/services.js"

const root = path.resolve(import.meta.dirname, "../..")
const pages = fs.readdirSync(path.join(root, "docs")).filter((file) => file.endsWith(".md"))

const modules = Object.entries(library as Readonly<Record<string, object>>)
const having = (member: string): ReadonlyArray<string> =>
  modules.filter(([, module]) => member in module).map(([name]) => name)

it("every module of the barrel is an entry of the package", () => {
  const entries = Object.keys(packageJson.exports)
  expect(modules.map(([name]) => `./${name}`).filter((entry) => !entries.includes(entry))).toEqual([])
})

it("every stateful policy has a row in the conformance suite, and one more for instances by key", () => {
  expect(having("Tag")).toContain("Bulkhead")
  expect(having("Tag").filter((name) => !rows.some(({ module }) => module === name))).toEqual([])
  expect(having("KeyedTag").filter((name) => !subjects.some(({ module }) => module === name))).toEqual([])
})

it("every stateful policy has a page", () => {
  expect(rows.map(({ kind }) => `${kind}.md`).filter((page) => !pages.includes(page))).toEqual([])
})

it("every policy has metrics", () => {
  const observed = Observability.metrics.resilience.flatMap((metric) => metric.kinds)
  const kinds = [...rows.map(({ kind }) => kind), "retry", "hedge", "timeout", "fallback"]
  expect(kinds.filter((kind) => !observed.includes(kind))).toEqual([])
})

it("every page is linked from the README", () => {
  const readme = fs.readFileSync(path.join(root, "README.md"), "utf8")
  expect(pages.filter((page) => !readme.includes(`](docs/${page}`))).toEqual([])
})
