// `npm run test:package`: packs the library as it would be published, installs it in an empty project with the lines of the README,
// and uses it there: every entry is imported, type-checked and bundled, the examples of the README are compiled, and a test runs.
import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core"
import { filterProblems } from "@arethetypeswrong/core/problems"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { publint } from "publint"
import { formatMessage } from "publint/utils"
import { bundleProblems, printSizes } from "./lib/package-bundles.js"
import { changelogProblems, linkProblems } from "./lib/package-docs.js"
import { installCommands, runIn, usageProblems } from "./lib/package-install.js"
import { declarationProblems } from "./lib/package-types.js"

interface Manifest {
  readonly name: string
  readonly version: string
  readonly exports: Readonly<Record<string, unknown>>
  readonly peerDependencies: Readonly<Record<string, string>>
}

const root = path.resolve(import.meta.dirname, "..")
const consumer = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "effect-resilience-package-")))
const problems: Array<string> = []

const run = (cwd: string, command: string, ...args: ReadonlyArray<string>): string =>
  execFileSync(command, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] })

/** Builds and packs. Returns the tarball and its files. */
const pack = (): { readonly tarball: string; readonly files: ReadonlyArray<string> } => {
  run(root, "npm", "run", "build")
  const output = run(root, "npm", "pack", "--json", "--ignore-scripts", "--pack-destination", consumer)
  const [report]: ReadonlyArray<{ filename: string; files: ReadonlyArray<{ path: string }> }> =
    JSON.parse(output)
  return { tarball: path.join(consumer, report.filename), files: report.files.map((file) => file.path) }
}

const checkContents = (files: ReadonlyArray<string>): void => {
  for (const required of [
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "package.json",
    "dist/index.js",
    "docs/retry.md"
  ]) {
    if (!files.includes(required)) problems.push(`the package lacks ${required}`)
  }
  for (const file of files) {
    if (/^(test|scripts|node_modules)\/|\.tst\./.test(file)) problems.push(`the package contains ${file}`)
  }
}

/** Checks that every public module has an entry in `exports`; without one it cannot be imported. */
const checkExports = (manifest: Manifest): void => {
  const barrel = fs.readFileSync(path.join(root, "src/index.ts"), "utf8")
  for (const [, name] of barrel.matchAll(/^export \* as (\w+) from/gm)) {
    if (!(`./${name}` in manifest.exports)) problems.push(`${name} has no entry in "exports"`)
  }
}

/** The peers that no line of the README installs, each in the lowest major version that it may have: other peers want that one. */
const missingPeers = (manifest: Manifest): ReadonlyArray<string> =>
  Object.entries(manifest.peerDependencies)
    .filter(([peer]) => !fs.existsSync(path.join(consumer, "node_modules", peer, "package.json")))
    .map(([peer, range]) => `${peer}@${range.split(" || ")[0]}`)

/** Imports an entry in plain node, in a separate process that does not see the repository. */
const checkImport = (specifier: string): void => {
  const script = `process.stdout.write(String(Object.keys(await import(${JSON.stringify(specifier)})).length))`
  try {
    const exported = Number(run(consumer, process.execPath, "--input-type=module", "--eval", script))
    if (exported === 0) problems.push(`${specifier} exports nothing`)
  } catch {
    problems.push(`${specifier} cannot be imported in node`)
  }
}

/** The problems of the declarations under the module resolutions that can import ESM. */
const typesProblems = async (tarball: string): Promise<ReadonlyArray<string>> => {
  const analysis = await checkPackage(createPackageFromTarballData(fs.readFileSync(tarball)))
  if (analysis.types === false) return ["the package has no types"]
  return (["node16-esm", "bundler"] as const)
    .flatMap((resolutionKind) => filterProblems(analysis, { resolutionKind }))
    .map((problem) => `are the types wrong: ${JSON.stringify(problem)}`)
}

try {
  const { tarball, files } = pack()
  checkContents(files)

  fs.writeFileSync(path.join(consumer, "package.json"), `{ "private": true, "type": "module" }`)
  const readme = fs.readFileSync(path.join(root, "README.md"), "utf8")
  const { name }: Manifest = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8"))
  const [core, ...others] = installCommands(readme, name, tarball)
  for (const [command] of fs
    .readFileSync(path.join(root, "docs/testing.md"), "utf8")
    .matchAll(/^npm install .*/gm)) {
    if (!readme.includes(`\n${command}\n`))
      problems.push(`docs/testing.md has another install line than README.md: ${command}`)
  }
  if (core === undefined || others.length < 2) throw new Error("README.md does not say how to install")
  const install = (command: string): void => {
    console.log(command)
    runIn(consumer, command)
  }
  install(core)
  const installed = path.join(consumer, "node_modules", name)
  const manifest: Manifest = JSON.parse(fs.readFileSync(path.join(installed, "package.json"), "utf8"))
  checkExports(manifest)
  problems.push(...linkProblems(installed, files))
  const changelog = fs.readFileSync(path.join(installed, "CHANGELOG.md"), "utf8")
  problems.push(...changelogProblems(changelog, manifest.version))

  // Before the optional peers are installed: without an integration, its peers are not needed.
  checkImport(manifest.name)
  others.forEach(install)
  const missing = missingPeers(manifest)
  if (missing.length > 0) install(`npm install ${missing.join(" ")}`)

  const entries = Object.keys(manifest.exports)
    .filter((entry) => entry !== "./package.json")
    .map((entry) => path.posix.join(manifest.name, entry))
  entries.forEach(checkImport)
  problems.push(...declarationProblems(consumer, entries))
  problems.push(...usageProblems(consumer, installed))
  problems.push(...(await bundleProblems(consumer)))
  problems.push(...(await typesProblems(tarball)))

  const lint = await publint({ pkgDir: installed, pack: false })
  problems.push(...lint.messages.flatMap((message) => formatMessage(message, lint.pkg) ?? []))

  await printSizes(consumer)
  console.log(`${files.length} files packed, ${entries.length} entries checked, ${problems.length} problems`)
} finally {
  fs.rmSync(consumer, { recursive: true, force: true })
}

for (const problem of problems) console.error(problem)
process.exitCode = problems.length > 0 ? 1 : 0
