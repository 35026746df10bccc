// `npm run dashboard:picture`: runs the demo of the dashboard for a few minutes and takes the picture in docs/images/dashboard.png.
// It needs Chromium (`CHROMIUM` says where it is) and real time, which the plots show.
import { Effect, Layer } from "effect"
import * as path from "node:path"
import { chromium } from "playwright-core"
import { demo } from "./lib/dashboard-demo.js"

const file = path.resolve(import.meta.dirname, "../docs/images/dashboard.png")
const port = 4321

const picture = async (): Promise<void> => {
  const browser = await chromium.launch({
    executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-dev-shm-usage"]
  })
  const page = await browser.newPage({ viewport: { width: 1400, height: 880 }, colorScheme: "light" })
  await page.goto(`http://localhost:${port}/ops/dashboard`)
  await page.waitForTimeout(185_000)
  // A moment at which a circuit is open.
  await page.locator('.card[data-state="open"]').first().waitFor({ timeout: 120_000 })
  await page.waitForTimeout(3000)
  await page.screenshot({ path: file })
  await browser.close()
}

await Effect.runPromise(Effect.provide(Effect.promise(picture), Layer.orDie(demo({ breakers: 3, port }))))
