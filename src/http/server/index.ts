/**
 * The server half of `effect-resilience/http`, for programs without a client.
 *
 * @since 0.1.0
 */
export * as HttpAdmin from "../admin/HttpAdmin.js"
export * as HttpFields from "../problem/HttpFields.js"
export * as HttpProblem from "../problem/HttpProblem.js"
export * as HttpDrain from "./HttpDrain.js"
export * as HttpProtection from "./HttpProtection.js"
