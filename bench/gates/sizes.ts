/** How much a program downloads: entries bundled and minified as a user's bundler would, without `effect`, then compressed. */
import * as path from "node:path"
import { gzipSync } from "node:zlib"
import { build } from "esbuild"

/** The most that may be downloaded, in bytes. */
export const limits: ReadonlyArray<{
  readonly name: string
  readonly program: string
  readonly limit: number
}> = [
  {
    name: "Retry alone",
    program: `export * as Retry from "effect-resilience/Retry"`,
    limit: 8_400
  },
  {
    name: "everything",
    program: `export * from "effect-resilience"`,
    limit: 57_000
  }
]

export interface Size {
  readonly bytes: number
  /** What is in it, the largest first, before compression. */
  readonly parts: ReadonlyArray<readonly [file: string, bytes: number]>
}

/** The size of a program that uses nothing but the library. */
export const measure = async (program: string, root: string): Promise<Size> => {
  const result = await build({
    stdin: { contents: program, resolveDir: root, loader: "ts" },
    absWorkingDir: root,
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    write: false,
    metafile: true,
    external: ["effect", "@effect/*"],
    tsconfig: path.join(root, "tsconfig.json"),
    logLevel: "error"
  })
  const [output] = Object.values(result.metafile.outputs)
  const parts = Object.entries(output.inputs).map(
    ([file, { bytesInOutput }]) => [file, bytesInOutput] as const
  )
  return {
    bytes: gzipSync(result.outputFiles[0].contents, { level: 9 }).byteLength,
    parts: parts.filter(([, bytes]) => bytes > 0).sort((left, right) => right[1] - left[1])
  }
}
