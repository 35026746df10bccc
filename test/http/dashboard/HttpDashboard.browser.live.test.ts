// The dashboard in a browser.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { Bulkhead, CircuitBreaker, RetryBudget, Trip } from "effect-resilience"
import { Observability } from "effect-resilience/observability"
import type { Page } from "playwright-core"
import { afterAll } from "vitest"
import { down, forked, up } from "../../support/calls.js"
import { anybody } from "../support/admin.js"
import { closeBrowser, open, serve, shown, step } from "../support/dashboard.js"

afterAll(closeBrowser)

const observed = Effect.provide(Observability.layer())

const partner = CircuitBreaker.make({ name: "partner", trip: Trip.consecutive(3), openFor: "1 minute" })

/** The card of a policy by its whole name. */
const cardOf = (page: Page, name: string) =>
  page.getByRole("listitem").filter({ has: page.getByRole("button", { name, exact: true }) })

const stateOf = (page: Page, name: string) => cardOf(page, name).locator(".state")

const waitForState = (page: Page, name: string, state: string) =>
  step(() =>
    stateOf(page, name)
      .filter({ hasText: new RegExp(`^${state}$`) })
      .waitFor()
  )

const names = (page: Page) => step(() => page.locator(".grid .name").allTextContents())

const focused = (page: Page) =>
  step(() => page.evaluate(() => document.activeElement?.textContent ?? document.activeElement?.tagName))

describe("a breaker that opens", () => {
  it.live("turns red, goes to the top, says why, and is told to screen readers", () =>
    Effect.gen(function* () {
      const breaker = yield* partner
      const all = yield* Effect.forEach(["a", "b", "c"], (name) => CircuitBreaker.make({ name }))
      const page = yield* shown()
      yield* waitForState(page, "partner", "closed")
      assert.deepStrictEqual(yield* names(page), ["a", "b", "c", "partner"])

      yield* Effect.repeatN(Effect.ignore(breaker.protect(down)), 2)
      yield* waitForState(page, "partner", "open")
      yield* Effect.ignore(breaker.protect(up))

      const card = cardOf(page, "partner")
      yield* step(() => page.locator(".grid > li:first-child .name", { hasText: "partner" }).waitFor())
      const color = yield* step(() => stateOf(page, "partner").evaluate((it) => getComputedStyle(it).color))
      const [red, green, blue] = (color.match(/\d+/g) ?? []).map(Number)
      assert.isAbove(red, 2 * Math.max(green, blue), color)
      yield* step(() => card.locator(".why", { hasText: "3 failures in a row, 3 opens it" }).waitFor())
      yield* step(() => card.locator(".events", { hasText: "closed → open: 3 failures in a row" }).waitFor())
      yield* step(() => card.locator(".events", { hasText: "rejected: the circuit is open" }).waitFor())
      yield* step(() => page.locator(".chip", { hasText: "1 open" }).waitFor())
      assert.strictEqual(yield* step(() => page.title()), "1 open · Resilience")
      const told = page.locator("#changes")
      assert.strictEqual(yield* step(() => told.getAttribute("aria-live")), "polite")
      assert.include(yield* step(() => told.textContent()), "Circuit breaker partner is open")
      assert.strictEqual(all.length, 3)
    }).pipe(Effect.scoped, observed)
  )
})

