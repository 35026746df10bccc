// What a program loads that imports one module: the files that its entry reaches, those of Effect included. Effect's streams and
// schemas take longer to load than all that such an entry needs.
import * as path from "node:path"
import { build } from "esbuild"
import { expect, it } from "vitest"
import packageJson from "../../package.json" with { type: "json" }

const root = path.resolve(import.meta.dirname, "../..")

/** The files that are loaded with an entry, as paths in the repository. */
const reached = async (specifier: string): Promise<ReadonlyArray<string>> => {
  const { metafile } = await build({
    stdin: { contents: `export * from "${specifier}"`, resolveDir: root },
    absWorkingDir: root,
    bundle: true,
    format: "esm",
    platform: "node",
    write: false,
    metafile: true,
    // Nothing that is imported for nothing is left out: node loads it too.
    treeShaking: false,
    ignoreAnnotations: true,
    tsconfig: path.join(root, "tsconfig.json")
  })
  return Object.keys(metafile.inputs)
}

const fileOf = (module: string): string => `node_modules/effect/dist/esm/${module}.js`
const schemas = ["Schema", "SchemaAST"].map(fileOf)
const streams = ["Stream", "internal/stream", "internal/channel"].map(fileOf)

/** The entries of single modules, and the sources of what they name in dist/. */
const entries = Object.entries(packageJson.exports).flatMap(([entry, target]) =>
  /^\.\/[A-Z]\w+$/.test(entry) && typeof target !== "string"
    ? [[entry, target.default.replace("/dist/", "/src/").replace(/js$/, "ts")] as const]
    : []
)

it.each(entries)("%s loads neither effect/Schema nor effect/Stream", async (_, source) => {
  const files = await reached(source)
  expect(files.filter((file) => [...schemas, ...streams].includes(file))).toEqual([])
})

it("a program that uses schemas or streams loads them, which shows that they would be seen", async () => {
  expect(await reached("effect-resilience/CircuitBreaker/Snapshot")).toEqual(expect.arrayContaining(schemas))
  expect(await reached("effect/Stream")).toEqual(expect.arrayContaining(streams))
})

it.each([
  ["effect-resilience", []],
  ["effect-resilience/fleet", []],
  ["effect-resilience/redis", ["redis"]],
  ["effect-resilience/ioredis", ["ioredis"]]
])("%s loads of the clients of Redis %j", async (specifier, expected) => {
  const files = await reached(specifier)
  const clients = ["redis", "ioredis"].filter((client) =>
    files.some((file) => file.startsWith(`node_modules/${client}/`))
  )
  expect(clients).toEqual(expected)
})
