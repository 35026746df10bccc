// Where the circuit is kept: in the memory of this service, or in a Redis that several offer services share.
import { Config, Effect, Layer } from "effect"
import { SharedStore } from "effect-resilience/fleet"
import { RedisStore } from "effect-resilience/redis"

/** By STORE: `memory`, the default, or `redis`, which is at REDIS_URL. */
export const store = Layer.unwrapEffect(
  Effect.map(Config.withDefault(Config.literal("memory", "redis")("STORE"), "memory"), (store) =>
    store === "memory" ? SharedStore.memory : redis
  )
)

const redis = RedisStore.layerConfig({
  url: Config.redacted("REDIS_URL").pipe(Config.withDefault("redis://localhost:6379"))
})
