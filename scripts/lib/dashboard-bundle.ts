// The page of the dashboard as one module of texts.
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import { gzipSync } from "node:zlib"
import { build } from "esbuild"

export const generatedFile = "src/http/dashboard/assets.ts"

const read = (root: string, file: string): string => fs.readFileSync(path.join(root, file), "utf8")

/** The license of uPlot, which is part of the bundle. */
const notice = (root: string): string => {
  const { version } = JSON.parse(read(root, "node_modules/uplot/package.json")) as { version: string }
  const license = read(root, "node_modules/uplot/LICENSE").trim()
  return `/*!\nThis file contains uPlot ${version}, https://github.com/leeoniya/uPlot\n\n${license}\n*/`
}

/** Bundles for browsers that know what the page needs: `<search>`, `translate`, `TextDecoderStream`. */
const target = ["chrome120", "firefox120", "safari17"]

const minified = async (root: string, file: string, banner: string): Promise<string> => {
  const isStyle = file.endsWith(".css")
  const {
    outputFiles: [output]
  } = await build({
    entryPoints: [path.join(root, "dashboard", file)],
    absWorkingDir: root,
    bundle: true,
    minify: true,
    charset: "utf8",
    format: "iife",
    target,
    legalComments: "inline",
    banner: { [isStyle ? "css" : "js"]: banner },
    write: false,
    logLevel: "error",
    tsconfig: path.join(root, "tsconfig.json")
  })
  if (output === undefined) throw new Error(`esbuild made nothing of ${file}`)
  return output.text
}

const file = (type: string, text: string) => ({
  type,
  etag: `"${createHash("sha256").update(text).digest("base64url").slice(0, 22)}"`,
  text
})

/** The module, and how large its parts are. */
export const bundled = async (root: string) => {
  const banner = notice(root)
  const files = {
    "": file("text/html; charset=utf-8", read(root, "dashboard/page.html")),
    "page.js": file("text/javascript; charset=utf-8", await minified(root, "main.ts", banner)),
    "page.css": file("text/css; charset=utf-8", await minified(root, "page.css", banner)),
    "icon.svg": file("image/svg+xml", read(root, "dashboard/icon.svg"))
  }
  const module = `// Made from dashboard/ by \`npm run build:dashboard\`. Do not edit.
export interface Asset {
  readonly type: string
  readonly etag: string
  readonly text: string
}
/** The page, and what it loads, by the last part of the path. */
export const assets: ReadonlyMap<string, Asset> = new Map(
  Object.entries(${JSON.stringify(files, undefined, 2).replaceAll("\u2028", "\\u2028").replaceAll("\u2029", "\\u2029")})
)
`
  const sizes = Object.fromEntries(
    Object.entries(files).map(([name, { text }]) => [
      name === "" ? "page.html" : name,
      { bytes: Buffer.byteLength(text), gzipped: gzipSync(text).byteLength }
    ])
  )
  return { module, sizes }
}