describe("the connection of the page", () => {
  it.live("says that it is lost and how old the data is, and comes back by itself", () =>
    Effect.gen(function* () {
      const breaker = yield* partner
      const scope = yield* Scope.make()
      const port = yield* Scope.extend(serve(), scope)
      const page = yield* open(port)
      const live = page.locator("#live")
      yield* step(() => live.filter({ hasText: /^\s*Live\s*$/ }).waitFor())

      yield* Scope.close(scope, Exit.void)
      yield* step(() => live.filter({ hasText: "Not live: the server does not answer" }).waitFor())
      yield* step(() => live.filter({ hasText: /data is \d+ s old/ }).waitFor())
      // What is shown is what was known last.
      assert.strictEqual(yield* step(() => stateOf(page, "partner").textContent()), "closed")

      yield* breaker.isolate
      yield* serve({}, port)
      yield* step(() => live.filter({ hasText: /^\s*Live\s*$/ }).waitFor())
      yield* waitForState(page, "partner", "isolated")
    }).pipe(Effect.scoped, observed)
  )

  it.live("is not made where there is no room, which the page says, until another page is closed", () =>
    Effect.gen(function* () {
      yield* partner
      const port = yield* serve({ maxViewers: 1 })
      const scope = yield* Scope.make()
      const first = yield* Scope.extend(open(port), scope)
      yield* waitForState(first, "partner", "closed")
      const second = yield* open(port)
      yield* step(() => second.locator("#live", { hasText: "no room for another viewer" }).waitFor())
      yield* Scope.close(scope, Exit.void)
      // What an operator would do instead of waiting: it tries at once.
      yield* step(() => second.evaluate(() => void dispatchEvent(new Event("online"))))
      yield* waitForState(second, "partner", "closed")
    }).pipe(Effect.scoped, observed)
  )

  it.live("is refused to those who may not read, which the page says", () =>
    Effect.gen(function* () {
      let mayRead = true
      const port = yield* serve({
        reading: {
          authorize: ({ request }) => Effect.sync(() => mayRead || !request.url.includes("events"))
        }
      })
      const page = yield* open(port)
      yield* step(() => page.locator("#live", { hasText: /^\s*Live\s*$/ }).waitFor())
      mayRead = false
      yield* step(() => page.evaluate(() => fetch("dashboard/events").then(({ status }) => status))).pipe(
        Effect.map((status) => assert.strictEqual(status, 403))
      )
      yield* step(() => page.reload())
      yield* step(() =>
        page.locator("#live", { hasText: "Not live: you may not read the policies" }).waitFor()
      )
    }).pipe(Effect.scoped, observed)
  )

  it.live("is tried again after a while where something else answers, such as a page to sign in", () =>
    Effect.gen(function* () {
      yield* partner
      const page = yield* shown()
      yield* waitForState(page, "partner", "closed")
      const events = "**/dashboard/events"
      yield* step(() => page.route(events, (route) => route.fulfill({ contentType: "text/html", body: "" })))
      yield* step(() => page.reload())
      yield* step(() =>
        page.locator("#live", { hasText: "Not live: the server sends no policies" }).waitFor()
      )
      yield* step(() => page.unroute(events))
      yield* waitForState(page, "partner", "closed")
    }).pipe(Effect.scoped, observed)
  )
})

const odd = [
  "<img src=x onerror=window.hacked=1><b>bold</b>",
  `"quotes" 'and' \`ticks\` & &amp; \${0}`,
  "\u202egnp.exe \u200f mark",
  "one\ntwo",
  "x".repeat(500)
]

describe("a name", () => {
  it.live("is shown as text and does nothing else, whatever it is", () =>
    Effect.gen(function* () {
      const kept = yield* Effect.forEach(odd, (name) => CircuitBreaker.make({ name }))
      const page = yield* shown({ steering: anybody }, { viewport: { width: 360, height: 800 } })
      yield* step(() =>
        page
          .locator(".grid > li")
          .nth(odd.length - 1)
          .waitFor()
      )
      assert.sameMembers(yield* names(page), odd)
      for (const [index, name] of (yield* names(page)).entries()) {
        const button = page.locator(".grid .name").nth(index)
        yield* step(() => button.click())
        assert.strictEqual(yield* step(() => page.locator("#details-name").textContent()), name)
        yield* step(() => page.keyboard.press("Escape"))
        yield* step(() => page.locator(".grid > li").nth(index).locator("[data-action=isolate]").click())
        const asked = (yield* step(() => page.locator(".question-name").textContent())) ?? ""
        assert.isTrue(name.startsWith(asked.replace(/…$/, "")))
        yield* step(() => page.keyboard.press("Escape"))
      }
      const state = yield* step(() =>
        page.evaluate(() => ({
          hacked: "hacked" in window,
          images: document.querySelectorAll("img, b").length,
          width: document.documentElement.scrollWidth
        }))
      )
      assert.deepStrictEqual(state, { hacked: false, images: 0, width: 360 })
      assert.strictEqual(kept.length, odd.length)
    }).pipe(Effect.scoped, observed)
  )
})

