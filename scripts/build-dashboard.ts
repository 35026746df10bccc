// `npm run build:dashboard`: bundles the page of the dashboard from dashboard/ into one module of texts, which HttpDashboard serves. The
// module is committed, so that the library runs from its sources; a test compares it with what this makes.
import * as fs from "node:fs"
import * as path from "node:path"
import { bundled, generatedFile } from "./lib/dashboard-bundle.js"

const root = path.resolve(import.meta.dirname, "..")
const { module, sizes } = await bundled(root)
fs.writeFileSync(path.join(root, generatedFile), module)
for (const [name, { bytes, gzipped }] of Object.entries(sizes)) {
  console.log(`${name}: ${(bytes / 1024).toFixed(1)} kB, ${(gzipped / 1024).toFixed(1)} kB gzipped`)
}
