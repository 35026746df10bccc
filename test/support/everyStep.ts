/**
 * Runs a program to its end again and again, interrupted at its first step, at its second, and so on through the last.
 *
 * The scheduler and the clock are plain queues here, so that a run is one synchronous function: what `TestClock` needs
 * to be stepped can itself not be interrupted at every step.
 */
import type { Fiber } from "effect"
import { Clock, Duration, Effect, type Exit, FiberId, Scheduler } from "effect"

export interface Run<A, E> {
  /** `undefined` when the program never ended. */
  readonly exit: Exit.Exit<A, E> | undefined
  readonly endedAt: number
  /** When nothing was left to wait for, including what the program left behind. */
  readonly quietAt: number
  /** `undefined` in the last run, which came to its end first. */
  readonly interruptedAt: number | undefined
}

/**
 * Calls `check` after each run; `program` is called before each. Returns how many steps the program has. With `every`
 * interrupts only at one in so many.
 */
export const interruptedAtEveryStep = <A, E>(
  program: () => Effect.Effect<A, E>,
  check: (run: Run<A, E>) => void,
  every = 1
): number => {
  for (let step = 1; ; step += every) {
    const run = runInterruptedAt(step, program())
    check(run)
    if (run.interruptedAt === undefined) return step - 1
  }
}

/** One run to the end. Timers that are due at the same instant fire in the order in which they were set. */
export const runToEnd = <A, E>(program: Effect.Effect<A, E>, world = new World()): Run<A, E> =>
  runInterruptedAt(Infinity, program, world)

const runInterruptedAt = <A, E>(
  step: number,
  program: Effect.Effect<A, E>,
  world = new World()
): Run<A, E> => {
  const run = {
    exit: undefined as Exit.Exit<A, E> | undefined,
    endedAt: Infinity,
    quietAt: Infinity,
    interruptedAt: undefined as number | undefined
  }
  let steps = 0
  let root: Fiber.RuntimeFiber<unknown, unknown> | undefined
  const fiber = Effect.runFork(Effect.withClock(program, world), {
    scheduler: {
      scheduleTask: (task) => world.tasks.push(task),
      shouldYield: (running) => {
        root ??= running
        if (running === root && ++steps === step) {
          run.interruptedAt = world.now
          running.unsafeInterruptAsFork(FiberId.none)
        }
        return Scheduler.defaultShouldYield(running)
      }
    }
  })
  fiber.addObserver((exit) => {
    run.exit = exit
    run.endedAt = world.now
  })
  world.run()
  run.quietAt = world.now
  return run
}

export class World implements Clock.Clock {
  readonly [Clock.ClockTypeId]: Clock.ClockTypeId = Clock.ClockTypeId
  readonly tasks: Array<() => void> = []
  protected timers: Array<{ readonly at: number; fire: () => void }> = []
  now = 0

  unsafeCurrentTimeMillis = () => this.now
  unsafeCurrentTimeNanos = () => BigInt(this.now) * 1_000_000n
  readonly currentTimeMillis = Effect.sync(this.unsafeCurrentTimeMillis)
  readonly currentTimeNanos = Effect.sync(this.unsafeCurrentTimeNanos)

  sleep(duration: Duration.Duration): Effect.Effect<void> {
    // Like the timers of JavaScript, which do not wait any longer than that.
    if (Duration.toMillis(duration) > 2 ** 31 - 1) return Effect.never
    // `Effect.async` begins one step before it can be interrupted. A timer set in that step would stay.
    return Effect.uninterruptibleMask((restore) => {
      const timer = { at: this.now + Duration.toMillis(duration), fire: () => {} }
      this.timers.push(timer)
      const wait = Effect.async<void>((resume) => {
        timer.fire = () => resume(Effect.void)
      })
      return Effect.onInterrupt(restore(wait), () =>
        Effect.sync(() => {
          this.timers = this.timers.filter((other) => other !== timer)
        })
      )
    })
  }

  /** Until nothing is left to do and nothing to wait for. */
  run(): void {
    for (;;) {
      for (let task = this.tasks.shift(); task !== undefined; task = this.tasks.shift()) task()
      const next = this.timers.reduce<(typeof this.timers)[number] | undefined>(
        (first, timer) => (first === undefined || timer.at < first.at ? timer : first),
        undefined
      )
      if (next === undefined) return
      this.timers = this.timers.filter((timer) => timer !== next)
      this.now = next.at
      next.fire()
    }
  }
}

/** One whose timers can be had without sleeping, as those of a simulation. */
export class WorldOfTimers extends World implements Clock.ClockScheduler {
  unsafeSchedule(fire: () => void, duration: Duration.Duration): Clock.CancelToken {
    const timer = { at: this.now + Duration.toMillis(duration), fire }
    this.timers.push(timer)
    return () => {
      const isThere = this.timers.includes(timer)
      this.timers = this.timers.filter((other) => other !== timer)
      return isThere
    }
  }
}