describe("steering in the page", () => {
  it.live("asks first, and does nothing when the answer is no", () =>
    Effect.gen(function* () {
      const breaker = yield* partner
      const page = yield* shown({ steering: anybody })
      const isolate = cardOf(page, "partner").getByRole("button", { name: "Isolate" })
      const question = page.getByRole("dialog")

      yield* step(() => isolate.click())
      yield* step(() => question.getByText("Every call is rejected until the circuit is released").waitFor())
      assert.strictEqual(yield* focused(page), "Cancel")
      yield* step(() => question.getByRole("button", { name: "Cancel" }).click())
      yield* step(() => question.waitFor({ state: "hidden" }))
      assert.strictEqual(yield* focused(page), "Isolate")
      assert.strictEqual(yield* breaker.state, "closed")

      yield* step(() => isolate.click())
      yield* step(() => question.getByRole("button", { name: "Isolate" }).click())
      yield* waitForState(page, "partner", "isolated")
      assert.strictEqual(yield* breaker.state, "isolated")
      yield* step(() => page.getByText("Isolate: done").waitFor())

      yield* step(() => cardOf(page, "partner").getByRole("button", { name: "Release" }).click())
      yield* step(() => question.getByRole("button", { name: "Release" }).click())
      yield* waitForState(page, "partner", "closed")
    }).pipe(Effect.scoped, observed)
  )

  it.live("has buttons only for what may be done, and tells what was refused", () =>
    Effect.gen(function* () {
      const [breaker, bulkhead] = yield* Effect.all([partner, Bulkhead.make({ name: "places", permits: 1 })])
      let isAllowed = true
      const page = yield* shown({
        steering: { authorize: ({ action }) => Effect.sync(() => isAllowed && action !== "open") }
      })
      const buttons = (name: string) => cardOf(page, name).locator(".foot [data-action]")
      yield* step(() => buttons("partner").first().waitFor())
      assert.deepStrictEqual(yield* step(() => buttons("partner").allTextContents()), ["Isolate", "Reset"])
      assert.deepStrictEqual(yield* step(() => buttons("places").allTextContents()), [])

      isAllowed = false
      yield* step(() => buttons("partner").first().click())
      yield* step(() => page.getByRole("dialog").getByRole("button", { name: "Isolate" }).click())
      yield* step(() => page.getByText('"isolate" of "partner" is not allowed').waitFor())
      assert.strictEqual(yield* breaker.state, "closed")
      assert.strictEqual((yield* bulkhead.snapshot).permits, 1)
    }).pipe(Effect.scoped, observed)
  )

  it.live("has no buttons where nothing says who may", () =>
    Effect.gen(function* () {
      yield* Effect.all([partner, RetryBudget.make({ name: "retries" })])
      const page = yield* shown()
      yield* step(() => page.locator(".foot .more").nth(1).waitFor())
      assert.strictEqual(yield* step(() => page.locator("[data-action]").count()), 0)
    }).pipe(Effect.scoped, observed)
  )
})

describe("the keyboard", () => {
  it.live("reaches everything: the filter, the policies, their details, steering and its question", () =>
    Effect.gen(function* () {
      const [breaker] = yield* Effect.all([partner, CircuitBreaker.make({ name: "other" })])
      const page = yield* shown({ steering: anybody })
      yield* step(() => page.locator("[data-action]").nth(5).waitFor())
      const press = (...keys: ReadonlyArray<string>) =>
        Effect.forEach(keys, (key) => step(() => page.keyboard.press(key)), { discard: true })

      yield* press("Tab")
      assert.strictEqual(yield* focused(page), "Skip to the policies")
      yield* press("Enter", "Tab")
      assert.strictEqual(yield* focused(page), "other")

      yield* press("/")
      yield* step(() => page.keyboard.type("part"))
      assert.deepStrictEqual(yield* names(page), ["partner"])
      assert.include(page.url(), "#text=part")
      yield* press("Escape")
      assert.lengthOf(yield* names(page), 2)
      yield* step(() => page.keyboard.type("par"))

      yield* press("Tab", "Tab", "Tab", "Enter")
      yield* step(() => page.locator("#details[open]").waitFor())
      yield* press("Escape")
      yield* step(() => page.locator("#details[open]").waitFor({ state: "detached" }))
      assert.strictEqual(yield* focused(page), "partner")

      yield* press("Tab", "Enter")
      yield* step(() => page.locator("#question[open]").waitFor())
      assert.strictEqual(yield* focused(page), "Cancel")
      yield* press("Tab", "Enter")
      yield* waitForState(page, "partner", "isolated")
      assert.strictEqual(yield* breaker.state, "isolated")
    }).pipe(Effect.scoped, observed)
  )
})

