// Runs a program of this folder as its users would run it: `tsx bench/launch.ts gates/run.ts`. The library is compiled
// first, because the loader of a development run wraps every function to keep its name, which costs time and memory.
import { spawnSync } from "node:child_process"
import * as path from "node:path"
import { build } from "esbuild"

const [entry = "run.ts", ...args] = process.argv.slice(2)
const root = path.resolve(import.meta.dirname, "..")
const compiled = path.join(
  root,
  "node_modules/.cache/effect-resilience-bench",
  entry.replace(/\.ts$/, ".mjs")
)

await build({
  entryPoints: [path.join(import.meta.dirname, entry)],
  outfile: compiled,
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node20",
  external: [
    "effect",
    "@effect/*",
    "cockatiel",
    "esbuild",
    "ioredis",
    "mitata",
    "opossum",
    "p-limit",
    "redis"
  ],
  logLevel: "warning"
})

// What is measured in fresh processes is the library as it is published.
if (entry === "run.ts" && !args.includes("--only"))
  spawnSync("npm", ["run", "build", "--silent"], { cwd: root, stdio: "inherit" })

const flags = [
  "--expose-gc",
  // Room for a whole round of calls, so that no collection falls into the middle of it.
  "--min-semi-space-size=64",
  "--max-semi-space-size=64"
]
const { status } = spawnSync(process.execPath, [...flags, compiled, ...args], { cwd: root, stdio: "inherit" })
process.exitCode = status ?? 1
