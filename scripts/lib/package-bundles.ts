// Bundles the installed package, checks that unused modules are left out, and prints the sizes.
import { gzipSync } from "node:zlib"
import { build } from "esbuild"

const forbiddenInRetry = /\/dist\/(circuitBreaker\/|core\/circuit\.js$)/

const retryPrograms = {
  "the module": `import * as Retry from "effect-resilience/Retry"\nconsole.log(Retry)`,
  "the barrel": `import { Retry } from "effect-resilience"\nconsole.log(Retry.retry)`
}

const bundle = async (consumer: string, program: string) => {
  const result = await build({
    stdin: { contents: program, resolveDir: consumer },
    bundle: true,
    minify: true,
    format: "esm",
    write: false,
    metafile: true,
    logLevel: "error",
    external: ["effect", "@effect/*"]
  })
  const included = Object.values(result.metafile.outputs).flatMap(({ inputs }) =>
    Object.keys(inputs).filter((input) => inputs[input].bytesInOutput > 0)
  )
  return { included, gzipped: gzipSync(result.outputFiles[0].contents).byteLength }
}

export const bundleProblems = async (consumer: string): Promise<ReadonlyArray<string>> => {
  const problems: Array<string> = []
  for (const [name, program] of Object.entries(retryPrograms)) {
    const { included } = await bundle(consumer, program)
    // Without this, an empty bundle would pass.
    if (!included.some((input) => input.endsWith("/dist/retry/Retry.js"))) {
      problems.push(`Retry imported from ${name} is not in its own bundle`)
    }
    for (const input of included.filter((file) => forbiddenInRetry.test(file))) {
      problems.push(`Retry imported from ${name} drags ${input} into the bundle`)
    }
  }
  return problems
}

export const printSizes = async (consumer: string): Promise<void> => {
  const programs = {
    Retry: retryPrograms["the module"],
    everything: `import * as everything from "effect-resilience"\nconsole.log(everything)`
  }
  for (const [name, program] of Object.entries(programs)) {
    const { gzipped } = await bundle(consumer, program)
    console.log(`${name}: ${(gzipped / 1024).toFixed(1)} kB, minified and gzipped, without effect`)
  }
}