describe("the filter", () => {
  it.live("shows by text, kind and state, and a link shows the same", () =>
    Effect.gen(function* () {
      const kept = yield* Effect.all([
        partner,
        CircuitBreaker.make({ name: "other" }),
        Bulkhead.make({ name: "partner places", permits: 1 })
      ])
      yield* kept[1].open
      const port = yield* serve()
      const page = yield* open(port)
      yield* step(() => page.locator(".grid > li").nth(2).waitFor())
      assert.strictEqual((yield* names(page))[0], "other")

      yield* step(() => page.getByRole("searchbox").fill("PARTNER"))
      assert.sameMembers(yield* names(page), ["partner", "partner places"])
      yield* step(() => page.locator("#kind").selectOption("bulkhead"))
      assert.deepStrictEqual(yield* names(page), ["partner places"])
      yield* step(() => page.getByText("1 of 3 policies").waitFor())

      const copy = yield* open(port, {}, new URL(page.url()).hash)
      yield* step(() => copy.getByText("1 of 3 policies").waitFor())
      assert.deepStrictEqual(yield* names(copy), ["partner places"])

      yield* step(() => page.getByRole("searchbox").fill(""))
      yield* step(() => page.locator("#kind").selectOption(""))
      const chip = page.getByRole("button", { name: "1 open" })
      yield* step(() => chip.click())
      assert.strictEqual(yield* step(() => chip.getAttribute("aria-pressed")), "true")
      assert.deepStrictEqual(yield* names(page), ["other"])
      yield* step(() => page.getByRole("searchbox").fill("nothing"))
      yield* step(() => page.getByText("No policy matches the filter.").waitFor())
    }).pipe(Effect.scoped, observed)
  )
})

/** The texts whose contrast is less than WCAG asks for (AA, 4.5 to 1). Runs in the page. */
const faint = () => {
  const parse = (color: string): ReadonlyArray<number> => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d")
    if (canvas === null) return []
    canvas.fillStyle = color
    canvas.fillRect(0, 0, 1, 1)
    return Array.from(canvas.getImageData(0, 0, 1, 1).data)
  }
  const luminance = (color: ReadonlyArray<number>): number => {
    const [red, green, blue] = color.map((value) =>
      value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
  }
  const groundOf = (element: Element | null): ReadonlyArray<number> => {
    if (element === null) return parse("white")
    const color = parse(getComputedStyle(element).backgroundColor)
    return color[3] === 255 ? color : groundOf(element.parentElement)
  }
  const found: Array<string> = []
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  let seen = 0
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement
    const text = texts.currentNode.textContent?.trim() ?? ""
    if (element === null || text === "" || !element.checkVisibility() || element.closest(".quiet, .skip"))
      continue
    seen++
    const [one, other] = [
      luminance(parse(getComputedStyle(element).webkitTextFillColor)),
      luminance(groundOf(element))
    ]
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05)
    if (contrast < 4.5) found.push(`${contrast.toFixed(2)} ${element.className} ${text.slice(0, 40)}`)
  }
  return { found, seen }
}

describe("the order", () => {
  it.live("waits for the pointer and for a key, and then goes on with the focus where it was", () =>
    Effect.gen(function* () {
      const kept = yield* Effect.forEach(["a", "b", "c"], (name) => CircuitBreaker.make({ name }))
      const page = yield* shown({ interval: "100 millis" })
      yield* step(() => page.clock.install())
      yield* step(() => page.reload())
      yield* waitForState(page, "c", "closed")
      yield* step(() => page.locator(".name").first().focus())
      yield* kept[2].open
      yield* waitForState(page, "c", "open")
      yield* step(() => page.clock.runFor(9000))
      assert.deepStrictEqual(yield* names(page), ["a", "b", "c"])
      yield* step(() => page.clock.runFor(3000))
      yield* step(() => page.locator(".grid > li:first-child .name", { hasText: "c" }).waitFor())
      assert.strictEqual(yield* focused(page), "a")
    }).pipe(Effect.scoped, observed)
  )
})

