// Checks the pages of the installed package: links lead to files of the package, and the changelog covers its version.
import * as fs from "node:fs"
import * as path from "node:path"

const link = /\]\(([^)#?\s]+)[^)]*\)/g
const code = /^(\s*)(`{3,}|~{3,})[\s\S]*?^\s*\2|`[^`\n]*`/gm

/** The broken relative links in the pages of a package. */
export const linkProblems = (installed: string, files: ReadonlyArray<string>): ReadonlyArray<string> =>
  files
    .filter((file) => file.endsWith(".md"))
    .flatMap((page) => {
      const text = fs.readFileSync(path.join(installed, page), "utf8").replace(code, "")
      return [...text.matchAll(link)]
        .map(([, target]) => target)
        .filter((target) => !/^[a-z]+:/i.test(target))
        .filter((target) => !leadsTo(files, path.posix.join(path.posix.dirname(page), target)))
        .map((target) => `${page}: the package has no ${target}`)
    })

const leadsTo = (files: ReadonlyArray<string>, target: string): boolean => {
  const name = target.replace(/\/$/, "")
  return files.some((file) => file === name || file.startsWith(`${name}/`))
}

/** Checks that the newest release of a changelog is the version of the package, with only "Unreleased" above it. */
export const changelogProblems = (changelog: string, version: string): ReadonlyArray<string> => {
  const headings = [...changelog.matchAll(/^## (.+)$/gm)].map(([, heading]) => heading)
  const newest = headings.find((heading) => heading !== "Unreleased")?.split(" ")[0]
  if (newest !== version)
    return [`the newest release in CHANGELOG.md is ${newest}, the package is ${version}`]
  return headings.lastIndexOf("Unreleased") > 0 ? ['"Unreleased" must come first in CHANGELOG.md'] : []
}
