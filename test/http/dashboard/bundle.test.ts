// The page of the dashboard as it is built: current, with the license of what it contains, and loaded by those who show it alone.
import { build } from "esbuild"
import * as fs from "node:fs"
import * as path from "node:path"
import { describe, expect, it } from "vitest"
import { bundled, generatedFile } from "../../../scripts/lib/dashboard-bundle.js"
import { assets } from "../../../src/http/dashboard/assets.js"

const root = path.resolve(import.meta.dirname, "../../..")

const textOf = (name: string): string => assets.get(name)?.text ?? ""

describe("the bundle of the dashboard", () => {
  it("is what `npm run build:dashboard` makes of dashboard/", async () => {
    const { module } = await bundled(root)
    const isCurrent = fs.readFileSync(path.join(root, generatedFile), "utf8") === module
    expect(isCurrent, "run `npm run build:dashboard`").toBe(true)
  })

  it("contains the license of uPlot", () => {
    for (const name of ["page.js", "page.css"]) {
      expect(textOf(name)).toContain("Copyright (c) 2022 Leon Sorokin")
      expect(textOf(name)).toContain(
        "The above copyright notice and this permission notice shall be included"
      )
    }
  })

  it("has neither scripts nor styles in the page itself, which its policy would not run", () => {
    const page = textOf("")
    expect(page).not.toMatch(/<style|\sstyle=|\son\w+=|javascript:/i)
    expect(Array.from(page.matchAll(/<script\b[^>]*>([^<]*)/g), ([, text]) => text)).toEqual([""])
  })

  it("loads nothing from elsewhere", () => {
    for (const name of ["", "page.css", "icon.svg"]) {
      const elsewhere = textOf(name).match(/(?:src|href)="(?:https?:)?\/\/|url\(|@import/g)
      expect(elsewhere, name).toBeNull()
    }
  })

  it("makes no HTML of texts", () => {
    expect(textOf("page.js")).not.toMatch(
      /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function/
    )
  })

  it("is at most 120 kB", () => {
    const bytes = Array.from(assets.values(), ({ text }) => Buffer.byteLength(text))
    expect(bytes.reduce((sum, each) => sum + each)).toBeLessThan(120 * 1024)
  })

  it("is loaded with the first request, not with effect-resilience/http", async () => {
    const { metafile } = await build({
      stdin: { contents: `export * from "effect-resilience/http"`, resolveDir: root },
      absWorkingDir: root,
      bundle: true,
      format: "esm",
      platform: "node",
      packages: "external",
      alias: { "effect-resilience/http": "./src/http/index.ts" },
      write: false,
      metafile: true,
      tsconfig: path.join(root, "tsconfig.json")
    })
    const imports = Object.values(metafile.inputs).flatMap(({ imports }) => imports)
    expect(imports.filter((each) => each.path === generatedFile).map(({ kind }) => kind)).toEqual([
      "dynamic-import"
    ])
  })
})
