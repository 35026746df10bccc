// One more service for an effect: set in a step of the fiber where its inside is known, and inside a mask where it is not.
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, FiberRef, Option, Request, RequestResolver } from "effect"
import { withService, withServiceMasked } from "../../src/internal/context.js"
import { interruptedAtEveryStep, runToEnd } from "../support/everyStep.js"

class Page extends Context.Tag("Page")<Page, number>() {}

const page = Effect.map(
  Effect.serviceOption(Page),
  Option.getOrElse(() => 0)
)
const ref = FiberRef.unsafeMake("before")

type Form = typeof withService

const forms: Record<string, Form> = { "in a step": withService, "in a mask": withServiceMasked }

const resolver = RequestResolver.makeBatched((requests: ReadonlyArray<Request.Request<number>>) =>
  Effect.forEach(requests, (request) => Request.succeed(request, 1), { discard: true })
)
class Ask extends Request.TaggedClass("Ask")<number, never, { readonly id: number }> {}

const bodies: Record<string, Effect.Effect<unknown, string>> = {
  "that succeeds": Effect.succeed(1),
  "that fails": Effect.fail("down"),
  "that dies": Effect.die("broken"),
  "that interrupts itself": Effect.interrupt,
  "that waits": Effect.sleep(10),
  "that sets a reference": FiberRef.set(ref, "body"),
  "that sets a reference and fails": Effect.zipRight(FiberRef.set(ref, "body"), Effect.fail("down")),
  "that has a service of its own": Effect.zipRight(Effect.provideService(page, Page, 7), page),
  "that forks": Effect.flatMap(Effect.fork(Effect.zipRight(Effect.sleep(5), page)), Fiber.join),
  "that cannot be interrupted": Effect.uninterruptible(Effect.sleep(10)),
  "that asks in a batch": Effect.all(
    [Effect.request(new Ask({ id: 1 }), resolver), Effect.request(new Ask({ id: 2 }), resolver)],
    { batching: true }
  )
}

describe("a service for one effect", () => {
  for (const [body, self] of Object.entries(bodies)) {
    /** One service inside of the other, noting when each is there and what is seen inside, between and outside. */
    const program = (form: Form, log: Array<string>) => {
      const see = (where: string) =>
        Effect.map(Effect.all([page, FiberRef.get(ref)]), (seen) => void log.push(`${where}: ${seen}`))
      const provided = (number: number, self: Effect.Effect<unknown, string>) =>
        form(
          Page,
          () => (log.push(`made ${number}`), number),
          () => self,
          (made) => log.push(`over ${made}`)
        )
      const inner = provided(2, Effect.zipRight(see("inside"), self))
      const outer = provided(1, Effect.ensuring(inner, see("between")))
      return Effect.ensuring(outer, see("outside"))
    }
    for (const [name, form] of body === "that asks in a batch" ? [] : Object.entries(forms)) {
      // A batch runs in fibers of another scheduler.
      it(`is gone after one ${body}, interrupted at any step, set ${name}`, () => {
        let log: Array<string> = []
        interruptedAtEveryStep(
          () => program(form, (log = [])),
          () => {
            const times = log.filter((line) => /^(made|over)/.test(line)).join(", ")
            assert.include(["", "made 1, over 1", "made 1, made 2, over 2, over 1"], times)
            for (const line of log) {
              if (line.startsWith("between")) assert.include(line, ": 1,")
              if (line.startsWith("outside")) assert.include(line, ": 0,")
            }
          }
        )
      })
    }
    it(`is seen in both forms alike by one ${body}`, () => {
      const [one, other] = Object.values(forms).map((form) => {
        const log: Array<string> = []
        const { endedAt, exit } = runToEnd(program(form, log))
        const ended = exit && Exit.match(exit, { onFailure: ({ _tag }) => _tag, onSuccess: String })
        return { log, ended, endedAt }
      })
      assert.deepStrictEqual(one, other)
    })
  }

  it("is the same on the live clock, across an interruption that the effect survives", async () => {
    for (const form of Object.values(forms)) {
      const seen = await Effect.runPromise(
        Effect.gen(function* () {
          const limited = form(
            Page,
            () => 1,
            () => Effect.timeout(Effect.zipRight(page, Effect.never), 1)
          )
          const exit = yield* Effect.exit(limited)
          return [Exit.isFailure(exit), yield* page] as const
        })
      )
      assert.deepStrictEqual(seen, [true, 0])
    }
  })
})
