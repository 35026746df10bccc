// The current minute and second, to tell one offer from the next.
import { DateTime, Effect } from "effect"

export const minuteAndSecond = Effect.map(DateTime.now, (now) => DateTime.formatIso(now).slice(14, 19))