describe("more policies than are shown", () => {
  it.live("are counted, and one that opens takes the place of one that is well", () =>
    Effect.gen(function* () {
      const kept = yield* Effect.forEach(["a", "b", "c", "d"], (name) => CircuitBreaker.make({ name }))
      const page = yield* shown({ maxPolicies: 2, interval: "100 millis" })
      yield* step(() =>
        page
          .getByText("Not shown and not found by the filter: 2 policies (closed). The page has room for 2:")
          .waitFor()
      )
      assert.deepStrictEqual(yield* names(page), ["a", "b"])
      yield* step(() => page.locator(".name").last().hover())
      yield* kept[3].open
      yield* step(() => page.locator("#changes", { hasText: "Circuit breaker d is open" }).waitFor())
      // What is under the pointer stays until the pointer rests or leaves, and does nothing any more.
      assert.deepStrictEqual(yield* names(page), ["a", "b"])
      assert.isTrue(
        yield* step(() =>
          page
            .locator(".grid > li")
            .last()
            .evaluate((it) => it.matches("[inert]"))
        )
      )
      yield* step(() => page.mouse.move(1, 1))
      yield* waitForState(page, "d", "open")
      assert.deepStrictEqual(yield* names(page), ["d", "a"])
      yield* step(() => page.getByRole("searchbox").fill("nothing"))
      yield* step(() =>
        page.getByText("No policy matches the filter. Not shown and not found by the filter").waitFor()
      )
    }).pipe(Effect.scoped, observed)
  )
})

describe("a card", () => {
  it.live("of a breaker has the calls that run, and says that there were no events", () =>
    Effect.gen(function* () {
      const breaker = yield* partner
      const call = yield* forked(breaker.protect(Effect.never))
      const page = yield* shown({ interval: "100 millis" })
      const inFlight = cardOf(page, "partner").locator(".numbers div", { hasText: "in flight" }).locator("dd")
      yield* step(() => inFlight.filter({ hasText: "1" }).waitFor())
      yield* step(() => cardOf(page, "partner").getByText("No events yet").waitFor())
      yield* Fiber.interrupt(call)
      yield* step(() => inFlight.filter({ hasText: "0" }).waitFor())
    }).pipe(Effect.scoped, observed)
  )

  it.live.each(["closed", "open", "isolated", "half-open"] as const)(
    "of a breaker that is %s has its buttons within it, at any width",
    (state) =>
      Effect.gen(function* () {
        const breaker = yield* CircuitBreaker.make({
          name: "partner",
          trip: Trip.failureRate({ threshold: 1, of: 5 })
        })
        yield* Effect.ignore(breaker.protect(down))
        if (state === "open") yield* Effect.repeatN(Effect.ignore(breaker.protect(down)), 4)
        if (state === "isolated") yield* breaker.isolate
        yield* Effect.ignore(breaker.protect(up))
        if (state === "half-open") yield* breaker.halfOpen
        const page = yield* shown({ steering: anybody })
        yield* waitForState(page, "partner", state)
        const card = cardOf(page, "partner").locator(".card")
        const last = card.locator("button").last()
        yield* step(() => last.waitFor())
        for (const width of [375, 640, 700, 1280]) {
          yield* step(() => page.setViewportSize({ width, height: 800 }))
          const [box, button] = yield* step(() => Promise.all([card.boundingBox(), last.boundingBox()]))
          if (box === null || button === null) return assert.fail("it is not shown")
          assert.isAtMost(button.y + button.height, box.y + box.height - 4, `${width}`)
        }
      }).pipe(Effect.scoped, observed)
  )
})

describe("the page", () => {
  const everyState = Effect.gen(function* () {
    const states = ["closed", "open", "isolated", "halfOpen", "disable"] as const
    const kept = yield* Effect.forEach(states, (name) => CircuitBreaker.make({ name }))
    yield* Effect.all([kept[1].open, kept[2].isolate, kept[3].halfOpen, kept[4].disable])
    return kept
  })

  it.live.each(["light", "dark"] as const)(
    "has enough contrast for all texts in its %s theme",
    (colorScheme) =>
      Effect.gen(function* () {
        const kept = yield* everyState
        const page = yield* shown({ steering: anybody }, { colorScheme })
        yield* step(() => page.locator("[data-action]").nth(5).waitFor())
        yield* step(() => page.locator(".chip", { hasText: "open" }).first().click())
        for (const action of [undefined, ".name", "[data-action=isolate]"]) {
          if (action !== undefined) yield* step(() => page.locator(action).first().click())
          const { found, seen } = yield* step(() => page.evaluate(faint))
          assert.deepStrictEqual(found, [])
          assert.isAbove(seen, 20)
          yield* step(() => page.keyboard.press("Escape"))
        }
        assert.lengthOf(kept, 5)
      }).pipe(Effect.scoped, observed)
  )

  it.live("has landmarks, headings and names for screen readers", () =>
    Effect.gen(function* () {
      const kept = yield* everyState
      const page = yield* shown({ steering: anybody })
      yield* step(() => page.locator(".grid > li").nth(4).waitFor())
      const count = (role: "banner" | "main" | "search" | "article", name?: string) =>
        step(() => page.getByRole(role, name === undefined ? {} : { name }).count())
      assert.deepStrictEqual(
        yield* Effect.all([count("banner"), count("main"), count("search"), count("article", "closed")]),
        [1, 1, 1, 1]
      )
      const levels = yield* step(() =>
        page.evaluate(() =>
          Array.from(document.querySelectorAll("h1, h2, h3"), ({ tagName }) => Number(tagName[1]))
        )
      )
      assert.deepStrictEqual(levels, [1, 2, 2, ...kept.map(() => 3)])
      const unnamed = yield* step(() =>
        page.evaluate(() =>
          Array.from(document.querySelectorAll<HTMLElement>("button, input, select"))
            .filter((it) => it.textContent?.trim() === "" && it.closest("label") === null)
            .map((it) => it.outerHTML)
        )
      )
      assert.deepStrictEqual(unnamed, [])
    }).pipe(Effect.scoped, observed)
  )

  it.live("stands still for those who want less motion, and fits 360 pixels", () =>
    Effect.gen(function* () {
      const kept = yield* everyState
      const page = yield* shown(
        { steering: anybody },
        { reducedMotion: "reduce", viewport: { width: 360, height: 740 } }
      )
      yield* step(() => page.locator("[data-action]").nth(3).waitFor())
      const looks = yield* step(() =>
        page.evaluate(() => ({
          animations: document.getAnimations().length,
          width: document.documentElement.scrollWidth
        }))
      )
      assert.deepStrictEqual(looks, { animations: 0, width: 360 })
      assert.lengthOf(kept, 5)
    }).pipe(Effect.scoped, observed)
  )

  it.live("draws of 500 policies those in view, and finds one that opens", () =>
    Effect.gen(function* () {
      const kept = yield* Effect.forEach(
        Array.from({ length: 500 }, (_, index) => index),
        (index) =>
          CircuitBreaker.make({ name: `partner ${index}`, trip: Trip.consecutive(1), openFor: "1 minute" })
      )
      const page = yield* shown()
      yield* step(() => page.locator(".grid > li").nth(499).waitFor())
      yield* step(() => page.locator("canvas").first().waitFor())
      assert.isAtMost(yield* step(() => page.locator("canvas").count()), 60)

      yield* Effect.ignore(kept[487].protect(down))
      yield* waitForState(page, "partner 487", "open")
      yield* step(() => page.locator(".grid > li:first-child .name", { hasText: "partner 487" }).waitFor())

      yield* step(() => page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight)))
      yield* step(() => page.locator(".grid > li:last-child canvas").waitFor())
      assert.isAtMost(yield* step(() => page.locator("canvas").count()), 60)
    }).pipe(Effect.scoped, observed)
  )
})
